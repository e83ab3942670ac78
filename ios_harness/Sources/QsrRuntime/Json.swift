/// Text that is not JSON as RFC 8259 has it; turned into a ``QsrError`` where the text comes from is known.
package struct JsonError: Error {
    package let message: String
}

/// A JSON value, read strictly: no key twice, no NaN or infinity, no half surrogate pairs, nothing after the value.
package enum Json: Equatable, Sendable {
    case null
    case bool(Bool)
    case integer(Int)
    /// A whole number of more than 64 bits.
    case vast(negative: Bool)
    /// A number written with a point or an exponent.
    case real(Double)
    case text(String)
    case array([Json])
    case object([String: Json])

    /// Parse UTF-8, without a byte-order mark.
    package init(_ content: [UInt8]) throws(JsonError) {
        var parser = JsonParser(content)
        self = try parser.parse()
    }

    /// The value of a key of an object; nil if it is none or lacks the key.
    package subscript(key: String) -> Json? {
        if case .object(let entries) = self { entries[key] } else { nil }
    }

    /// The number, if it is a whole one of 64 bits; 4.0 is 4.
    package var int: Int? {
        switch self {
        case .integer(let value): value
        case .real(let value): Int(exactly: value)
        default: nil
        }
    }

    /// The number.
    package var double: Double? {
        switch self {
        case .integer(let value): Double(value)
        case .real(let value): value
        default: nil
        }
    }

    package var bool: Bool? { if case .bool(let value) = self { value } else { nil } }
    package var text: String? { if case .text(let value) = self { value } else { nil } }
    package var array: [Json]? { if case .array(let values) = self { values } else { nil } }
}

private struct JsonParser {
    private static let deepest = 200
    private static let mostDigits = 4300
    private let bytes: [UInt8]
    private var position = 0

    init(_ bytes: [UInt8]) {
        self.bytes = bytes
    }

    mutating func parse() throws(JsonError) -> Json {
        let value = try value(depth: 0)
        skipSpace()
        if position != bytes.count { throw failure("text after the value") }
        return value
    }

    private func failure(_ what: String) -> JsonError {
        JsonError(message: "\(what) at byte \(position)")
    }

    private var next: UInt8? { position < bytes.count ? bytes[position] : nil }

    private mutating func skipSpace() {
        while let byte = next, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { position += 1 }
    }

    private mutating func take(_ expected: StaticString) -> Bool {
        let end = position + expected.utf8CodeUnitCount
        guard end <= bytes.count else { return false }
        for i in position..<end where bytes[i] != expected.utf8Start[i - position] { return false }
        position = end
        return true
    }

    private mutating func value(depth: Int) throws(JsonError) -> Json {
        if depth > Self.deepest { throw failure("nested too deeply") }
        skipSpace()
        if take("{") { return try object(depth) }
        if take("[") { return try array(depth) }
        if take("\"") { return .text(try string().text) }
        if take("true") { return .bool(true) }
        if take("false") { return .bool(false) }
        if take("null") { return .null }
        return try number()
    }

    private mutating func object(_ depth: Int) throws(JsonError) -> Json {
        var entries: [String: Json] = [:]
        // By bytes: to Swift a letter with its accent and the two one after the other are equal.
        var seen: Set<[UInt8]> = []
        skipSpace()
        if take("}") { return .object(entries) }
        repeat {
            skipSpace()
            if !take("\"") { throw failure("no key") }
            let key = try string()
            skipSpace()
            if !take(":") { throw failure("no colon") }
            if !seen.insert(key.bytes).inserted { throw failure("the key '\(key.text)' twice") }
            entries[key.text] = try value(depth: depth + 1)
            skipSpace()
        } while take(",")
        if !take("}") { throw failure("an object that does not end") }
        return .object(entries)
    }

    private mutating func array(_ depth: Int) throws(JsonError) -> Json {
        var values: [Json] = []
        skipSpace()
        if take("]") { return .array(values) }
        repeat {
            values.append(try value(depth: depth + 1))
            skipSpace()
        } while take(",")
        if !take("]") { throw failure("a list that does not end") }
        return .array(values)
    }

    private mutating func string() throws(JsonError) -> (text: String, bytes: [UInt8]) {
        var result: [UInt8] = []
        while true {
            guard let byte = next else { throw failure("a text that does not end") }
            position += 1
            if byte == UInt8(ascii: "\"") { break }
            if byte < 0x20 { throw failure("a control character") }
            if byte == UInt8(ascii: "\\") {
                result.append(contentsOf: String(Character(try escape())).utf8)
            } else {
                result.append(byte)
            }
        }
        let text = String(decoding: result, as: UTF8.self)
        // What is no UTF-8 was replaced.
        if !text.utf8.elementsEqual(result) { throw failure("not UTF-8") }
        return (text, result)
    }

    private mutating func escape() throws(JsonError) -> Unicode.Scalar {
        guard let letter = next else { throw failure("a text that does not end") }
        position += 1
        switch letter {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return Unicode.Scalar(letter)
        case UInt8(ascii: "b"): return "\u{8}"
        case UInt8(ascii: "f"): return "\u{C}"
        case UInt8(ascii: "n"): return "\n"
        case UInt8(ascii: "r"): return "\r"
        case UInt8(ascii: "t"): return "\t"
        case UInt8(ascii: "u"):
            let first = try hexadecimal()
            if let scalar = Unicode.Scalar(first) { return scalar }
            // The first half of a pair; the other must follow.
            guard first < 0xDC00, take("\\u") else { throw failure("half a surrogate pair") }
            let second = try hexadecimal()
            guard 0xDC00...0xDFFF ~= second,
                let scalar = Unicode.Scalar(0x10000 + (UInt32(first) - 0xD800) << 10 + (UInt32(second) - 0xDC00))
            else { throw failure("half a surrogate pair") }
            return scalar
        default: throw failure("a wrong escape")
        }
    }

    private mutating func hexadecimal() throws(JsonError) -> UInt16 {
        let end = position + 4
        guard end <= bytes.count, bytes[position..<end].allSatisfy({ Character(Unicode.Scalar($0)).isHexDigit }),
            let value = UInt16(String(decoding: bytes[position..<end], as: UTF8.self), radix: 16)
        else { throw failure("a wrong escape") }
        position = end
        return value
    }

    private mutating func digits() -> Int {
        let start = position
        while let byte = next, UInt8(ascii: "0")...UInt8(ascii: "9") ~= byte { position += 1 }
        return position - start
    }

    private mutating func number() throws(JsonError) -> Json {
        let start = position
        let negative = take("-")
        if !take("0"), digits() == 0 {
            position = start
            throw failure("no value")
        }
        var whole = true
        // A point or an exponent without digits is no part of the number.
        var end = position
        if take(".") {
            if digits() > 0 {
                whole = false
                end = position
            }
            position = end
        }
        if take("e") || take("E") {
            if !take("-") { _ = take("+") }
            if digits() > 0 {
                whole = false
                end = position
            }
            position = end
        }
        let text = String(decoding: bytes[start..<end], as: UTF8.self)
        if whole {
            if end - start > Self.mostDigits { throw failure("a number too long") }
            return Int(text).map(Json.integer) ?? .vast(negative: negative)
        }
        guard let value = Double(text), value.isFinite else { throw failure("a number that is not finite") }
        return .real(value)
    }
}
