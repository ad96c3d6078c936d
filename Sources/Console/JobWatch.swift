internal import DeadLetters
internal import HTTP
internal import JSON
internal import Platform
internal import Synchronization
internal import WebAPI

/// Looks at the replays that pages follow: once a second, one replay after the other, and each once however many follow it.
/// So whoever follows takes one connection of the few that everything else on the page waits for.
final class JobWatch: Sendable {
    private let place: Places
    /// Counts all that go on.
    private let watch: FleetWatch
    private let followed = Mutex<[String: [Follower]]>([:])

    private struct Follower {
        let feed: ResponseFeed
        /// What it was told last, and for how many looks nothing was new.
        var shown: [UInt8]
        var silent = 0
    }

    private static let pause: Int64 = 1000
    /// Somebody who has gone is noticed by writing.
    private static let mostSilent = 10

    init(_ place: Places, _ watch: FleetWatch) {
        self.place = place
        self.watch = watch
    }

    /// A feed of a replay, until it is over.
    func follow(_ id: String) async throws -> ResponseFeed {
        let (job, first) = try await place.telling(of: id)
        try watch.enter()
        let feed = ResponseFeed()
        let event = FleetWatch.event("job", first)
        feed.write(event)
        if job.state.isOver {
            feed.finish()
            watch.leave()
        } else {
            followed.withLock { $0[job.id, default: []].append(Follower(feed: feed, shown: event)) }
        }
        return feed
    }

    /// Looks until the console ends.
    func run() async {
        var lookedAt: Int64 = 0
        while !watch.isStopping {
            let ids = followed.withLock { $0.keys.sorted() }
            if !ids.isEmpty, Time.monotonicMilliseconds - lookedAt >= Self.pause {
                lookedAt = Time.monotonicMilliseconds
                for id in ids where !watch.isStopping { await look(at: id) }
            }
            try? await Task.sleep(for: .milliseconds(100))
        }
        for id in followed.withLock({ $0.keys.sorted() }) { tell(id, nil, isLast: true) }
    }

    private func look(at id: String) async {
        do {
            let (job, bytes) = try await place.telling(of: id)
            tell(id, FleetWatch.event("job", bytes), isLast: job.state.isOver)
        } catch let problem as Problem where problem.status == 404 {
            tell(id, nil, isLast: true)
        } catch {
            // Whoever follows is told, and told again when it can be seen.
            var json = JSONWriter()
            json.object { $0.member("trouble", "\(error)") }
            tell(id, FleetWatch.event("trouble", json.bytes), isLast: false)
        }
    }

    /// Tells all that follow it what they do not know yet.
    private func tell(_ id: String, _ event: [UInt8]?, isLast: Bool) {
        let followers = followed.withLock { $0[id] ?? [] }
        var kept: [Follower] = []
        for var follower in followers {
            follower.silent += 1
            var isThere = !follower.feed.isOver
            if isThere, let event, event != follower.shown {
                (follower.shown, follower.silent) = (event, 0)
                isThere = follower.feed.write(event)
            } else if isThere, follower.silent % Self.mostSilent == 0 {
                isThere = follower.feed.write(Array(": \n\n".utf8))
            }
            if isThere, !isLast {
                kept.append(follower)
            } else {
                follower.feed.finish()
                watch.leave()
            }
        }
        // Others may have come meanwhile, behind those.
        followed.withLock { followed in
            let all = kept + (followed[id] ?? []).dropFirst(followers.count)
            followed[id] = all.isEmpty ? nil : all
        }
    }
}

extension Places {
    /// A replay with why some of it failed, and whether somebody works for it.
    func telling(of id: String) async throws -> (ReplayJob, [UInt8]) {
        let index = try index()
        guard !id.utf8.contains(0), let job = try await index.job(id) else {
            throw Problem(404, "there is no replay \(String(id.prefix(80)).debugDescription)")
        }
        let troubles = try await index.troubles(of: job.id)
        let isHeld = try await WorkLease.isHeld(index)
        var json = JSONWriter()
        json.object { json in
            job.write(to: &json)
            json.member("over", job.state.isOver)
            json.member("stands", job.state.stands)
            json.member("has_worker", isHeld)
            json.array("troubles") { list in
                for (outcome, count) in troubles {
                    list.object { json in
                        json.member("outcome", outcome)
                        json.member("count", count)
                    }
                }
            }
        }
        return (job, json.bytes)
    }
}
