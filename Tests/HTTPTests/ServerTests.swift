import HTTP
import Platform
import Synchronization
import TestSupport
import Testing

@Suite(.inTurns) struct ServerTests {
    @Test func oneConnectionServesManyRequests() async throws {
        try await TestServer.with { server, _ in
            let client = try RawHTTPClient(port: server.port)
            for number in 0..<3 {
                let answer = try await client.ask("POST", "/", body: "body \(number)".utf8)
                #expect(answer.status == 200)
                #expect(answer.body == "body \(number)")
            }
            #expect(try await client.ask("GET", "/a%20b/c?x=1").body == "/a%20b/c")
        }
    }

    @Test(arguments: [
        ("http://a.example:80/b/c?x=1", "/b/c"), ("HTTPS://a.example/", "/"), ("http://a.example", "/"),
        ("ftp://a.example/b", "ftp://a.example/b"),
    ])
    func aTargetMayNameTheWholeAddress(_ target: String, _ path: String) async throws {
        try await TestServer.with { server, _ in
            let client = try RawHTTPClient(port: server.port)
            #expect(try await client.ask("GET", target).body == path)
        }
    }

    @Test func pipelinedRequestsAreAnsweredInTheirOrder() async throws {
        try await TestServer.with { server, _ in
            let client = try RawHTTPClient(port: server.port)
            let requests = (0..<20).map { number in
                "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n\(number + 10)"
            }
            await client.send(requests.joined())
            for number in 0..<20 { #expect(try await client.answer()?.body == "\(number + 10)") }
        }
    }

    @Test func aBodyMayComeInChunks() async throws {
        try await TestServer.with { server, _ in
            let client = try RawHTTPClient(port: server.port)
            await client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
            await client.send("2;x=y\r\nde\r\n0\r\nTrailer: x\r\n\r\n")
            #expect(try await client.answer()?.body == "abcde")
            #expect(try await client.ask("GET", "/still").body == "/still")
        }
    }

    @Test func anAnswerMayComeFromAnywhereLater() async throws {
        let plan: @Sendable (Exchange) -> BodyPlan = { _ in
            .collect(limit: 100, tooLarge: { .text(413, "") }) { exchange, body in
                Task { exchange.answer(HTTPResponse(202, nil, body)) }
            }
        }
        try await TestServer.with(TestServer.patient, plan) { server, _ in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for one in 0..<8 {
                    group.addTask {
                        let client = try RawHTTPClient(port: server.port)
                        for two in 0..<50 {
                            let answer = try await client.ask("POST", "/", body: "\(one) \(two)".utf8)
                            #expect(answer.status == 202 && answer.body == "\(one) \(two)")
                        }
                    }
                }
                try await group.waitForAll()
            }
        }
    }

