package import Model

/// What remembers which events a handler has finished, and who is at work on which.
///
/// An event goes `absent → claimed → done | released | dead`. A claim is a lease: it carries the generation of the
/// partition's owner and a fence, every later word on it must bring both, and a new owner of the same partition takes
/// over what its predecessor held at once. All times are the server's.
///
/// One call concerns one partition's owner and up to 500 events; the implementation joins calls that come at the same
/// time, over few connections. A call that fails says nothing of what it did: all are harmless to repeat.
package protocol OnceMemory: Sendable {
    /// Takes a partition over: the number is higher than any that this partition had before.
    func takeOver(_ partition: TopicPartition) async throws(OnceFault) -> OnceOwner

    /// Asks for each event whether it may be worked on. Answers in the order of the questions.
    func claim(_ events: [OnceClaim], owner: OnceOwner) async throws(OnceFault) -> [ClaimAnswer]

    /// Notes that an event is about to run that may have ended a process before, so that the next owner knows.
    /// False: the claim is no longer this owner's.
    func start(_ event: OnceHold, owner: OnceOwner) async throws(OnceFault) -> Bool

    /// Notes that an event came back that was started, but is not done: whatever ends the process now, it was not this
    /// one. False: the claim is no longer this owner's.
    func comeBack(_ event: OnceHold, owner: OnceOwner) async throws(OnceFault) -> Bool

    /// Prolongs leases. False: the claim is no longer this owner's.
    func renew(_ events: [OnceHold], owner: OnceOwner) async throws(OnceFault) -> [Bool]

    /// Says how claims ended. False: the claim was no longer this owner's, and nothing was changed.
    func finish(_ events: [(hold: OnceHold, ending: OnceEnding)], owner: OnceOwner) async throws(OnceFault) -> [Bool]

    /// Marks events done without a claim: their effect is known to be in, from the handler's own state.
    func remember(_ events: [OnceKey]) async throws(OnceFault)
}

/// An event's identity within a handler: 128 bits of a digest of `ce_source` and `ce_id`, which nobody can aim at.
package struct OnceKey: Hashable, Sendable {
    package let high: UInt64
    package let low: UInt64

    package init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }
}

/// Who claims: a partition under one owner. A later owner of the same partition has a higher generation.
package struct OnceOwner: Hashable, Sendable {
    package let partition: TopicPartition
    package let generation: UInt64

    package init(_ partition: TopicPartition, generation: UInt64) {
        self.partition = partition
        self.generation = generation
    }
}

/// A question about one event.
package struct OnceClaim: Hashable, Sendable {
    package let key: OnceKey
    /// How often it was replayed from the dead letters: a claim of more replays passes one that ended with fewer.
    package let replays: UInt32

    package init(_ key: OnceKey, replays: UInt32 = 0) {
        self.key = key
        self.replays = replays
    }
}

/// A claim that was granted: what later calls bring along.
package struct OnceHold: Hashable, Sendable {
    package let key: OnceKey
    package let fence: UInt32

    package init(_ key: OnceKey, fence: UInt32) {
        self.key = key
        self.fence = fence
    }
}

package enum ClaimAnswer: Hashable, Sendable {
    /// Go on. `attempts` were counted at earlier releases; `wasHeld` when an owner lost it without a word, so that it
    /// may be what ended that process; `starts` is how often it was started and not heard of again.
    case granted(OnceHold, attempts: Int, wasHeld: Bool, starts: Int)
    /// The effect is in.
    case done
    /// It is a dead letter.
    case dead
    /// Someone else is at work on it, for so long at most.
    case busy(Duration)
    /// A later owner of the partition has been here: this one is to stop.
    case fenced
}

package enum OnceEnding: Hashable, Sendable {
    /// Remembered for the memory's time.
    case done
    /// May be claimed again at once; `attempts` is how many calls of the handler there have been.
    case released(attempts: Int)
    /// Remembered like `done`, unless a replay comes.
    case dead
}

/// The memory could not be asked.
package struct OnceFault: Error, Hashable, Sendable, CustomStringConvertible {
    package enum Kind: Hashable, Sendable {
        /// Away, slow, or not ready yet: trying again helps.
        case unreachable
        /// It takes no more writes.
        case full
        /// A later owner of the partition has been here.
        case fenced
        /// It is set up in a way that would lose what it holds, or the credentials are wrong: someone has to act.
        case unusable
    }

    package let kind: Kind
    package let reason: String

    package init(_ kind: Kind, _ reason: String) {
        self.kind = kind
        self.reason = reason
    }

    package var description: String { reason }
}
