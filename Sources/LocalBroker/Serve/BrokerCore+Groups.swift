// Consumer groups: the wire's words to the coordinator's and back. The coordinator decides, and says which of its
// decisions must be on the disk before an answer may leave.

internal import Platform

extension BrokerCore {
    /// Does what follows from a call of the coordinator, in order.
    func emit(_ effects: [GroupCoordinator.Effect]) {
        guard !effects.isEmpty else { return }
        var unwritten: [GroupRecord] = effects.compactMap { if case .persist(let record) = $0 { record } else { nil } }
        var cannotWrite = false
        for effect in effects {
            if case .persist = effect {
                // All at the first, in one write: a commit of a thousand partitions is one change.
                if !unwritten.isEmpty { cannotWrite = !write(unwritten) }
                unwritten = []
                continue
            }
            // Told of a failure, the client asks again; by then the coordinator's state may be on the disk.
            let effect = cannotWrite ? effect.failed(.coordinatorNotAvailable) : effect
            whenDurable { [weak self] isDurable in
                self?.answer(isDurable ? effect : effect.failed(.coordinatorNotAvailable))
            }
        }
    }

    private func answer(_ effect: GroupCoordinator.Effect) {
        switch effect {
        case .persist: break
        case .joined(let token, let answer): take(token)?.answer(JoinGroupResponse(answer))
        case .synced(let token, let answer): take(token)?.answer(SyncGroupResponse(answer))
        case .left(let token, let answer): take(token)?.answer(LeaveGroupResponse(answer))
        case .committed(let token, let answers):
            take(token)?.answer(OffsetCommitResponse(topics: PartitionAnswers.perTopic(answers)))
        case .offsetsDeleted(let token, let answer):
            take(token)?.answer(
                OffsetDeleteResponse(
                    error: ErrorCode(answer.fault), topics: PartitionAnswers.perTopic(answer.partitions)))
        case .groupsDeleted(let token, let answers):
            take(token)?.answer(
                DeleteGroupsResponse(
                    groups: answers.map { DeleteGroupsResponse.Group(id: $0.group, error: ErrorCode($0.fault)) }))
        }
    }

    /// A token under which the coordinator will answer `call`.
    private func owe(_ call: Call) -> ReplyToken {
        let token = ReplyToken(rawValue: nextReplyToken)
        nextReplyToken += 1
        let connection = call.exchange.connection?.id ?? 0
        owedGroupAnswers[token] = (call, connection)
        owedByConnection[connection, default: []].insert(token)
        return token
    }

    private func take(_ token: ReplyToken) -> Call? {
        guard let owed = owedGroupAnswers.removeValue(forKey: token) else { return nil }
        owedByConnection[owed.connection]?.remove(token)
        if owedByConnection[owed.connection]?.isEmpty == true { owedByConnection[owed.connection] = nil }
        return owed.call
    }

    /// Forgets what is owed to connections that are gone, so that their members' sessions begin to run out.
    func forgetMembers(behind connections: [UInt64], now: Int64) {
        for token in connections.flatMap({ owedByConnection.removeValue(forKey: $0) ?? [] }) {
            owedGroupAnswers[token] = nil
            groups.disconnected(token, now: now)
        }
    }

    func findCoordinator(_ request: FindCoordinatorRequest) -> FindCoordinatorResponse {
        switch request.kind {
        case .group: FindCoordinatorResponse(coordinator: address)
        case .transaction:
            FindCoordinatorResponse(error: .transactionalIdAuthorizationFailed, message: Self.noTransactions)
        case .other(let kind):
            FindCoordinatorResponse(error: .invalidRequest, message: "there are no coordinators of kind \(kind)")
        }
    }

    // MARK: Membership

    func joinGroup(_ request: JoinGroupRequest, _ call: Call, now: Int64) {
        let asked = GroupCoordinator.JoinRequest(
            group: request.group, memberID: request.memberID, instanceID: request.instanceID,
            clientID: call.header.clientID ?? "", clientHost: "/" + call.peerHost,
            sessionTimeout: request.sessionTimeout, rebalanceTimeout: request.rebalanceTimeout,
            protocolType: request.protocolType,
            protocols: request.proposals.map { GroupProtocol(name: $0.name, metadata: $0.metadata) },
            requiresMemberID: call.header.version >= 4, canSkipAssignment: false)
        emit(groups.join(asked, owe(call), now: now))
    }

