internal import Flotilla
internal import Kafka
internal import Model
internal import Platform
internal import Postgres

/// Places that could not be reached, and the jobs that have something there: both are left alone for a while, so that what
/// waits for them holds up nothing else.
struct Detours {
    /// How long they are left alone.
    let pause: Duration
    private var places: [TopicPartition: Int64] = [:]
    private var jobs: [String: Int64] = [:]

    init(_ pause: Duration) { self.pause = pause }

    mutating func close(_ place: TopicPartition, for job: String, now: Int64) {
        places[place] = now + pause.milliseconds
        postpone(job, until: now + pause.milliseconds)
    }

    mutating func postpone(_ job: String, until time: Int64) { jobs[job] = time }

    /// When the last of these places that could not be reached is tried again; nil when none is to be gone around.
    func closed(_ some: [TopicPartition], now: Int64) -> Int64? {
        some.compactMap { places[$0] }.filter { $0 > now }.max()
    }

    /// The place was never closed, or this is the first time that it answers again.
    mutating func open(_ some: [TopicPartition]) -> [TopicPartition] {
        some.filter { places.removeValue(forKey: $0) != nil }
    }

    func isDue(_ job: String, now: Int64) -> Bool { jobs[job].map { $0 <= now } ?? true }
}

extension ReplayRunner {
    /// Does something with items that go from one place to one place. False when one that it needs cannot be reached,
    /// which is the trouble of this job alone: it is told, and the job is left alone for a while.
    func go(
        around first: ReplayItem, _ job: ReplayJob, _ detours: inout Detours, _ body: () async throws -> Void
    ) async throws -> Bool {
        let target = first.target(job, follower.namespace)
        let places = [target, first.place(follower.namespace)]
        if let until = detours.closed(places, now: Time.monotonicMilliseconds) {
            detours.postpone(job.id, until: until)
            return false
        }
        do {
            try await body()
        } catch {
            guard let (place, text) = Self.obstacle(error), !service.isEnding, !Task.isCancelled else { throw error }
            let closed = place ?? target
            let reason = ErrorText.line(
                "\(closed) cannot be reached, which is tried again every \(detours.pause): \(text)", bytes: 512)
            service.log.warning(
                "a replay cannot reach a place, and waits for it",
                [("job", job.id), ("place", closed), ("error", text)])
            detours.close(closed, for: job.id, now: Time.monotonicMilliseconds)
            try await tell(reason, of: job)
            return false
        }
        for place in detours.open(places) { service.log.info("a replay reaches its place again", [("place", place)]) }
        if !job.reason.isEmpty { try await tell("", of: job) }
        return true
    }

    /// Of what one place has to do with: which one, when that is told, and what it is.
    private static func obstacle(_ error: any Error) -> (TopicPartition?, String)? {
        switch error {
        case let silence as RecordReader.Silence: return (silence.place, silence.description)
        case let fault as KafkaFault:
            guard !fault.isFatal, fault.kind != .closed, fault.kind != .cancelled, fault.kind != .fenced else {
                return nil
            }
            guard let topic = fault.site.topic, let partition = fault.site.partition else { return (nil, "\(fault)") }
            return (TopicPartition(topic, partition), "\(fault)")
        case _: return nil
        }
    }

    /// What keeps a job from going on; nothing of what somebody said of it is written over.
    private func tell(_ reason: String, of job: ReplayJob) async throws {
        try await index.change { transaction in
            try await lease.check(transaction)
            transaction.later(
                """
                UPDATE jobs SET reason = \(reason), changed_at = now() WHERE id = \(job.id) AND reason <> \(reason)
                    AND state IN ('waiting', 'canary', 'running', 'finishing')
                """)
        }
    }
}
