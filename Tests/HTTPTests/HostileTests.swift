import Platform
import Synchronization
import TestSupport
import Testing

@testable import HTTP

@Suite(.inTurns) struct HostileTests {
    /// Each message could be read as another one by the next server in a chain, or as none.
    @Test(arguments: [
        "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n", "Content-Length: 2\r\nContent-Length: 3\r\n",
        "Content-Length: 2, 3\r\n", "Content-Length: +2\r\n", "Content-Length: 0x2\r\n",
        "Content-Length: 99999999999999999999999\r\n", "Content-Length: -1\r\n",
        "Transfer-Encoding: gzip, chunked\r\n", "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "Host: b\r\n", "Expect: a miracle\r\n",
        "X: \u{1}\r\n", "Content-Length : 2\r\n",
    ])
    func aMessageThatIsPutTogetherWronglyIsRefused(_ headers: String) async throws {
        try await TestServer.with { server, handler in
            let client = try RawHTTPClient(port: server.port)
            await client.send("POST / HTTP/1.1\r\nHost: a\r\n\(headers)\r\n0\r\n\r\n")
            let answer = try await client.answer()
            #expect([400, 413, 417, 501, nil].contains(answer?.status), "\(answer?.status ?? 0)")
            #expect(try await client.isClosedByServer())
            #expect(!handler.endings.contains(200))
            #expect(try await RawHTTPClient(port: server.port).ask("GET", "/here").body == "/here")
        }
    }

    /// The library answers nonsense by itself, and dies of that while it stops.
    @Test func nonsenseMayComeWhileTheServerEnds() async throws {
        for _ in 0..<20 {
            let server = try HTTPServer(TestServer.patient, TestServer { TestServer.echo($0) })
            var clients: [RawHTTPClient] = []
            for _ in 0..<100 { clients.append(try RawHTTPClient(port: server.port)) }
            try await eventually { server.connectionCount == clients.count }
            let sending = Task { [clients] in
                for client in clients { await client.send("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: b\r\n\r\n") }
            }
            // Some are answered by now, the others while it ends.
            try await eventually { server.connectionCount < clients.count }
            server.stop(within: .zero)
            await sending.value
            #expect(server.connectionCount == 0)
        }
    }

    /// Whatever its threads are at: as they look for more, a connection has just come or gone.
    @Test func aServerMayEndAtAnyMoment() async throws {
        var configuration = TestServer.patient
        configuration.threads = 4
        for _ in 0..<300 {
            let server = try HTTPServer(configuration, TestServer { TestServer.echo($0) })
            let clients = try (0..<8).map { _ in try RawHTTPClient(port: server.port) }
            #expect(try await clients[0].ask("GET", "/here").body == "/here")
            server.stop(within: .zero)
            #expect(server.connectionCount == 0)
        }
    }

    /// Keeps the thread that serves GET /hold until it may go on.
    private final class Hold: Sendable {
        private let isHeld = Atomic(false)
        private let end: Doorbell

        init() throws { end = try Doorbell() }

        func plan(_ exchange: Exchange) -> BodyPlan {
            guard exchange.request.path == "/hold" else { return TestServer.echo(exchange) }
            isHeld.store(true, ordering: .releasing)
            end.wait(milliseconds: -1)
            return .answer(.text(200, ""))
        }

        /// Who holds it, and is answered after `letGo`.
        func begin(_ server: HTTPServer) async throws -> RawHTTPClient {
            let holder = try RawHTTPClient(port: server.port)
            await holder.send("GET /hold HTTP/1.1\r\nHost: a\r\n\r\n")
            try await eventually { isHeld.load(ordering: .acquiring) }
            return holder
        }

        func letGo() { end.ring() }
    }

    /// The library looks at 128 events at a time, and when it has found as many it looks again: nobody may wait for that.
    @Test(arguments: [127, 128, 129, 256]) func howeverManySpeakAtOnceAreHeard(_ count: Int) async throws {
        var configuration = TestServer.patient
        configuration.threads = 1
        let hold = try Hold()
        try await TestServer.with(configuration, { hold.plan($0) }) { server, _ in
            let clients = try (0..<count).map { _ in try RawHTTPClient(port: server.port) }
            try await eventually { server.connectionCount == count }
            let holder = try await hold.begin(server)
            for client in clients { await client.send("GET /here HTTP/1.1\r\nHost: a\r\n\r\n") }
            hold.letGo()
            #expect(try await holder.answer()?.status == 200)
            var heard = 0
            for client in clients where try await client.answer()?.body == "/here" { heard += 1 }
            #expect(heard == count)
        }
    }

