import TestSupport
import Testing

@testable import HTTP

@Suite(.inTurns) struct AnyBytesTests {
    private static let message = Array(
        ("POST /a HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nExpect: 100-continue\r\nX-Long: "
            + "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\nContent-Length: 5\r\n\r\nhello").utf8)

    private func changed(_ bytes: [UInt8], _ dice: inout TestDice) -> [UInt8] {
        var bytes = bytes
        for _ in 0..<Int.random(in: 1...5, using: &dice) {
            let at = Int.random(in: 0..<bytes.count, using: &dice)
            switch Int.random(in: 0...4, using: &dice) {
            case 0: bytes[at] = UInt8.random(in: 0...255, using: &dice)
            case 1: bytes.remove(at: at)
            case 2: bytes.insert(contentsOf: Array("\r\n: ;,0".utf8).shuffled(using: &dice).prefix(3), at: at)
            case 3: bytes.insert(contentsOf: bytes[at...].prefix(30), at: at)
            case _: bytes.insert(contentsOf: "Transfer-Encoding: chunked\r\n".utf8, at: at)
            }
            if bytes.isEmpty { bytes = [0] }
        }
        return bytes
    }

    /// Messages with parts of them changed, or nothing like a message: the server outlives them all, and serves others.
    @Test(arguments: TestDice.seeds(3)) func noMessageHurtsTheServer(_ seed: UInt64) async throws {
        // Some of them are waited for: what they say is to come does not. Together they are waited for once.
        var configuration = TestServer.patient
        configuration.bodyTimeout = .seconds(1)
        try await TestServer.with(configuration) { server, _ in
            var dice = TestDice(seed: seed)
            for _ in 0..<6 {
                let messages = (0..<20).map { _ in changed(Self.message, &dice) }
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for message in messages {
                        group.addTask {
                            let client = try RawHTTPClient(port: server.port)
                            await client.send(message)
                            client.finish()
                            _ = try? await client.isClosedByServer()
                        }
                    }
                    try await group.waitForAll()
                }
                #expect(
                    try await RawHTTPClient(port: server.port).ask("GET", "/here").body == "/here", "seed \(seed)")
            }
        }
    }

    /// Headers of any bytes are read without harm, and what is read is what was there.
    @Test(arguments: TestDice.seeds(3)) func headersOfAnyBytesAreRead(_ seed: UInt64) {
        var dice = TestDice(seed: seed)
        for _ in 0..<2000 {
            var block = HeaderBlock()
            var fields: [(name: [UInt8], value: [UInt8])] = []
            for _ in 0..<Int.random(in: 0...6, using: &dice) {
                let known =
                    ["content-length", "Transfer-Encoding", "HOST", "expect", "x"].randomElement(using: &dice) ?? ""
                var name = Array(known.utf8)
                if dice.chance(20) {
                    name = (0..<Int.random(in: 0...5, using: &dice)).map { _ in dice.next() }.map {
                        UInt8(truncatingIfNeeded: $0)
                    }
                }
                let value = (0..<Int.random(in: 0...40, using: &dice)).map { _ in
                    dice.chance(50)
                        ? UInt8.random(in: 0x30...0x39, using: &dice) : UInt8.random(in: 0...255, using: &dice)
                }
                fields.append((name, value))
                unsafe name.withUnsafeBytes { name in unsafe value.withUnsafeBytes { unsafe block.add(name, $0) } }
            }
            #expect(block.places.count == fields.count, "seed \(seed)")
            for (place, field) in zip(block.places, fields) {
                #expect(Array(block.bytes[block.valueRange(place)]) == field.value, "seed \(seed)")
            }
            let request = HTTPRequest(method: "POST", path: "/", block: block)
            let isText = fields.allSatisfy { String(validating: $0.value, as: UTF8.self) != nil }
            if request.framingFault == nil {
                #expect(isText, "seed \(seed)")
                #expect(fields.allSatisfy { !$0.value.contains(0) && !$0.value.contains(10) }, "seed \(seed)")
            }
        }
    }
}
