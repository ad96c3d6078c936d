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
        return HTTPResponse(200, "application/json", try await place.telling(of: call.subject).1)
    }

    func jobEvents(_ call: Call) async throws -> HTTPResponse {
        _ = try call.questions([])
        return .events(try await jobs.follow(call.subject))
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
