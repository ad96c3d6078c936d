import HTTP
import JSON
import Kafka
import Platform
import Synchronization
import TestSupport
import Testing

@testable import Edge

@Suite(.inTurns) struct AccessTests {
    private static let event = #"{"event_type":"a"}"#

    /// A file of keys, and the keys.
    private func ring(_ folder: TemporaryFolder, _ callers: [(String, Set<String>?)]) throws -> (KeyRing, [String]) {
        let made = callers.map { KeyRing.make($0.0, topics: $0.1, now: Timestamp(milliseconds: 0)) }
        let path = folder.path + "/keys"
        try Files.create(path, KeyRing.text(made.map(\.entry)))
        let log = Log(level: .error, format: .text)
        return (try KeyRing(path: path, log: log, now: Time.monotonicMilliseconds), made.map(\.key))
    }

    @Test func aKeySaysWhoSendsAndWhereTo() async throws {
        let folder = TemporaryFolder()
        let (ring, keys) = try ring(folder, [("shop", nil), ("till", ["orders"])])
        try await EdgeSite.with({ configuration in
            configuration.access.keys = ring
            configuration.access.open = nil
        }) { site in
            let client = try site.client()
            func publish(_ key: String?, to path: String = "/v1/events") async throws -> RawHTTPClient.Answer {
                try await client.publish(
                    "application/json", Self.event, to: path, key.map { [("Authorization", $0)] } ?? [])
            }
            #expect(try await publish("Bearer \(keys[0])").status == 202)
            #expect(try await publish("bearer  \(keys[0])").status == 202)
            #expect(try await publish("Bearer \(keys[1])").status == 403)
            // Taken by the key, refused by the schema.
            #expect(try await publish("Bearer \(keys[1])", to: "/v1/topics/orders/events").status == 422)
            for wrong in [
                nil, "", "Bearer", "Bearer x", "Basic \(keys[0])", keys[0], "Bearer \(keys[0])0",
                "Bearer \(keys[0].dropLast())", "Bearer flk_\(keys[0].split(separator: "_")[1])_0",
                "Bearer \(String(repeating: "_", count: 5000))",
            ] {
                let answer = try await publish(wrong)
                #expect(answer.status == 401, "\(wrong ?? "nothing")")
                #expect(answer.headers["www-authenticate"]?.hasPrefix("Bearer") == true)
            }
            // What is no event of theirs is open to all.
            #expect(try await client.ask("GET", "/livez").status == 200)
            let records = try await site.read("events.raw", count: 2)
            #expect(records.map { $0.text("ce_source") } == ["/flotilla/shop", "/flotilla/shop"])
        }
    }

