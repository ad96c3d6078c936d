/// One member of a group.
struct GroupMember: Hashable, Sendable {
    /// What the member waits for. The token is gone when its connection is: it still counts as having asked.
    enum Waiting: Hashable, Sendable {
        case nothing
        case join(ReplyToken?)
        case sync(ReplyToken?)

        /// The open request, if its connection still is.
        var token: ReplyToken? {
            switch self {
            case .nothing: nil
            case .join(let token), .sync(let token): token
            }
        }
    }

    let memberID: String
    /// Given by a static member: its identity over restarts.
    let instanceID: String?
    /// The order of joining: members are listed by it, and the longest-serving one becomes leader.
    let sequence: UInt64
    var clientID: String
    var clientHost: String
    var sessionTimeout: Int32
    var rebalanceTimeout: Int32
    /// Each name once; the preferred one first.
    private(set) var protocols: [GroupProtocol]
    var assignment: [UInt8] = []
    var waiting = Waiting.nothing

    /// What it says about itself is kept as, roughly.
    var byteCount: Int {
        Self.overhead + memberID.utf8.count + (instanceID?.utf8.count ?? 0) + clientID.utf8.count
            + clientHost.utf8.count + protocols.reduce(0) { $0 + $1.byteCount }
    }

    /// What a member's places in tables and the heads of its strings cost, rather more than less.
    static let overhead = 512

    var isStatic: Bool { instanceID != nil }

    var awaitsJoin: Bool {
        switch waiting {
        case .join: true
        case .nothing, .sync: false
        }
    }

    init(memberID: String, instanceID: String?, sequence: UInt64, request: GroupCoordinator.JoinRequest) {
        self.memberID = memberID
        self.instanceID = instanceID
        self.sequence = sequence
        clientID = request.clientID
        clientHost = request.clientHost
        sessionTimeout = request.sessionTimeout
        rebalanceTimeout = max(0, request.rebalanceTimeout)
        protocols = Self.distinct(request.protocols)
    }

    init(restoring member: GroupRecord.Member, sequence: UInt64) {
        memberID = member.memberID
        instanceID = member.instanceID
        self.sequence = sequence
        clientID = member.clientID
        clientHost = member.clientHost
        sessionTimeout = member.sessionTimeout
        rebalanceTimeout = max(0, member.rebalanceTimeout)
        protocols = Self.distinct(member.protocols)
        assignment = member.assignment
    }

    /// Takes over what a repeated join says.
    mutating func update(from request: GroupCoordinator.JoinRequest) {
        clientID = request.clientID
        clientHost = request.clientHost
        sessionTimeout = request.sessionTimeout
        rebalanceTimeout = max(0, request.rebalanceTimeout)
        protocols = Self.distinct(request.protocols)
    }

    /// Whether a repeated join says what is known already.
    func matches(_ request: GroupCoordinator.JoinRequest) -> Bool {
        protocols == Self.distinct(request.protocols)
    }

    func metadata(for name: String?) -> [UInt8] {
        protocols.first { $0.name == name }?.metadata ?? []
    }

    /// The protocol it likes best among those that every member speaks.
    func vote(among candidates: Set<String>) -> String? {
        protocols.first { candidates.contains($0.name) }?.name
    }

    /// A name given twice would be counted twice.
    private static func distinct(_ protocols: [GroupProtocol]) -> [GroupProtocol] {
        var seen = Set<String>()
        return protocols.filter { seen.insert($0.name).inserted }
    }
}
