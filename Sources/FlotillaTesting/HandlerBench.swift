public import Contracts
public import Flotilla
public import Model
public import Platform

/// A handler under the real worker, with no broker and no Redis: the log, the once-only memory and the clock are in the
/// process, and time passes only when a test says so.
///
///     let bench = try HandlerBench(Pricer(), topics: "topics")
///     try bench.send(id: "1", json: #"{"amount": 10, "country": "de"}"#)
///     try bench.send(id: "2", json: "{}")
///     try await bench.run()
///     #expect(bench.published(to: "orders.priced").map(\.json) == [#"{"total":11.9}"#])
///     #expect(bench.deadLetters().map(\.reason) == ["permanent"])
///
/// One run is like another: the worker runs step by step, in the test's own task, while the test waits for it.
public final class HandlerBench: Sendable {
    private let stage: Stage
    private let handler: HandlerName
    private let topics: [TopicName]

    /// A bench for a handler that reads these topics, each with `partitions` partitions. What it publishes to has to
    /// be among their policies' `produces`, as in a topic file.
    public init(
        _ handler: any Handler, topics policies: [TopicName: ConsumerPolicy], partitions: Int = 1
    ) throws(BenchFault) {
        guard !policies.isEmpty else { throw BenchFault("\(handler.name) reads no topic: name one under topics") }
        let any = (handler as? any BatchHandler).map(AnyHandler.batches) ?? .events(handler)
        stage = Stage(any, policies, partitions: partitions, log: Log(level: .error, format: .text))
        self.handler = handler.name
        topics = policies.keys.sorted()
    }

    /// A bench for a handler whose topics and policies stand in a folder of topic files.
    public convenience init(_ handler: any Handler, topics folder: String, partitions: Int = 1) throws {
        var policies: [TopicName: ConsumerPolicy] = [:]
        for subscription in try TopicCatalog(folder: folder).subscriptions(of: handler.name) {
            policies[subscription.topic.name] = subscription.policy
        }
        guard !policies.isEmpty else {
            throw BenchFault("no topic file in \(folder) has the consumer \(handler.name): name it under consumers")
        }
        try self.init(handler, topics: policies, partitions: partitions)
    }

    // MARK: In

    /// Appends an event to a topic that the handler reads: the only one, unless it is named.
    public func send(
        to topic: TopicName? = nil, id: String, type: String = "test", source: String = "/test",
        subject: String? = nil, time: String? = nil, key: String? = nil, json: String = "{}", headers: [Header] = []
    ) throws(BenchFault) {
        append(
            .event(
                try self.topic(topic), id: id, type: type, source: source, subject: subject, time: time, key: key,
                json: json, headers: headers))
    }

    /// Appends a record as it stands, which need not be an event.
    public func append(_ record: OutgoingRecord) { stage.log.append(record, now: stage.clock.wallMilliseconds) }

    // MARK: Time

    /// What time it is for the handler.
    public var now: Timestamp { Timestamp(milliseconds: stage.clock.wallMilliseconds) }

    /// Has the worker do all that it can do now: what waits for its time goes on waiting.
    public func settle() async { await stage.settle() }

    /// Lets time pass: retries that are due run, deadlines end calls, breakers let a probe through. A call that awaits
    /// something outside is waited for only when the time is over, so that a deadline can end it.
    public func advance(by duration: Duration) async { await stage.advance(by: duration) }

    /// Lets as much time pass as it takes until every event is done with: published, or a dead letter, and committed.
    /// Throws when some are not after `limit`.
    public func run(within limit: Duration = .seconds(6 * 3600)) async throws(BenchFault) {
        guard await !stage.run(within: limit) else { return }
        let away = stage.life?.worker.broken ?? []
        throw BenchFault(
            "\(unfinished) records are not done with after \(limit) on the bench's clock"
                + (away.isEmpty ? "" : ": the handler says that \(away.joined(separator: ", ")) is unavailable"))
    }

    /// Has the worker die where it stands, as by kill -9. What comes next begins another one, from the last commit.
    public func kill() { stage.life?.executor.crash() }

    // MARK: Out

    /// How many records the worker has taken and not finished.
    public var unfinished: Int { stage.life?.worker.outstanding ?? 0 }

    /// What was published to a topic: partition by partition, each in its order.
    public func published(to topic: TopicName) -> [PublishedEvent] {
        stage.log.records(of: topic).map { PublishedEvent(OutgoingRecord($0)) }
    }

    /// The dead letters of a topic that the handler reads; of all of them, unless it is named.
    public func deadLetters(of topic: TopicName? = nil) -> [DeadLetter] {
        (topic.map { [$0] } ?? topics).flatMap { topic in
            stage.log.records(of: TopicFamily(topic, handler).deadLetters).map(DeadLetter.init)
        }
    }

    private func topic(_ named: TopicName?) throws(BenchFault) -> TopicName {
        let known = topics.map(\.rawValue).joined(separator: ", ")
        guard let named else {
            guard topics.count == 1 else { throw BenchFault("\(handler) reads \(known): say which one, with to:") }
            return topics[0]
        }
        guard topics.contains(named) else { throw BenchFault("\(handler) does not read \(named), only \(known)") }
        return named
    }
}

/// What is wrong with a test, rather than with the handler.
public struct BenchFault: Error, Hashable, Sendable, CustomStringConvertible {
    public let description: String

    init(_ description: String) { self.description = description }
}