    func syncGroup(_ request: SyncGroupRequest, _ call: Call, now: Int64) {
        let asked = GroupCoordinator.SyncRequest(
            group: request.group, generation: request.generation, memberID: request.memberID,
            instanceID: request.instanceID, protocolType: request.protocolType, protocolName: request.protocolName,
            assignments: request.assignments.map {
                GroupCoordinator.SyncRequest.Assignment(memberID: $0.memberID, assignment: $0.assignment)
            })
        emit(groups.sync(asked, owe(call), now: now))
    }

    func heartbeat(_ request: HeartbeatRequest, _ call: Call, now: Int64) {
        let fault = groups.heartbeat(
            GroupCoordinator.HeartbeatRequest(
                group: request.group, generation: request.generation, memberID: request.memberID,
                instanceID: request.instanceID),
            now: now)
        call.answer(HeartbeatResponse(error: ErrorCode(fault)))
    }

    func leaveGroup(_ request: LeaveGroupRequest, _ call: Call, now: Int64) {
        let leaving = request.members.map {
            GroupCoordinator.LeavingMember(memberID: $0.id, instanceID: $0.instanceID)
        }
        emit(groups.leave(group: request.group, leaving, owe(call), now: now))
    }

    // MARK: Offsets

    /// Offsets of partitions that do not exist are refused here; the coordinator sees the others.
    func offsetCommit(_ request: OffsetCommitRequest, _ call: Call, now: Int64) {
        let wall = Time.wallMilliseconds
        var commits: [GroupCoordinator.CommitRequest.Commit] = []
        var unknown: [GroupPartition] = []
        for topic in request.topics {
            let served = topics[topic.name]
            for partition in topic.partitions {
                let named = GroupPartition(topic: topic.name, partition: partition.index)
                guard served?[partition.index] != nil else {
                    unknown.append(named)
                    continue
                }
                commits.append(
                    GroupCoordinator.CommitRequest.Commit(
                        partition: named,
                        offset: CommittedOffset(
                            offset: partition.offset, leaderEpoch: partition.leaderEpoch,
                            metadata: partition.metadata ?? "", committedAt: wall)))
            }
        }
        let asked = GroupCoordinator.CommitRequest(
            group: request.group, generation: request.generation, memberID: request.memberID,
            instanceID: request.instanceID, commits: commits)
        let effects = groups.commit(asked, owe(call), now: now)
        emit(effects.map { $0.adding(unknown) })
    }

    func offsetFetch(_ request: OffsetFetchRequest) -> OffsetFetchResponse {
        let found: [GroupCoordinator.FetchedOffset]
        if let topics = request.topics {
            // Each once: what a client repeats must not multiply what it is told.
            var seen = Set<GroupPartition>()
            let asked = topics.flatMap { topic in
                topic.partitions.map { GroupPartition(topic: topic.name, partition: $0) }
            }
            found = groups.fetch(group: request.group, asked.filter { seen.insert($0).inserted })
        } else {
            found = groups.fetchAll(group: request.group)
        }
        return OffsetFetchResponse(
            topics: grouped(found.map { ($0.partition.topic, OffsetFetchResponse.Partition($0)) }))
    }

    func offsetDelete(_ request: OffsetDeleteRequest, _ call: Call, now: Int64) {
        let partitions = request.topics.flatMap { topic in
            topic.partitions.map { GroupPartition(topic: topic.name, partition: $0) }
        }
        emit(groups.deleteOffsets(group: request.group, partitions, owe(call), now: now))
    }

    // MARK: Looking and removing

    func listGroups(_ request: ListGroupsRequest) -> ListGroupsResponse {
        let states = Set(
            request.states.compactMap { asked in
                GroupState.allCases.first { $0.rawValue.lowercased() == asked.lowercased() }
            })
        // Asked only for states that are not ours, there are no groups in them.
        let listed = request.states.isEmpty ? groups.list() : groups.list(states: states)
        return ListGroupsResponse(
            groups: listed.map {
                ListGroupsResponse.Group(id: $0.group, protocolType: $0.protocolType, state: $0.state.rawValue)
            })
    }