    @Test func leaveToSendIsGivenUnlessTheRequestIsRefused() async throws {
        let plan: @Sendable (Exchange) -> BodyPlan = { exchange in
            exchange.request.path == "/no" ? .answer(.text(401, "who are you?")) : TestServer.echo(exchange)
        }
        try await TestServer.with(TestServer.patient, plan) { server, _ in
            let client = try RawHTTPClient(port: server.port)
            await client.send("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
            #expect(try await client.answer()?.status == 100)
            await client.send("ok")
            #expect(try await client.answer()?.body == "ok")
            await client.send("POST /no HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
            #expect(try await client.answer()?.status == 401)
            #expect(try await client.isClosedByServer())
        }
    }

    @Test func aBodyBeyondTheLimitIsRefused() async throws {
        try await TestServer.with { server, _ in
            let client = try RawHTTPClient(port: server.port)
            let large = [UInt8](repeating: 65, count: 200_000)
            #expect(try await client.ask("POST", "/", body: large).status == 413)
            // What was not too much to read costs nobody the connection.
            await client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n30d40\r\n")
            await client.send(large + Array("\r\n0\r\n\r\n".utf8))
            #expect(try await client.answer()?.status == 413)
            #expect(try await client.ask("POST", "/", body: "ok".utf8).body == "ok")
            await client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999\r\n\r\n")
            #expect(try await client.answer()?.status == 413)
            #expect(try await client.isClosedByServer())
        }
    }

    @Test func aReaderMayHaveTheBodyWait() async throws {
        final class Slow: BodyReader {
            let count = Mutex(0)
            func take(_ piece: RawSpan, _ exchange: Exchange) -> Int {
                // Some of it now, the rest when it comes again.
                let some = min(piece.byteCount, 10_000)
                count.withLock { $0 += some }
                exchange.pause()
                Task { exchange.resume() }
                return some
            }
            func end(_ exchange: Exchange) { exchange.answer(.text(200, "\(count.withLock { $0 })")) }
        }
        try await TestServer.with(TestServer.patient, { _ in .stream(Slow()) }) { server, _ in
            let client = try RawHTTPClient(port: server.port)
            let body = [UInt8](repeating: 1, count: 3_000_000)
            for _ in 0..<3 { #expect(try await client.ask("POST", "/", body: body).body == "3000000") }
        }
    }

    @Test func whatIsUnderWayIsAnsweredBeforeTheEnd() async throws {
        let held = Mutex<[Exchange]>([])
        let handler = TestServer { exchange in
            .collect(limit: 10, tooLarge: { .text(413, "") }) { exchange, _ in held.withLock { $0.append(exchange) } }
        }
        let server = try HTTPServer(TestServer.patient, handler)
        let client = try RawHTTPClient(port: server.port)
        await client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab")
        try await eventually { !held.withLock({ $0.isEmpty }) }
        let stopper = try OSThread(name: "stopper") { server.stop() }
        // It listens no longer, and still waits for this one.
        try await eventually { (try? RawHTTPClient(port: server.port)) == nil }
        held.withLock { $0.first }?.answer(.text(202, "done"))
        let answer = try await client.answer()
        #expect(answer?.status == 202)
        #expect(answer?.headers["connection"] == "close")
        stopper.join()
        #expect(handler.endings == [202])
    }

    /// Whoever intercepts the answer has it for itself: what comes meanwhile, as the deadline's, is too late.
    @Test func anInterceptedAnswerIsTheOnlyOne() async throws {
        let plan: @Sendable (Exchange) -> BodyPlan = { exchange in
            .collect(limit: 10, tooLarge: { .text(413, "") }) { exchange, _ in
                exchange.intercept { first in
                    exchange.answer(.text(503, "meanwhile"))
                    Task {
                        exchange.answer(.text(503, "later"))
                        exchange.conclude(first)
                    }
                }
                exchange.answer(.text(202, "first"))
            }
        }
        try await TestServer.with(TestServer.patient, plan) { server, _ in
            let client = try RawHTTPClient(port: server.port)
            for _ in 0..<20 { #expect(try await client.ask("POST", "/", body: "a".utf8).body == "first") }
        }
    }

    /// The deadline's answer, too, is too late then.
    @Test func noDeadlinePassesAnInterceptor() async throws {
        var configuration = TestServer.patient
        configuration.answerTimeout = .milliseconds(100)
        let held = Mutex<Exchange?>(nil)
        let kept = Mutex<[Int]>([])
        let plan: @Sendable (Exchange) -> BodyPlan = { exchange in
            .collect(limit: 10, tooLarge: { .text(413, "") }) { exchange, _ in
                exchange.intercept { response in
                    kept.withLock { $0.append(response.status) }
                    held.withLock { $0 = exchange }
                }
            }
        }
        try await TestServer.with(configuration, plan) { server, _ in
            let client = try RawHTTPClient(port: server.port)
            await client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\na")
            // The deadline has come, and is kept as what was answered.
            try await eventually { held.withLock { $0 != nil } }
            let exchange = try #require(held.withLock { $0 })
            exchange.answer(.text(202, "acknowledged"))
            exchange.conclude(.text(503, "in time"))
            #expect(try await client.answer()?.body == "in time")
            #expect(kept.withLock { $0 } == [503])
        }
    }

    /// Answers that come at the very moment of the end find a server, or none.
    @Test func answersRaceWithTheEnd() async throws {
        for _ in 0..<40 {
            let held = Mutex<[Exchange]>([])
            let handler = TestServer { _ in
                .collect(limit: 10, tooLarge: { .text(413, "") }) { exchange, _ in
                    held.withLock { $0.append(exchange) }
                }
            }
            let server = try HTTPServer(TestServer.patient, handler)
            var clients: [RawHTTPClient] = []
            for _ in 0..<8 {
                let client = try RawHTTPClient(port: server.port)
                await client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab")
                clients.append(client)
            }
            try await eventually { held.withLock { $0.count } == clients.count }
            let exchanges = held.withLock { $0 }
            let answering = try OSThread(name: "answering") { for one in exchanges { one.answer(.text(202, "")) } }
            server.stop(within: .zero)
            answering.join()
            #expect(handler.endings.count == clients.count)
        }
    }

    @Test func aLostPeerEndsTheRequestAndNothingElse() async throws {
        let held = Mutex<[Exchange]>([])
        let plan: @Sendable (Exchange) -> BodyPlan = { exchange in
            guard exchange.request.path == "/hold" else { return TestServer.echo(exchange) }
            return .collect(limit: 10, tooLarge: { .text(413, "") }) { exchange, _ in
                held.withLock { $0.append(exchange) }
            }
        }
        try await TestServer.with(TestServer.patient, plan) { server, handler in
            do {
                let client = try RawHTTPClient(port: server.port)
                await client.send("POST /hold HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab")
                try await eventually { !held.withLock({ $0.isEmpty }) }
            }
            held.withLock { $0.first }?.answer(.text(202, "to nobody"))
            try await eventually { !handler.endings.isEmpty }
            held.withLock { $0.first }?.answer(.text(202, "again"))
            #expect(try await RawHTTPClient(port: server.port).ask("GET", "/here").body == "/here")
        }
    }
}
