// Topics: what there is, what is made and what is removed. A change is written to the journal first and done after, so
// that a crash in between leaves something that the next start completes: a topic's missing folders are made, and a
// deleted topic's remaining ones removed.
//
// A topic's folder carries its id, so a topic that is made again never sees what its predecessor left.

internal import Platform

extension BrokerCore {
    var address: BrokerAddress {
        BrokerAddress(nodeID: Self.nodeID, host: advertised.host, port: Int32(advertised.port))
    }

    /// What a client is told when a topic cannot be made or changed.
    struct TopicRefusal: Error {
        let code: ErrorCode
        let message: String
    }

    // MARK: Metadata

    func metadata(_ request: MetadataRequest) -> MetadataResponse {
        var described: [MetadataResponse.Topic] = []
        if let asked = request.topics {
            // Each once: what a client repeats must not multiply what it is told.
            var seen = Set<MetadataRequest.Topic>()
            let names = namesByID(asked)
            for topic in asked where seen.insert(topic).inserted {
                described.append(
                    describe(topic.name ?? names[topic.id], topic.id, mayCreate: request.allowsAutoCreation))
            }
        } else {
            described = topics.values.sorted { $0.name < $1.name }.map(describe)
        }
        return MetadataResponse(
            brokers: [MetadataResponse.Broker(address: address)], clusterID: catalog.clusterID,
            controller: Self.nodeID, topics: described)
    }

    /// The names of all topics by their ids, if somebody asks by id.
    private func namesByID(_ asked: [MetadataRequest.Topic]) -> [UUID128: String] {
        guard asked.contains(where: { $0.name == nil }) else { return [:] }
        return Dictionary(uniqueKeysWithValues: topics.values.map { ($0.entry.id, $0.name) })
    }

    private func describe(_ name: String?, _ id: UUID128, mayCreate: Bool) -> MetadataResponse.Topic {
        guard let name else { return MetadataResponse.Topic(error: .unknownTopicId, name: nil, id: id) }
        if let topic = topics[name] { return describe(topic) }
        if Catalog.fault(inTopicName: name) != nil {
            return MetadataResponse.Topic(error: .invalidTopicException, name: name)
        }
        guard mayCreate, catalog.settings.autoCreateTopics else {
            return MetadataResponse.Topic(error: .unknownTopicOrPartition, name: name)
        }
        do throws(TopicRefusal) {
            let topic = try create(name, partitions: catalog.settings.defaultPartitions, TopicConfig())
            log.info("topic made because a client named it", [("topic", name)])
            return describe(topic)
        } catch {
            return MetadataResponse.Topic(error: error.code, name: name)
        }
    }

    private func describe(_ topic: Topic) -> MetadataResponse.Topic {
        MetadataResponse.Topic(
            name: topic.name, id: topic.entry.id,
            partitions: topic.partitions.map {
                MetadataResponse.Partition(index: $0.number, leader: Self.nodeID, leaderEpoch: 0)
            })
    }

    func describeCluster(_ request: DescribeClusterRequest) -> DescribeClusterResponse {
        DescribeClusterResponse(
            clusterID: catalog.clusterID ?? "", controller: Self.nodeID,
            brokers: [MetadataResponse.Broker(address: address)])
    }

    // MARK: Making

    func createTopics(_ request: CreateTopicsRequest, version: Int16) -> CreateTopicsResponse {
        var names: [String: Int] = [:]
        for topic in request.topics { names[topic.name, default: 0] += 1 }
        return CreateTopicsResponse(
            topics: request.topics.map { asked in
                do throws(TopicRefusal) {
                    guard names[asked.name] == 1 else {
                        throw TopicRefusal(code: .invalidRequest, message: "the topic is named twice in the request")
                    }
                    let (partitions, config) = try checked(asked)
                    let id: UUID128
                    if request.validateOnly {
                        try mayCreate(asked.name, partitions: partitions)
                        id = .zero
                    } else {
                        id = try create(asked.name, partitions: partitions, config).entry.id
                    }
                    return CreateTopicsResponse.Topic(
                        name: asked.name, id: id, partitions: partitions, replicationFactor: 1,
                        configs: config.descriptions.map {
                            CreateTopicsResponse.Config(name: $0.name, value: $0.value, source: $0.source)
                        })
                } catch {
                    return CreateTopicsResponse.Topic(name: asked.name, error: error.code, message: error.message)
                }
            })
    }

    private func checked(_ asked: CreateTopicsRequest.Topic) throws(TopicRefusal) -> (Int32, TopicConfig) {
        var partitions = asked.partitions == -1 ? catalog.settings.defaultPartitions : asked.partitions
        if !asked.assignments.isEmpty {
            try check(asked.assignments.map(\.brokers))
            guard Set(asked.assignments.map(\.partition)) == Set(0..<Int32(asked.assignments.count)) else {
                throw TopicRefusal(
                    code: .invalidReplicaAssignment, message: "the assigned partitions are not numbered from 0")
            }
            partitions = Int32(asked.assignments.count)
        } else if asked.replicationFactor != -1, asked.replicationFactor != 1 {
            throw TopicRefusal(
                code: .invalidReplicationFactor,
                message: "this broker is one node and keeps one copy: the replication factor is 1")
        }
        var settings: [String: String] = [:]
        for config in asked.configs { settings[config.name] = config.value }
        do throws(TopicConfig.Fault) {
            return (partitions, try TopicConfig(settings))
        } catch {
            throw TopicRefusal(code: .invalidConfig, message: error.reason)
        }
    }

