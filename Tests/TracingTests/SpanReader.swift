import Model

@testable import Tracing

/// Spans as a collector would read them, as far as tests look.
struct ReadSpan {
    var trace: [UInt8] = []
    var id: [UInt8] = []
    var parent: [UInt8] = []
    var name = ""
    var attributes: [String: String] = [:]
    var links = 0
    var dropped = (attributes: UInt64(0), links: UInt64(0))
    var failure: String?

    /// Everything that waits in a tracer.
    static func all(of tracer: Tracer) -> [ReadSpan] {
        var found: [ReadSpan] = []
        while let chunk = tracer.takeChunk() {
            var scope = ProtobufReader(chunk.spans[...])
            while let field = scope.next() {
                if field.number == 2, case .bytes(let span) = field.value { found.append(ReadSpan(span)) }
            }
            tracer.release(chunk)
        }
        return found
    }

    private init(_ message: ArraySlice<UInt8>) {
        var reader = ProtobufReader(message)
        while let field = reader.next() {
            switch (field.number, field.value) {
            case (1, .bytes(let bytes)): trace = Array(bytes)
            case (2, .bytes(let bytes)): id = Array(bytes)
            case (4, .bytes(let bytes)): parent = Array(bytes)
            case (5, .bytes(let bytes)): name = String(decoding: bytes, as: UTF8.self)
            case (9, .bytes(let bytes)):
                let (name, value) = Self.pair(bytes)
                attributes[name] = value
            case (10, .number(let count)): dropped.attributes = count
            case (13, .bytes): links += 1
            case (14, .number(let count)): dropped.links = count
            case (15, .bytes(let bytes)): failure = Self.texts(bytes).first
            case _: break
            }
        }
    }

    private static func pair(_ message: ArraySlice<UInt8>) -> (String, String) {
        var reader = ProtobufReader(message)
        guard case (1, .bytes(let name))? = reader.next(), case (2, .bytes(let value))? = reader.next() else {
            return ("", "")
        }
        var inner = ProtobufReader(value)
        switch inner.next()?.value {
        case .bytes(let text): return (String(decoding: name, as: UTF8.self), String(decoding: text, as: UTF8.self))
        case .number(let number): return (String(decoding: name, as: UTF8.self), "\(number)")
        case .fixed, nil: return (String(decoding: name, as: UTF8.self), "fixed")
        }
    }

    private static func texts(_ message: ArraySlice<UInt8>) -> [String] {
        var reader = ProtobufReader(message)
        var texts: [String] = []
        while let field = reader.next() {
            if case .bytes(let text) = field.value { texts.append(String(decoding: text, as: UTF8.self)) }
        }
        return texts
    }
}
