import Flotilla
import Glibc
import Model
import Platform
import Postgres
import Synchronization
import TestServers
import TestSupport
import Testing
import Transfers

@testable import Notify

/// The sender on a real Postgres and real sockets: what is due is sent, whatever the other side does.
@Suite(.inTurns) struct SenderTests {
    /// A database with the tables, and senders on it that a test can start and stop.
    private final class Site: Sendable {
        let url: String
        let pool: PostgresPool
        let lines = Mutex<[String]>([])
        private let running = Mutex<[(HandlerService, Task<Void, Never>)]>([])

        init(_ server: PostgresServer) async throws {
            url = try server.database()
            pool = try PostgresPool(Self.place(url))
            try await StateStore(pool, worker: "test").prepare(Notify(Rules()).migrations)
        }

        private static func place(_ url: String) throws -> PostgresConfiguration {
            var place = try PostgresConfiguration(url: url)
            place.schema = "notify"
            place.connections = 3
            return place
        }

        func start(_ rules: Rules, paused: @escaping @Sendable () -> Bool = { false }) throws {
            let log = Log(level: .info, format: .text) { [self] line in lines.withLock { $0.append(line) } }
            let service = HandlerService(
                try PostgresPool(Self.place(url)), log: log, worker: "\(UUIDValue.version7())", standsStill: paused)
            var secrets = NotifySecrets()
            secrets.signing = [WebhookSecret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")].compactMap { $0 }
            let notify = Notify(rules, secrets)
            let task = Task { do { try await notify.serve(service) } catch { Issue.record("\(error)") } }
            running.withLock { $0.append((service, task)) }
        }

        func stop() async {
            for (service, task) in running.withLock({ running in
                defer { running = [] }
                return running
            }) {
                service.end()
                await task.value
                service.database.close()
            }
        }

        func end() async {
            await stop()
            pool.close()
        }

        /// Writes deliveries down, as the handler does; their ids by channel.
        func insert(_ channels: [(Channel, Int)]) async throws {
            try await pool.transaction { transaction in
                for (channel, count) in channels {
                    try await DeliveryStore(transaction: transaction).insert(
                        (0..<count).map { number in
                            NewDelivery(
                                id: .version7(), rule: "r", channel: channel.name, kind: "event", campaign: nil,
                                recipient: "", subject: "s\(number)", body: "{\"n\":\(number)}",
                                giveUpAfter: channel.giveUpAfter)
                        })
                }
            }
        }

        /// Waits until so many of a channel have ended; outcome, status, attempts and reason of each.
        func ended(_ channel: String, _ count: Int) async throws -> [PostgresRow] {
            var rows: [PostgresRow] = []
            try await eventually {
                // A database that is being killed is asked again.
                rows = (try? await look(channel)) ?? []
                return rows.count >= count
            }
            return rows
        }

        private func look(_ channel: String) async throws -> [PostgresRow] {
            try await pool.transaction { transaction in
                try await transaction.query(
                    """
                    SELECT id::text, outcome, status, attempts, reason FROM deliveries
                    WHERE channel = \(channel) AND ended_at IS NOT NULL ORDER BY ended_at
                    """
                ).map { $0 }
            }
        }

        func count(_ condition: SQL) async throws -> Int {
            try await pool.transaction { try await $0.query(condition)[0].value("n") }
        }
    }

    private func hook(
        _ name: String, _ port: UInt16, giveUpAfter: Duration = .seconds(600), timeout: Duration = .seconds(5),
        mayBePrivate: Bool = true
    ) throws -> Channel {
        var channel = Channel(
            name: name,
            way: .webhook(
                Channel.Webhook(url: try .init("http://127.0.0.1:\(port)/\(name)"), mayBePrivate: mayBePrivate)))
        channel.giveUpAfter = giveUpAfter
        channel.timeout = timeout
        channel.rate = 1000
        return channel
    }

    private func withSite(
        on server: PostgresServer? = nil, _ script: @escaping @Sendable (Receiver.Request, Int) -> Receiver.Reply,
        _ body: (Site, Receiver) async throws -> Void
    ) async throws {
        let server = try server ?? PostgresServer.shared.get()
        let receiver = try Receiver(script)
        defer { receiver.close() }
        let site = try await Site(server)
        do { try await body(site, receiver) } catch {
            await site.end()
            throw error
        }
        await site.end()
    }

