/// A request whose answer may come later, in a number that the caller chose and that is unique while it is open.
struct ReplyToken: RawRepresentable, Hashable, Sendable {
    let rawValue: UInt64

    init(rawValue: UInt64) { self.rawValue = rawValue }
}

/// The states of a group, under the names that Kafka's tools print.
enum GroupState: String, Hashable, Sendable, CaseIterable {
    case empty = "Empty"
    case preparingRebalance = "PreparingRebalance"
    case completingRebalance = "CompletingRebalance"
    case stable = "Stable"
    /// Never held: how a group that does not exist is described.
    case dead = "Dead"
}

/// A protocol that a member can speak (for consumers: an assignor), and what it says about itself in it.
struct GroupProtocol: Hashable, Sendable {
    var name: String
    var metadata: [UInt8]

    /// What it is kept as, roughly: a member may name thousands of which each says nothing.
    var byteCount: Int { 128 + name.utf8.count + metadata.count }
}

/// A partition as offsets know it.
struct GroupPartition: Hashable, Sendable {
    var topic: String
    var partition: Int32
}

/// How far a group has read a partition, as a member said.
struct CommittedOffset: Hashable, Sendable {
    var offset: Int64
    var leaderEpoch: Int32
    var metadata: String
    /// Wall clock, milliseconds since 1970.
    var committedAt: Int64
}

extension GroupCoordinator {
    /// What follows from a call, in the order in which it must happen.
    ///
    /// An answer must not leave before the records that precede it in the list are written. When they cannot be, the
    /// answers behind them are sent as `failed(_:)`: the coordinator may be ahead of the journal then, and the client,
    /// told of a failure, tries again.
    enum Effect: Hashable, Sendable {
        case persist(GroupRecord)
        case joined(ReplyToken, JoinAnswer)
        case synced(ReplyToken, SyncAnswer)
        case left(ReplyToken, LeaveAnswer)
        case committed(ReplyToken, [PartitionAnswer])
        case offsetsDeleted(ReplyToken, OffsetDeleteAnswer)
        case groupsDeleted(ReplyToken, [GroupAnswer])

        /// The same answer, as a refusal.
        func failed(_ fault: GroupFault) -> Effect {
            switch self {
            case .persist: self
            case .joined(let token, let answer): .joined(token, .refusal(fault, memberID: answer.memberID))
            case .synced(let token, _): .synced(token, .refusal(fault))
            case .left(let token, _): .left(token, LeaveAnswer(fault: fault, members: []))
            case .committed(let token, let partitions):
                .committed(token, partitions.map { PartitionAnswer(partition: $0.partition, fault: fault) })
            case .offsetsDeleted(let token, _): .offsetsDeleted(token, OffsetDeleteAnswer(fault: fault, partitions: []))
            case .groupsDeleted(let token, let groups):
                .groupsDeleted(token, groups.map { GroupAnswer(group: $0.group, fault: fault) })
            }
        }
    }

    /// JoinGroup: a client wants to be a member, or stays one into the next generation.
    struct JoinRequest: Hashable, Sendable {
        var group: String
        /// Empty from a client that has none yet.
        var memberID: String
        var instanceID: String?
        var clientID: String
        var clientHost: String
        var sessionTimeout: Int32
        var rebalanceTimeout: Int32
        var protocolType: String
        /// The preferred one first.
        var protocols: [GroupProtocol]
        /// From version 4 on a dynamic member is first told its id and then joins with it, so that a retried first
        /// join leaves no ghost behind.
        var requiresMemberID: Bool
        /// From version 9 on a leader that came back can be told to assign nothing.
        var canSkipAssignment: Bool

        /// What the member would be kept as, also before it has an id: as `GroupMember.byteCount`.
        var byteCount: Int {
            let id = memberID.isEmpty ? (instanceID ?? clientID).utf8.count + Self.idSuffixBytes : memberID.utf8.count
            return GroupMember.overhead + id + (instanceID?.utf8.count ?? 0) + clientID.utf8.count
                + clientHost.utf8.count + protocols.reduce(0) { $0 + $1.byteCount }
        }

        /// What the coordinator puts behind a client's name to make a member id: a dash and a UUID.
        static let idSuffixBytes = 37
    }

