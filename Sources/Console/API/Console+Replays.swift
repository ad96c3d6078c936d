internal import DeadLetters
internal import HTTP
internal import JSON
internal import Kafka
internal import Model
internal import Platform
internal import WebAPI

// Replays: made, followed, paused, resumed, cancelled.
extension Console {
    func replays(_ call: Call) async throws -> HTTPResponse {
        let limit = try call.questions(["limit"]).number("limit", in: 1...1000) ?? 50
        let jobs = try await place.index().jobs(limit: limit)
        return .json { json in json.array("replays") { list in for job in jobs { list.object { job.write(to: &$0) } } }
        }
    }

    func replay(_ call: Call) async throws -> HTTPResponse {
        let order = try call.order(["filter", "confirm", "rate", "canary", "to_source"])
        guard let filter = try chosen(order).narrowed(to: .open) else {
            throw Problem(409, "only what is open is replayed; what was discarded is to be restored first")
        }
        let confirmed = try order.number("confirm", in: 1...1_000_000_000)
        let rate = try order.number("rate", in: 1...10_000) ?? 100
        let canary = try order.number("canary", in: 0...10_000) ?? 0
        let isToSource = try order.flag("to_source")
        guard !isToSource || canary == 0 else {
            throw Order.fault("canary", "waits for what becomes of records, and with to_source nobody tells")
        }
        let index = try place.index()
        let topics = Set(try await place.admin.topics(nil).keys)
        let targets = try await index.targets(
            of: filter, place.namespace, place.catalog, topics: topics, toSource: isToSource)
        guard let confirmed else {
            // Nothing is changed by asking what that would be.
            let count = try await index.count(filter)
            return .json { json in
                json.member("fit", count)
                json.array("targets") { list in for line in targets { list.append(line) } }
            }
        }
        var wanted = DeadLetterIndex.ReplayOrder(filter, confirmed: confirmed, who: call.user.name)
        (wanted.toSource, wanted.rate, wanted.canary) = (isToSource, rate, canary)
        let job = try await index.replay(wanted)
        return .json { job.write(to: &$0) }
    }

    func job(_ call: Call) async throws -> HTTPResponse {
        _ = try call.questions([])
        let (job, bytes) = try await telling(call.subject)
        _ = job
        return HTTPResponse(200, "application/json", bytes)
    }

    /// A job with why some of it failed, and whether somebody works for it.
    private func telling(_ id: String) async throws -> (ReplayJob, [UInt8]) {
        let index = try place.index()
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

    func jobEvents(_ call: Call) async throws -> HTTPResponse {
        _ = try call.questions([])
        let (_, first) = try await telling(call.subject)
        try watch.enter()
        let feed = ResponseFeed()
        feed.write(FleetWatch.event("job", first))
        Task {
            await follow(call.subject, from: first, feed)
            feed.finish()
            watch.leave()
        }
        return .events(feed)
    }

    /// Ends with the job, when nobody listens, or after ten minutes: a page that still looks comes again.
    private func follow(_ id: String, from first: [UInt8], _ feed: ResponseFeed) async {
        var (shown, silent) = (first, 0)
        let end = Time.monotonicMilliseconds + 600_000
        while !feed.isOver, !watch.isStopping, Time.monotonicMilliseconds < end {
            guard let (job, bytes) = try? await telling(id) else { return }
            if bytes != shown {
                (shown, silent) = (bytes, 0)
                guard feed.write(FleetWatch.event("job", bytes)) else { return }
            }
            if job.state.isOver { return }
            silent += 1
            // Somebody who has gone is noticed by writing.
            if silent % 50 == 0, !feed.write(Array(": \n\n".utf8)) { return }
            try? await Task.sleep(for: .milliseconds(200))
        }
    }

    func changeJob(_ call: Call) async throws -> HTTPResponse {
        _ = try call.order([])
        guard let verb = call.values.last.flatMap(DeadLetterIndex.JobVerb.init(rawValue:)) else {
            throw Problem(404, "a replay is paused, resumed or cancelled: pause, resume, cancel")
        }
        let index = try place.index()
        guard !call.subject.utf8.contains(0), try await index.job(call.subject) != nil else {
            throw Problem(404, "there is no replay \(String(call.subject.prefix(80)).debugDescription)")
        }
        let job = try await index.change(call.subject, verb, who: call.user.name)
        return .json { job.write(to: &$0) }
    }
}
