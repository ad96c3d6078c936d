internal import CRdKafka
internal import Platform

// Where the consumer is, and where it should be.
extension Consumer {
    /// What is read now.
    public func assignment() async throws(KafkaFault) -> [TopicPartition] {
        try await core.mailbox.perform("assignment") { $0.table.assigned.sorted() }.value()
    }

    /// Stops fetching these partitions; what is not assigned is passed over. They stay assigned.
    public func pause(_ partitions: [TopicPartition]) async throws(KafkaFault) {
        try await core.mailbox.perform("pause") { core throws(KafkaFault) in try core.pause(partitions) }.value()
    }

    /// Goes on with partitions that `pause` stopped, where it stopped.
    public func resume(_ partitions: [TopicPartition]) async throws(KafkaFault) {
        try await core.mailbox.perform("resume") { core throws(KafkaFault) in try core.resume(partitions) }.value()
    }

    /// `pause` without waiting, in the order of the calls; a failure goes to `ClientHooks.fault`.
    public func pauseLater(_ partitions: [TopicPartition]) {
        core.later("pause") { core throws(KafkaFault) in try core.pause(partitions) }
    }

    /// `resume` without waiting, in the order of the calls; a failure goes to `ClientHooks.fault`.
    public func resumeLater(_ partitions: [TopicPartition]) {
        core.later("resume") { core throws(KafkaFault) in try core.resume(partitions) }
    }

    /// Goes on elsewhere. No record of before comes after this returns.
    public func seek(_ place: TopicPartition, to point: StartingPoint) async throws(KafkaFault) {
        try await core.mailbox.ask("seek") { core, reply in core.seek(place, to: point, reply) }.value()
    }

    /// Goes on at the first record of that time or later, at the end when there is none.
    public func seek(_ place: TopicPartition, toTime timestamp: Int64) async throws(KafkaFault) {
        let found = try await offsets(at: timestamp, of: [place])
        try await seek(place, to: found[place].map { .offset($0) } ?? .latest)
    }

    /// Notes offsets to go on from; `commitStored` commits them.
    public func store(_ offsets: [PartitionOffset]) async throws(KafkaFault) {
        try await core.mailbox.perform("store") { core throws(KafkaFault) in try core.store(offsets) }.value()
    }

    /// Commits offsets to go on from and waits for the broker.
    public func commit(_ offsets: [PartitionOffset]) async throws(KafkaFault) {
        try await core.mailbox.ask("commit") { core, reply in core.commit(offsets, reply) }.value()
    }

    /// Commits what `store` noted and waits for the broker. Nothing stored is nothing to do.
    public func commitStored() async throws(KafkaFault) {
        try await core.mailbox.ask("commit") { core, reply in core.commit(nil, reply) }.value()
    }

    /// Commits offsets without waiting; a failure goes to `ClientHooks.fault`.
    public func commitLater(_ offsets: [PartitionOffset]) {
        core.mailbox.post(
            Mailbox.Job(run: { $0.commit(offsets, nil) }, refuse: { [core] in core.hooks.fault(.closed("commit")) }))
    }

    /// The offset after the last record that `next` gave of each partition; missing where there was none yet.
    public func positions() async throws(KafkaFault) -> [TopicPartition: Offset] {
        try await core.mailbox.perform("positions") { core throws(KafkaFault) in try core.positions() }.value()
    }

    /// How many records each assigned partition still has to give, as far as is known without asking a broker.
    public func lag() async throws(KafkaFault) -> [TopicPartition: Int64] {
        try await core.mailbox.perform("lag") { core throws(KafkaFault) in try core.lag() }.value()
    }

    /// What the group has committed; missing where it has not.
    public func committed(
        _ partitions: [TopicPartition], within limit: Duration = .seconds(10)
    ) async throws(KafkaFault) -> [TopicPartition: PartitionOffset] {
        for place in partitions { try place.topic.check(at: KafkaFault.Site("committed", place)) }
        let client = core.client
        return try await core.lagLane.run("committed") { () throws(KafkaFault) in
            let list = PartitionList(partitions)
            let timeout = Int32(limit.patience)
            try KafkaFault.check(
                list.lend { unsafe rd_kafka_committed(client.handle, $0, timeout) }, at: KafkaFault.Site("committed"))
            var committed: [TopicPartition: PartitionOffset] = [:]
            for element in list.elements() {
                try element.check("committed")
                guard let offset = element.knownOffset else { continue }
                committed[element.place] = PartitionOffset(element.place, offset, metadata: element.metadata)
            }
            return committed
        }
    }

