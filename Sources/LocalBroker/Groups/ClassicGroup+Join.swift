// Who asks to join, and what becomes of it.

extension ClassicGroup {
    /// Takes a request to join. `newMemberID` is the id to give to one that has none.
    mutating func join(
        _ request: GroupCoordinator.JoinRequest, _ token: ReplyToken, newMemberID: String,
        _ context: inout GroupContext
    ) {
        func refuse(_ fault: GroupFault, memberID: String) {
            context.answer(token, .refusal(fault, memberID: memberID))
        }

        if let fault = boundsFault(request, context) {
            refuse(fault, memberID: "")
            // It was given an id in vain; a round must not wait for it.
            if removePending(request.memberID) {
                context.alarms.cancel(alarm(.session(memberID: request.memberID)))
                completeIfAllJoined(&context)
            }
            return
        }
        guard supports(protocolType: request.protocolType, request.protocols) else {
            return refuse(.inconsistentGroupProtocol, memberID: request.memberID)
        }
        if request.memberID.isEmpty {
            if let instanceID = request.instanceID, let oldMemberID = instances[instanceID] {
                return replace(oldMemberID, by: newMemberID, request, token, &context)
            }
            guard isGivenID(request) else { return add(newMemberID, request, token, &context) }
            addPending(newMemberID)
            context.alarms.set(
                alarm(.session(memberID: newMemberID)), at: context.now + Int64(request.sessionTimeout))
            return refuse(.memberIDRequired, memberID: newMemberID)
        }
        if pending.contains(request.memberID) {
            // Only dynamic members are given an id before they join.
            guard request.instanceID == nil else { return refuse(.unknownMemberID, memberID: request.memberID) }
            return add(request.memberID, request, token, &context)
        }
        if let fault = fault(ofMember: request.memberID, instanceID: request.instanceID) {
            return refuse(fault, memberID: request.memberID)
        }
        guard let member = members[request.memberID] else {
            return refuse(.unknownMemberID, memberID: request.memberID)
        }
        rejoin(member, request, token, &context)
    }

    /// A present member joins again.
    private mutating func rejoin(
        _ member: GroupMember, _ request: GroupCoordinator.JoinRequest, _ token: ReplyToken,
        _ context: inout GroupContext
    ) {
        let startsRound =
            switch phase {
            case .preparing: true
            // With the same protocols it asks because it missed the answer.
            case .completing: !member.matches(request)
            // A leader that joins again has seen something (a topic that grew) that needs a new assignment.
            case .stable: leader == member.memberID || !member.matches(request)
            // Nobody is a member of an empty group.
            case .empty: false
            }
        guard startsRound else {
            // What it waited for on another connection it will not hear any more.
            supersede(member.memberID, &context)
            if let member = members[member.memberID] { touch(member, &context) }
            return context.answer(token, currentAnswer(to: member.memberID))
        }
        admit(member, request, token, &context)
        rebalanceOrComplete(&context)
    }

    /// A new member.
    private mutating func add(
        _ memberID: String, _ request: GroupCoordinator.JoinRequest, _ token: ReplyToken, _ context: inout GroupContext
    ) {
        _ = removePending(memberID)
        if members.isEmpty { protocolType = request.protocolType }
        if case .preparing(var round) = phase, round.isInitial {
            round.grew = true
            phase = .preparing(round)
        }
        let member = GroupMember(
            memberID: memberID, instanceID: request.instanceID, sequence: takeSequence(), request: request)
        admit(member, request, token, &context)
        if leader == nil { leader = memberID }
        // Its client may have given up and come again under another id, behind a connection that looks alive: a first
        // join is not held for ever.
        context.alarms.set(
            alarm(.session(memberID: memberID)), at: context.now + context.settings.newMemberJoinTimeout)
        rebalanceOrComplete(&context)
    }

    /// Holds a member's request until the round ends.
    private mutating func admit(
        _ member: GroupMember, _ request: GroupCoordinator.JoinRequest, _ token: ReplyToken,
        _ context: inout GroupContext
    ) {
        supersede(member.memberID, &context)
        var member = members[member.memberID] ?? member
        member.update(from: request)
        member.waiting = .join(token)
        put(member)
        context.alarms.cancel(alarm(.session(memberID: member.memberID)))
        context.seats[token] = GroupContext.Seat(group: id, memberID: member.memberID)
    }

