import JSON
import Kafka
import Platform
import TestSupport
import Testing

@Suite(.inTurns) struct FormatTests {
    @Test func aPlainEventIsPublishedAsItCame() async throws {
        try await EdgeSite.with { site in
            let body =
                " {\"event_id\": \"e1\",\"event_type\":\"click\", \"campaign_id\":\"c\\u00e4\", \"timestamp\":1,\"x\":[1.0]} "
            let answer = try await site.client().publish("application/json; charset=utf-8", body)
            #expect(answer.status == 202)
            #expect(try answer.json["id"]?.string == "e1")
            #expect(try answer.json["topic"]?.string == "events.raw")
            let record = try #require(try await site.read("events.raw", count: 1).first)
            #expect(try answer.json["partition"]?.int64 == Int64(record.partition.rawValue))
            #expect(try answer.json["offset"]?.int64 == 0)
            #expect(record.text == body.trimmingPrefix(" ").dropLast())
            #expect(record.keyBytes.map { String(decoding: $0, as: UTF8.self) } == "cä")
            #expect(record.text("ce_specversion") == "1.0")
            #expect(record.text("ce_id") == "e1")
            #expect(record.text("ce_source") == "/flotilla/anonymous")
            #expect(record.text("ce_type") == "click")
            #expect(record.text("ce_time") == "1970-01-01T00:00:00.001Z")
            #expect(record.text("ce_subject") == "cä")
            #expect(record.text("content-type") == "application/json")
            #expect(record.text("ce_recordedtime").flatMap { Timestamp(text: $0) } != nil)
            #expect(record.text("traceparent") == nil)
        }
    }

    /// Data that is a body of its own is published byte for byte, also what is around JSON.
    @Test func theDataOfABinaryEventIsItsBody() async throws {
        try await EdgeSite.with { site in
            let body = "\n {\"user_id\": \"u\"}\r\n"
            let answer = try await site.client().publish(
                "application/json", body, to: "/v1/events",
                [("ce-specversion", "1.0"), ("ce-id", "b"), ("ce-source", "/s"), ("ce-type", "t")])
            #expect(answer.status == 202)
            let record = try #require(try await site.read("events.raw", count: 1).first)
            #expect(record.text == body)
            #expect(record.keyBytes.map { String(decoding: $0, as: UTF8.self) } == "u")
        }
    }

