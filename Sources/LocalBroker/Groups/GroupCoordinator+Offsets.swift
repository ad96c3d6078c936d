// Committed offsets: of members, and of whoever only stores them here.

extension GroupCoordinator {
    /// OffsetCommit, of partitions that exist. All partitions are refused or none, but for metadata that is too long.
    mutating func commit(_ request: CommitRequest, _ token: ReplyToken, now: Int64) -> [Effect] {
        context.now = now
        if let fault = commitFault(request) {
            let answers = request.commits.map { PartitionAnswer(partition: $0.partition, fault: fault) }
            return [.committed(token, answers)]
        }
        var group = groups.removeValue(forKey: request.group) ?? ClassicGroup(id: request.group)
        let answers = request.commits.map { commit in
            guard commit.offset.metadata.utf8.count <= context.settings.maxOffsetMetadataBytes else {
                return PartitionAnswer(partition: commit.partition, fault: .offsetMetadataTooLarge)
            }
            group.offsets.set(commit.partition, commit.offset)
            context.persist(.offset(group: request.group, partition: commit.partition, offset: commit.offset))
            return PartitionAnswer(partition: commit.partition, fault: .none)
        }
        groups[request.group] = group
        dropIfBlank(request.group)
        context.effects.append(.committed(token, answers))
        return takeEffects()
    }

    private mutating func commitFault(_ request: CommitRequest) -> GroupFault? {
        guard let group = groups[request.group] else {
            // Of a generation of a group that is gone.
            return request.generation < 0 ? nil : .illegalGeneration
        }
        return group.commitFault(request, &context)
    }

    /// OffsetFetch of the given partitions, in their order.
    func fetch(group: String, _ partitions: [GroupPartition]) -> [FetchedOffset] {
        let offsets = groups[group]?.offsets
        return partitions.map { FetchedOffset(partition: $0, committed: offsets?[$0]) }
    }

    /// OffsetFetch of all partitions that have an offset.
    func fetchAll(group: String) -> [FetchedOffset] {
        (groups[group]?.offsets.all ?? []).map { FetchedOffset(partition: $0.partition, committed: $0.offset) }
    }

    /// OffsetDelete. A group at work keeps the offsets of what it is subscribed to.
    mutating func deleteOffsets(
        group id: String, _ partitions: [GroupPartition], _ token: ReplyToken, now: Int64
    ) -> [Effect] {
        context.now = now
        func refuse(_ fault: GroupFault) -> [Effect] {
            [.offsetsDeleted(token, OffsetDeleteAnswer(fault: fault, partitions: []))]
        }
        guard !id.isEmpty else { return refuse(.invalidGroupID) }
        guard let group = groups[id] else { return refuse(.groupIDNotFound) }
        guard group.phase == .empty || group.protocolType == ConsumerSubscription.protocolType else {
            return refuse(.nonEmptyGroup)
        }
        let subscription = group.subscription
        let answers = partitions.map { partition in
            guard !subscription.contains(partition.topic) else {
                return PartitionAnswer(partition: partition, fault: .groupSubscribedToTopic)
            }
            removeOffset(group: id, partition)
            return PartitionAnswer(partition: partition, fault: .none)
        }
        settleAfterRemoval(id)
        context.effects.append(.offsetsDeleted(token, OffsetDeleteAnswer(fault: .none, partitions: answers)))
        return takeEffects()
    }

    /// A topic is gone, and with it what any group has read of it.
    mutating func removeTopic(_ topic: String, now: Int64) -> [Effect] {
        context.now = now
        for id in groups.keys.sorted() {
            let partitions = groups[id]?.offsets.partitions(of: topic) ?? []
            guard !partitions.isEmpty else { continue }
            for partition in partitions { removeOffset(group: id, partition) }
            settleAfterRemoval(id)
        }
        return takeEffects()
    }

    private mutating func removeOffset(group: String, _ partition: GroupPartition) {
        guard groups[group]?.offsets.remove(partition) == true else { return }
        context.persist(.offsetRemoved(group: group, partition: partition))
    }

    private mutating func settleAfterRemoval(_ id: String) {
        groups[id]?.noteIfIdle(&context)
        dropIfBlank(id)
    }
}

extension ClassicGroup {
    /// What a group at work reads.
    enum Subscription {
        case topics(Set<String>)
        /// A member's metadata cannot be read: it may be anything.
        case unknown

        func contains(_ topic: String) -> Bool {
            switch self {
            case .topics(let topics): topics.contains(topic)
            case .unknown: true
            }
        }
    }

    /// The topics of all members, under whatever protocol they name them.
    var subscription: Subscription {
        var topics = Set<String>()
        for proto in members.values.flatMap(\.protocols) {
            guard let named = ConsumerSubscription.topics(in: proto.metadata) else { return .unknown }
            topics.formUnion(named)
        }
        return .topics(topics)
    }
}