    /// What a member of the new generation has to know; of a refused one only the fault and its id count.
    struct JoinAnswer: Hashable, Sendable {
        /// A member as the leader sees it, with its metadata in the protocol that was elected.
        struct Member: Hashable, Sendable {
            var memberID: String
            var instanceID: String?
            var metadata: [UInt8]
        }

        var fault: GroupFault
        var generation: Int32
        var protocolType: String?
        var protocolName: String?
        var leader: String
        var memberID: String
        var skipAssignment: Bool
        /// The leader's alone.
        var members: [Member]

        static func refusal(_ fault: GroupFault, memberID: String) -> JoinAnswer {
            JoinAnswer(
                fault: fault, generation: -1, protocolType: nil, protocolName: nil, leader: "", memberID: memberID,
                skipAssignment: false, members: [])
        }
    }

    /// SyncGroup: a member fetches its assignment.
    struct SyncRequest: Hashable, Sendable {
        /// What a member is to do, in bytes that only the clients read.
        struct Assignment: Hashable, Sendable {
            var memberID: String
            var assignment: [UInt8]
        }

        var group: String
        var generation: Int32
        var memberID: String
        var instanceID: String?
        /// Given from version 5 on.
        var protocolType: String?
        var protocolName: String?
        /// The leader's alone.
        var assignments: [Assignment]
    }

    /// A member's assignment.
    struct SyncAnswer: Hashable, Sendable {
        var fault: GroupFault
        var protocolType: String?
        var protocolName: String?
        var assignment: [UInt8]

        static func refusal(_ fault: GroupFault) -> SyncAnswer {
            SyncAnswer(fault: fault, protocolType: nil, protocolName: nil, assignment: [])
        }
    }

    /// Heartbeat: a member lives.
    struct HeartbeatRequest: Hashable, Sendable {
        var group: String
        var generation: Int32
        var memberID: String
        var instanceID: String?
    }

    /// Who leaves: by member id, or (an operator's way) by instance id alone.
    struct LeavingMember: Hashable, Sendable {
        var memberID: String
        var instanceID: String?
    }

    /// Who has left.
    struct LeaveAnswer: Hashable, Sendable {
        /// One who was to leave, named as in the request.
        struct Member: Hashable, Sendable {
            var memberID: String
            var instanceID: String?
            var fault: GroupFault
        }

        var fault: GroupFault
        /// In the request's order. Before version 3 the only one's fault is the answer's.
        var members: [Member]
    }

    /// OffsetCommit, of partitions that exist.
    struct CommitRequest: Hashable, Sendable {
        /// How far one partition was read.
        struct Commit: Hashable, Sendable {
            var partition: GroupPartition
            var offset: CommittedOffset
        }

        var group: String
        /// −1 from one that only stores offsets here.
        var generation: Int32
        var memberID: String
        var instanceID: String?
        var commits: [Commit]
    }

    /// What became of one partition of a request.
    struct PartitionAnswer: Hashable, Sendable {
        var partition: GroupPartition
        var fault: GroupFault
    }

    /// What became of an OffsetDelete; with a fault of its own it names no partitions.
    struct OffsetDeleteAnswer: Hashable, Sendable {
        var fault: GroupFault
        var partitions: [PartitionAnswer]
    }

    /// What became of one group of a request.
    struct GroupAnswer: Hashable, Sendable {
        var group: String
        var fault: GroupFault
    }

    /// A partition's committed offset; none is `nil`, which the wire writes as −1.
    struct FetchedOffset: Hashable, Sendable {
        var partition: GroupPartition
        var committed: CommittedOffset?
    }

    /// A group in a list.
    struct GroupListing: Hashable, Sendable {
        var group: String
        var protocolType: String
        var state: GroupState
    }

    /// A group and who is in it.
    struct GroupDescription: Hashable, Sendable {
        /// One member.
        struct Member: Hashable, Sendable {
            var memberID: String
            var instanceID: String?
            var clientID: String
            var clientHost: String
            /// Both empty unless the group is stable.
            var metadata: [UInt8]
            var assignment: [UInt8]
        }

        var group: String
        var state: GroupState
        var protocolType: String
        var protocolName: String
        var members: [Member]
    }
}
