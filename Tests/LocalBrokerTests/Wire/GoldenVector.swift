import Glibc
import Testing

@testable import LocalBroker

/// A message as a codec that is not ours encodes it: one line of golden.txt.
struct GoldenVector: Sendable, CustomTestStringConvertible {
    let isRequest: Bool
    let api: ApiKey
    let version: Int16
    let variant: String
    let bytes: [UInt8]

    var testDescription: String { "\(isRequest ? "request" : "response") \(api) v\(version) \(variant)" }

    static let requests = all.filter(\.isRequest)
    static let responses = all.filter { !$0.isRequest }

    /// A file that cannot be read or understood gives no vectors, and the tests that count them fail.
    private static let all: [GoldenVector] = String(decoding: file(), as: UTF8.self)
        .split(separator: "\n")
        .filter { !$0.hasPrefix("#") }
        .compactMap { GoldenVector(line: $0) }

    init?(line: Substring) {
        let fields = line.split(separator: " ")
        guard fields.count == 5, let key = Int16(fields[1]), let api = ApiKey(rawValue: key),
            let version = Int16(fields[2])
        else { return nil }
        isRequest = fields[0] == "request"
        self.api = api
        self.version = version
        variant = String(fields[3])
        let digits = fields[4].utf8.compactMap { Character(UnicodeScalar($0)).hexDigitValue }
        bytes = stride(from: 0, to: digits.count - 1, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
    }

    /// Where in the frame these bytes are, for the first time.
    func range(of text: String) -> Range<Int>? {
        let wanted = Array(text.utf8)
        let start = bytes.indices.first { bytes[$0...].starts(with: wanted) }
        return start.map { $0..<$0 + wanted.count }
    }

    private static func file(_ here: String = #filePath) -> [UInt8] {
        let folder = here.prefix(upTo: here.lastIndex(of: "/") ?? here.startIndex)
        let descriptor = unsafe open("\(folder)/golden.txt", O_RDONLY)
        guard descriptor >= 0 else { return [] }
        defer { close(descriptor) }
        var content: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65536)
        while true {
            let count = unsafe read(descriptor, &buffer, buffer.count)
            guard count > 0 else { return content }
            content += buffer[..<count]
        }
    }
}

/// Reads a whole frame, and says how much of it was left.
func decode(_ frame: [UInt8]) throws(WireFault) -> (header: RequestHeader, request: Request, left: Int) {
    let result = unsafe frame.withUnsafeBytes { bytes in
        Result { () throws(WireFault) in
            var reader = unsafe WireReader(bytes)
            let header = try RequestHeader(from: &reader)
            let request = try Request(from: &reader, header: header)
            return (header: header, request: request, left: reader.remaining)
        }
    }
    return try result.get()
}
