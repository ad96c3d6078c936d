// One group of Kafka's classic protocol, as a value: an event in, effects and alarms out through `GroupContext`.
//
//                    first join                 time over, or all joined
//     Empty ───────────────────────► Preparing ──────────────────────────► Completing
//       ▲                              ▲  │                                  │    │
//       └──────── nobody joined ───────┼──┘        join, leave, timeout      │    │ the leader's sync
//                                      ├─────────────────────────────────────┘    ▼
//                                      └──────────── join, leave, timeout ───── Stable
//
// A round of joining gathers the members (Preparing), gives them a new generation and one of them, the leader, the list
// of all (Completing), and ends when the leader has handed in what each is to do (Stable). The coordinator never reads
// what is assigned: any assignor of any client works.
//
// This file holds who is in the group; +Join, +Rebalance and +Session what happens to it.

/// What the groups of a coordinator share: the time of the event, alarms, open replies, and what follows.
struct GroupContext {
    /// Where an open reply belongs.
    struct Seat: Hashable, Sendable {
        var group: String
        var memberID: String
    }

    let settings: GroupCoordinator.Settings
    /// What the members of all groups are kept as, before the event.
    var memberBytes = 0
    /// Milliseconds of a clock that never goes backwards; its zero means nothing.
    var now: Int64 = 0
    var alarms = GroupAlarms()
    var seats: [ReplyToken: Seat] = [:]
    var effects: [GroupCoordinator.Effect] = []

    mutating func persist(_ record: GroupRecord) { effects.append(.persist(record)) }

    mutating func answer(_ token: ReplyToken, _ answer: GroupCoordinator.JoinAnswer) {
        seats[token] = nil
        effects.append(.joined(token, answer))
    }

    mutating func answer(_ token: ReplyToken, _ answer: GroupCoordinator.SyncAnswer) {
        seats[token] = nil
        effects.append(.synced(token, answer))
    }
}

/// The members of a group and where their agreement stands.
struct ClassicGroup {
    /// A round of joining.
    struct Round: Hashable, Sendable {
        /// The first round after nobody was there waits a little even when all have joined, for more to come.
        var isInitial: Bool
        /// How much longer the initial round may be drawn out.
        var remaining: Int64 = 0
        /// Whether somebody came since the wait was last drawn out.
        var grew = false
    }

    /// Where the group stands.
    enum Phase: Hashable, Sendable {
        case empty
        case preparing(Round)
        case completing
        case stable
    }

    let id: String
    var phase = Phase.empty
    /// The generation that members must name.
    var generation: Int32 = 0
    /// The last one ever begun. It is ahead of `generation` only after a restart that came amid a round.
    var lastGeneration: Int32 = 0
    var protocolType: String?
    var protocolName: String?
    var leader: String?
    private(set) var members: [String: GroupMember] = [:]
    /// Member ids of static members by instance id.
    private(set) var instances: [String: String] = [:]
    /// Member ids that were given out and not joined with yet.
    private(set) var pending: Set<String> = []
    /// Members of this generation that have not fetched their assignment.
    var unsynced: Set<String> = []
    /// How many members speak a protocol.
    private var speakers: [String: Int] = [:]
    private(set) var awaitingJoin = 0
    /// What members, and those about to join, said about themselves, as it is kept.
    private(set) var saidBytes = 0
    /// What members are to do, as it is kept.
    private(set) var assignmentBytes = 0
    private var nextSequence: UInt64 = 0
    /// The group as the journal knows it: its last agreement, which is what a restart goes back to.
    var durable: GroupRecord.Group?
    var offsets = GroupOffsets()

    init(id: String) { self.id = id }

    var state: GroupState {
        switch phase {
        case .empty: .empty
        case .preparing: .preparingRebalance
        case .completing: .completingRebalance
        case .stable: .stable
        }
    }

    /// Nothing is left of it but its generation.
    var isIdle: Bool { phase == .empty && pending.isEmpty && offsets.isEmpty }

    var hasEverybodyJoined: Bool { awaitingJoin == members.count && pending.isEmpty }

    /// How long a round may take: as long as the slowest member asks for.
    var rebalanceTimeout: Int64 { Int64(members.values.map(\.rebalanceTimeout).max() ?? 0) }

    var membersBySeniority: [GroupMember] { members.values.sorted { $0.sequence < $1.sequence } }

