import Contracts
import Flotilla
import Kafka
import Synchronization
import TestSupport
import Testing

/// Whatever a producer sends ends somewhere, byte for byte or handled, and the worker goes on.
@Suite(.inTurns) struct BadInputTests {
    private static func headers(_ change: (inout [Header]) -> Void = { _ in }) -> [Header] {
        var headers = [
            Header("ce_specversion", "1.0"), Header("ce_id", "id"), Header("ce_source", "/test"),
            Header("ce_type", "test.made"),
        ]
        change(&headers)
        return headers
    }

    private static func record(_ value: [UInt8]?, _ headers: [Header] = headers()) -> OutgoingRecord {
        OutgoingRecord(topic: "input", partition: 0, key: nil, value: value, headers: headers)
    }

    /// Records that are no events, or no JSON: each a dead letter `undecodable`.
    private static let bad: [(name: String, record: OutgoingRecord)] = [
        ("no headers", record(Array("{}".utf8), [])),
        ("no id", record(Array("{}".utf8), headers { $0.remove(at: 1) })),
        ("an empty id", record(Array("{}".utf8), headers { $0[1].value = [] })),
        ("a null id", record(Array("{}".utf8), headers { $0[1].value = nil })),
        ("an id that is no UTF-8", record(Array("{}".utf8), headers { $0[1].value = [0xff, 0xfe] })),
        ("an id with a NUL", record(Array("{}".utf8), headers { $0[1].value = [65, 0, 66] })),
        ("an id without end", record(Array("{}".utf8), headers { $0[1].value = Array(repeating: 65, count: 4096) })),
        ("two ids", record(Array("{}".utf8), headers { $0.append(Header("ce_id", "other")) })),
        ("another version", record(Array("{}".utf8), headers { $0[0].value = Array("0.3".utf8) })),
        ("no JSON", record(Array("hello".utf8))),
        ("half a document", record(Array("{\"a\":".utf8))),
        ("two documents", record(Array("{}{}".utf8))),
        ("invalid UTF-8", record(Array("{\"a\":\"".utf8) + [0xc3, 0x28] + Array("\"}".utf8))),
        ("a NUL", record(Array("{\"a\":1}".utf8) + [0])),
        ("a number beyond range", record(Array("{\"a\":1e999}".utf8))),
        ("10 000 arrays deep", record(Array(repeating: UInt8(ascii: "["), count: 10_000))),
        (
            "10 000 objects deep",
            record(Array(String(repeating: "{\"a\":", count: 10_000).utf8) + Array(repeating: 125, count: 10_000))
        ),
        ("an empty value", record([])),
        ("a tombstone", record(nil)),
        ("a lone surrogate", record(Array("{\"a\":\"\\ud800\"}".utf8))),
    ]

    /// Odd, and yet events with JSON: handled.
    private static let odd: [(name: String, record: OutgoingRecord)] = [
        ("duplicate keys", record(Array("{\"a\":1,\"a\":2}".utf8))),
        ("a wrong content-type", record(Array("{}".utf8), headers { $0.append(Header("content-type", "text/html")) })),
        (
            "1 MiB",
            record(Array("{\"a\":\"".utf8) + Array(repeating: 120, count: (1 << 20) - 4096) + Array("\"}".utf8))
        ),
        ("a broken traceparent", record(Array("{}".utf8), headers { $0.append(Header("traceparent", [0xff])) })),
        (
            "200 headers of the same name",
            record(Array("{}".utf8), headers { $0 += (0..<200).map { Header("x", "\($0)") } })
        ),
        (
            "forged headers of ours",
            record(
                Array("{}".utf8),
                headers {
                    $0 += [
                        Header("retry-attempt", "99999999999999999999"), Header("src-offset", "-1"),
                        Header("dlq-replays", "4294967295"), Header("dlq-replay-job", "job"),
                        Header("retry-due", "9999-01-01T00:00:00Z"),
                    ]
                })
        ),
        ("an empty header name", record(Array("{}".utf8), headers { $0.append(Header("", "x")) })),
    ]

    @Test func everythingEndsSomewhereAndTheWorkerGoesOn() async throws {
        try await Fleet.with { fleet in
            var policy = ConsumerPolicy(handler: "reader")
            policy.retry.tiers = [.seconds(1)]
            try await fleet.makeTopics("input", policy)
            let handled = Mutex(0)
            let handler = TestHandler("reader") { event, context in
                _ = try event.json()
                #expect(context.attempt == 1)
                handled.withLock { $0 += 1 }
                return []
            }
            for (_, record) in Self.bad + Self.odd { _ = try await fleet.producer.send(record) }
            let letters = try await fleet.withWorker(.events(handler), ["input": policy]) { _ in
                let letters = try await fleet.read("input.reader.dlq", count: Self.bad.count)
                // One more record shows that the worker still works, and that there is no dead letter too many.
                _ = try await fleet.producer.send(Self.record(Array("{}".utf8)))
                return letters
            }
            #expect(letters.count == Self.bad.count)
            let sorted = letters.sorted {
                (Int($0.text("src-offset") ?? "") ?? -1) < (Int($1.text("src-offset") ?? "") ?? -1)
            }
            for (letter, (name, record)) in zip(sorted, Self.bad) {
                #expect(letter.valueBytes == record.value, "\(name)")
                #expect(letter.text("dlq-reason") == "undecodable", "\(name)")
                let foreign = letter.headers.filter { header in
                    !["dlq-", "src-", "__dlq"].contains { header.name.hasPrefix($0) }
                }
                #expect(foreign == record.headers, "\(name)")
            }
            #expect(handled.withLock { $0 } >= Self.odd.count)
        }
    }
}
