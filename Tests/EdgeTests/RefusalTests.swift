import JSON
import Kafka
import TestSupport
import Testing

@Suite(.inTurns) struct RefusalTests {
    struct Case: Sendable, CustomStringConvertible {
        var type: String? = "application/json"
        var path = "/v1/events"
        var headers: [(String, String)] = []
        var body: [UInt8] = Array(#"{"event_type":"a"}"#.utf8)
        var method = "POST"
        let status: Int
        /// Where the first fault is.
        var pointer: String?

        init(
            _ body: String? = nil, _ status: Int, at pointer: String? = nil, type: String? = "application/json",
            path: String = "/v1/events", headers: [(String, String)] = [], method: String = "POST"
        ) {
            if let body { self.body = Array(body.utf8) }
            self.status = status
            self.pointer = pointer
            self.type = type
            self.path = path
            self.headers = headers
            self.method = method
        }

        var description: String { "\(method) \(path) \(headers) \(String(decoding: body.prefix(80), as: UTF8.self))" }
    }

    static let deep = String(repeating: "[", count: 10_000) + String(repeating: "]", count: 10_000)
    static let cloud = "application/cloudevents+json"

    static let cases: [Case] = [
        Case("", 411, type: "application/json"), Case("{", 400), Case("{}", 422, at: "/event_type"),
        Case("nonsense", 400), Case("3", 422, at: ""), Case("\"\"", 422, at: ""), Case("null", 422, at: ""),
        Case(#"{"event_type":"a"} {}"#, 400), Case(#"{"event_type":"a",}"#, 400),
        Case(#"{"event_type":"a","event_type":"b"}"#, 400, at: "/event_type"),
        Case(#"{"event_type":"a","data":{"x":1e999}}"#, 400), Case(#"{"event_type":"a","x":\#(deep)}"#, 400),
        Case(#"{"event_type":7}"#, 422, at: "/event_type"), Case(#"{"event_type":"\u0000"}"#, 422, at: "/event_type"),
        Case(#"{"event_type":"a\nb"}"#, 422, at: "/event_type"),
        Case(#"{"event_type":"\#(String(repeating: "é", count: 128))"}"#, 422, at: "/event_type"),
        Case(#"{"event_type":"a","event_id":""}"#, 422, at: "/event_id"),
        Case(#"{"event_type":"a","timestamp":"yesterday"}"#, 422, at: "/timestamp"),
        Case(#"{"event_type":"a","timestamp":-1}"#, 422, at: "/timestamp"),
        Case(#"{"event_type":"a","timestamp":1.5}"#, 422, at: "/timestamp"),
        Case(#"{"event_type":"a","timestamp":9223372036854775807}"#, 422, at: "/timestamp"),
        Case(#"{"event_type":"a","value":"1"}"#, 422, at: "/value"),
        Case(#"{"event_type":"a","value":1.0000001}"#, 422, at: "/value"),
        Case(#"{"event_type":"a","value":1e12}"#, 422, at: "/value"),
        Case(#"{"event_type":"a","dimensions":[]}"#, 422, at: "/dimensions"),
        Case(#"{"event_type":"a","dimensions":{"a/b":1}}"#, 422, at: "/dimensions/a~1b"),
        Case(#"{"event_type":"a","data":1}"#, 422, at: "/data"),
        Case(#"{"event_type":"a","data":{"x":"\#(String(repeating: "x", count: 300_000))"}}"#, 413),
        Case(String(repeating: " ", count: 1_100_000), 413),
        Case("[" + Array(repeating: "0", count: 501).joined(separator: ",") + "]", 413),
        Case(nil, 415, type: nil), Case(nil, 415, type: "text/html"),
        Case(nil, 415, type: "application/json; charset=utf-16"),
        Case(nil, 415, headers: [("Content-Encoding", "br")]),
        Case(nil, 400, headers: [("Content-Encoding", "identity"), ("Content-Encoding", "gzip")]),
        Case(nil, 400, headers: [("Content-Encoding", "gzip")]),
        Case(nil, 400, headers: [("Idempotency-Key", "")]), Case(nil, 400, headers: [("Content-Type", "text/html")]),
        Case(nil, 404, path: "/"), Case(nil, 404, path: "/v1/events/"), Case(nil, 404, path: "/v1/topics/none/events"),
        Case(nil, 404, path: "/v1/topics/a%00b/events"), Case(nil, 404, path: "/v1/topics/%zz/events"),
        Case(nil, 404, path: "/v1/topics/..%2finner/events"), Case(nil, 403, path: "/v1/topics/inner/events"),
        Case(nil, 405, method: "PUT"), Case(nil, 405, method: "BREW"), Case("", 405, type: nil, method: "GET"),
        Case("{}", 422, at: "/specversion", type: cloud),
        Case(#"{"specversion":"0.3","id":"1","source":"a","type":"t"}"#, 422, at: "/specversion", type: cloud),
        Case(#"{"specversion":"1.0","id":"1","source":"a","type":"t","Bad":"x"}"#, 422, at: "/Bad", type: cloud),
        Case(#"{"specversion":"1.0","id":"1","source":"a","type":"t","ext":{}}"#, 422, at: "/ext", type: cloud),
        Case(#"{"specversion":"1.0","id":"1","source":"a","type":"t","time":"x"}"#, 422, at: "/time", type: cloud),
        Case(#"{"specversion":"1.0","id":1,"source":"a","type":"t"}"#, 422, at: "/id", type: cloud),
        Case(
            #"{"specversion":"1.0","id":"1","source":"a","type":"t","data":1,"data_base64":""}"#, 422,
            at: "/data_base64", type: cloud),
        Case(
            #"{"specversion":"1.0","id":"1","source":"a","type":"t","data_base64":"a==="}"#, 422, at: "/data_base64",
            type: cloud),
        Case("[]", 422, at: "", type: cloud),
        Case("x", 422, type: "text/plain", headers: [("ce-id", "1"), ("ce-specversion", "1.0")]),
        Case("x", 400, type: "text/plain", headers: [("ce-id", "1"), ("ce-id", "2")]),
        Case(
            "x", 422, type: "text/plain",
            headers: [("ce-id", "%ff"), ("ce-specversion", "1.0"), ("ce-source", "a"), ("ce-type", "t")]),
        Case("{", 400, headers: [("ce-id", "1"), ("ce-specversion", "1.0"), ("ce-source", "a"), ("ce-type", "t")]),
        Case("{\n", 422, type: "application/x-ndjson"),
        Case(nil, 400, type: "application/x-ndjson", headers: [("Content-Encoding", "gzip")]),
    ]

    /// Each is told what is wrong and where, over one connection, and nothing is published.
    @Test func whatIsWrongIsToldWithItsPlace() async throws {
        try await EdgeSite.with { site in
            for wrong in Self.cases {
                let client = try site.client()
                let headers = (wrong.type.map { [("Content-Type", $0)] } ?? []) + wrong.headers
                let answer = try await client.ask(wrong.method, wrong.path, headers, body: wrong.body)
                #expect(answer.status == wrong.status, "\(wrong): \(answer.body)")
                #expect(answer.headers["content-type"] == "application/problem+json", "\(wrong)")
                #expect(answer.headers["x-content-type-options"] == "nosniff")
                let problem = try answer.json
                #expect(problem["status"]?.int64 == Int64(wrong.status))
                #expect(problem["detail"]?.string?.isEmpty == false)
                if let pointer = wrong.pointer {
                    #expect(problem.at(pointer: "/errors/0/pointer")?.string == pointer, "\(wrong): \(answer.body)")
                }
            }
            let client = try site.client()
            #expect(try await client.publish("application/json", #"{"event_type":"last"}"#).status == 202)
            let records = try await site.read("events.raw", count: 1)
            #expect(records.map { $0.text("ce_type") } == ["last"])
        }
    }

    /// What a refusal says of names that a stranger chose has an end.
    @Test func refusalsOfLongNamesAreShort() async throws {
        try await EdgeSite.with { site in
            let client = try site.client()
            let long = String(repeating: "é", count: 50_000)
            let marks = "e" + String(repeating: "\u{301}", count: 40_000)
            let plain = [
                #"{"\#(long)":1,"\#(long)":2}"#, #"{"event_type":"a","dimensions":{"\#(marks)":3}}"#,
            ]
            let cloud = #"{"specversion":"1.0","id":"a","source":"/s","type":"t","\#(marks)":3}"#
            let lines = Array(repeating: plain, count: 3).flatMap { $0 }.joined(separator: "\n")
            var answers = [try await client.publish("application/x-ndjson", lines)]
            for body in plain { answers.append(try await client.publish("application/json", body)) }
            answers.append(try await client.publish("application/cloudevents+json", cloud))
            for answer in answers {
                #expect(answer.status == 422 || answer.status == 400, "\(answer)")
                #expect(answer.body.utf8.count < 8000)
            }
        }
    }

    /// However much there is to tell of a stream, the answer has an end; and the count is right.
    @Test func refusalsOfAStreamAreShortTogether() async throws {
        try await EdgeSite.with { site in
            let client = try site.client()
            let names = (0..<8).map { "\"\($0)\(String(repeating: "é", count: 100))\":1" }.joined(separator: ",")
            let line = "{\"event_type\":\"a\",\"dimensions\":{\(names)}}\n"
            let answer = try await client.publish("application/x-ndjson", String(repeating: line, count: 900))
            #expect(answer.status == 422)
            #expect(try answer.json["rejected"]?.int64 == 900)
            #expect((200_000..<320_000).contains(answer.body.utf8.count))
        }
    }

    @Test func textThatIsNotUTF8IsNoJSON() async throws {
        try await EdgeSite.with { site in
            for bytes in [[0xff], [0xc0, 0xaf], [0xed, 0xa0, 0x80], [0xf5, 0x80, 0x80, 0x80], [0xc3]] as [[UInt8]] {
                let body = Array(#"{"event_type":""#.utf8) + bytes + Array("\"}".utf8)
                let client = try site.client()
                let answer = try await client.ask(
                    "POST", "/v1/events", [("Content-Type", "application/json")], body: body)
                #expect(answer.status == 400)
            }
        }
    }

    @Test func whatIsNotAllowedIsToldWithWhatIs() async throws {
        try await EdgeSite.with { site in
            let client = try site.client()
            #expect(try await client.ask("DELETE", "/v1/events").headers["allow"] == "POST")
            #expect(try await client.ask("POST", "/healthz").headers["allow"] == "GET, HEAD")
            let answer = try await client.publish("text/csv", "a")
            #expect(answer.headers["accept-post"]?.contains("application/x-ndjson") == true)
        }
    }

    /// Events with parts of them changed: each gets its answer, and none the process.
    @Test(arguments: TestDice.seeds(4)) func anyBodyGetsAnAnswer(_ seed: UInt64) async throws {
        try await EdgeSite.with { site in
            var dice = TestDice(seed: seed)
            let client = try site.client()
            let bodies = [
                #"{"event_id":"e","event_type":"t","timestamp":17,"campaign_id":"c","value":1.5,"dimensions":{"a":"b"}}"#,
                #"[{"event_type":"t"},{"event_type":"t","data":{"x":[1,2,{"y":null}]}}]"#,
                #"{"specversion":"1.0","id":"1","source":"a","type":"t","ext":true,"data_base64":"aGk="}"#,
                "{\"event_type\":\"t\"}\n{\"event_type\":\"u\"}\n",
            ]
            let types = BodyTypes.all
            for number in 0..<150 {
                var body = Array((bodies.randomElement(using: &dice) ?? "").utf8)
                for _ in 0..<Int.random(in: 0...4, using: &dice) {
                    let at = Int.random(in: 0..<body.count, using: &dice)
                    switch Int.random(in: 0...3, using: &dice) {
                    case 0: body[at] = UInt8.random(in: 0...255, using: &dice)
                    case 1: body.remove(at: at)
                    case 2: body.insert(contentsOf: Array("\"{[:,]}0".utf8).shuffled(using: &dice).prefix(2), at: at)
                    case _: body.insert(contentsOf: body[at...].prefix(20), at: at)
                    }
                    if body.isEmpty { body = [0x7b] }
                }
                let answer = try await client.ask(
                    "POST", "/v1/events", [("Content-Type", types.randomElement(using: &dice) ?? "")], body: body)
                let text = String(decoding: body, as: UTF8.self)
                #expect([202, 207, 400, 413, 422].contains(answer.status), "seed \(seed), \(number): \(text)")
                #expect(throws: Never.self, "seed \(seed), \(number)") { try answer.json }
            }
        }
    }
}

enum BodyTypes {
    static let all = [
        "application/json", "application/x-ndjson", "application/cloudevents+json",
        "application/cloudevents-batch+json",
    ]
}