    @Test func theFileHoldsNoKeyAndIsReadAsItWasWritten() throws {
        let folder = TemporaryFolder()
        let (_, keys) = try ring(folder, [("shop", ["b", "a"]), ("till", nil)])
        let text = String(decoding: try #require(try Files.read(folder.path + "/keys", limit: 10_000)), as: UTF8.self)
        for key in keys { #expect(!text.contains(key.split(separator: "_")[2])) }
        let entries = try KeyRing.read(folder.path + "/keys")
        #expect(KeyRing.text(entries) == text)
        #expect(entries.map(\.name) == ["shop", "till"] && entries[0].topics == ["a", "b"])
        try Files.create(folder.path + "/bad", "a b c\n")
        #expect(throws: KeyRing.Fault.self) { try KeyRing.read(folder.path + "/bad") }
    }

    /// Of keys that are made and revoked at the same time none is lost, and none comes back.
    @Test func manyMayChangeTheFileAtOnce() async throws {
        let folder = TemporaryFolder()
        let path = folder.path + "/keys"
        let old = (0..<20).map { KeyRing.make("old\($0)", topics: nil, now: Timestamp(milliseconds: 0)).entry }
        try KeyRing.change(path) { $0 + old }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<20 {
                group.addTask { try KeyRing.change(path) { $0.filter { $0.name != "old\(number)" } } }
                group.addTask {
                    let new = KeyRing.make("new\(number)", topics: nil, now: Timestamp(milliseconds: 0)).entry
                    try KeyRing.change(path) { $0 + [new] }
                }
            }
            try await group.waitForAll()
        }
        #expect(try KeyRing.read(path).map(\.name).sorted() == (0..<20).map { "new\($0)" }.sorted())
    }

    /// A file that is gone grants nothing, one that cannot be read what it did before.
    @Test func aKeyHoldsAsLongAsItsFileSaysSo() throws {
        let folder = TemporaryFolder()
        let (ring, keys) = try ring(folder, [("shop", nil)])
        let now = Time.monotonicMilliseconds
        func holds(after seconds: Int64) -> Bool { ring.caller(of: keys[0], now: now + seconds * 1000) != nil }
        let text = String(decoding: try #require(try Files.read(folder.path + "/keys", limit: 10_000)), as: UTF8.self)
        #expect(holds(after: 0))
        try folder.replace("keys", "nonsense")
        #expect(holds(after: 10))
        try folder.replace("keys", nil)
        #expect(!holds(after: 20))
        try folder.replace("keys", text)
        #expect(holds(after: 30))
        try folder.replace("keys", "")
        #expect(!holds(after: 40))
    }

    /// What would not be read back stays out, and what was there stays.
    @Test func noFileIsPutInPlaceThatSaysSomethingElse() throws {
        let folder = TemporaryFolder()
        _ = try ring(folder, [("shop", nil)])
        let before = try Files.read(folder.path + "/keys", limit: 10_000)
        for topics: Set<String> in [["a\nb"], ["a b"], [], ["a,b"], ["*"]] {
            let entry = KeyRing.make("till", topics: topics, now: Timestamp(milliseconds: 0)).entry
            #expect(throws: KeyRing.Fault.self, "\(topics)") {
                try KeyRing.change(folder.path + "/keys") { $0 + [entry] }
            }
            #expect(try Files.read(folder.path + "/keys", limit: 10_000) == before)
            #expect(Files.isGone(folder.path + "/keys.new"))
        }
    }

    /// Each thing that is wrong with a file is told, and once.
    @Test func whatIsWrongWithAFileIsToldWhenItChanges() throws {
        let folder = TemporaryFolder()
        let (_, keys) = try ring(folder, [("shop", nil)])
        let lines = Mutex<[String]>([])
        let log = Log(level: .warning, format: .text) { line in lines.withLock { $0.append(line) } }
        let ring = try KeyRing(path: folder.path + "/keys", log: log, now: 0)
        var now: Int64 = 0
        func told() -> [String] {
            now += 3000
            _ = ring.caller(of: keys[0], now: now)
            return lines.withLock { lines in
                defer { lines = [] }
                return lines
            }
        }
        #expect(told().isEmpty)
        try folder.replace("keys", "nonsense")
        let first = told()
        #expect(first.count == 1 && first[0].contains("cannot be read") && first[0].contains("keys:1"))
        #expect(told().isEmpty)
        try folder.replace("keys", "\nnonsense")
        let second = told()
        #expect(second.count == 1 && second[0].contains("keys:2"))
        try folder.replace("keys", nil)
        let third = told()
        #expect(third.count == 1 && third[0].contains("is gone"))
        #expect(told().isEmpty)
        try folder.replace("keys", "nonsense")
        #expect(told().count == 1)
    }

    @Test func grantsSayWhatTokensAndCertificatesAreGoodFor() throws {
        let folder = TemporaryFolder()
        try folder.replace("grants", "# who\njwt:shop orders,events.raw\n\ncert:till *\n cert:*\tevents.raw\r\n")
        let log = Log(level: .error, format: .text)
        let grants = try Grants(path: folder.path + "/grants", log: log, now: 0)
        func topics(_ name: String, _ realm: Caller.Realm, at now: Int64 = 0) -> Set<String>? {
            grants.granted(Caller(name, in: realm), now: now).topics
        }
        #expect(topics("shop", .token) == ["orders", "events.raw"])
        #expect(topics("shop", .certificate) == ["events.raw"])
        #expect(topics("till", .certificate) == nil)
        #expect(topics("till", .token) == [])
        #expect(grants.granted(Caller("till", in: .token), now: 0).name == "jwt:till")
        try folder.replace("grants", nil)
        #expect(topics("till", .certificate, at: 3000) == [])
        for wrong in ["shop orders", "jwt: orders", "jwt:a b orders", "jwt:shop", "jwt:shop ,", "jwt:a x\njwt:a y"] {
            try folder.replace("grants", wrong)
            #expect(throws: KeyRing.Fault.self, "\(wrong)") {
                try Grants(path: folder.path + "/grants", log: log, now: 0)
            }
        }
    }

    /// A key, a token and a certificate of one name are three callers.
    @Test func namesOfOneRealmSayNothingInAnother() async throws {
        let folder = TemporaryFolder()
        let (ring, keys) = try ring(folder, [("shop", nil)])
        try folder.replace("jwks", SignedTokens.jwks)
        try folder.replace("grants", "jwt:shop events.raw")
        let log = Log(level: .error, format: .text)
        let now = Time.monotonicMilliseconds
        let tokens = try TokenVerifier(
            .file(folder.path + "/jwks"), issuer: "https://id.example", audience: "flotilla", log: log, now: now)
        let grants = try Grants(path: folder.path + "/grants", log: log, now: now)
        try await EdgeSite.with({ configuration in
            configuration.access.keys = ring
            configuration.access.tokens = tokens
            configuration.access.grants = grants
            configuration.access.open = nil
        }) { site in
            let client = try site.client()
            for word in [keys[0], SignedTokens.es256] {
                let answer = try await client.publish(
                    "application/json", Self.event, [("Authorization", "Bearer \(word)"), ("Idempotency-Key", "k")])
                #expect(answer.status == 202)
            }
            let token = [("Authorization", "Bearer \(SignedTokens.es256)")]
            #expect(
                try await client.publish("application/json", Self.event, to: "/v1/topics/orders/events", token).status
                    == 403)
            let records = try await site.read("events.raw", count: 2)
            #expect(Set(records.map { $0.text("ce_source") }) == ["/flotilla/shop", "/flotilla/jwt:shop"])
            #expect(Set(records.map { $0.text("ce_id") }).count == 2)
        }
    }

    @Test func whoSendsTooMuchIsToldToWait() async throws {
        try await EdgeSite.with({ $0.rate = 3 }) { site in
            let client = try site.client()
            var answers: [RawHTTPClient.Answer] = []
            while answers.last?.status != 429 {
                answers.append(try await client.publish("application/json", Self.event))
            }
            #expect(answers.count > 3)
            #expect(
                answers.dropLast().allSatisfy {
                    $0.status == 202 && $0.headers["ratelimit-policy"] == "\"default\";q=3;w=1"
                })
            #expect(answers.last?.headers["retry-after"] == "1")
            #expect(answers.last?.headers["ratelimit"] == "\"default\";r=0;t=1")
            // And that is not for ever.
            try await eventually { try await client.publish("application/json", Self.event).status == 202 }
        }
    }
}
