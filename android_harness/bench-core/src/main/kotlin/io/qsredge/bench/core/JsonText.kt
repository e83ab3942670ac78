package io.qsredge.bench.core

/** Writes JSON on one line, UTF-8 unescaped, for records: maps, lists, [LongArray]s, texts, whole numbers, booleans, null. */
internal object JsonText {
    fun write(value: Any?): String = StringBuilder().also { append(it, value) }.toString()

    private fun append(
        out: StringBuilder,
        value: Any?,
    ) {
        when (value) {
            null, is Boolean, is Int, is Long -> out.append(value)
            is String -> text(out, value)
            is LongArray -> value.joinTo(out, ",", "[", "]")
            is List<*> -> list(out, value)
            is Map<*, *> -> map(out, value)
            else -> throw IllegalArgumentException("a record cannot hold $value")
        }
    }

    private fun list(
        out: StringBuilder,
        values: List<*>,
    ) {
        out.append('[')
        for ((i, value) in values.withIndex()) {
            if (i > 0) out.append(',')
            append(out, value)
        }
        out.append(']')
    }

    private fun map(
        out: StringBuilder,
        values: Map<*, *>,
    ) {
        out.append('{')
        for ((i, entry) in values.entries.withIndex()) {
            if (i > 0) out.append(',')
            text(out, entry.key as String)
            out.append(':')
            append(out, entry.value)
        }
        out.append('}')
    }

    private fun text(
        out: StringBuilder,
        value: String,
    ) {
        out.append('"')
        for ((i, letter) in value.withIndex()) {
            when {
                letter == '"' || letter == '\\' -> out.append('\\').append(letter)
                letter < ' ' || isHalfPair(value, i) -> out.append("\\u%04x".format(letter.code))
                else -> out.append(letter)
            }
        }
        out.append('"')
    }

    // Half a surrogate pair has no UTF-8.
    private fun isHalfPair(
        value: String,
        at: Int,
    ): Boolean =
        when {
            value[at].isHighSurrogate() -> at + 1 == value.length || !value[at + 1].isLowSurrogate()
            value[at].isLowSurrogate() -> at == 0 || !value[at - 1].isHighSurrogate()
            else -> false
        }
}
