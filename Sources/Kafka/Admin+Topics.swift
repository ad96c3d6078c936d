internal import CRdKafka
internal import Platform

/// A topic to be created.
public struct NewTopic: Hashable, Sendable {
    public var name: TopicName
    public var partitions: Int
    /// Nil is what the cluster does by default.
    public var replication: Int?
    public var settings: [String: String]

    public init(_ name: TopicName, partitions: Int, replication: Int? = nil, settings: [String: String] = [:]) {
        self.name = name
        self.partitions = partitions
        self.replication = replication
        self.settings = settings
    }
}

/// A topic as it is.
public struct TopicDescription: Hashable, Sendable {
    public let name: TopicName
    public let partitions: [PartitionDescription]

    public struct PartitionDescription: Hashable, Sendable {
        public let partition: Partition
        /// The broker that leads; nil while there is none.
        public let leader: Int32?
        public let replicas: [Int32]
        public let inSync: [Int32]
    }
}

extension Admin {
    /// Creates topics and returns the faults of those that were not.
    public func create(_ topics: [NewTopic]) async throws(KafkaFault) -> [TopicName: KafkaFault] {
        let operation = "create topics"
        return try await core.call(
            operation,
            start: { client, options, queue throws(KafkaFault) in
                try withNatives(topics, Self.native, free: { unsafe rd_kafka_NewTopic_destroy($0) }) {
                    unsafe rd_kafka_CreateTopics(client, $0, $1, options, queue)
                }
            },
            read: { event in
                let result = unsafe rd_kafka_event_CreateTopics_result(event)
                return topicFaults(operation) { unsafe rd_kafka_CreateTopics_result_topics(result, $0) }
            })
    }

    @safe private static func native(_ topic: NewTopic) throws(KafkaFault) -> OpaquePointer? {
        let site = KafkaFault.Site("create topics", topic: topic.name)
        try topic.name.check(at: site)
        for (name, value) in topic.settings { try checkText(name, value, at: site) }
        let native = try makeNative(at: site) {
            unsafe rd_kafka_NewTopic_new(
                topic.name.rawValue, Int32(clamping: topic.partitions), Int32(clamping: topic.replication ?? -1), $0, $1
            )
        }
        for (name, value) in topic.settings { unsafe rd_kafka_NewTopic_set_config(native, name, value) }
        return unsafe native
    }

    /// Deletes topics and returns the faults of those that were not.
    public func delete(_ topics: [TopicName]) async throws(KafkaFault) -> [TopicName: KafkaFault] {
        let operation = "delete topics"
        return try await core.call(
            operation,
            start: { client, options, queue throws(KafkaFault) in
                for topic in topics { try topic.check(at: KafkaFault.Site(operation, topic: topic)) }
                try withNatives(
                    topics, { unsafe rd_kafka_DeleteTopic_new($0.rawValue) },
                    free: { unsafe rd_kafka_DeleteTopic_destroy($0) }
                ) { unsafe rd_kafka_DeleteTopics(client, $0, $1, options, queue) }
            },
            read: { event in
                let result = unsafe rd_kafka_event_DeleteTopics_result(event)
                return topicFaults(operation) { unsafe rd_kafka_DeleteTopics_result_topics(result, $0) }
            })
    }

    /// Grows topics to so many partitions in all and returns the faults of those that were not.
    ///
    /// Warning: a key may go to another partition than before, and its order breaks there.
    public func grow(_ topics: [TopicName: Int]) async throws(KafkaFault) -> [TopicName: KafkaFault] {
        let operation = "add partitions"
        return try await core.call(
            operation,
            start: { client, options, queue throws(KafkaFault) in
                try withNatives(
                    topics.sorted { $0.key < $1.key },
                    { topic throws(KafkaFault) in
                        let site = KafkaFault.Site(operation, topic: topic.key)
                        try topic.key.check(at: site)
                        return try makeNative(at: site) {
                            unsafe rd_kafka_NewPartitions_new(topic.key.rawValue, max(0, topic.value), $0, $1)
                        }
                    }, free: { unsafe rd_kafka_NewPartitions_destroy($0) }
                ) { unsafe rd_kafka_CreatePartitions(client, $0, $1, options, queue) }
            },
            read: { event in
                let result = unsafe rd_kafka_event_CreatePartitions_result(event)
                return topicFaults(operation) { unsafe rd_kafka_CreatePartitions_result_topics(result, $0) }
            })
    }

    /// The topics of the cluster, or those of them that are asked for, by name; what does not exist is missing.
    ///
    /// Asks for all of them in any case: asking for one that does not exist could create it.
    public func topics(_ names: Set<TopicName>? = nil) async throws(KafkaFault) -> [TopicName: TopicDescription] {
        let (client, patience) = (core.client, core.patience)
        return try await core.lane.run("describe topics") { () throws(KafkaFault) in
            var metadata: UnsafePointer<rd_kafka_metadata>?
            var code = RD_KAFKA_RESP_ERR__TIMED_OUT
            // Any broker is asked, and that may be the one of several that hangs: then another is, most likely. The last
            // is given half of the time, for where all are slow.
            for share in [6, 3, 2] where code != RD_KAFKA_RESP_ERR_NO_ERROR {
                let time = Int32(max(1, patience.patience / Int64(share)))
                code = unsafe rd_kafka_metadata(client.handle, 1, nil, &metadata, time)
            }
            try KafkaFault.check(code, at: KafkaFault.Site("describe topics"))
            defer { unsafe rd_kafka_metadata_destroy(metadata) }
            var found: [TopicName: TopicDescription] = [:]
            for topic in TopicDescription.read(metadata) where names?.contains(topic.name) ?? true {
                found[topic.name] = topic
            }
            return found
        }
    }
}

extension TopicDescription {
    /// Copies what a broker said of topics.
    @safe static func read(_ metadata: UnsafePointer<rd_kafka_metadata>?) -> [TopicDescription] {
        guard let metadata = unsafe metadata?.pointee else { return [] }
        let topics = unsafe UnsafeBufferPointer(start: metadata.topics, count: Int(metadata.topic_cnt))
        return topics.indices.map { unsafe TopicDescription(topics[$0]) }
    }

    @safe private init(_ topic: rd_kafka_metadata_topic) {
        name = TopicName(unsafe string(topic.topic) ?? "")
        let all = unsafe UnsafeBufferPointer(start: topic.partitions, count: Int(topic.partition_cnt))
        partitions = unsafe all.map { partition in
            unsafe PartitionDescription(
                partition: Partition(partition.id), leader: partition.leader < 0 ? nil : partition.leader,
                replicas: Array(UnsafeBufferPointer(start: partition.replicas, count: Int(partition.replica_cnt))),
                inSync: Array(UnsafeBufferPointer(start: partition.isrs, count: Int(partition.isr_cnt))))
        }.sorted { $0.partition < $1.partition }
    }
}
