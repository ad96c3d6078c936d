internal import Contracts
internal import DeadLetters
internal import Flotilla
internal import HTTP
internal import JSON
internal import Model
internal import Platform
internal import WebAPI

// The fleet: what it looks like, and having a handler stand still or go on.
extension Console {
    func fleet(_ call: Call) throws -> HTTPResponse {
        _ = try call.questions([])
        guard let snapshot = watch.snapshot() else {
            throw Problem(503, "nobody has looked at the fleet yet: ask again in a second", retryAfter: 1)
        }
        return HTTPResponse(200, "application/json", snapshot)
    }

    func fleetEvents(_ call: Call) throws -> HTTPResponse {
        _ = try call.questions([])
        return .events(try watch.follow())
    }

    func pause(_ call: Call) async throws -> HTTPResponse {
        let order = try call.order(["partition", "reason"])
        let (handler, partition) = try place(of: call, order)
        let pause = OperatorPause(
            handler: handler, partition: partition, reason: try order.text("reason", most: Self.mostWords) ?? "",
            by: call.user.name, at: Timestamp(milliseconds: Time.wallMilliseconds).description)
        try await board().pause(pause)
        return await told("pause", pause)
    }

    func resume(_ call: Call) async throws -> HTTPResponse {
        let order = try call.order(["partition"])
        let (handler, partition) = try place(of: call, order)
        guard try await board().resume(handler, partition) else {
            throw Problem(409, "\(handler)\(partition.map { ", partition \($0)," } ?? "") was not paused")
        }
        return await told("resume", OperatorPause(handler: handler, partition: partition, by: call.user.name))
    }

    /// Notes what somebody did in the audit. Who is on call must get on while the index is away; then they are told.
    private func told(_ verb: String, _ pause: OperatorPause) async -> HTTPResponse {
        var why: String?
        do { try await place.index().note(verb, pause) } catch {
            why = (error as? Problem)?.detail ?? "\(error)"
            log.warning(
                "not in the audit",
                [("verb", verb), ("handler", pause.handler), ("who", pause.by), ("error", "\(error)")])
        }
        return .json { json in
            json.member("handler", pause.handler.rawValue)
            json.name("not_in_audit")
            if let why { json.append(why) } else { json.appendNull() }
        }
    }

    private func place(of call: Call, _ order: Order) throws -> (HandlerName, Partition?) {
        let handler = HandlerName(call.subject)
        // The worker of the dead letters is no handler, and stands still as they do. What is paused can go on whoever it is.
        guard call.route == .resume || handler == .deadLetters || place.catalog.handlers.contains(handler) else {
            throw Problem(404, "no topic file names the handler \(String(call.subject.prefix(80)).debugDescription)")
        }
        let number = try order.number("partition", in: 0...Int(Int32.max))
        return (handler, number.map { Partition(Int32(clamping: $0)) })
    }

    private func board() throws -> ControlBoard {
        guard let board = place.board else {
            throw Problem(503, "the console was not told where the workers meet: set REDIS_URL")
        }
        return board
    }
}

extension HTTPResponse {
    /// Server-sent events.
    static func events(_ feed: ResponseFeed) -> HTTPResponse {
        var response = HTTPResponse(200, "text/event-stream")
        response.headers.append(HTTPRequest.Field("X-Accel-Buffering", "no"))
        response.feed = feed
        return response
    }
}
