package io.qsredge.core

import java.math.BigDecimal
import java.util.regex.Pattern

/**
 * The part of JSON Schema (draft 2020-12) that the published manifest schema uses. A keyword that is not known is an
 * error when the schema is read, so that none is passed over.
 */
internal class JsonSchema(
    private val root: Json.Object,
) {
    private val patterns = HashMap<String, Pattern>()

    init {
        read(root)
        (root["\$defs"] as? Json.Object)?.entries?.values?.forEach { read(it as Json.Object) }
    }

    private fun read(schema: Json.Object) {
        for ((keyword, value) in schema.entries) {
            require(keyword in KEYWORDS) { "the keyword $keyword of the schema is not known" }
            when (keyword) {
                // A '$' matches before a final line feed only, as in the reference.
                "pattern" -> patterns.getOrPut(text(value)) { Pattern.compile(text(value), Pattern.UNIX_LINES) }

                "properties" -> (value as Json.Object).entries.values.forEach { read(it as Json.Object) }

                "items", "not" -> read(value as Json.Object)
            }
        }
    }

    /** Where [value] breaks the schema and how, or null if it does not. */
    fun firstError(value: Json): String? = check(root, value, "$")

    private fun check(
        schema: Json.Object,
        value: Json,
        where: String,
    ): String? {
        for ((keyword, argument) in schema.entries) {
            val wrong =
                when (keyword) {
                    "\$ref" -> {
                        check(definition(text(argument)), value, where)
                    }

                    "type" -> {
                        "expected ${text(argument)}".takeIf { !isOfType(value, text(argument)) }
                    }

                    "enum" -> {
                        "not one of the allowed values".takeIf {
                            (argument as Json.Array).values.none {
                                same(
                                    it,
                                    value,
                                )
                            }
                        }
                    }

                    "required" -> {
                        missing(argument as Json.Array, value)
                    }

                    "properties" -> {
                        properties(argument as Json.Object, value, where)
                    }

                    "items" -> {
                        items(argument as Json.Object, value, where)
                    }

                    "minItems" -> {
                        outOf((value as? Json.Array)?.values?.size, argument, below = true)
                    }

                    "maxItems" -> {
                        outOf((value as? Json.Array)?.values?.size, argument, below = false)
                    }

                    "minLength" -> {
                        outOf((value as? Json.Text)?.length(), argument, below = true)
                    }

                    "maxLength" -> {
                        outOf((value as? Json.Text)?.length(), argument, below = false)
                    }

                    "minimum" -> {
                        "below the minimum".takeIf { value is Json.Number && value.value < number(argument) }
                    }

                    "maximum" -> {
                        "above the maximum".takeIf { value is Json.Number && value.value > number(argument) }
                    }

                    "pattern" -> {
                        "not of the expected form".takeIf {
                            value is Json.Text && !patterns.getValue(text(argument)).matcher(value.value).find()
                        }
                    }

                    "not" -> {
                        "of a form that is not allowed".takeIf { check(argument as Json.Object, value, where) == null }
                    }

                    else -> {
                        null
                    }
                }
            if (wrong != null) return if (wrong.startsWith("$")) wrong else "$where: $wrong"
        }
        return null
    }

    private fun definition(reference: String): Json.Object =
        (root["\$defs"] as Json.Object)[reference.removePrefix("#/\$defs/")] as Json.Object

    private fun isOfType(
        value: Json,
        type: String,
    ): Boolean =
        when (type) {
            "object" -> value is Json.Object

            "array" -> value is Json.Array

            "string" -> value is Json.Text

            "boolean" -> value is Json.Bool

            "number" -> value is Json.Number

            // 4.0 is an integer to JSON Schema.
            "integer" -> value is Json.Number && value.value.stripTrailingZeros().scale() <= 0

            else -> throw IllegalArgumentException("the type $type of the schema is not known")
        }

    private fun missing(
        names: Json.Array,
        value: Json,
    ): String? {
        if (value !is Json.Object) return null
        return names.values
            .map(::text)
            .firstOrNull { it !in value.entries }
            ?.let { "'$it' is missing" }
    }

    private fun properties(
        schemas: Json.Object,
        value: Json,
        where: String,
    ): String? {
        if (value !is Json.Object) return null
        return schemas.entries.firstNotNullOfOrNull { (name, schema) ->
            value[name]?.let { check(schema as Json.Object, it, "$where.$name") }
        }
    }

    private fun items(
        schema: Json.Object,
        value: Json,
        where: String,
    ): String? {
        if (value !is Json.Array) return null
        return value.values.withIndex().firstNotNullOfOrNull { (i, entry) -> check(schema, entry, "$where[$i]") }
    }

    private fun outOf(
        size: Int?,
        limit: Json,
        below: Boolean,
    ): String? {
        if (size == null) return null
        val order = BigDecimal(size).compareTo(number(limit))
        return "$size long".takeIf { if (below) order < 0 else order > 0 }
    }

    // BigDecimal's own equality tells 4 from 4.0.
    private fun same(
        a: Json,
        b: Json,
    ): Boolean = if (a is Json.Number && b is Json.Number) a.value.compareTo(b.value) == 0 else a == b

    private fun Json.Text.length(): Int = value.codePointCount(0, value.length)

    private fun text(value: Json): String = (value as Json.Text).value

    private fun number(value: Json): BigDecimal = (value as Json.Number).value

    private companion object {
        val KEYWORDS =
            setOf(
                "\$schema",
                "\$id",
                "\$defs",
                "\$ref",
                "title",
                "description",
                "type",
                "enum",
                "required",
                "properties",
                "items",
                "minItems",
                "maxItems",
                "minLength",
                "maxLength",
                "minimum",
                "maximum",
                "pattern",
                "not",
            )
    }
}
