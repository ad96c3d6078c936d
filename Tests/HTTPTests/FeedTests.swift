import HTTP
import Synchronization
import TestSupport
import Testing

@Suite(.inTurns) struct FeedTests {
    /// A server whose every answer goes on; the feeds in the order of their requests.
    private final class Feeds: Sendable {
        let all = Mutex<[ResponseFeed]>([])

        @Sendable func plan(_ exchange: Exchange) -> BodyPlan {
            let feed = ResponseFeed(limit: 1 << 20)
            var response = HTTPResponse(200, "text/event-stream")
            response.feed = feed
            all.withLock { $0.append(feed) }
            return .answer(response)
        }

        func next(_ number: Int) async throws -> ResponseFeed {
            try await eventually { all.withLock { $0.count } > number }
            return all.withLock { $0[number] }
        }
    }

    @Test func whatIsWrittenGoesOutAtOnce() async throws {
        let feeds = Feeds()
        try await TestServer.with(TestServer.patient, feeds.plan) { server, _ in
            let client = try RawHTTPClient(port: server.port)
            await client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            let head = try await client.receive(upTo: "\r\n\r\n")
            #expect(head.contains("200") && head.lowercased().contains("transfer-encoding: chunked"))
            let feed = try await feeds.next(0)
            for number in 0..<50 {
                #expect(feed.write(Array("data: \(number)\n\n".utf8)))
                _ = try await client.receive(upTo: "data: \(number)\n\n")
            }
            feed.finish()
            #expect(try await client.receive(upTo: "0\r\n\r\n").hasSuffix("0\r\n\r\n"))
            // The connection serves on.
            await client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            let second = try await feeds.next(1)
            second.write(Array("again".utf8))
            _ = try await client.receive(upTo: "again")
            // What goes on would be waited for by a server that ends.
            second.finish()
        }
    }

    @Test func manyWriteToMany() async throws {
        let feeds = Feeds()
        try await TestServer.with(TestServer.patient, feeds.plan) { server, _ in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<16 {
                    group.addTask {
                        let client = try RawHTTPClient(port: server.port)
                        await client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                        for number in 0..<200 { _ = try await client.receive(upTo: "<\(number)>") }
                    }
                }
                _ = try await feeds.next(15)
                let all = feeds.all.withLock { $0 }
                for number in 0..<200 {
                    for feed in all { #expect(feed.write(Array("<\(number)>".utf8))) }
                }
                try await group.waitForAll()
                for feed in all { feed.finish() }
            }
        }
    }

    @Test func whoHasGoneIsNoticedByWriting() async throws {
        let feeds = Feeds()
        try await TestServer.with(TestServer.patient, feeds.plan) { server, _ in
            do {
                let client = try RawHTTPClient(port: server.port)
                await client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                _ = try await client.receive(upTo: "\r\n\r\n")
            }
            let feed = try await feeds.next(0)
            try await eventually {
                feed.write(Array("still there?".utf8))
                return feed.isOver
            }
            #expect(!feed.write([1]))
        }
    }

    @Test func whoDoesNotReadIsLetGo() async throws {
        let feeds = Feeds()
        try await TestServer.with(TestServer.patient, feeds.plan) { server, _ in
            let client = try RawHTTPClient(port: server.port)
            await client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            let feed = try await feeds.next(0)
            let piece = [UInt8](repeating: 97, count: 64 << 10)
            try await eventually { !feed.write(piece) }
            withExtendedLifetime(client) {}
        }
    }

    @Test func theServerEndsWhileFeedsAreSilent() async throws {
        let feeds = Feeds()
        var clients: [RawHTTPClient] = []
        try await TestServer.with(TestServer.patient, budget: .zero, feeds.plan) { server, _ in
            for number in 0..<4 {
                let client = try RawHTTPClient(port: server.port)
                await client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                _ = try await client.receive(upTo: "\r\n\r\n")
                try await feeds.next(number).write(Array("x".utf8))
                _ = try await client.receive(upTo: "x")
                clients.append(client)
            }
        }
        for client in clients { #expect(try await client.isClosedByServer()) }
    }
}
