import Testing

@testable import Tracing

/// What a collector answers may be anything.
@Suite struct AnswerTests {
    @Test func whatWasLeftOutIsRead() {
        var answer = ProtobufWriter()
        answer.add(1) { partial in
            partial.add(1, number: 3)
            partial.add(2, text: "too old")
        }
        #expect(PartialSuccess.read(answer.bytes) == (3, "too old"))
        #expect(PartialSuccess.read([]) == (0, ""))
        #expect(PartialSuccess.read(Array("<html>".utf8)).unwanted == 0)
        var less = ProtobufWriter()
        less.add(1) { $0.add(1, number: UInt64(bitPattern: -5)) }
        #expect(PartialSuccess.read(less.bytes).unwanted == 0)
        // Cut off in the middle of the reason, as a long one is.
        #expect(PartialSuccess.read(answer.bytes.dropLast(3)) == (3, "too "))
    }

    @Test func noBytesTrapIt() {
        var random = SystemRandomNumberGenerator()
        for _ in 0..<20_000 {
            var bytes = (0..<Int.random(in: 0...40, using: &random)).map { _ in
                UInt8.random(in: 0...255, using: &random)
            }
            if !bytes.isEmpty { bytes[0] = 0x0a }
            #expect(PartialSuccess.read(bytes).unwanted >= 0)
        }
    }
}