    /// What one answer tells of members, and one group more: then whoever asks has to ask for fewer at once.
    private static let largestDescription = 16 << 20

    func describeGroups(_ request: DescribeGroupsRequest) -> DescribeGroupsResponse {
        var seen = Set<String>()
        var bytes = 0
        return DescribeGroupsResponse(
            groups: request.groups.filter { seen.insert($0).inserted }.map { id in
                guard bytes <= Self.largestDescription else {
                    return DescribeGroupsResponse.Group(error: .messageTooLarge, id: id)
                }
                bytes += groups.groups[id]?.memberBytes ?? 0
                let group = groups.describe(group: id)
                return DescribeGroupsResponse.Group(
                    id: id, state: group.state.rawValue, protocolType: group.protocolType,
                    protocolName: group.protocolName,
                    members: group.members.map {
                        DescribeGroupsResponse.Member(
                            id: $0.memberID, instanceID: $0.instanceID, clientID: $0.clientID,
                            clientHost: $0.clientHost, metadata: $0.metadata, assignment: $0.assignment)
                    })
            })
    }

    func deleteGroups(_ request: DeleteGroupsRequest, _ call: Call, now: Int64) {
        emit(groups.deleteGroups(request.groups, owe(call), now: now))
    }
}

/// Puts what is said of partitions under their topics, in the order in which the topics first appear.
func grouped<Said: Hashable>(_ said: [(topic: String, Said)]) -> [PerTopic<Said>] {
    var topics: [PerTopic<Said>] = []
    var places: [String: Int] = [:]
    for (topic, item) in said {
        if let place = places[topic] {
            topics[place].partitions.append(item)
        } else {
            places[topic] = topics.count
            topics.append(PerTopic(name: topic, partitions: [item]))
        }
    }
    return topics
}

private enum PartitionAnswers {
    static func perTopic(_ answers: [GroupCoordinator.PartitionAnswer]) -> [PerTopic<PartitionOutcome>] {
        grouped(
            answers.map {
                ($0.partition.topic, PartitionOutcome(index: $0.partition.partition, error: ErrorCode($0.fault)))
            })
    }
}

extension GroupCoordinator.Effect {
    /// The answer to a commit that also named partitions that do not exist.
    fileprivate func adding(_ unknown: [GroupPartition]) -> Self {
        guard case .committed(let token, let answers) = self, !unknown.isEmpty else { return self }
        return .committed(
            token,
            answers + unknown.map { GroupCoordinator.PartitionAnswer(partition: $0, fault: .unknownTopicOrPartition) })
    }
}

extension ErrorCode {
    fileprivate init(_ fault: GroupFault) { self = ErrorCode(rawValue: fault.rawValue) ?? .unknownServerError }
}

extension JoinGroupResponse {
    fileprivate init(_ answer: GroupCoordinator.JoinAnswer) {
        self.init(
            error: ErrorCode(answer.fault), generation: answer.generation, protocolType: answer.protocolType,
            protocolName: answer.protocolName, leader: answer.leader, memberID: answer.memberID,
            members: answer.members.map { Member(id: $0.memberID, instanceID: $0.instanceID, metadata: $0.metadata) })
    }
}

extension SyncGroupResponse {
    fileprivate init(_ answer: GroupCoordinator.SyncAnswer) {
        self.init(
            error: ErrorCode(answer.fault), protocolType: answer.protocolType, protocolName: answer.protocolName,
            assignment: answer.assignment)
    }
}

extension LeaveGroupResponse {
    fileprivate init(_ answer: GroupCoordinator.LeaveAnswer) {
        self.init(
            error: ErrorCode(answer.fault),
            members: answer.members.map {
                Member(id: $0.memberID, instanceID: $0.instanceID, error: ErrorCode($0.fault))
            })
    }
}

extension OffsetFetchResponse.Partition {
    fileprivate init(_ found: GroupCoordinator.FetchedOffset) {
        self.init(index: found.partition.partition)
        guard let committed = found.committed else { return }
        offset = committed.offset
        leaderEpoch = committed.leaderEpoch
        metadata = committed.metadata
    }
}
