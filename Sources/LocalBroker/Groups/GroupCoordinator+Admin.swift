// What operators ask: which groups there are, who is in them, and to remove them.

extension GroupCoordinator {
    /// ListGroups: all, or those in one of `states`, by name.
    func list(states: Set<GroupState>? = nil) -> [GroupListing] {
        groups.values
            .filter { states?.contains($0.state) ?? true }
            .map { GroupListing(group: $0.id, protocolType: $0.protocolType ?? "", state: $0.state) }
            .sorted { $0.group < $1.group }
    }

    /// DescribeGroups, of one. A group that does not exist is described as dead.
    func describe(group id: String) -> GroupDescription {
        guard let group = groups[id] else {
            return GroupDescription(group: id, state: .dead, protocolType: "", protocolName: "", members: [])
        }
        // Before the members agree there is nothing to say of what they do.
        let isStable = group.phase == .stable
        return GroupDescription(
            group: id, state: group.state, protocolType: group.protocolType ?? "",
            protocolName: isStable ? group.protocolName ?? "" : "",
            members: group.membersBySeniority.map { member in
                GroupDescription.Member(
                    memberID: member.memberID, instanceID: member.instanceID, clientID: member.clientID,
                    clientHost: member.clientHost,
                    metadata: isStable ? member.metadata(for: group.protocolName) : [],
                    assignment: isStable ? member.assignment : [])
            })
    }

    /// DeleteGroups: each with its offsets, if nobody is in it.
    mutating func deleteGroups(_ ids: [String], _ token: ReplyToken, now: Int64) -> [Effect] {
        context.now = now
        let answers = ids.map { id in
            guard let group = groups[id] else { return GroupAnswer(group: id, fault: .groupIDNotFound) }
            guard group.phase == .empty else { return GroupAnswer(group: id, fault: .nonEmptyGroup) }
            for memberID in group.pending { context.alarms.cancel(group.alarm(.session(memberID: memberID))) }
            context.alarms.cancel(group.alarm(.forget))
            groups[id] = nil
            context.persist(.groupRemoved(group: id))
            return GroupAnswer(group: id, fault: .none)
        }
        context.effects.append(.groupsDeleted(token, answers))
        return takeEffects()
    }
}
