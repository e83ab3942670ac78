import Foundation

/// The part of JSON Schema (draft 2020-12) that the published manifest schema uses. A keyword that is not known is an
/// error when the schema is read, so that none is passed over.
struct JsonSchema: Sendable {
    private static let keywords: Set<String> = [
        "$schema", "$id", "$defs", "$ref", "title", "description", "type", "enum", "required", "properties", "items",
        "minItems", "maxItems", "minLength", "maxLength", "minimum", "maximum", "pattern", "not",
    ]
    private static let types: Set<String> = ["object", "array", "string", "boolean", "number", "integer"]
    private let root: Json
    private let patterns: [String: NSRegularExpression]

    /// - Throws: ``JsonError`` if it uses what is not known here.
    init(_ root: Json) throws {
        self.root = root
        var found: [String: NSRegularExpression] = [:]
        try Self.read(root, into: &found)
        if case .object(let definitions)? = root["$defs"] {
            for definition in definitions.values { try Self.read(definition, into: &found) }
        }
        patterns = found
    }

    private static func read(_ schema: Json, into patterns: inout [String: NSRegularExpression]) throws {
        guard case .object(let entries) = schema else { throw JsonError(message: "a schema that is no object") }
        for (keyword, value) in entries {
            guard keywords.contains(keyword) else { throw JsonError(message: "the keyword \(keyword) is not known") }
            switch (keyword, value) {
            case ("pattern", .text(let pattern)):
                // A '$' matches before a final line feed only, as in the reference.
                patterns[pattern] = try NSRegularExpression(pattern: pattern, options: .useUnixLineSeparators)
            case ("properties", .object(let properties)):
                for property in properties.values { try read(property, into: &patterns) }
            case ("items", _), ("not", _):
                try read(value, into: &patterns)
            case ("type", .text(let type)):
                guard types.contains(type) else { throw JsonError(message: "the type \(type) is not known") }
            default:
                break
            }
        }
    }

    /// Where a value breaks the schema and how; nil if it does not.
    func firstError(_ value: Json) -> String? {
        firstError(root, value, "$")
    }

    private func firstError(_ schema: Json, _ value: Json, _ place: String) -> String? {
        guard case .object(let entries) = schema else { return nil }
        for (keyword, argument) in entries.sorted(by: { $0.key < $1.key }) {
            if let inner = deeperError(keyword, argument, value, place) { return inner }
            if let wrong = error(keyword, argument, value) { return "\(place): \(wrong)" }
        }
        return nil
    }

    /// Errors of keywords that hold other schemas.
    private func deeperError(_ keyword: String, _ argument: Json, _ value: Json, _ place: String) -> String? {
        switch (keyword, argument, value) {
        case ("$ref", .text(let reference), _):
            let name = String(reference.dropFirst("#/$defs/".count))
            return root["$defs"]?[name].flatMap { firstError($0, value, place) }
        case ("properties", .object(let properties), .object(let entries)):
            for (name, property) in properties.sorted(by: { $0.key < $1.key }) {
                if let entry = entries[name], let error = firstError(property, entry, "\(place).\(name)") {
                    return error
                }
            }
        case ("items", _, .array(let values)):
            for (i, entry) in values.enumerated() {
                if let error = firstError(argument, entry, "\(place)[\(i)]") { return error }
            }
        default:
            break
        }
        return nil
    }

    private func error(_ keyword: String, _ argument: Json, _ value: Json) -> String? {
        switch (keyword, argument, value) {
        case ("type", .text(let type), _):
            return Self.is(value, type) ? nil : "expected \(type)"
        case ("enum", .array(let allowed), _):
            return allowed.contains { $0 == value || Self.compare(value, $0) == 0 }
                ? nil : "not one of the allowed values"
        case ("required", .array(let names), .object(let entries)):
            return names.compactMap(\.text).first { entries[$0] == nil }.map { "'\($0)' is missing" }
        case ("minItems", .integer(let limit), .array(let values)):
            return values.count < limit ? "\(values.count) long" : nil
        case ("maxItems", .integer(let limit), .array(let values)):
            return values.count > limit ? "\(values.count) long" : nil
        case ("minLength", .integer(let limit), .text(let text)):
            return text.unicodeScalars.count < limit ? "too short" : nil
        case ("maxLength", .integer(let limit), .text(let text)):
            return text.unicodeScalars.count > limit ? "too long" : nil
        case ("minimum", _, _):
            return Self.compare(value, argument).map { $0 < 0 ? "below the minimum" : nil } ?? nil
        case ("maximum", _, _):
            return Self.compare(value, argument).map { $0 > 0 ? "above the maximum" : nil } ?? nil
        case ("pattern", .text(let pattern), .text(let text)):
            return matches(pattern, text) ? nil : "not of the expected form"
        case ("not", _, _):
            return firstError(argument, value, "") == nil ? "of a form that is not allowed" : nil
        default:
            return nil
        }
    }

    private func matches(_ pattern: String, _ text: String) -> Bool {
        let whole = NSRange(location: 0, length: text.utf16.count)
        return patterns[pattern]?.firstMatch(in: text, range: whole) != nil
    }

    private static func `is`(_ value: Json, _ type: String) -> Bool {
        switch (type, value) {
        case ("object", .object), ("array", .array), ("string", .text), ("boolean", .bool): true
        case ("number", .integer), ("number", .vast), ("number", .real), ("integer", .integer), ("integer", .vast): true
        // 4.0 is an integer to JSON Schema.
        case ("integer", .real(let number)): number == number.rounded()
        default: false
        }
    }

    /// Below 0, 0 or above 0 as the value is below, at or above the limit; nil if one is no number.
    private static func compare(_ value: Json, _ limit: Json) -> Int? {
        switch (value, limit) {
        case (.integer(let a), .integer(let b)): a < b ? -1 : a > b ? 1 : 0
        // Limits have at most 64 bits.
        case (.vast(let negative), .integer), (.vast(let negative), .real): negative ? -1 : 1
        default:
            if let a = value.double, let b = limit.double { a < b ? -1 : a > b ? 1 : 0 } else { nil }
        }
    }
}
