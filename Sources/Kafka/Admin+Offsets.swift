internal import CRdKafka

/// How far a group is behind on one partition.
public struct GroupLag: Hashable, Sendable {
    /// Where it goes on; nil when it never committed, and then all that is there counts as lag.
    public let committed: Offset?
    /// What is in the log.
    public let watermarks: Watermarks

    public var records: Int64 {
        let from = max(committed ?? watermarks.low, watermarks.low)
        return max(0, watermarks.high.rawValue &- from.rawValue)
    }
}

/// How far a group is behind, as far as the partitions' leaders have told.
public struct GroupLags: Hashable, Sendable {
    public let told: [TopicPartition: GroupLag]
    /// Where nobody has told in time what is in the log.
    public let untold: Set<TopicPartition>

    public init(told: [TopicPartition: GroupLag], untold: Set<TopicPartition>) {
        (self.told, self.untold) = (told, untold)
    }
}

extension Admin {
    /// Which place in a partition is asked for.
    public enum OffsetQuery: Hashable, Sendable {
        case earliest, latest
        /// The first record of that time, in milliseconds since 1970, or later.
        case time(Int64)
    }

    /// The offset of that place; nil when no record is as young as the time asked for.
    public func offset(of place: TopicPartition, at query: OffsetQuery) async throws(KafkaFault) -> Offset? {
        let (client, patience) = (core.client, core.patience)
        return try await core.lane.run("list offsets") { () throws(KafkaFault) in
            switch query {
            case .earliest: try client.watermarks(place, within: patience).low
            case .latest: try client.watermarks(place, within: patience).high
            case .time(let timestamp): try client.offsets(at: timestamp, of: [place], within: patience)[place]
            }
        }
    }

    /// Where a partition begins and ends, by one question.
    public func watermarks(_ place: TopicPartition) async throws(KafkaFault) -> Watermarks {
        let (client, patience) = (core.client, core.patience)
        return try await core.lane.run("watermarks") { () throws(KafkaFault) in
            try client.watermarks(place, within: patience)
        }
    }

    /// What a group has committed, on these partitions or on all that there are.
    ///
    /// A consumer of the group asks, which joins nothing and commits nothing. librdkafka's admin call for it ends the process
    /// when the broker goes away while the call is under way (seen with 2.0.2), and such questions are asked just then.
    public func committed(
        by group: GroupID, of partitions: [TopicPartition]? = nil
    ) async throws(KafkaFault) -> [TopicPartition: PartitionOffset] {
        try checkText(group.rawValue, at: KafkaFault.Site("committed offsets of \(group)"))
        var asked = partitions ?? []
        if partitions == nil {
            for topic in try await topics().values {
                asked += topic.partitions.map { TopicPartition(topic.name, $0.partition) }
            }
        }
        guard !asked.isEmpty else { return [:] }
        let consumer = try Consumer(ConsumerConfiguration(core.configuration, group: group))
        do throws(KafkaFault) {
            let committed = try await consumer.committed(asked.sorted(), within: core.patience)
            await consumer.close()
            return committed
        } catch {
            await consumer.close()
            throw error
        }
    }

    /// Sets what a group has committed. The group must have no members.
    public func commit(_ offsets: [PartitionOffset], for group: GroupID) async throws(KafkaFault) {
        let operation = "set offsets of \(group)"
        try checkText(group.rawValue, at: KafkaFault.Site(operation))
        for offset in offsets { try offset.place.topic.check(at: KafkaFault.Site(operation, offset.place)) }
        let result = try await groupCall(
            operation,
            make: {
                let list = PartitionList(offsets)
                return list.lend { unsafe rd_kafka_AlterConsumerGroupOffsets_new(group.rawValue, $0) }
            },
            free: { unsafe rd_kafka_AlterConsumerGroupOffsets_destroy($0) },
            call: { unsafe rd_kafka_AlterConsumerGroupOffsets($0, $1, 1, $2, $3) },
            read: { event, count in
                unsafe rd_kafka_AlterConsumerGroupOffsets_result_groups(
                    rd_kafka_event_AlterConsumerGroupOffsets_result(event), count)
            })
        for element in result.partitions { try element.check(operation) }
    }