    /// What its members are kept as. The last agreement shares that, but while the group shares anew may be as much again.
    var memberBytes: Int { saidBytes + assignmentBytes }

    // MARK: Members

    mutating func takeSequence() -> UInt64 {
        defer { nextSequence &+= 1 }
        return nextSequence
    }

    /// Adds a member, or puts a changed one back.
    mutating func put(_ member: GroupMember) {
        if let old = members.updateValue(member, forKey: member.memberID) { discount(old) }
        count(member)
        if let instanceID = member.instanceID { instances[instanceID] = member.memberID }
    }

    /// Removes a member; what it waits for is the caller's to answer.
    mutating func take(_ memberID: String) -> GroupMember? {
        guard let member = members.removeValue(forKey: memberID) else { return nil }
        discount(member)
        unsynced.remove(memberID)
        if let instanceID = member.instanceID, instances[instanceID] == memberID { instances[instanceID] = nil }
        if leader == memberID { leader = members.values.min { $0.sequence < $1.sequence }?.memberID }
        return member
    }

    /// Gives out a member id.
    mutating func addPending(_ memberID: String) {
        if pending.insert(memberID).inserted { saidBytes += Self.pendingByteCount(memberID) }
    }

    /// Takes a member id back; whether it was given out and not joined with.
    mutating func removePending(_ memberID: String) -> Bool {
        guard pending.remove(memberID) != nil else { return false }
        saidBytes -= Self.pendingByteCount(memberID)
        return true
    }

    static func pendingByteCount(_ memberID: String) -> Int { 128 + memberID.utf8.count }

    private mutating func count(_ member: GroupMember) {
        saidBytes += member.byteCount
        assignmentBytes += member.assignment.count
        for proto in member.protocols { speakers[proto.name, default: 0] += 1 }
        if member.awaitsJoin { awaitingJoin += 1 }
    }

    private mutating func discount(_ member: GroupMember) {
        saidBytes -= member.byteCount
        assignmentBytes -= member.assignment.count
        for proto in member.protocols {
            let rest = (speakers[proto.name] ?? 0) - 1
            speakers[proto.name] = rest > 0 ? rest : nil
        }
        if member.awaitsJoin { awaitingJoin -= 1 }
    }

    // MARK: Protocols

    /// Whether one with these protocols can be in the group: one of them must be spoken by all.
    func supports(protocolType type: String, _ protocols: [GroupProtocol]) -> Bool {
        guard phase != .empty else { return !type.isEmpty && !protocols.isEmpty }
        return type == protocolType && protocols.contains { (speakers[$0.name] ?? 0) == members.count }
    }

    /// The protocol with the most votes among those that all speak; of equals the first by name.
    func electedProtocol() -> String? {
        let candidates = Set(speakers.filter { $0.value == members.count }.keys)
        var votes: [String: Int] = [:]
        for member in members.values {
            if let vote = member.vote(among: candidates) { votes[vote, default: 0] += 1 }
        }
        return votes.max { ($0.value, $1.key) < ($1.value, $0.key) }?.key
    }

    // MARK: Who may speak

    /// Whether a request comes from a present member: the fault if not.
    func fault(ofMember memberID: String, instanceID: String?) -> GroupFault? {
        if let instanceID {
            guard let current = instances[instanceID] else { return .unknownMemberID }
            guard current == memberID else { return .fencedInstanceID }
        }
        return members[memberID] == nil ? .unknownMemberID : nil
    }

    // MARK: Alarms

    func alarm(_ kind: GroupAlarm.Kind) -> GroupAlarm { GroupAlarm(group: id, kind: kind) }

    /// Starts a member's session anew. One whose request is held cannot speak, so it has no session to lose; and its
    /// hanging up is noticed.
    func touch(_ member: GroupMember, _ context: inout GroupContext) {
        guard member.waiting.token == nil else { return }
        context.alarms.set(
            alarm(.session(memberID: member.memberID)), at: context.now + Int64(member.sessionTimeout))
    }

    /// Remembers the generation of a group that has nothing else for a while, so that it does not begin anew at once.
    func noteIfIdle(_ context: inout GroupContext) {
        guard isIdle, lastGeneration > 0 else { return }
        context.alarms.set(alarm(.forget), at: context.now + context.settings.emptyGroupRetention)
    }
}