    @Test func severalSendersSendEachOnceAndSigned() async throws {
        try await withSite({ _, _ in .status(204) }) { site, receiver in
            let channel = try hook("good", receiver.port)
            try await site.insert([(channel, 300)])
            for _ in 0..<3 { try site.start(Rules(channels: [channel])) }
            let rows = try await site.ended("good", 300)
            #expect(try rows.allSatisfy { try $0.value("outcome") == "sent" && $0.value("status") == 204 })
            #expect(receiver.requests.count == 300)
            #expect(Set(receiver.requests.compactMap { $0.headers["webhook-id"] }).count == 300)
            let secret = try #require(WebhookSecret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"))
            for request in receiver.requests {
                let time = try #require(request.headers["webhook-timestamp"].flatMap { Int64($0) })
                let id = try #require(request.headers["webhook-id"])
                #expect(
                    request.headers["webhook-signature"] == secret.signature(id: id, seconds: time, body: request.body))
                #expect(abs(time - Time.wallMilliseconds / 1000) < 300)
            }
        }
    }

    @Test func whoeverHangsDripsOrFailsDelaysNobodyElse() async throws {
        let script: @Sendable (Receiver.Request, Int) -> Receiver.Reply = { request, _ in
            switch request.path {
            case "/hang": .hang
            case "/drip": .drip
            case "/flood": .flood
            case "/broken": .status(500, body: "oh no")
            case "/away": .status(302, headers: ["Location: http://127.0.0.1:1/"])
            case "/cut": .hangUp
            case "/noise": .noise
            case _: .status(200, body: "{}")
            }
        }
        try await withSite(script) { site, receiver in
            // Those that never end get less time than those whose answer is looked at.
            let endless = try ["hang", "drip"].map {
                try hook($0, receiver.port, giveUpAfter: .seconds(6), timeout: .seconds(1))
            }
            let answering = try ["broken", "away", "cut", "noise"].map {
                try hook($0, receiver.port, giveUpAfter: .seconds(6))
            }
            let bad = endless + answering
            let (good, flood) = (try hook("good", receiver.port), try hook("flood", receiver.port))
            var secret = try hook("secret", receiver.port, giveUpAfter: .seconds(600))
            secret.way = .webhook(Channel.Webhook(url: try .init("http://localhost:\(receiver.port)/secret")))
            try await site.insert(bad.map { ($0, 20) } + [(good, 50), (flood, 2), (secret, 2)])
            try site.start(Rules(channels: bad + [good, flood, secret]))
            // While the bad ones are at it, all of the good one's are through.
            _ = try await site.ended("good", 50)
            #expect(
                try await site.count("SELECT count(*) AS n FROM deliveries WHERE channel = 'hang' AND outcome = 'sent'")
                    == 0)
            for row in try await site.ended("flood", 2) { #expect(try row.value("outcome") == "sent") }
            for row in try await site.ended("secret", 2) {
                #expect(try row.value("outcome") == "failed")
                #expect(try row.value("reason", as: String.self).contains("private"))
            }
            // Every one of them ends.
            for channel in bad {
                let rows = try await site.ended(channel.name, 20)
                #expect(try rows.allSatisfy { try $0.value("outcome") == "expired" }, "\(channel.name)")
            }
            let reasons = try await site.ended("away", 20).compactMap { try $0.optional("reason", as: String.self) }
            #expect(reasons.contains { $0.contains("redirects are not followed") })
            #expect(receiver.requests(to: "/secret").isEmpty)
            // The breaker saw to it that a dead one was not asked with everything that waits.
            #expect(receiver.requests(to: "/broken").count < 20)
            #expect(!site.lines.withLock { $0 }.contains { $0.contains("/hang") || $0.contains("/secret") })
        }
    }

    @Test func oneThatIsGoneIsNotAskedAgainUntilItHasAnotherAddress() async throws {
        try await withSite({ request, _ in .status(request.path == "/gone" ? 410 : 200) }) { site, receiver in
            var channel = try hook("gone", receiver.port)
            try await site.insert([(channel, 30)])
            try site.start(Rules(channels: [channel]))
            let rows = try await site.ended("gone", 30)
            #expect(try rows.allSatisfy { try $0.value("outcome") == "failed" })
            // Those that were under way beside the first had not heard.
            #expect(receiver.requests.count <= 4)
            await site.stop()
            channel.way = .webhook(
                Channel.Webhook(url: try .init("http://127.0.0.1:\(receiver.port)/new"), mayBePrivate: true))
            try await site.insert([(channel, 1)])
            try site.start(Rules(channels: [channel]))
            let last = try await site.ended("gone", 31)
            #expect(try last.count { try $0.value("outcome") == "sent" } == 1)
        }
    }

