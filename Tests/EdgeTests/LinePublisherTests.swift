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
        let progress = Mutex(LinePublisher.Progress())
    }

    /// Publishes a text in pieces, on a thread of its own because it waits there.
    private func publish(
        _ text: String, to site: EdgeSite, _ notes: Notes, path: String = "/v1/events", pieces: Int = 7000,
        run: (key: String, firstLine: Int)? = nil, endsEarly: Bool = false, pause: @escaping @Sendable () -> Void = {}
    ) async throws -> LinePublisher.Progress {
        let url = "http://127.0.0.1:\(site.edge.port)\(path)"
        let result: Result<LinePublisher.Progress, any Error> = await withCheckedContinuation { continuation in
            let work: @Sendable () -> Void = {
                var publisher = LinePublisher(url: url) { _ in
                    notes.waits.withLock { $0 += 1 }
                    pause()
                }
                if let run { (publisher.key, publisher.firstLine) = (run.key, run.firstLine) }
                publisher.progress = { progress in notes.progress.withLock { $0 = progress } }
                publisher.refused = { number, _ in notes.refused.withLock { $0.append(number) } }
                var rest = Array(text.utf8)[...]
                continuation.resume(
                    returning: Result {
                        try publisher.publish {
                            let piece = Array(rest.prefix(pieces))
                            rest = rest.dropFirst(piece.count)
                            if endsEarly, piece.isEmpty { throw LinePublisher.Fault(description: "ended early") }
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

    /// Neither what follows where a run has ended nor what is sent twice gets the id of another line.
    @Test func goingOnLosesNoLineAndGivesNoIDTwice() async throws {
        try await EdgeSite.with { site in
            let long = "{\"event_type\":\"\(String(repeating: "x", count: 600_000))\"}"
            let lines = (1...2600).map { number in
                number % 100 == 1 ? " " : number == 1500 ? long : "{\"event_type\":\"t\",\"value\":\(number)}"
            }
            let text = lines.joined(separator: "\n")
            let notes = Notes()
            await #expect(throws: LinePublisher.Fault.self) {
                try await publish(text, to: site, notes, run: ("k", 1), endsEarly: true)
            }
            let first = notes.progress.withLock { $0 }
            #expect(first.published == 2000 && first.refused == 1 && first.next > 2000 && first.next < 2100)
            let rest = try await publish(text, to: site, notes, run: ("k", first.next))
            #expect(first.published + rest.published == 2573 && rest.refused == 0 && rest.lines == 2600)
            func ids(of count: Int) async throws -> [String: String] {
                var ids: [String: String] = [:]
                for record in try await site.read("events.raw", count: count) {
                    let id = try #require(record.text("ce_id"))
                    #expect(ids[id] ?? record.text == record.text)
                    ids[id] = record.text
                }
                return ids
            }
            let once = try await ids(of: 2573)
            #expect(once.count == 2573 && Set(once.values).count == 2573)
            // The same once more is the same events; what begins elsewhere is other ones.
            _ = try await publish(text, to: site, notes, run: ("k", first.next))
            #expect(try await ids(of: 2573 + rest.published) == once)
            _ = try await publish(text, to: site, notes, run: ("k", 2500))
            let more = try await ids(of: 2573 + rest.published + 100)
            #expect(more.count == 2673 && Set(more.values) == Set(once.values))
        }
    }
}
