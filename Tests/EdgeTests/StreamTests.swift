import Edge
import HTTP
import JSON
import Kafka
import Platform
import Synchronization
import TestSupport
import Testing

@testable import Edge

/// Streams of lines, when there are too many of them or too much in them.
@Suite(.inTurns) struct StreamTests {
    private static let head =
        "POST /v1/events HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n"

    private static func chunk(_ text: some Collection<UInt8>) -> [UInt8] {
        Array((String(text.count, radix: 16) + "\r\n").utf8) + text + Array("\r\n".utf8)
    }

    private static func lines(_ range: Range<Int>, padding: Int = 0) -> [UInt8] {
        let pad = String(repeating: "x", count: padding)
        return Array(
            range.map { "{\"event_type\":\"t\",\"event_id\":\"\($0)\",\"data\":{\"p\":\"\(pad)\"}}\n" }.joined().utf8)
    }

    /// What a stream keeps of its body, unfinished lines above all, counts as other bodies do.
    @Test func halfLinesAreBounded() async throws {
        let half = Array("{\"event_type\":\"t\",\"data\":{\"p\":\"".utf8) + [UInt8](repeating: 120, count: 200_000)
        let rest = Self.chunk(Array("\"}}\n".utf8)) + Array("0\r\n\r\n".utf8)
        try await EdgeSite.with { site in
            var halves: [RawHTTPClient] = []
            for number in 1...3 {
                let client = try site.client()
                await client.send(Self.head + "\r\n")
                await client.send(Self.chunk(half))
                try await eventually { try await site.metric("flotilla_edge_held_bytes") >= number * 200_000 }
                halves.append(client)
            }
            for client in halves {
                await client.send(rest)
                #expect(try await client.answer()?.status == 202)
            }
            try await eventually { try await site.metric("flotilla_edge_held_bytes") == 0 }
        }
        try await EdgeSite.with({ $0.http.maxHeldBytes = 100_000 }) { site in
            let client = try site.client()
            await client.send(Self.head + "\r\n")
            await client.send(Self.chunk(Self.lines(0..<3)) + Self.chunk(half) + rest)
            let answer = try #require(try await client.answer())
            #expect(answer.status == 503 && answer.headers["retry-after"] == "1")
            #expect(try answer.json["next"]?.int64 ?? .max <= 3)
            #expect(!answer.body.contains("another key"))
            // The ids of these follow from the key and their places: the rest alone would get those of the first ones.
            await client.send(Self.head + "Idempotency-Key: k\r\n\r\n")
            await client.send(Self.chunk(Self.lines(0..<3)) + Self.chunk(half) + rest)
            let keyed = try #require(try await client.answer())
            #expect(keyed.status == 503)
            #expect(keyed.body.contains("send all lines again; from `next` on takes another key"))
            // Gzip has a memory of its own, which is not there.
            await client.send(Self.head + "Content-Encoding: gzip\r\n\r\n0\r\n\r\n")
            #expect(try await client.answer()?.status == 503)
            #expect(
                try await client.ask(
                    "POST", "/v1/events", [("Content-Type", "application/x-ndjson")], body: Self.lines(0..<100)
                ).status == 202)
        }
    }

    /// What is unzipped is in memory too.
    @Test func unzippedBodiesAreBounded() async throws {
        try await EdgeSite.with({ $0.http.maxHeldBytes = 100_000 }) { site in
            let large = "{\"event_type\":\"t\",\"data\":{\"p\":\"\(String(repeating: "x", count: 200_000))\"}}"
            let zipped = try Gzip.zip(large)
            #expect(zipped.count < 50_000)
            let headers = [("Content-Type", "application/json"), ("Content-Encoding", "gzip")]
            let client = try site.client()
            #expect(try await client.ask("POST", "/v1/events", headers, body: zipped).status == 503)
            let small = try Gzip.zip(#"{"event_type":"t"}"#)
            #expect(try await client.ask("POST", "/v1/events", headers, body: small).status == 202)
        }
    }

    /// A broker that takes nothing, and more streams than its queue can hold: they wait, others get through.
    @Test func streamsLeaveRoomForOthers() async throws {
        try await EdgeSite.with({ $0.maxQueuedBytes = 4 << 20 }) { site in
            #expect(try await site.client().publish("application/json", #"{"event_type":"first"}"#).status == 202)
            try site.stopBroker()
            let (streams, lines) = (5, 2000)
            try await withThrowingTaskGroup(of: RawHTTPClient.Answer?.self) { group in
                for number in 0..<streams {
                    let client = try site.client()
                    group.addTask {
                        let body = Self.lines(number * lines..<(number + 1) * lines, padding: 1000)
                        await client.send(Self.head + "\r\n")
                        await client.send(Self.chunk(body) + Array("0\r\n\r\n".utf8))
                        return try await client.answer()
                    }
                }
                // They have what they may have, and no more follows.
                try await eventually { try await site.metric("flotilla_edge_stream_bytes") >= 2 << 20 }
                #expect(try await site.metric("flotilla_edge_stream_bytes") <= 3 << 20)
                group.addTask { try await site.client().publish("application/json", #"{"event_type":"last"}"#) }
                try site.startBroker()
                for try await answer in group { #expect(answer?.status == 202, "\(answer?.body ?? "")") }
            }
            let ids = try await site.read("events.raw", count: streams * lines + 2).compactMap { $0.text("ce_id") }
            #expect(Set(ids).count == streams * lines + 2 && ids.count == streams * lines + 2)
            #expect(try await site.metric("flotilla_edge_stream_bytes") == 0)
        }
    }

    /// Few streams may have much under way each, many less: together they stay within bounds.
    @Test func windowsAreSmallerTheMoreStreams() {
        let share = StreamShare(limit: 64 << 20, batchBytes: 64 << 10)
        #expect(share.window == 2 << 20)
        for _ in 0..<8 { share.take(10, isFirst: true) }
        share.take(10)
        #expect(share.window == 512 << 10)
        for _ in 0..<100 { share.take(10, isFirst: true) }
        #expect(share.window == 256 << 10)
        for _ in 0..<107 { share.give(10, isLast: true) }
        share.give(10)
        #expect(share.window == 2 << 20)
    }

    @Test func whoWaitsLongestGoesOnFirst() {
        let share = StreamShare(limit: 100, batchBytes: 50)
        let turns = Mutex<[Int]>([])
        #expect(!share.mustWait {})
        share.take(100)
        for number in 1...4 { #expect(share.mustWait { turns.withLock { $0.append(number) } }) }
        share.give(30)
        #expect(turns.withLock { $0 } == [1])
        share.give(70)
        #expect(turns.withLock { $0 } == [1, 2, 3])
        share.take(10)
        share.give(10)
        #expect(turns.withLock { $0 } == [1, 2, 3, 4] && share.bytes == 0)
    }

    /// A body that unzips to much more than a batch is taken in turns, and all of it arrives.
    @Test func aZippedStreamIsTakenInTurns() async throws {
        try await EdgeSite.with { site in
            let count = 20_000
            let zipped = try Gzip.zip(Self.lines(0..<count, padding: 300))
            #expect(zipped.count < count * 30)
            let answer = try await site.client().ask(
                "POST", "/v1/events",
                [("Content-Type", "application/x-ndjson"), ("Content-Encoding", "gzip")], body: zipped)
            #expect(answer.status == 202, "\(answer.body)")
            #expect(try answer.json["accepted"]?.int64 == Int64(count))
            let ids = try await site.read("events.raw", count: count).compactMap { $0.text("ce_id") }
            #expect(Set(ids).count == count && ids.count == count)
        }
    }

    @Test func ofAZippedPieceSomeIsTakenAtATime() throws {
        let zipped = try Gzip.zip([UInt8](repeating: 32, count: 4 << 20))
        let gunzip = try Gunzip()
        var (at, total, turns) = (0, 0, 0)
        // What came before earns it a ratio that it has not.
        let noise = try Gzip.zip((0..<200_000).map { _ in UInt8.random(in: 0...255) })
        try unsafe gunzip.take(noise.span.bytes) { _ in true }
        while at < zipped.count {
            var some = 0
            let rest = Array(zipped[at...])
            at += try unsafe gunzip.take(rest.span.bytes) { piece in
                some += piece.byteCount
                return some < 256 << 10
            }
            #expect(some <= 320 << 10)
            total += some
            turns += 1
        }
        #expect(total == 4 << 20 && turns >= 12 && gunzip.isAtEnd)
    }

    /// After its failure a stream is read on for a while, so that its sender gets to see the answer, and then no more.
    @Test func aStreamThatFailedDoesNotGoOnForEver() async throws {
        try await EdgeSite.with({ $0.http.maxIgnoredBytes = 1 << 20 }) { site in
            func ask(_ count: Int) async throws -> RawHTTPClient.Answer? {
                let client = try site.client()
                await client.send(Self.head + "Content-Encoding: gzip\r\n\r\n")
                await client.send(Self.chunk([UInt8](repeating: 7, count: 1000)))
                for _ in 0..<count { await client.send(Self.chunk([UInt8](repeating: 7, count: 100_000))) }
                await client.send("0\r\n\r\n")
                return try? await client.answer()
            }
            let (short, long) = (try await ask(5), try await ask(20))
            #expect(short?.status == 400 && long == nil)
        }
    }
}
