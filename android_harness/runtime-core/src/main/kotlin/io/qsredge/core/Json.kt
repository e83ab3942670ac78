package io.qsredge.core

import java.math.BigDecimal
import java.nio.ByteBuffer
import java.nio.charset.CharacterCodingException
import java.nio.charset.CodingErrorAction

/** Shared by qsr-edge's own modules; not for apps: it may change in any release. */
@RequiresOptIn("shared by qsr-edge's own modules, not for apps", RequiresOptIn.Level.ERROR)
public annotation class InternalQsrApi

/** A JSON value. Numbers are exact decimals; those written with a point or exponent have a double's value. */
@InternalQsrApi
public sealed interface Json {
    public data object Null : Json

    public data class Bool(
        val value: Boolean,
    ) : Json

    public data class Number(
        val value: BigDecimal,
    ) : Json

    public data class Text(
        val value: String,
    ) : Json

    public data class Array(
        val values: List<Json>,
    ) : Json

    public data class Object(
        val entries: Map<String, Json>,
    ) : Json {
        public operator fun get(key: String): Json? = entries[key]
    }

    public companion object {
        private const val MAX_DEPTH = 200

        /**
         * Parse strictly: no key twice, no NaN or infinity, no half surrogate pairs, nothing after the value.
         *
         * @throws JsonException if it is not JSON.
         */
        public fun parse(text: String): Json = Parser(text, MAX_DEPTH).parse()

        /**
         * Parse UTF-8, without a byte-order mark.
         *
         * @throws JsonException if it is not UTF-8 or not JSON.
         */
        public fun parse(content: ByteArray): Json {
            val decoder = Charsets.UTF_8.newDecoder()
            decoder.onMalformedInput(CodingErrorAction.REPORT).onUnmappableCharacter(CodingErrorAction.REPORT)
            val text =
                try {
                    decoder.decode(ByteBuffer.wrap(content)).toString()
                } catch (_: CharacterCodingException) {
                    throw JsonException("not UTF-8")
                }
            return parse(text)
        }
    }
}

private class Parser(
    private val text: String,
    private val maxDepth: Int,
) {
    private var position = 0

    fun parse(): Json {
        val value = value(0)
        space()
        if (position != text.length) fail("text after the value")
        return value
    }

    private fun fail(what: String): Nothing = throw JsonException("$what at character $position")

    private fun space() {
        while (position < text.length && text[position] in " \t\n\r") position++
    }

    private fun take(expected: String): Boolean {
        if (!text.startsWith(expected, position)) return false
        position += expected.length
        return true
    }

    private fun value(depth: Int): Json {
        if (depth > maxDepth) fail("nested too deeply")
        space()
        return when {
            take("{") -> obj(depth)
            take("[") -> array(depth)
            take("\"") -> Json.Text(string())
            take("true") -> Json.Bool(true)
            take("false") -> Json.Bool(false)
            take("null") -> Json.Null
            else -> number()
        }
    }

    private fun obj(depth: Int): Json {
        val entries = LinkedHashMap<String, Json>()
        space()
        if (take("}")) return Json.Object(entries)
        do {
            space()
            if (!take("\"")) fail("no key")
            val key = string()
            space()
            if (!take(":")) fail("no colon")
            if (entries.put(key, value(depth + 1)) != null) fail("the key '$key' twice")
            space()
        } while (take(","))
        if (!take("}")) fail("an object that does not end")
        return Json.Object(entries)
    }

    private fun array(depth: Int): Json {
        val values = ArrayList<Json>()
        space()
        if (take("]")) return Json.Array(values)
        do {
            values.add(value(depth + 1))
            space()
        } while (take(","))
        if (!take("]")) fail("a list that does not end")
        return Json.Array(values)
    }

    private fun string(): String {
        val result = StringBuilder()
        while (true) {
            if (position >= text.length) fail("a text that does not end")
            val letter = text[position++]
            when {
                letter == '"' -> break
                letter < ' ' -> fail("a control character")
                letter == '\\' -> result.append(escape())
                else -> result.append(letter)
            }
        }
        for ((i, letter) in result.withIndex()) {
            val paired =
                when {
                    letter.isHighSurrogate() -> i + 1 < result.length && result[i + 1].isLowSurrogate()
                    letter.isLowSurrogate() -> i > 0 && result[i - 1].isHighSurrogate()
                    else -> true
                }
            if (!paired) fail("half a surrogate pair")
        }
        return result.toString()
    }

    private fun escape(): Char {
        if (position >= text.length) fail("a text that does not end")
        return when (val letter = text[position++]) {
            '"', '\\', '/' -> {
                letter
            }

            'b' -> {
                '\b'
            }

            'f' -> {
                '\u000c'
            }

            'n' -> {
                '\n'
            }

            'r' -> {
                '\r'
            }

            't' -> {
                '\t'
            }

            'u' -> {
                val digits = text.substring(position, minOf(position + 4, text.length))
                if (digits.length != 4 || digits.any { it !in "0123456789abcdefABCDEF" }) fail("a wrong escape")
                position += 4
                digits.toInt(16).toChar()
            }

            else -> {
                fail("a wrong escape")
            }
        }
    }

    private fun number(): Json {
        val found = NUMBER.matchAt(text, position) ?: fail("no value")
        position = found.range.last + 1
        if (found.groupValues[1].isEmpty() && found.groupValues[2].isEmpty()) {
            if (found.value.length > MAX_DIGITS) fail("a number too long")
            return Json.Number(BigDecimal(found.value))
        }
        val value = found.value.toDouble()
        if (value.isInfinite()) fail("a number that is not finite")
        return Json.Number(BigDecimal(value))
    }

    companion object {
        private val NUMBER = Regex("-?(?:0|[1-9][0-9]*)(\\.[0-9]+)?([eE][-+]?[0-9]+)?")
        private const val MAX_DIGITS = 4300
    }
}