    @Test func oneThatIsGoneIsAskedAgainOnceItIsEnabled() async throws {
        try await withSite({ _, count in .status(count == 1 ? 410 : 200) }) { site, receiver in
            let (channel, other) = (try hook("gone", receiver.port), try hook("good", receiver.port))
            let desk = EndpointDesk(site.pool)
            #expect(try await desk.list().isEmpty)
            #expect(try await !desk.enable("gone"))
            try site.start(Rules(channels: [channel, other]))
            try await site.insert([(channel, 1)])
            _ = try await site.ended("gone", 1)
            try await eventually { try await desk.list().first?.state == "disabled" }
            let lines = try await desk.list()
            #expect(lines.map(\.channel) == ["gone", "good"] && lines.map(\.state) == ["disabled", "ok"])
            #expect(lines[0].disabledAt != nil && lines.allSatisfy { $0.waiting == 0 })
            #expect(try await desk.enable("gone"))
            #expect(try await desk.list().map(\.state) == ["ok", "ok"])
            try await site.insert([(channel, 1)])
            let rows = try await site.ended("gone", 2)
            #expect(try rows.map { try $0.value("outcome", as: String.self) } == ["failed", "sent"])
        }
    }

    @Test func whoAsksToBeLeftAloneIs() async throws {
        let script: @Sendable (Receiver.Request, Int) -> Receiver.Reply = { _, count in
            count == 1 ? .status(429, headers: ["Retry-After: 3"]) : .status(200)
        }
        try await withSite(script) { site, receiver in
            let channel = try hook("busy", receiver.port)
            try await site.insert([(channel, 1)])
            try site.start(Rules(channels: [channel]))
            let row = try await site.ended("busy", 1)[0]
            #expect(try row.value("outcome") == "sent")
            #expect(try row.value("attempts") == 2)
            let times = receiver.requests.compactMap { $0.headers["webhook-timestamp"].flatMap { Int64($0) } }
            // Whole seconds, of at least three in between.
            #expect(times.count == 2 && times[1] - times[0] >= 2)
            #expect(Set(receiver.requests.compactMap { $0.headers["webhook-id"] }).count == 1)
            #expect(Set(receiver.requests.map(\.body)).count == 1)
        }
    }

    /// As after kill -9: its lease runs out, and another one sends it under the same id.
    @Test func whatAWorkerLeftInTheMiddleIsSentByAnother() async throws {
        try await withSite({ _, _ in .status(200) }) { site, receiver in
            // Longer than anything here takes: the lease runs out when the test says so.
            let channel = try hook("good", receiver.port, timeout: .seconds(300))
            try await site.insert([(channel, 3)])
            let store = SenderStore(pool: site.pool, worker: "dead")
            try await store.register([channel])
            let leased = try await store.lease(channel, atMost: 2)
            #expect(leased.count == 2)
            try site.start(Rules(channels: [channel]))
            _ = try await site.ended("good", 1)
            #expect(receiver.requests.count == 1)
            let lease = channel.timeout.milliseconds + SenderStore.grace.milliseconds
            try await site.pool.transaction { transaction in
                transaction.later(
                    """
                    UPDATE deliveries SET due_at = due_at - \(lease)::bigint * interval '1 millisecond'
                    WHERE worker = 'dead'
                    """)
            }
            let rows = try await site.ended("good", 3)
            #expect(try rows.map { try $0.value("attempts", as: Int.self) }.sorted() == [1, 2, 2])
            // What the dead one says afterwards counts no more.
            _ = try await store.end(leased[0], channel, .init(verdict: .never, reason: "late"), random: 0)
            #expect(try await site.count("SELECT count(*) AS n FROM deliveries WHERE outcome = 'sent'") == 3)
        }
    }

    /// Workers are restarted one after the other with another address: what the old one says is not about the new one.
    @Test func anOldAddressThatIsGoneEndsNothing() async throws {
        try await withSite({ request, _ in .status(request.path == "/old" ? 410 : 200) }) { site, receiver in
            let old = try hook("old", receiver.port)
            var new = try hook("new", receiver.port)
            new.name = "old"
            let store = SenderStore(pool: site.pool, worker: "old")
            try await site.insert([(old, 2)])
            try await store.register([old])
            let leased = try await store.lease(old, atMost: 2)
            try await store.register([new])
            let gone = SenderStore.Attempt(verdict: .gone, status: 410, reason: "gone")
            #expect(try await store.end(leased[0], old, gone, random: 0) == .moved)
            #expect(try await store.note(old, .gone))
            #expect(try await site.count("SELECT count(*) AS n FROM deliveries WHERE ended_at IS NOT NULL") == 0)
            #expect(try await site.count("SELECT count(*) AS n FROM endpoints WHERE disabled_at IS NOT NULL") == 0)
            // A whole worker of before, and one with the new address.
            try await site.insert([(old, 10)])
            try site.start(Rules(channels: [new]))
            try await eventually { !receiver.requests(to: "/new").isEmpty }
            let rows = try await site.ended("old", 11)
            #expect(try rows.allSatisfy { try $0.value("outcome") == "sent" })
        }
    }

