internal import Contracts
internal import HTTP
internal import JSON
internal import Kafka
internal import Model
internal import Platform
internal import WebAPI

/// Hands events to the producer and answers their requests when the log has them.
struct Publisher: Sendable {
    let producer: LastingProducer

    /// One event.
    func publish(_ batch: OutgoingBatch, id: String, _ topic: EdgeTopic, _ exchange: Exchange) {
        submit(batch, topic, exchange) { report in
            switch report[0] {
            case .failure(let fault): exchange.answer(Self.problem(fault, topic).response)
            case .success(let delivery):
                var json = JSONWriter(capacity: 192)
                json.object { json in
                    json.name(plain: "id")
                    json.append(id)
                    json.name(plain: "topic")
                    json.append(topic.topic.name.rawValue)
                    json.name(plain: "partition")
                    json.append(Int(delivery.partition.rawValue))
                    json.name(plain: "offset")
                    // The broker had it from a first attempt already, and does not say where.
                    if let offset = delivery.offset { json.append(Int(offset.rawValue)) } else { json.appendNull() }
                }
                exchange.answer(HTTPResponse(202, "application/json", json.bytes))
            }
        }
    }

    /// The good ones of a list.
    func publish(_ list: EventList, _ topic: EdgeTopic, _ exchange: Exchange) {
        guard !list.batch.isEmpty else { return exchange.answer(list.response) }
        submit(list.batch, topic, exchange) { report in
            let failures = report.failures
            if failures.isEmpty { return exchange.answer(list.response) }
            if let failure = failures.first(where: { $0.fault.kind != .tooLarge }) {
                return exchange.answer(Self.problem(failure.fault, topic).response)
            }
            // Sending them again would not help, and the others are in the log.
            exchange.answer(list.without(failures.map(\.index), Self.tooLarge(topic)).response)
        }
    }

    private func submit(
        _ batch: OutgoingBatch, _ topic: EdgeTopic, _ exchange: Exchange,
        _ completion: @escaping @Sendable (DeliveryReport) -> Void
    ) {
        let trace = exchange.trace
        let traced = trace?.takeEvents() ?? []
        do throws(KafkaFault) {
            try producer.enqueue(batch) { report in
                topic.heard(report)
                if !traced.isEmpty { trace?.end(traced, report) }
                completion(report)
            }
        } catch {
            trace?.end(traced, error)
            exchange.answer(Self.problem(error, topic).response)
        }
    }

    /// What a request is told whose events the log does not acknowledge.
    static func problem(_ fault: KafkaFault, _ topic: EdgeTopic) -> Problem {
        switch fault.kind {
        case .tooLarge: Problem(413, tooLarge(topic))
        case .queueFull: Problem(503, "too many events wait for the broker: send this again later", retryAfter: 1)
        case .unknownTopic:
            Problem(
                503, "the broker has no topic \(topic.topic.name): `flotilla topics apply` makes it", retryAfter: 5)
        case .closed: Problem(503, "this edge is stopping: send this again", retryAfter: 1)
        case _: unacknowledged
        }
    }

    /// Of what the broker says by itself: what the edge knows of is refused before.
    static func tooLarge(_ topic: EdgeTopic) -> String {
        "is larger, or was sent together with an event that is larger, than the broker's topic \(topic.topic.name) takes"
    }

    static let unacknowledged = Problem(
        503,
        "the log has not acknowledged this in time: send it again; under the same ids, or the same Idempotency-Key, "
            + "it will count once",
        retryAfter: 1)
}
