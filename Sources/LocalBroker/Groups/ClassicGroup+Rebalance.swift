// A round of joining, from its first reason to the leader's assignment.

extension ClassicGroup {
    /// Begins a round, or ends the one under way if everybody has joined.
    mutating func rebalanceOrComplete(_ context: inout GroupContext) {
        switch phase {
        case .empty, .completing, .stable: prepareRebalance(&context)
        case .preparing: completeIfAllJoined(&context)
        }
    }

    /// Begins a round.
    private mutating func prepareRebalance(_ context: inout GroupContext) {
        for memberID in Array(members.keys) {
            finishSync(memberID, .refusal(.rebalanceInProgress), &context)
            if let member = members[memberID], !member.awaitsJoin, context.alarms[sessionAlarm(memberID)] == nil {
                // It was held by the sync; from here on it has to speak again.
                touch(member, &context)
            }
        }
        endSync(&context)
        context.alarms.cancel(alarm(.forget))
        guard phase == .empty else {
            phase = .preparing(Round(isInitial: false))
            if hasEverybodyJoined { return completeJoin(&context) }
            context.alarms.set(alarm(.join), at: context.now + rebalanceTimeout)
            return
        }
        let delay = context.settings.initialDelay
        phase = .preparing(Round(isInitial: true, remaining: max(0, rebalanceTimeout - delay)))
        context.alarms.set(alarm(.join), at: context.now + delay)
    }

    /// Ends the round early when nobody is missing. An initial round always waits out its delay.
    mutating func completeIfAllJoined(_ context: inout GroupContext) {
        guard case .preparing(let round) = phase, !round.isInitial, hasEverybodyJoined else { return }
        completeJoin(&context)
    }

    /// The time to join is over.
    mutating func joinTimeIsOver(_ context: inout GroupContext) {
        guard case .preparing(var round) = phase else { return }
        guard round.isInitial, round.grew, round.remaining > 0 else { return completeJoin(&context) }
        let delay = min(context.settings.initialDelay, round.remaining)
        round.remaining -= delay
        round.grew = false
        phase = .preparing(round)
        context.alarms.set(alarm(.join), at: context.now + delay)
    }

    /// Ends the round: who did not join is out, the rest is a new generation.
    private mutating func completeJoin(_ context: inout GroupContext) {
        context.alarms.cancel(alarm(.join))
        for member in membersBySeniority where !member.awaitsJoin && !member.isStatic {
            context.alarms.cancel(sessionAlarm(member.memberID))
            _ = take(member.memberID)
        }
        guard members.isEmpty || electJoinedLeader() else {
            // Only static members, and none has come: they keep their places until their sessions end.
            phase = .preparing(Round(isInitial: false))
            let wait = max(rebalanceTimeout, Int64(context.settings.sessionTimeouts.lowerBound))
            return context.alarms.set(alarm(.join), at: context.now + wait)
        }

        lastGeneration = lastGeneration < .max ? lastGeneration + 1 : 1
        generation = lastGeneration
        guard !members.isEmpty else {
            phase = .empty
            protocolName = nil
            leader = nil
            persistAgreement(&context)
            return noteIfIdle(&context)
        }
        protocolName = electedProtocol()
        phase = .completing
        // Before anybody hears of the generation: after a restart it must not be given out again.
        context.persist(.generation(group: id, generation: generation))
        unsynced = Set(members.keys)
        context.alarms.set(alarm(.sync), at: context.now + rebalanceTimeout)
        for member in membersBySeniority {
            // Of the others, whose connection broke or who are static and did not come, sessions already run.
            let listens = member.waiting.token != nil
            finishJoin(member.memberID, currentAnswer(to: member.memberID), &context)
            if listens, let member = members[member.memberID] { touch(member, &context) }
        }
    }

    /// Keeps the leader if it has joined, else takes the longest-serving member that has; whether there is one.
    private mutating func electJoinedLeader() -> Bool {
        if let leader, members[leader]?.awaitsJoin == true { return true }
        guard let elected = membersBySeniority.first(where: \.awaitsJoin) else { return false }
        leader = elected.memberID
        return true
    }

    /// The leader's assignment is here: the group agrees.
    mutating func agree(on assignments: [String: [UInt8]], _ context: inout GroupContext) {
        for var member in membersBySeniority {
            member.assignment = assignments[member.memberID] ?? []
            put(member)
        }
        phase = .stable
        persistAgreement(&context)
        for member in membersBySeniority {
            let listens = member.waiting.token != nil
            finishSync(member.memberID, assignmentAnswer(to: member), &context)
            if listens, let member = members[member.memberID] { touch(member, &context) }
        }
    }

    func assignmentAnswer(to member: GroupMember) -> GroupCoordinator.SyncAnswer {
        GroupCoordinator.SyncAnswer(
            fault: .none, protocolType: protocolType, protocolName: protocolName, assignment: member.assignment)
    }

    /// The time to fetch the assignment is over: who did not, in the new group or while its leader was silent, is out.
    mutating func syncTimeIsOver(_ context: inout GroupContext) {
        switch phase {
        case .empty, .preparing: return
        case .completing, .stable:
            guard !unsynced.isEmpty else { return }
            for memberID in unsynced.sorted() {
                context.alarms.cancel(sessionAlarm(memberID))
                _ = take(memberID)
            }
            prepareRebalance(&context)
        }
    }

    /// The member has fetched its assignment, or will get it when it is there.
    mutating func noteSynced(_ memberID: String, _ context: inout GroupContext) {
        unsynced.remove(memberID)
        if unsynced.isEmpty { context.alarms.cancel(alarm(.sync)) }
    }

    private mutating func endSync(_ context: inout GroupContext) {
        unsynced.removeAll()
        context.alarms.cancel(alarm(.sync))
    }

    /// Writes down what the group agrees on: what a restart goes back to.
    mutating func persistAgreement(_ context: inout GroupContext) {
        let agreement = GroupRecord.Group(
            group: id, generation: generation, protocolType: protocolType, protocolName: protocolName, leader: leader,
            members: membersBySeniority.map(GroupRecord.Member.init))
        durable = agreement
        context.persist(.group(agreement))
    }

    private func sessionAlarm(_ memberID: String) -> GroupAlarm { alarm(.session(memberID: memberID)) }
}
