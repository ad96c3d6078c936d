// Committed offsets: of members, and of whoever only stores them here.

extension GroupCoordinator {
    /// OffsetCommit, of partitions that exist. All partitions are refused or none, but for metadata that is too long and
    /// for what there is no room for. The error of the latter, INVALID_COMMIT_OFFSET_SIZE, is one that all clients hand
    /// to the application.
    mutating func commit(_ request: CommitRequest, _ token: ReplyToken, now: Int64) -> [Effect] {
        context.now = now
        if let fault = commitFault(request) {
            let answers = request.commits.map { PartitionAnswer(partition: $0.partition, fault: fault) }
            return [.committed(token, answers)]
        }
        groups.make(request.group)
        var answers: [PartitionAnswer] = []
        answers.reserveCapacity(request.commits.count)
        for commit in request.commits {
            answers.append(PartitionAnswer(partition: commit.partition, fault: store(commit, group: request.group)))
        }
        dropIfBlank(request.group)
        context.effects.append(.committed(token, answers))
        return takeEffects()
    }

    /// Stores one offset of a commit that is allowed.
    private mutating func store(_ commit: CommitRequest.Commit, group: String) -> GroupFault {
        let settings = context.settings
        guard commit.offset.metadata.utf8.count <= settings.maxOffsetMetadataBytes else {
            return .offsetMetadataTooLarge
        }
        let growth = groups[group]?.offsets.growth(setting: commit.partition, to: commit.offset) ?? 0
        guard growth <= 0 || groups.offsetBytes + growth <= settings.maxOffsetBytes else {
            return .invalidCommitOffsetSize
        }
        groups[group]?.offsets.set(commit.partition, commit.offset)
        context.persist(.offset(group: group, partition: commit.partition, offset: commit.offset))
        return .none
    }

    private mutating func commitFault(_ request: CommitRequest) -> GroupFault? {
        guard let group = groups[request.group] else {
            // Of a generation of a group that is gone.
            guard request.generation < 0 else { return .illegalGeneration }
            guard request.group.utf8.count <= context.settings.maxGroupIDBytes else { return .invalidGroupID }
            return mayUse(group: request.group) ? nil : .invalidCommitOffsetSize
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

    /// Topics are gone, and with them what any group has read of them. One pass over the groups, however many topics.
    ///
    /// Nothing is written down: the journal has it that the topics are gone, and `restore(removalOf:)` follows from it.
    mutating func removeTopics(_ gone: Set<String>, now: Int64) {
        context.now = now
        for id in removeOffsets(of: gone) { settleAfterRemoval(id) }
    }

    /// The groups that had any.
    mutating func removeOffsets(of gone: Set<String>) -> [String] {
        let readers = groups.values.filter { !gone.isDisjoint(with: $0.offsets.topicNames) }.map(\.id)
        for id in readers { groups[id]?.offsets.remove(topics: gone) }
        return readers
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
        /// A member's metadata cannot be read, or names so much that it is not: it may be anything.
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
        var left = Self.mostNames
        for proto in members.values.flatMap(\.protocols) {
            guard let count = ConsumerSubscription.claimedCount(in: proto.metadata), count <= left,
                let named = ConsumerSubscription.topics(in: proto.metadata)
            else { return .unknown }
            left -= count
            topics.formUnion(named)
        }
        return .topics(topics)
    }

    /// Names that are read at one request: a thousand members with a hundred topics each, in two protocols.
    static let mostNames = 200_000
}
