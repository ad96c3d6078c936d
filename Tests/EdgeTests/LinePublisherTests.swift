import Edge
import EdgeClient
import HTTP
import JSON
import Kafka
import Platform
import Synchronization
import TestSupport
import Testing

@Suite(.inTurns) struct LinePublisherTests {
    private final class Notes: Sendable {
        let refused = Mutex<[Int]>([])
        let waits = Mutex(0)
    }

    /// Publishes a text in pieces, on a thread of its own because it waits there.
    private func publish(
        _ text: String, to site: EdgeSite, _ notes: Notes, path: String = "/v1/events", pieces: Int = 7000,
        pause: @escaping @Sendable () -> Void = {}
    ) async throws -> LinePublisher.Progress {
        let url = "http://127.0.0.1:\(site.edge.port)\(path)"
        let result: Result<LinePublisher.Progress, any Error> = await withCheckedContinuation { continuation in
            let work: @Sendable () -> Void = {
                var publisher = LinePublisher(url: url) { _ in
                    notes.waits.withLock { $0 += 1 }
                    pause()
                }
                publisher.refused = { number, _ in notes.refused.withLock { $0.append(number) } }
                var rest = Array(text.utf8)[...]
                continuation.resume(
                    returning: Result {
                        try publisher.publish {
                            let piece = Array(rest.prefix(pieces))
                            rest = rest.dropFirst(piece.count)
                            return piece
                        }
                    })
            }
            do throws(SystemError) { _ = try OSThread(name: "publisher", work) } catch { work() }
        }
        return try result.get()
    }

    @Test func refusedLinesAreToldByTheirNumbers() async throws {
        try await EdgeSite.with { site in
            let notes = Notes()
            let lines = (1...5000).map { number in
                number % 1000 == 7
                    ? "{}" : number % 1000 == 8 ? "" : "{\"event_type\":\"t\",\"event_id\":\"\(number)\"}"
            }
            let long = "\n{\"event_type\":\"\(String(repeating: "x", count: 600_000))\"}"
            let done = try await publish(lines.joined(separator: "\n") + long, to: site, notes)
            #expect(done.published == 4990 && done.refused == 6 && done.lines == 5001)
            #expect(notes.refused.withLock { $0 }.sorted() == [7, 1007, 2007, 3007, 4007, 5001])
            let ids = try await site.read("events.raw", count: 4990).compactMap { $0.text("ce_id") }
            #expect(ids.count == 4990 && Set(ids).count == 4990)
        }
    }

    /// However many lines are wrong, each is told.
    @Test func everyRefusedLineIsTold() async throws {
        try await EdgeSite.with { site in
            let notes = Notes()
            let done = try await publish(String(repeating: "{}\n", count: 2500), to: site, notes)
            #expect(done.published == 0 && done.refused == 2500)
            #expect(notes.refused.withLock { $0 } == Array(1...2500))
        }
    }

    /// What is sent again has the same ids, so that whoever reads counts it once.
    @Test func itGoesOnWhenTheLogIsBack() async throws {
        try await EdgeSite.with({ $0.http.answerTimeout = .seconds(2) }) { site in
            try site.stopBroker()
            let notes = Notes()
            let lines = (1...3000).map { "{\"event_type\":\"t\",\"value\":\($0)}\n" }
            let done = try await publish(lines.joined(), to: site, notes) { try? site.startBroker() }
            #expect(done.published == 3000 && done.refused == 0)
            #expect(notes.waits.withLock { $0 } > 0)
            var ids: [String: String] = [:]
            for record in try await site.read("events.raw", count: 3000) {
                let id = try #require(record.text("ce_id"))
                #expect(ids[id] ?? record.text == record.text)
                ids[id] = record.text
            }
            #expect(Set(ids.values).count == 3000 && ids.count == 3000)
        }
    }

    @Test func whatCannotWorkEndsIt() async throws {
        try await EdgeSite.with { site in
            await #expect(throws: LinePublisher.Fault.self) {
                try await publish("{}", to: site, Notes(), path: "/v1/topics/inner/events")
            }
        }
    }
}