    /// The first offset that is still in the log, and the one that the next record will have.
    public func watermarks(
        _ place: TopicPartition, within limit: Duration = .seconds(10)
    ) async throws(KafkaFault) -> Watermarks {
        let client = core.client
        return try await core.lane.run("watermarks") { () throws(KafkaFault) in
            try client.watermarks(place, within: limit)
        }
    }

    /// The same of several partitions, with one time limit for all: those that were told. Throws when none was.
    public func watermarks(
        _ places: [TopicPartition], within limit: Duration
    ) async throws(KafkaFault) -> [TopicPartition: Watermarks] {
        let client = core.client
        return try await core.lagLane.run("watermarks") { () throws(KafkaFault) in
            try client.watermarks(places, within: limit)
        }
    }

    /// When the records at these offsets were written, or the next ones that are there: those of which it was told in
    /// time. For a consumer that reads nothing else: it is assigned them, and then nothing.
    ///
    /// One that tells ends waits no longer where there is no record any more.
    public func times(
        of records: [TopicPartition: Offset], within limit: Duration
    ) async throws(KafkaFault) -> [TopicPartition: RecordTime] {
        let end = Time.monotonicMilliseconds + limit.patience
        func left() -> Int64 { max(1, end - Time.monotonicMilliseconds) }
        try await assign(records.mapValues { .offset($0) }, learning: .milliseconds(min(1000, left() / 2)))
        var times: [TopicPartition: RecordTime] = [:]
        var waiting = Set(records.keys)
        while !waiting.isEmpty, Time.monotonicMilliseconds < end {
            for event in try await nextAll(within: .milliseconds(min(200, left()))) {
                switch event {
                case .records(let batch):
                    for record in batch where waiting.remove(record.topicPartition) != nil {
                        times[record.topicPartition] = .written(record.timestamp)
                    }
                case .end(let place, _): if waiting.remove(place) != nil { times[place] = .noRecord }
                case .assigned, .revoked, .lost, .fault: continue
                }
            }
        }
        try await assign([:])
        return times
    }

    /// `times` by a consumer beside this one, which is there only for that.
    public func timesAside(
        of records: [TopicPartition: Offset], within limit: Duration
    ) async throws(KafkaFault) -> [TopicPartition: RecordTime] {
        var beside = configuration
        // One record of each partition is enough.
        beside.maxPrefetchedBytes = 1 << 20
        beside.client.hooks = ClientHooks()
        let consumer = try Consumer(beside)
        do throws(KafkaFault) {
            let times = try await consumer.times(of: records, within: limit)
            await consumer.close()
            return times
        } catch {
            await consumer.close()
            throw error
        }
    }

    /// The offset of the first record of that time or later; missing where there is none.
    public func offsets(
        at timestamp: Int64, of partitions: [TopicPartition], within limit: Duration = .seconds(10)
    ) async throws(KafkaFault) -> [TopicPartition: Offset] {
        let client = core.client
        return try await core.lane.run("offsets by time") { () throws(KafkaFault) in
            try client.offsets(at: timestamp, of: partitions, within: limit)
        }
    }
}

/// When a record was written that was asked for.
public enum RecordTime: Hashable, Sendable {
    /// Nil where it does not say.
    case written(Int64?)
    /// There is none up to the end of its partition.
    case noRecord

    public var milliseconds: Int64? {
        switch self {
        case .written(let time): time
        case .noRecord: nil
        }
    }
}

/// The bounds of a partition: the first offset still there, and the one that comes next.
public struct Watermarks: Hashable, Sendable {
    public let low: Offset
    public let high: Offset

    public init(low: Offset, high: Offset) {
        self.low = low
        self.high = high
    }
}
