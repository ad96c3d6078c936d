internal import HTTP
internal import JSON
internal import Model
internal import WebAPI

/// Several events of one body: checked all, before any is published.
struct EventList {
    /// Plain events, or CloudEvents.
    enum Form: Sendable { case plain, cloud }

    private(set) var batch = OutgoingBatch()
    /// What became of each: its id, or why it is refused.
    private(set) var results: [Result<String, EventRefusal>] = []
    /// The places of those that are in the batch.
    private(set) var places: [Int] = []

    init(_ array: JSONValue, _ form: Form, _ context: PublishContext) {
        let ranges = array.elementRanges
        results.reserveCapacity(ranges.count)
        places.reserveCapacity(ranges.count)
        // Values, and room for their envelopes: growing copies all of it, several times.
        batch.reserveCapacity(
            records: ranges.count, headers: 9 * ranges.count, bytes: array.sourceRange.count + 320 * ranges.count)
        for (index, value) in array.elements.enumerated() {
            do throws(EventRefusal) {
                let id = try Self.append(value, ranges[index], form, context, index, to: &batch)
                results.append(.success(id))
                places.append(index)
            } catch { results.append(.failure(error)) }
        }
    }

    /// Checks one event, which is written at `source`, and appends it. Returns its id.
    static func append(
        _ value: JSONValue, _ source: Range<Int>, _ form: Form, _ context: PublishContext, _ index: Int,
        to batch: inout OutgoingBatch
    ) throws(EventRefusal) -> String {
        guard source.count <= context.topic.eventLimit else {
            throw EventRefusal(
                .tooLarge, "", "the event has \(source.count) bytes, more than the \(context.topic.eventLimit) allowed")
        }
        switch form {
        case .plain:
            return try PlainEvent(value, schema: context.topic).append(to: &batch, context, source, index)
        case .cloud: return try CloudEvent(structured: value, context.topic).append(to: &batch, context)
        }
    }

    /// The same list when some of its batch, by their places there, were refused after all.
    func without(_ refused: [Int], _ reason: String) -> EventList {
        var list = self
        for place in refused { list.results[places[place]] = .failure(EventRefusal(.tooLarge, "", reason)) }
        let gone = Set(refused)
        list.places = places.enumerated().filter { !gone.contains($0.offset) }.map(\.element)
        return list
    }

    var refusedCount: Int { results.count - places.count }

    /// What is told when nothing is published for the faults of some.
    var problem: Problem {
        var problem = Problem(
            422,
            "\(refusedCount) of \(results.count) events are refused, so none is published; with the header "
                + "\"Prefer: handling=lenient\" the others would be")
        for (index, result) in results.enumerated() {
            guard case .failure(let refusal) = result else { continue }
            problem.errors += refusal.faults.map { Problem.Fault($0.within("/\(index)"), index: index) }
        }
        return problem
    }

    /// What is told when all that are right are in the log.
    var response: HTTPResponse { response(nil) }

    /// As above, with what was refused at an earlier time; nil is what is refused now.
    func response(_ known: [Int: String]?) -> HTTPResponse {
        let errors = results.enumerated().map { index, result -> String? in
            if let known { return known[index] }
            guard case .failure(let refusal) = result else { return nil }
            return refusal.text
        }
        let refused = errors.count { $0 != nil }
        let results = results
        let write: @Sendable (inout JSONWriter) -> Void = { json in
            json.member("accepted", results.count - refused)
            json.member("rejected", refused)
            json.array("results") { list in
                for (index, result) in results.enumerated() {
                    list.object { json in
                        json.name(plain: "index")
                        json.append(index)
                        if let error = errors[index] {
                            json.member("error", error)
                        } else if case .success(let id) = result {
                            json.name(plain: "id")
                            json.append(id)
                        }
                    }
                }
            }
        }
        return Self.response(
            accepted: results.count - refused, refused: refused, capacity: 64 * results.count + 64, write)
    }

    /// 202 when all are in the log, 207 when some are, 422 when none is.
    static func response(
        accepted: Int, refused: Int, capacity: Int = 256, _ write: @escaping @Sendable (inout JSONWriter) -> Void
    ) -> HTTPResponse {
        if accepted == 0, refused > 0 {
            var problem = Problem(422, "no event is published: see results")
            problem.more = write
            return problem.response
        }
        var json = JSONWriter(capacity: capacity)
        json.object { write(&$0) }
        return HTTPResponse(refused == 0 ? 202 : 207, "application/json", json.bytes)
    }
}
