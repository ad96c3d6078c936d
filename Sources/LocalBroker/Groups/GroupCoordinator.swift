// All groups of the broker: a machine without clock, thread or socket. Each call takes the time and returns what
// follows from it. One thread owns it, sleeps until `nextDeadline` at most, and then calls `tick`.
//
// The rules are those of Kafka's coordinator for the classic protocol. Where it differs:
//   - Held requests are answered always. Kafka forgets a first request when its client repeats it.
//   - A member whose connection breaks while its request is held starts its session then; Kafka, which does not see
//     the break, waits with it for the end of the round.
//   - A generation is written down when it begins, not only when the members agree, so that a restart between the two
//     does not give it out twice.
//   - A retained generation is forgotten ten minutes after the last member and the last offset; offsets stay for ever.
//
// Rejected: a lock and a timer per group (one thread owns all), answers through closures (an effect can be compared).

/// The coordinator of all groups.
struct GroupCoordinator {
    /// Bounds and times; all times in milliseconds.
    struct Settings: Hashable, Sendable {
        /// How long an empty group waits for more members after the first.
        var initialDelay: Int64 = 50
        var sessionTimeouts: ClosedRange<Int32> = 1_000...1_800_000
        var maxGroups = 10_000
        var maxGroupIDBytes = 1_024
        var maxGroupSize = 1_000
        /// What one member may say about itself.
        var maxMemberBytes = 1 << 20
        /// What the members of a group may say about themselves, all together: whoever leads is sent all of it in one
        /// answer, and the journal keeps it in one entry, together with the assignments.
        var maxGroupBytes = 8 << 20
        /// What one member may be given to do.
        var maxAssignmentBytes = 1 << 20
        /// What the members of a group may be given to do, all together.
        var maxGroupAssignmentBytes = 16 << 20
        /// What the members of all groups may say and be given.
        var maxMemberBytesInAll = 256 << 20
        /// What all committed offsets may take.
        var maxOffsetBytes = 64 << 20
        /// How long a first join is held.
        var newMemberJoinTimeout: Int64 = 300_000
        /// How long the generation of a group without members and offsets is remembered.
        var emptyGroupRetention: Int64 = 600_000
        var maxOffsetMetadataBytes = 4_096
    }

    var groups = GroupTable()
    /// In reach of the other files of this type, and of tests; nobody else's.
    var context: GroupContext
    private var random: any RandomNumberGenerator & Sendable

    /// `random` makes the member ids, which must not be guessed nor repeat over restarts.
    init(
        settings: Settings = Settings(), random: any RandomNumberGenerator & Sendable = SystemRandomNumberGenerator()
    ) {
        context = GroupContext(settings: settings)
        self.random = random
    }

    // MARK: Time

    /// When `tick` has something to do: never later than that, at times earlier.
    var nextDeadline: Int64? { context.alarms.next }

    /// Does what is due.
    mutating func tick(now: Int64) -> [Effect] {
        context.now = now
        while let alarm = context.alarms.popDue(now) {
            switch alarm.kind {
            case .session(let memberID): groups[alarm.group]?.sessionIsOver(memberID, &context)
            case .join: groups[alarm.group]?.joinTimeIsOver(&context)
            case .sync: groups[alarm.group]?.syncTimeIsOver(&context)
            case .forget:
                if groups[alarm.group]?.isIdle == true {
                    groups[alarm.group] = nil
                    context.persist(.groupRemoved(group: alarm.group))
                }
            }
            dropIfBlank(alarm.group)
        }
        return takeEffects()
    }

    // MARK: Membership

    /// JoinGroup. The answer comes when the round of joining ends, or at once.
    mutating func join(_ request: JoinRequest, _ token: ReplyToken, now: Int64) -> [Effect] {
        context.now = now
        func refuse(_ fault: GroupFault) -> [Effect] { [.joined(token, .refusal(fault, memberID: request.memberID))] }
        guard isValid(groupID: request.group) else { return refuse(.invalidGroupID) }
        guard mayUse(group: request.group) else { return refuse(.groupMaxSizeReached) }
        guard context.settings.sessionTimeouts.contains(request.sessionTimeout) else {
            return refuse(.invalidSessionTimeout)
        }
        let newMemberID = request.memberID.isEmpty ? makeMemberID(for: request) : ""
        groups.make(request.group)
        context.memberBytes = groups.memberBytes
        groups[request.group]?.join(request, token, newMemberID: newMemberID, &context)
        dropIfBlank(request.group)
        return takeEffects()
    }

    /// SyncGroup. The answer comes with the leader's assignment.
    mutating func sync(_ request: SyncRequest, _ token: ReplyToken, now: Int64) -> [Effect] {
        context.now = now
        guard !request.group.isEmpty else { return [.synced(token, .refusal(.invalidGroupID))] }
        guard groups.contains(request.group) else { return [.synced(token, .refusal(.unknownMemberID))] }
        context.memberBytes = groups.memberBytes
        groups[request.group]?.sync(request, token, &context)
        return takeEffects()
    }

    /// Heartbeat. Nothing follows from it but the answer.
    mutating func heartbeat(_ request: HeartbeatRequest, now: Int64) -> GroupFault {
        context.now = now
        guard !request.group.isEmpty else { return .invalidGroupID }
        return groups[request.group]?.heartbeat(request, &context) ?? .unknownMemberID
    }

    /// LeaveGroup, of one or many.
    mutating func leave(group: String, _ leaving: [LeavingMember], _ token: ReplyToken, now: Int64) -> [Effect] {
        context.now = now
        guard !group.isEmpty else { return [.left(token, LeaveAnswer(fault: .invalidGroupID, members: []))] }
        let members =
            groups[group]?.leave(leaving, &context)
            ?? leaving.map {
                LeaveAnswer.Member(memberID: $0.memberID, instanceID: $0.instanceID, fault: .unknownMemberID)
            }
        dropIfBlank(group)
        context.effects.append(.left(token, LeaveAnswer(fault: .none, members: members)))
        return takeEffects()
    }

    /// The connection behind an open token is gone: its answer would reach nobody and is not given any more.
    mutating func disconnected(_ token: ReplyToken, now: Int64) {
        context.now = now
        guard let seat = context.seats.removeValue(forKey: token) else { return }
        groups[seat.group]?.disconnected(seat.memberID, token, &context)
    }

    // MARK: Helpers

    func isValid(groupID: String) -> Bool {
        !groupID.isEmpty && groupID.utf8.count <= context.settings.maxGroupIDBytes
    }

    /// Whether the group is there, or there is room for one more.
    func mayUse(group: String) -> Bool { groups.contains(group) || groups.count < context.settings.maxGroups }

    mutating func takeEffects() -> [Effect] {
        var effects: [Effect] = []
        swap(&effects, &context.effects)
        return effects
    }

    /// A group that never had a generation, and has neither offsets nor anybody about to join, is nothing.
    mutating func dropIfBlank(_ id: String) {
        if let group = groups[id], group.isIdle, group.lastGeneration == 0 { groups[id] = nil }
    }

    /// A name for people, and a random part (a version 4 UUID) that nobody guesses.
    private mutating func makeMemberID(for request: JoinRequest) -> String {
        var id = request.instanceID ?? request.clientID
        for (position, digit) in UUID128.random(using: &random).description.enumerated() {
            if [0, 8, 12, 16, 20].contains(position) { id.append("-") }
            id.append(digit)
        }
        return id
    }
}
