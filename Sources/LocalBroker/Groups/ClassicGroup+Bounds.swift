// What a group takes in. Each bound is checked before the event that would go over it has changed anything, and who asks
// for more is refused with an error that clients hand to the application rather than ask again at once:
//
//   GROUP_MAX_SIZE_REACHED  there is no room for one more. The Java client, kafka-python and aiokafka raise it; librdkafka
//                           reports it and asks again a second later.
//   MESSAGE_TOO_LARGE       the request itself is at fault. All of them raise or report what they do not expect here.
//
// What grows nothing is never refused: a member that is in stays in, whatever the others hold.

extension ClassicGroup {
    /// Why there is no room for one that asks to join.
    func boundsFault(_ request: GroupCoordinator.JoinRequest, _ context: GroupContext) -> GroupFault? {
        let settings = context.settings
        let size = request.byteCount
        guard size <= settings.maxMemberBytes else { return .messageTooLarge }
        let present = presentMember(of: request)
        let growth = size - (present?.byteCount ?? 0)
        guard growth <= 0 || saidBytes + growth <= settings.maxGroupBytes,
            growth <= 0 || context.memberBytes + growth <= settings.maxMemberBytesInAll
        else { return .groupMaxSizeReached }
        if present != nil { return nil }
        // Ids given out hold places of their own kind: a client that asks again and again is bounded too.
        if request.memberID.isEmpty, isGivenID(request), pending.count >= settings.maxGroupSize {
            return .groupMaxSizeReached
        }
        return members.count < settings.maxGroupSize ? nil : .groupMaxSizeReached
    }

    /// The member that asks, or whose place it takes.
    private func presentMember(of request: GroupCoordinator.JoinRequest) -> GroupMember? {
        if let member = members[request.memberID] { return member }
        guard request.memberID.isEmpty, let instanceID = request.instanceID else { return nil }
        return instances[instanceID].flatMap { members[$0] }
    }

    /// Why the leader's assignment is not taken.
    func boundsFault(_ request: GroupCoordinator.SyncRequest, _ context: GroupContext) -> GroupFault? {
        let settings = context.settings
        var total = 0
        for given in request.assignments {
            guard given.assignment.count <= settings.maxAssignmentBytes else { return .messageTooLarge }
            total += given.assignment.count
        }
        guard total <= settings.maxGroupAssignmentBytes else { return .messageTooLarge }
        let growth = total - assignmentBytes
        guard growth <= 0 || context.memberBytes + growth <= settings.maxMemberBytesInAll else {
            return .groupMaxSizeReached
        }
        return nil
    }
}