    /// A worker that was stopped with an endpoint's row in its hands keeps nobody's connections.
    @Test func anEndpointThatIsHeldIsNotWaitedFor() async throws {
        try await withSite({ _, _ in .status(200) }) { site, receiver in
            let (stuck, good) = (try hook("stuck", receiver.port), try hook("good", receiver.port))
            let store = SenderStore(pool: site.pool, worker: "one")
            try await site.insert([(stuck, 2), (good, 20)])
            try await store.register([stuck, good])
            let leased = try await store.lease(stuck, atMost: 2)
            let frozen = try await site.pool.begin()
            _ = try await frozen.query("SELECT 1 AS one FROM endpoints WHERE channel = 'stuck' FOR UPDATE")
            let failed = SenderStore.Attempt(verdict: .later(retryAfter: 0), status: 500, reason: "no")
            #expect(try await store.end(leased[0], stuck, failed, random: 0) == .toNote)
            #expect(try await !store.note(stuck, failed.verdict))
            #expect(try await store.end(leased[1], stuck, .init(verdict: .sent), random: 0) == .none)
            // Another one starts, and sends what is for others.
            try site.start(Rules(channels: [stuck, good]))
            _ = try await site.ended("good", 20)
            await frozen.rollBack()
            #expect(try await store.note(stuck, failed.verdict))
            let rows = try await site.ended("stuck", 2)
            #expect(try rows.allSatisfy { try $0.value("outcome") == "sent" })
        }
    }

    /// What failed here and not there is no end, and neither is one address of several.
    @Test func whatIsBrokenHereIsTriedAgain() throws {
        for kind in [TransferFault.Kind.broken, .unreachable, .timedOut, .insecure] {
            #expect(Sender.verdict(TransferFault(kind, "x"))?.verdict == .later(retryAfter: 0))
        }
        #expect(Sender.verdict(TransferFault(.privateAddress, "x"))?.verdict == .never)
        #expect(Sender.verdict(TransferFault(.closed, "x")) == nil)
    }

    @Test func aDatabaseThatIsKilledLosesNothing() async throws {
        let server = try PostgresServer()
        try await withSite(on: server, { _, _ in .status(200) }) { site, receiver in
            let channel = try hook("good", receiver.port, timeout: .seconds(1))
            try await site.insert([(channel, 400)])
            try site.start(Rules(channels: [channel]))
            for count in [50, 150] {
                try await eventually { receiver.requests.count >= count }
                server.kill()
                try server.start()
            }
            _ = try await site.ended("good", 400)
            #expect(try await site.count("SELECT count(*) AS n FROM deliveries WHERE outcome = 'sent'") == 400)
            let bodies = Dictionary(grouping: receiver.requests) { $0.headers["webhook-id"] ?? "" }
            #expect(bodies.count == 400)
            #expect(bodies.values.allSatisfy { Set($0.map(\.body)).count == 1 })
        }
    }

    @Test func aSenderThatStandsStillBeginsNothing() async throws {
        try await withSite({ _, _ in .status(200) }) { site, receiver in
            let channel = try hook("good", receiver.port)
            let flags = Flags()
            try await site.insert([(channel, 1)])
            try site.start(Rules(channels: [channel])) { flags.look() }
            try await eventually { flags.asked >= 5 }
            #expect(receiver.requests.isEmpty)
            flags.goOn()
            _ = try await site.ended("good", 1)
        }
    }

    private final class Flags: Sendable {
        private let state = Mutex((isPaused: true, asked: 0))
        var asked: Int { state.withLock { $0.asked } }
        func goOn() { state.withLock { $0.isPaused = false } }
        func look() -> Bool {
            state.withLock { state in
                state.asked += 1
                return state.isPaused
            }
        }
    }

    @Test func linesOfALogAreSentToo() async throws {
        try await withSite({ _, _ in .status(200) }) { site, _ in
            let channel = Channel(name: "journal", way: .log)
            try await site.insert([(channel, 2)])
            try site.start(Rules(channels: [channel]))
            let rows = try await site.ended("journal", 2)
            #expect(try rows.allSatisfy { try $0.value("outcome") == "sent" })
            #expect(site.lines.withLock { $0 }.count { $0.contains("subject=s") } == 2)
        }
    }
}