    /// Makes a group forget what it committed for these partitions. It must not be reading their topics.
    public func forget(_ partitions: [TopicPartition], of group: GroupID) async throws(KafkaFault) {
        let operation = "delete offsets of \(group)"
        try checkText(group.rawValue, at: KafkaFault.Site(operation))
        for place in partitions { try place.topic.check(at: KafkaFault.Site(operation, place)) }
        let result = try await groupCall(
            operation,
            make: {
                let list = PartitionList(partitions)
                return list.lend { unsafe rd_kafka_DeleteConsumerGroupOffsets_new(group.rawValue, $0) }
            },
            free: { unsafe rd_kafka_DeleteConsumerGroupOffsets_destroy($0) },
            call: { unsafe rd_kafka_DeleteConsumerGroupOffsets($0, $1, 1, $2, $3) },
            read: { event, count in
                unsafe rd_kafka_DeleteConsumerGroupOffsets_result_groups(
                    rd_kafka_event_DeleteConsumerGroupOffsets_result(event), count)
            })
        for element in result.partitions { try element.check(operation) }
    }

    /// How far a group is behind on every partition it ever committed, and on all of these topics. One time limit is
    /// for all partitions, so that a leader that hangs costs only the answers about its own.
    public func lag(
        of group: GroupID, on topics: Set<TopicName> = []
    ) async throws(KafkaFault) -> GroupLags {
        let committed = try await committed(by: group)
        var places = Set(committed.keys)
        if !topics.isEmpty {
            for topic in try await self.topics(topics).values {
                places.formUnion(topic.partitions.map { TopicPartition(topic.name, $0.partition) })
            }
        }
        let (client, patience, asked) = (core.client, core.patience, places.sorted())
        return try await core.lane.run("lag of \(group)") { () throws(KafkaFault) in
            var marks: [TopicPartition: Watermarks] = [:]
            do throws(KafkaFault) {
                marks = try client.watermarks(asked, within: patience)
            } catch {
                // That nobody has told is said of each; why nobody can tell is the caller's to know.
                guard error.kind == .timedOut else { throw error }
            }
            var told: [TopicPartition: GroupLag] = [:]
            for (place, marks) in marks {
                told[place] = GroupLag(committed: committed[place]?.offset, watermarks: marks)
            }
            return GroupLags(told: told, untold: Set(asked.filter { told[$0] == nil }))
        }
    }

    /// Deletes the records below an offset and returns the first offset that is left of each partition.
    public func deleteRecords(below offsets: [TopicPartition: Offset]) async throws(KafkaFault) -> [TopicPartition:
        Offset]
    {
        let operation = "delete records"
        for place in offsets.keys { try place.topic.check(at: KafkaFault.Site(operation, place)) }
        return try await core.call(
            operation,
            start: { client, options, queue in
                let list = PartitionList(offsets.map { PartitionOffset($0.key, $0.value) })
                var request = list.lend { unsafe rd_kafka_DeleteRecords_new($0) }
                unsafe rd_kafka_DeleteRecords(client, &request, 1, options, queue)
                unsafe rd_kafka_DeleteRecords_destroy(request)
            },
            read: { event throws(KafkaFault) in
                let result = unsafe rd_kafka_event_DeleteRecords_result(event)
                var left: [TopicPartition: Offset] = [:]
                for element in PartitionList.read(unsafe rd_kafka_DeleteRecords_result_offsets(result)) {
                    try element.check(operation)
                    left[element.place] = element.knownOffset
                }
                return left
            })
    }

    /// A call about one group: they all have the same shape, and none of their types.
    @safe private func groupCall(
        _ operation: String, make: @escaping @Sendable () -> OpaquePointer?,
        free: @escaping @Sendable (OpaquePointer?) -> Void,
        call:
            @escaping @Sendable (
                OpaquePointer, UnsafeMutablePointer<OpaquePointer?>?, OpaquePointer?, OpaquePointer
            ) -> Void,
        read: @escaping @Sendable (OpaquePointer, UnsafeMutablePointer<Int>) -> UnsafeMutablePointer<OpaquePointer?>?
    ) async throws(KafkaFault) -> GroupResult {
        try await core.call(
            operation,
            start: { client, options, queue in
                var request = unsafe make()
                unsafe call(client, &request, options, queue)
                unsafe free(request)
            },
            read: { event throws(KafkaFault) in
                let results = readNatives({ unsafe read(event, $0) }) { GroupResult($0, operation) }
                guard let result = results.first else {
                    throw KafkaFault(RD_KAFKA_RESP_ERR__FAIL, at: KafkaFault.Site(operation))
                }
                if let fault = result.fault { throw fault }
                return result
            })
    }
}
