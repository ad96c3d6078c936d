import JSON
import TestSupport
import Testing

@testable import Edge

@Suite struct GzipTests {
    /// `{"event_type":"a"}`, by gzip.
    private static let event: [UInt8] = [
        0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0xff, 0xab, 0x56, 0x4a, 0x2d, 0x4b, 0xcd, 0x2b, 0x89,
        0x2f, 0xa9, 0x2c, 0x48, 0x55, 0xb2, 0x52, 0x4a, 0x54, 0xaa, 0x05, 0x00, 0x9a, 0x85, 0x74, 0x1a, 0x12, 0x00,
        0x00, 0x00,
    ]

    /// Stored blocks of 65 535 zero bytes' worth are written by hand: a gzip of fixed codes that repeats one byte.
    private static func bomb(_ megabytes: Int) -> [UInt8] {
        // A deflate block of fixed codes: a literal zero, then copies of 258 bytes from one byte back, which take 8+5 bits.
        var bits: [UInt8] = []
        func put(_ value: Int, _ count: Int, reversed: Bool = false) {
            for place in 0..<count { bits.append(UInt8(value >> (reversed ? count - 1 - place : place) & 1)) }
        }
        put(1, 1)
        put(1, 2)
        put(0x30, 8, reversed: true)
        for _ in 0..<(megabytes << 20) / 258 {
            put(0b1100_0101, 8, reversed: true)
            put(0, 5)
        }
        put(0, 7)
        var bytes: [UInt8] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]
        for start in stride(from: 0, to: bits.count, by: 8) {
            bytes.append(
                bits[start..<min(start + 8, bits.count)].enumerated().reduce(0) { $0 | $1.element << $1.offset })
        }
        return bytes + [0, 0, 0, 0, 0, 0, 0, 0]
    }

    @Test func aBombIsRefusedBeforeItGoesOff() async throws {
        let bomb = Self.bomb(64)
        #expect(bomb.count < 500_000)
        #expect(throws: Gunzip.Fault.bomb) {
            let gunzip = try Gunzip()
            var count = 0
            try unsafe gunzip.take(bomb.span.bytes) { piece in
                count += piece.byteCount
                return true
            }
        }
        #expect(try Gunzip.whole(bomb, limit: 1 << 20) == nil)
        try await EdgeSite.with { site in
            for type in BodyTypes.all {
                let answer = try await site.client().ask(
                    "POST", "/v1/events", [("Content-Type", type), ("Content-Encoding", "gzip")], body: bomb)
                #expect(answer.status == 413, "\(type)")
            }
            let answer = try await site.client().publish("application/json", #"{"event_type":"a"}"#)
            #expect(answer.status == 202)
        }
    }

    /// Whatever comes: an end within the limit, or a fault.
    @Test(arguments: TestDice.seeds(4)) func anyBytesAreTaken(_ seed: UInt64) throws {
        var dice = TestDice(seed: seed)
        for _ in 0..<2000 {
            var body = Self.event
            for _ in 0..<Int.random(in: 0...3, using: &dice) {
                switch Int.random(in: 0...2, using: &dice) {
                case 0: body[Int.random(in: 0..<body.count, using: &dice)] = UInt8.random(in: 0...255, using: &dice)
                case 1: body.removeLast(Int.random(in: 0..<body.count, using: &dice))
                case _: body += body.prefix(Int.random(in: 0...body.count, using: &dice))
                }
                if body.isEmpty { body = [0x1f] }
            }
            do throws(Gunzip.Fault) {
                let plain = try Gunzip.whole(body, limit: 1000)
                #expect(plain?.count ?? 0 <= 1000, "seed \(seed)")
            } catch { continue }
        }
    }
}