    /// A thread that is busy takes nobody in, and they come all the same.
    @Test func whoWaitsToBeTakenInIsCounted() async throws {
        var configuration = TestServer.patient
        (configuration.threads, configuration.maxConnections) = (1, 3)
        let hold = try Hold()
        try await TestServer.with(configuration, { hold.plan($0) }) { server, _ in
            let holder = try await hold.begin(server)
            let waiting = try (0..<2).map { _ in try RawHTTPClient(port: server.port) }
            #expect(try await RawHTTPClient(port: server.port).isClosedByServer())
            hold.letGo()
            #expect(try await holder.answer()?.status == 200)
            for client in waiting { #expect(try await client.ask("GET", "/here").body == "/here") }
        }
    }

    /// Who comes when there are as many as there may be is let go at once, and may come again when one of them has gone.
    @Test func connectionsAreBounded() async throws {
        var configuration = TestServer.patient
        configuration.maxConnections = 3
        try await TestServer.with(configuration) { server, _ in
            var clients: [RawHTTPClient] = []
            for _ in 0..<3 {
                clients.append(try RawHTTPClient(port: server.port))
                #expect(try await clients.last?.ask("GET", "/here").body == "/here")
            }
            #expect(try await RawHTTPClient(port: server.port).isClosedByServer())
            #expect(server.connectionCount == 3)
            clients.removeLast()
            try await eventually { server.connectionCount == 2 }
            #expect(try await RawHTTPClient(port: server.port).ask("GET", "/here").body == "/here")
            for client in clients { #expect(try await client.ask("GET", "/here").body == "/here") }
        }
    }

    @Test func headersAreBounded() async throws {
        try await TestServer.with { server, _ in
            let large = String(repeating: "a", count: 17_000)
            let client = try RawHTTPClient(port: server.port)
            let answer = try await client.ask("GET", "/", [("X-Large", large)])
            #expect(answer.status == 431)
            #expect(answer.body.contains("16384"))
            // Beyond the library's memory it answers by itself.
            let flood = try RawHTTPClient(port: server.port)
            await flood.send("GET / HTTP/1.1\r\nHost: a\r\n")
            for _ in 0..<100 { await flood.send("X-Large: \(large)\r\n") }
            _ = try? await flood.isClosedByServer()
            #expect(try await RawHTTPClient(port: server.port).ask("GET", "/here").body == "/here")
        }
    }

    @Test func aHeaderThatTricklesInIsCutOff() async throws {
        var configuration = TestServer.patient
        configuration.headerTimeout = .milliseconds(300)
        try await TestServer.with(configuration) { server, _ in
            let client = try RawHTTPClient(port: server.port)
            let trickle = Task {
                while !Task.isCancelled {
                    await client.send("X")
                    try? await Task.sleep(for: .milliseconds(20))
                }
            }
            #expect(try await client.isClosedByServer())
            trickle.cancel()
            await trickle.value
        }
    }

    @Test func aBodyThatTricklesInIsCutOff() async throws {
        var configuration = TestServer.patient
        configuration.bodyTimeout = .milliseconds(300)
        configuration.minBodyRate = 1 << 20
        try await TestServer.with(configuration) { server, handler in
            let client = try RawHTTPClient(port: server.port)
            await client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n")
            let trickle = Task {
                while !Task.isCancelled {
                    await client.send("X")
                    try? await Task.sleep(for: .milliseconds(20))
                }
            }
            #expect(try await client.isClosedByServer())
            trickle.cancel()
            await trickle.value
            try await eventually { !handler.endings.isEmpty }
            #expect(handler.endings == [nil])
        }
    }

    /// What was sent fast earns no patience for later.
    @Test func aBodyThatStandsStillIsCutOff() async throws {
        var configuration = TestServer.patient
        configuration.bodyTimeout = .milliseconds(300)
        configuration.minBodyRate = 1
        try await TestServer.with(configuration) { server, handler in
            let client = try RawHTTPClient(port: server.port)
            let most = String(repeating: "x", count: 50_000)
            await client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 50001\r\n\r\n" + most)
            #expect(try await client.isClosedByServer())
            try await eventually { !handler.endings.isEmpty }
            #expect(handler.endings == [nil])
        }
    }

    /// Who reads may ask for a pause at every piece and take it back: that buys the sender no time.
    @Test func aStreamThatTricklesInIsCutOff() async throws {
        final class Hesitant: BodyReader {
            func take(_ piece: RawSpan, _ exchange: Exchange) -> Int {
                exchange.pause()
                exchange.resume()
                return piece.byteCount
            }
            func end(_ exchange: Exchange) { exchange.answer(.text(200, "")) }
        }
        var configuration = TestServer.patient
        configuration.bodyTimeout = .milliseconds(300)
        try await TestServer.with(configuration, { _ in .stream(Hesitant()) }) { server, handler in
            let client = try RawHTTPClient(port: server.port)
            await client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
            let trickle = Task {
                while !Task.isCancelled {
                    await client.send("1\r\nX\r\n")
                    try? await Task.sleep(for: .milliseconds(20))
                }
            }
            #expect(try await client.isClosedByServer())
            trickle.cancel()
            await trickle.value
            try await eventually { !handler.endings.isEmpty }
            #expect(handler.endings == [nil])
        }
    }

    /// Who asks and does not read the answer keeps nobody's memory for ever.
    @Test func anAnswerThatNobodyReadsIsCutOff() async throws {
        var configuration = TestServer.patient
        configuration.sendTimeout = .milliseconds(300)
        configuration.minBodyRate = 1 << 30
        configuration.idleTimeout = .seconds(600)
        let large = [UInt8](repeating: 65, count: 32 << 20)
        try await TestServer.with(configuration, { _ in .answer(HTTPResponse(200, "text/plain", large)) }) {
            server, handler in
            let client = try RawHTTPClient(port: server.port)
            await client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            try await eventually { !handler.endings.isEmpty }
            #expect(handler.endings == [nil])
        }
    }

    @Test func aConnectionThatSaysNothingIsCutOff() async throws {
        var configuration = TestServer.patient
        configuration.idleTimeout = .milliseconds(300)
        try await TestServer.with(configuration) { server, _ in
            let client = try RawHTTPClient(port: server.port)
            #expect(try await client.ask("GET", "/").status == 200)
            #expect(try await client.isClosedByServer())
        }
    }

    @Test func whatBodiesTakeIsBounded() async throws {
        var configuration = TestServer.patient
        configuration.maxHeldBytes = 50_000
        try await TestServer.with(configuration) { server, handler in
            let half = try RawHTTPClient(port: server.port)
            await half.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 90000\r\n\r\n")
            await half.send([UInt8](repeating: 65, count: 40_000))
            let client = try RawHTTPClient(port: server.port)
            var answer = try await client.ask("POST", "/", body: [UInt8](repeating: 65, count: 50_001))
            #expect(answer.status == 503)
            half.finish()
            #expect(try await half.isClosedByServer())
            try await eventually { handler.endings.count >= 2 }
            answer = try await client.ask("POST", "/", body: [UInt8](repeating: 65, count: 50_000))
            #expect(answer.status == 200)
        }
    }

    /// One who sends much and does not end it keeps nobody else out.
    @Test func nobodyTakesAllThereIsForBodies() async throws {
        var configuration = TestServer.patient
        configuration.maxHeldBytes = 150_000
        let plan: @Sendable (Exchange) -> BodyPlan = { exchange in
            exchange.payer = exchange.request.header("who")
            return TestServer.echo(exchange)
        }
        try await TestServer.with(configuration, plan) { server, handler in
            let half = try RawHTTPClient(port: server.port)
            await half.send("POST / HTTP/1.1\r\nHost: a\r\nWho: one\r\nContent-Length: 70000\r\n\r\n")
            await half.send([UInt8](repeating: 65, count: 60_000))
            try await eventually { server.heldBytes == 60_000 }
            let client = try RawHTTPClient(port: server.port)
            let body = [UInt8](repeating: 65, count: 50_000)
            #expect(try await client.ask("POST", "/", [("Who", "one")], body: body).status == 503)
            #expect(try await client.ask("POST", "/", [("Who", "other")], body: body).status == 200)
            // What most send is not counted.
            #expect(try await client.ask("POST", "/", [("Who", "one")], body: "a".utf8).status == 200)
            half.finish()
            #expect(try await half.isClosedByServer())
            try await eventually { handler.endings.count >= 4 }
            #expect(try await client.ask("POST", "/", [("Who", "one")], body: body).status == 200)
            try await eventually { server.heldBytes == 0 }
        }
    }

    @Test func anAnswerThatDoesNotComeIsMadeUp() async throws {
        var configuration = TestServer.patient
        configuration.answerTimeout = .milliseconds(300)
        let late = Mutex<Exchange?>(nil)
        let plan: @Sendable (Exchange) -> BodyPlan = { _ in
            .collect(limit: 10, tooLarge: { .text(413, "") }) { exchange, _ in late.withLock { $0 = exchange } }
        }
        try await TestServer.with(configuration, plan) { server, _ in
            let client = try RawHTTPClient(port: server.port)
            #expect(try await client.ask("POST", "/", body: "a".utf8).status == 503)
            late.withLock { $0 }?.answer(.text(200, "too late"))
        }
    }

    @Test func theEndWaitsForNobodyForEver() async throws {
        try await TestServer.with(
            TestServer.patient, budget: .milliseconds(100),
            { exchange in
                exchange.request.path == "/hold"
                    ? .collect(limit: 10, tooLarge: { .text(413, "") }) { _, _ in } : TestServer.echo(exchange)
            }
        ) { server, _ in
            let held = try RawHTTPClient(port: server.port)
            await held.send("POST /hold HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab")
            let half = try RawHTTPClient(port: server.port)
            await half.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nab")
            let mute = try RawHTTPClient(port: server.port)
            try await eventually { server.connectionCount >= 3 }
            server.stop(within: .milliseconds(100))
            #expect(try await held.answer()?.status ?? 503 == 503)
            #expect(try await half.isClosedByServer())
            #expect(try await mute.isClosedByServer())
        }
    }

    /// Who sends all that it has to say at once, and with it that nothing more comes, gets its answer and the end of the
    /// connection, and does not wait for that until the patience is over.
    @Test func whoSaysAllAtOnceIsLetGo() async throws {
        let post = "POST / HTTP/1.1\r\nHost: a\r\n"
        var configuration = TestServer.patient
        (configuration.headerTimeout, configuration.bodyTimeout) = (.seconds(600), .seconds(600))
        try await TestServer.with(configuration) { server, _ in
            for begun in [
                "GET /here HTTP/1.1\r\nHost: a\r\n\r\n", "GET /here HTTP/1.1\r\nHo",
                post + "Content-Length: 125\r\n\r\n{}", post + "Transfer-Encoding: chunked\r\n\r\n9\r\n{}",
            ] {
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for _ in 0..<40 {
                        group.addTask {
                            let client = try RawHTTPClient(port: server.port)
                            client.sendLast(begun)
                            #expect(try await client.isClosedByServer())
                        }
                    }
                    try await group.waitForAll()
                }
            }
        }
    }

    /// Whatever comes, the server goes on.
    @Test(arguments: TestDice.seeds(6)) func garbageHarmsNobody(_ seed: UInt64) async throws {
        try await TestServer.with { server, _ in
            var dice = TestDice(seed: seed)
            let words = [
                "POST", "GET", " ", "/", "HTTP/1.1", "HTTP/0.9", "\r\n", "\n", "\r", ":", "Host", "Content-Length",
                "Transfer-Encoding", "chunked", "12", "-1", "\0", "\u{ff}", "a", "%00", "?", "&=", "ffffffffffffffff",
            ]
            for _ in 0..<60 {
                let client = try RawHTTPClient(port: server.port)
                var text = dice.chance(50) ? "POST / HTTP/1.1\r\nHost: a\r\n" : ""
                for _ in 0..<Int.random(in: 1...40, using: &dice) { text += words.randomElement(using: &dice) ?? "" }
                await client.send(text)
                if dice.chance(50) { client.finish() }
            }
            #expect(try await RawHTTPClient(port: server.port).ask("GET", "/here").body == "/here", "seed \(seed)")
        }
    }
}