    /// A static member came back without its member id: it takes the old one's place, and whoever still uses the old
    /// id is fenced. A stable group whose protocol stays the same goes on as if nothing had happened.
    private mutating func replace(
        _ oldMemberID: String, by memberID: String, _ request: GroupCoordinator.JoinRequest, _ token: ReplyToken,
        _ context: inout GroupContext
    ) {
        guard let old = members[oldMemberID] else { return }
        finishJoin(oldMemberID, .refusal(.fencedInstanceID, memberID: oldMemberID), &context)
        finishSync(oldMemberID, .refusal(.fencedInstanceID), &context)
        context.alarms.cancel(alarm(.session(memberID: oldMemberID)))
        let wasLeader = leader == oldMemberID
        let wasUnsynced = unsynced.contains(oldMemberID)
        _ = take(oldMemberID)
        var member = GroupMember(
            memberID: memberID, instanceID: old.instanceID, sequence: old.sequence, request: request)
        member.assignment = old.assignment
        let previousLeader = wasLeader ? oldMemberID : leader
        if wasLeader { leader = memberID }

        guard phase == .stable else {
            admit(member, request, token, &context)
            // A leader that already has the list knows the old id: what it assigned would reach nobody.
            return rebalanceOrComplete(&context)
        }
        put(member)
        guard electedProtocol() == protocolName else {
            admit(member, request, token, &context)
            return rebalanceOrComplete(&context)
        }
        if wasUnsynced { unsynced.insert(memberID) }
        persistAgreement(&context)
        touch(member, &context)
        var answer = currentAnswer(to: memberID)
        if request.canSkipAssignment {
            answer.skipAssignment = wasLeader
        } else {
            // An old client that saw itself as leader would assign, and nobody would hear of it: it is told of a
            // leader that it is not.
            answer.leader = previousLeader ?? ""
            answer.members = []
        }
        context.answer(token, answer)
    }

    /// Whether a newcomer is only told its id at first.
    func isGivenID(_ request: GroupCoordinator.JoinRequest) -> Bool {
        request.requiresMemberID && request.instanceID == nil
    }

    // MARK: Answers

    /// What the member is told of the current generation.
    func currentAnswer(to memberID: String) -> GroupCoordinator.JoinAnswer {
        var answer = GroupCoordinator.JoinAnswer(
            fault: .none, generation: generation, protocolType: protocolType, protocolName: protocolName,
            leader: leader ?? "", memberID: memberID, skipAssignment: false, members: [])
        guard leader == memberID else { return answer }
        answer.members = membersBySeniority.map {
            GroupCoordinator.JoinAnswer.Member(
                memberID: $0.memberID, instanceID: $0.instanceID, metadata: $0.metadata(for: protocolName))
        }
        return answer
    }

    /// Answers a held join, if there is one.
    mutating func finishJoin(
        _ memberID: String, _ answer: GroupCoordinator.JoinAnswer, _ context: inout GroupContext
    ) {
        guard var member = members[memberID], case .join(let token) = member.waiting else { return }
        member.waiting = .nothing
        put(member)
        if let token { context.answer(token, answer) }
    }

    /// Answers a held sync, if there is one.
    mutating func finishSync(
        _ memberID: String, _ answer: GroupCoordinator.SyncAnswer, _ context: inout GroupContext
    ) {
        guard var member = members[memberID], case .sync(let token) = member.waiting else { return }
        member.waiting = .nothing
        put(member)
        if let token { context.answer(token, answer) }
    }

    /// A member asked anew: what it asked before is answered with a fault that makes it ask again, if it still listens.
    mutating func supersede(_ memberID: String, _ context: inout GroupContext) {
        finishJoin(memberID, .refusal(.rebalanceInProgress, memberID: memberID), &context)
        finishSync(memberID, .refusal(.rebalanceInProgress), &context)
    }
}