    @Test func aListIsPublishedWhenAllOfItIsRight() async throws {
        try await EdgeSite.with { site in
            let client = try site.client()
            var answer = try await client.publish("application/json", #"[{"event_type":"a"},{"event_type":""},3]"#)
            #expect(answer.status == 422)
            #expect(answer.headers["content-type"] == "application/problem+json")
            #expect(try answer.json.at(pointer: "/errors/0/pointer")?.string == "/1/event_type")
            #expect(try answer.json.at(pointer: "/errors/1/index")?.int64 == 2)
            answer = try await client.publish(
                "application/json", #"[{"event_type":"a"},{"event_type":""},3]"#,
                [("Prefer", "handling = lenient ; x=1")])
            #expect(answer.status == 207)
            #expect(try answer.json["accepted"]?.int64 == 1)
            #expect(try answer.json["rejected"]?.int64 == 2)
            #expect(try answer.json.at(pointer: "/results/1/error")?.string?.hasPrefix("/event_type") == true)
            answer = try await client.publish(
                "application/json",
                #"[{"event_id":"x","event_type":"b","user_id":"u"},{"event_id":"y","event_type":"b"}]"#)
            #expect(answer.status == 202)
            #expect(try answer.json.at(pointer: "/results/1/id")?.string == "y")
            answer = try await client.publish("application/json", "[{}]", [("Prefer", "handling=lenient")])
            #expect(answer.status == 422)
            #expect(try answer.json["accepted"]?.int64 == 0)
            #expect(try await client.publish("application/json", "[]").status == 202)
            let records = try await site.read("events.raw", count: 3)
            #expect(records.map { $0.text("ce_type") ?? "" }.sorted() == ["a", "b", "b"])
            #expect(records.contains { $0.keyBytes.map { Array($0) } == Array("u".utf8) })
        }
    }

    @Test func linesAreTakenAsTheyCome() async throws {
        try await EdgeSite.with { site in
            let client = try site.client()
            let long = String(repeating: "x", count: 300_000)
            let answer = try await client.publish(
                "application/x-ndjson",
                "{\"event_type\":\"a\"}\r\n\n{\"event_type\":1}\n\(long)\n{\"event_type\":\"b\"} \n  \n{\"event_type\":\"c\"}"
            )
            #expect(answer.status == 207)
            #expect(try answer.json["accepted"]?.int64 == 3)
            #expect(try answer.json["rejected"]?.int64 == 2)
            #expect(try answer.json.at(pointer: "/results/0/index")?.int64 == 2)
            #expect(try answer.json.at(pointer: "/results/1/index")?.int64 == 3)
            let records = try await site.read("events.raw", count: 3)
            #expect(records.map(\.text).sorted() == ["a", "b", "c"].map { "{\"event_type\":\"\($0)\"}" })
        }
    }

    /// Wherever a body is cut, in chunks and in lines, the same events come out.
    @Test(arguments: TestDice.seeds(3)) func piecesOfAnySizeAreTheSameLines(_ seed: UInt64) async throws {
        try await EdgeSite.with { site in
            var dice = TestDice(seed: seed)
            let count = 5000
            let lines = (0..<count).map {
                "{\"event_type\":\"t\",\"event_id\":\"\($0)\",\"data\":{\"é\":\"\u{1f6a2}\"}}\n"
            }
            var rest = Array(lines.joined().utf8)[...]
            let client = try site.client()
            await client.send(
                "POST /v1/events HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n"
            )
            while !rest.isEmpty {
                let piece = rest.prefix(Int.random(in: 1...20_000, using: &dice))
                rest = rest.dropFirst(piece.count)
                await client.send(Array("\(String(piece.count, radix: 16))\r\n".utf8) + piece + Array("\r\n".utf8))
            }
            await client.send("0\r\n\r\n")
            let answer = try #require(try await client.answer())
            #expect(answer.status == 202, "seed \(seed): \(answer.body)")
            let records = try await site.read("events.raw", count: count)
            #expect(Set(records.compactMap { $0.text("ce_id") }) == Set((0..<count).map { "\($0)" }), "seed \(seed)")
            #expect(records.count == count)
        }
    }

    @Test func aCloudEventMayBeStructured() async throws {
        try await EdgeSite.with { site in
            let client = try site.client()
            let answer = try await client.publish(
                "application/cloudevents+json",
                """
                {"specversion":"1.0","id":"1","source":"https://example.org/a","type":"t","time":"2026-05-04T03:02:01+02:00",
                "subject":"s","dataschema":"https://example.org/s","comexample":7,"flag":true,"none":null,
                "traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01","data":{ "user_id":"u"}}
                """)
            #expect(answer.status == 202, "\(answer.body)")
            let record = try #require(try await site.read("events.raw", count: 1).first)
            #expect(record.text == #"{ "user_id":"u"}"#)
            #expect(record.text("ce_source") == "/flotilla/anonymous/https://example.org/a")
            #expect(record.text("ce_time") == "2026-05-04T03:02:01+02:00")
            #expect(record.text("ce_dataschema") == "https://example.org/s")
            #expect(record.text("ce_comexample") == "7")
            #expect(record.text("ce_flag") == "true")
            #expect(record.text("ce_none") == nil)
            #expect(record.text("traceparent") == "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
            #expect(record.keyBytes.map { Array($0) } == Array("s".utf8))
        }
    }

    /// What is no trace goes no further; of a later version what is known does.
    @Test func aTraceIsPassedOnIfItIsOne() async throws {
        try await EdgeSite.with { site in
            let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
            let client = try site.client()
            let cases: [([String], String?)] = [
                ([trace], trace), ([trace, trace], nil), (["01" + trace.dropFirst(2) + "-more"], trace),
                ([trace.replacing("0af7651916cd43dd8448eb211c80319c", with: String(repeating: "0", count: 32))], nil),
                ([String(repeating: "x", count: 55)], nil), ([trace.uppercased()], nil), ([trace + "-x"], nil),
                (["ff" + trace.dropFirst(2)], nil), ([String(repeating: "0", count: 10_000)], nil), ([""], nil),
            ]
            for (number, (given, _)) in cases.enumerated() {
                let answer = try await client.publish(
                    "application/json", #"{"event_type":"t","event_id":"\#(number)"}"#, to: "/v1/events",
                    given.map { ("traceparent", $0) })
                #expect(answer.status == 202, "\(given)")
            }
            // One that an event brings itself counts before the request's.
            let own = trace.replacing("b7ad6b7169203331", with: "00f067aa0ba902b7")
            for (id, text) in [("own", own), ("bad", "nonsense")] {
                let answer = try await client.publish(
                    "application/cloudevents+json",
                    #"{"specversion":"1.0","id":"\#(id)","source":"a","type":"t","traceparent":"\#(text)"}"#,
                    to: "/v1/events", [("traceparent", trace)])
                #expect(answer.status == 202)
            }
            let records = try await site.read("events.raw", count: cases.count + 2)
            let found = Dictionary(
                uniqueKeysWithValues: records.map { ($0.text("ce_id") ?? "", $0.text("traceparent")) })
            for (number, (given, expected)) in cases.enumerated() {
                #expect(found["\(number)"] == expected, "\(given)")
            }
            #expect(found["own"] == own)
            #expect(found["bad"] == trace)
        }
    }

    @Test func cloudEventsMayComeInBatches() async throws {
        try await EdgeSite.with { site in
            let client = try site.client()
            let body = #"""
                [{"specversion":"1.0","id":"1","source":"a","type":"t","datacontenttype":"text/plain","data":"h\u00e9"},
                 {"specversion":"1.0","id":"2","source":"a","type":"t","data_base64":"AP+A","datacontenttype":"x/y"},
                 {"specversion":"1.0","id":"3","source":"a","type":"t","partitionkey":"p"}]
                """#
            let answer = try await client.publish("application/cloudevents-batch+json", body)
            #expect(answer.status == 202, "\(answer.body)")
            let records = try await site.read("events.raw", count: 3).sorted {
                $0.text("ce_id") ?? "" < $1.text("ce_id") ?? ""
            }
            #expect(records.map { $0.valueBytes.map { Array($0) } } == [Array("hé".utf8), [0, 255, 128], []])
            #expect(records.last?.keyBytes.map { Array($0) } == Array("p".utf8))
            #expect(try await client.publish("application/cloudevents-batch+json", "{}").status == 422)
            let nameless = #"[{"specversion":"1.0","id":"1","source":"a","type":"t","":"x"}]"#
            #expect(try await client.publish("application/cloudevents-batch+json", nameless).status == 422)
        }
    }

    @Test func aCloudEventMayBeBinary() async throws {
        try await EdgeSite.with { site in
            let client = try site.client()
            let headers = [
                ("ce-specversion", "1.0"), ("ce-id", "1"), ("ce-source", "/a"), ("ce-type", "%E2%82%AC%20x"),
                ("ce-subject", "\"a \\\"b\\\"\""), ("ce-ext", "v"), ("Content-Type", "application/octet-stream"),
            ]
            let answer = try await client.ask("POST", "/v1/events", headers, body: [0, 1, 255] as [UInt8])
            #expect(answer.status == 202, "\(answer.body)")
            let record = try #require(try await site.read("events.raw", count: 1).first)
            #expect(record.valueBytes.map { Array($0) } == [0, 1, 255])
            #expect(record.text("ce_type") == "€ x")
            #expect(record.text("ce_subject") == "a \"b\"")
            #expect(record.text("ce_ext") == "v")
            #expect(record.text("content-type") == "application/octet-stream")
            // Without a body it is an event too.
            #expect(
                try await client.ask("POST", "/v1/events", Array(headers.dropLast()) + [("Content-Length", "0")]).status
                    == 202)
        }
    }

    @Test func idsFollowFromTheIdempotencyKey() async throws {
        try await EdgeSite.with { site in
            let client = try site.client()
            func ids(_ key: String) async throws -> [String] {
                let answer = try await client.publish(
                    "application/json", #"[{"event_type":"a"},{"event_type":"a"},{"event_type":"a","event_id":"own"}]"#,
                    [("Idempotency-Key", key)])
                return try answer.json["results"]?.elements.compactMap { $0["id"]?.string } ?? []
            }
            let first = try await ids("\"k\"")
            #expect(Set(first).count == 3 && first.last == "own")
            #expect(try await ids("k") == first)
            #expect(try await ids("l") != first)
        }
    }

    @Test func aTopicOfItsOwnHasItsSchema() async throws {
        try await EdgeSite.with { site in
            let client = try site.client()
            let path = "/v1/topics/orders/events"
            var answer = try await client.publish("application/json", #"{"event_type":"order.x","value":-1}"#, to: path)
            #expect(answer.status == 422)
            #expect(
                try answer.json["errors"]?.elements.compactMap { $0["pointer"]?.string } == ["/event_type", "/value"])
            answer = try await client.publish(
                "application/cloudevents+json",
                #"{"specversion":"1.0","id":"1","source":"a","type":"t","data":{"value":"x"}}"#, to: path)
            #expect(answer.status == 422)
            #expect(try answer.json.at(pointer: "/errors/0/pointer")?.string == "/data/value")
            answer = try await client.publish(
                "application/json", #"{"event_type":"order.created","value":1}"#, to: path)
            #expect(answer.status == 202)
            let record = try #require(try await site.read("orders", count: 1).first)
            #expect(record.text("ce_dataschema") == "https://example.org/order/1")
        }
    }
}
