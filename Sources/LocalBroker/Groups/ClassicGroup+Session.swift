// A member's life between two rounds: it fetches its assignment, shows that it is alive, commits, leaves, or falls
// silent.

extension ClassicGroup {
    /// Takes a request for the assignment; the leader's brings everybody's.
    mutating func sync(
        _ request: GroupCoordinator.SyncRequest, _ token: ReplyToken, _ context: inout GroupContext
    ) {
        if let fault = syncFault(request) { return context.answer(token, .refusal(fault)) }
        guard let member = members[request.memberID] else {
            return context.answer(token, .refusal(.unknownMemberID))
        }
        switch phase {
        case .empty: context.answer(token, .refusal(.unknownMemberID))
        case .preparing: context.answer(token, .refusal(.rebalanceInProgress))
        case .completing:
            if leader == member.memberID, let fault = boundsFault(request, context) {
                return context.answer(token, .refusal(fault))
            }
            supersede(member.memberID, &context)
            var waiting = members[member.memberID] ?? member
            waiting.waiting = .sync(token)
            put(waiting)
            context.seats[token] = GroupContext.Seat(group: id, memberID: member.memberID)
            context.alarms.cancel(alarm(.session(memberID: member.memberID)))
            noteSynced(member.memberID, &context)
            guard leader == member.memberID else { return }
            let assignments = request.assignments.map { ($0.memberID, $0.assignment) }
            agree(on: Dictionary(assignments, uniquingKeysWith: { $1 }), &context)
        case .stable:
            noteSynced(member.memberID, &context)
            touch(member, &context)
            context.answer(token, assignmentAnswer(to: member))
        }
    }

    private func syncFault(_ request: GroupCoordinator.SyncRequest) -> GroupFault? {
        if let fault = fault(ofMember: request.memberID, instanceID: request.instanceID) { return fault }
        guard request.generation == generation else { return .illegalGeneration }
        if let type = request.protocolType, let own = protocolType, type != own { return .inconsistentGroupProtocol }
        if let name = request.protocolName, let own = protocolName, name != own { return .inconsistentGroupProtocol }
        return nil
    }

    /// A sign of life; the answer says whether to join again.
    func heartbeat(_ request: GroupCoordinator.HeartbeatRequest, _ context: inout GroupContext) -> GroupFault {
        if let fault = fault(ofMember: request.memberID, instanceID: request.instanceID) { return fault }
        guard request.generation == generation else { return .illegalGeneration }
        guard let member = members[request.memberID] else { return .unknownMemberID }
        switch phase {
        case .empty: return .unknownMemberID
        case .preparing:
            touch(member, &context)
            return .rebalanceInProgress
        // Clients begin to beat as soon as they have joined, before the assignment is there.
        case .completing, .stable:
            touch(member, &context)
            return .none
        }
    }

    /// Whether offsets may be committed. A member's commit shows that it lives.
    func commitFault(_ request: GroupCoordinator.CommitRequest, _ context: inout GroupContext) -> GroupFault? {
        if request.generation < 0, phase == .empty { return nil }
        guard request.generation >= 0 || !request.memberID.isEmpty || request.instanceID != nil else {
            // One that only stores offsets must not move those of a group at work.
            return .unknownMemberID
        }
        if let fault = fault(ofMember: request.memberID, instanceID: request.instanceID) { return fault }
        guard request.generation == generation else { return .illegalGeneration }
        switch phase {
        case .empty: return .unknownMemberID
        case .completing: return .rebalanceInProgress
        // A member that has yet to join the next generation may, and should, say how far it came.
        case .preparing, .stable:
            if let member = members[request.memberID] { touch(member, &context) }
            return nil
        }
    }

    /// Members leave; each learns whether it could. What follows for the rest is decided once, at the end.
    mutating func leave(
        _ leaving: [GroupCoordinator.LeavingMember], _ context: inout GroupContext
    ) -> [GroupCoordinator.LeaveAnswer.Member] {
        let before = members.count
        let answers = leaving.map { member in
            GroupCoordinator.LeaveAnswer.Member(
                memberID: member.memberID, instanceID: member.instanceID, fault: leave(member, &context))
        }
        goOn(withFewerMembers: members.count < before, &context)
        return answers
    }

    private mutating func leave(
        _ leaving: GroupCoordinator.LeavingMember, _ context: inout GroupContext
    ) -> GroupFault {
        if leaving.memberID.isEmpty {
            guard let instanceID = leaving.instanceID, let memberID = instances[instanceID] else {
                return .unknownMemberID
            }
            remove(memberID, &context)
            return .none
        }
        if removePending(leaving.memberID) {
            context.alarms.cancel(alarm(.session(memberID: leaving.memberID)))
            return .none
        }
        if let fault = fault(ofMember: leaving.memberID, instanceID: leaving.instanceID) { return fault }
        remove(leaving.memberID, &context)
        return .none
    }

    /// A member, or the owner of an id, was not heard of in time.
    mutating func sessionIsOver(_ memberID: String, _ context: inout GroupContext) {
        let wasPending = removePending(memberID)
        if !wasPending { remove(memberID, &context) }
        goOn(withFewerMembers: !wasPending, &context)
    }

    /// The connection behind a held request is gone. The member keeps its place, and has its session to come back.
    mutating func disconnected(_ memberID: String, _ token: ReplyToken, _ context: inout GroupContext) {
        guard var member = members[memberID], member.waiting.token == token else { return }
        switch member.waiting {
        case .nothing: return
        case .join: member.waiting = .join(nil)
        case .sync: member.waiting = .sync(nil)
        }
        put(member)
        touch(member, &context)
    }

    /// Takes a member out. If it still listens it is told, and may join anew.
    private mutating func remove(_ memberID: String, _ context: inout GroupContext) {
        finishJoin(memberID, .refusal(.unknownMemberID, memberID: ""), &context)
        finishSync(memberID, .refusal(.unknownMemberID), &context)
        context.alarms.cancel(alarm(.session(memberID: memberID)))
        if take(memberID) != nil, unsynced.isEmpty { context.alarms.cancel(alarm(.sync)) }
    }

    /// The rest has to share anew, or need not wait any longer. The owner of an id who never joined had no share.
    private mutating func goOn(withFewerMembers lostMembers: Bool, _ context: inout GroupContext) {
        switch phase {
        case .empty: noteIfIdle(&context)
        case .completing, .stable: if lostMembers { rebalanceOrComplete(&context) }
        case .preparing: completeIfAllJoined(&context)
        }
    }
}