    private func check(_ assignments: [[Int32]]) throws(TopicRefusal) {
        guard assignments.allSatisfy({ $0 == [Self.nodeID] }) else {
            throw TopicRefusal(
                code: .invalidReplicaAssignment, message: "the only node that can be assigned is \(Self.nodeID)")
        }
    }

    private func mayCreate(_ name: String, partitions: Int32) throws(TopicRefusal) {
        if let fault = Catalog.fault(inTopicName: name) {
            throw TopicRefusal(code: .invalidTopicException, message: fault)
        }
        guard topics[name] == nil else {
            throw TopicRefusal(code: .topicAlreadyExists, message: "topic \(name) already exists")
        }
        try mayAdd(partitions)
    }

    private func mayAdd(_ partitions: Int32) throws(TopicRefusal) {
        guard partitions >= 1 else {
            throw TopicRefusal(code: .invalidPartitions, message: "a topic has at least one partition")
        }
        let limit = configuration.limits.partitions
        guard catalog.partitionCount + Int(partitions) <= limit else {
            throw TopicRefusal(
                code: .invalidPartitions, message: "this broker keeps at most \(limit) partitions in all topics")
        }
    }

    private func create(_ name: String, partitions: Int32, _ config: TopicConfig) throws(TopicRefusal) -> Topic {
        try mayCreate(name, partitions: partitions)
        let entry = TopicEntry(name: name, id: .random(), partitions: partitions, config: config)
        try commit(.topic(entry))
        do {
            let topic = try open(entry)
            topics[name] = topic
            return topic
        } catch {
            // The journal has it and the disk does not: take it back, so that the two agree.
            _ = write(.catalog(.topicDeleted(name: name, id: entry.id)))
            removeFolder(name, entry.id)
            log.error("cannot make a topic", [("topic", name), ("reason", error)])
            throw TopicRefusal(code: .kafkaStorageError, message: "the broker cannot make the topic's files: \(error)")
        }
    }

    func createPartitions(_ request: CreatePartitionsRequest) -> CreatePartitionsResponse {
        CreatePartitionsResponse(
            topics: request.topics.map { asked in
                do throws(TopicRefusal) {
                    guard let topic = topics[asked.name] else {
                        throw TopicRefusal(code: .unknownTopicOrPartition, message: "there is no topic \(asked.name)")
                    }
                    let more = asked.count.subtractingReportingOverflow(topic.entry.partitions)
                    guard !more.overflow, more.partialValue > 0 else {
                        throw TopicRefusal(
                            code: .invalidPartitions,
                            message: "topic \(asked.name) has \(topic.entry.partitions) partitions; it can only grow")
                    }
                    try mayAdd(more.partialValue)
                    if let assignments = asked.assignments {
                        try check(assignments.map(\.brokers))
                        guard assignments.count == Int(more.partialValue) else {
                            throw TopicRefusal(
                                code: .invalidReplicaAssignment,
                                message: "\(assignments.count) assignments for \(more.partialValue) new partitions")
                        }
                    }
                    if !request.validateOnly { try grow(topic, to: asked.count) }
                    return CreatePartitionsResponse.Topic(name: asked.name)
                } catch {
                    return CreatePartitionsResponse.Topic(name: asked.name, error: error.code, message: error.message)
                }
            })
    }

    private func grow(_ topic: Topic, to count: Int32) throws(TopicRefusal) {
        var entry = topic.entry
        entry.partitions = count
        // Opened before they are announced: a folder that is not in the journal is harmless, and used again.
        do {
            try openPartitions(of: entry, into: topic)
        } catch {
            log.error("cannot add partitions", [("topic", topic.name), ("reason", error)])
            throw TopicRefusal(code: .kafkaStorageError, message: "the broker cannot make the files: \(error)")
        }
        try commit(.topic(entry))
        topic.entry = entry
    }

    /// Writes a change to the journal.
    func commit(_ record: CatalogRecord) throws(TopicRefusal) {
        guard write(.catalog(record)) else {
            throw TopicRefusal(code: .kafkaStorageError, message: "the broker cannot write its journal")
        }
    }

    // MARK: Removing

    func deleteTopics(_ request: DeleteTopicsRequest, now: Int64) -> DeleteTopicsResponse {
        var removed: [Topic] = []
        let answers = request.topics.map { name in
            guard let topic = topics[name] else {
                return DeleteTopicsResponse.Topic(
                    name: name, error: .unknownTopicOrPartition, message: "there is no topic \(name)")
            }
            guard write(.catalog(.topicDeleted(name: name, id: topic.entry.id))) else {
                return DeleteTopicsResponse.Topic(
                    name: name, error: .kafkaStorageError, message: "the broker cannot write its journal")
            }
            topics[name] = nil
            removed.append(topic)
            return DeleteTopicsResponse.Topic(name: name)
        }
        groups.removeTopics(Set(removed.map(\.name)), now: now)
        for partition in removed.flatMap(\.partitions) { endFetches(on: partition) }
        // The folders go only when their end is on the disk: else a power cut could bring empty topics back.
        whenDurable { [weak self] isDurable in
            guard isDurable else { return }
            for topic in removed {
                for partition in topic.partitions { self?.destroy(partition) }
                self?.removeFolder(topic.name, topic.entry.id)
            }
        }
        return DeleteTopicsResponse(topics: answers)
    }
}

extension TopicConfig.Description {
    var source: ConfigSource { isDefault ? .defaultConfig : .topicConfig }
}
