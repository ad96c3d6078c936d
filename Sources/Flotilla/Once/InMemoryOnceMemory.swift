package import Model
internal import Platform
internal import Synchronization

/// The once-only memory within one process: for tests, and the plain statement of what the one in Redis does.
///
/// Nothing is forgotten here; `now` is the server's time in milliseconds.
package final class InMemoryOnceMemory: OnceMemory {
    fileprivate struct Entry {
        enum State { case claimed, released, done, dead }

        var state: State
        var fence: UInt32 = 0
        var owner: OnceOwner?
        var leaseEnd: Int64 = 0
        var starts = 0
        var attempts = 0
        var replays: UInt32 = 0
    }

    fileprivate struct Contents {
        var entries: [OnceKey: Entry] = [:]
        var generations: [TopicPartition: UInt64] = [:]
    }

    private let contents = Mutex(Contents())
    private let lease: Int64
    private let now: @Sendable () -> Int64

    package init(lease: Duration, now: @escaping @Sendable () -> Int64) {
        self.lease = lease.milliseconds
        self.now = now
    }

    package func takeOver(_ partition: TopicPartition) async throws(OnceFault) -> OnceOwner {
        let now = UInt64(clamping: now())
        return contents.withLock { contents in
            let generation = max(contents.generations[partition, default: 0] + 1, now)
            contents.generations[partition] = generation
            return OnceOwner(partition, generation: generation)
        }
    }

    package func claim(_ events: [OnceClaim], owner: OnceOwner) async throws(OnceFault) -> [ClaimAnswer] {
        let now = now()
        return contents.withLock { contents in
            guard contents.isCurrent(owner) else { return events.map { _ in .fenced } }
            return events.map { contents.claim($0, owner, now: now, until: now + lease) }
        }
    }

    package func start(_ event: OnceHold, owner: OnceOwner) async throws(OnceFault) -> Bool {
        let until = now() + lease
        return change([event], owner) { entry, _ in
            entry.starts = min(entry.starts + 1, 127)
            entry.leaseEnd = until
        }[0]
    }

    package func comeBack(_ event: OnceHold, owner: OnceOwner) async throws(OnceFault) -> Bool {
        change([event], owner) { entry, _ in entry.starts = 0 }[0]
    }

    package func renew(_ events: [OnceHold], owner: OnceOwner) async throws(OnceFault) -> [Bool] {
        let until = now() + lease
        return change(events, owner) { entry, _ in entry.leaseEnd = until }
    }

    package func finish(
        _ events: [(hold: OnceHold, ending: OnceEnding)], owner: OnceOwner
    ) async throws(OnceFault) -> [Bool] {
        change(events.map(\.hold), owner) { entry, index in
            switch events[index].ending {
            case .done: entry.state = .done
            case .dead: entry.state = .dead
            case .released(let attempts):
                entry.state = .released
                entry.attempts = min(max(attempts, 0), Int(UInt16.max))
            }
        }
    }

    package func remember(_ events: [OnceKey]) async throws(OnceFault) {
        contents.withLock { contents in
            for key in events { contents.entries[key, default: Entry(state: .done)].state = .done }
        }
    }

    /// Changes the claims that are still the owner's, and says which those are.
    private func change(
        _ events: [OnceHold], _ owner: OnceOwner, _ body: (inout Entry, Int) -> Void
    ) -> [Bool] {
        contents.withLock { contents in
            guard contents.isCurrent(owner) else { return events.map { _ in false } }
            return events.enumerated().map { index, hold in
                guard var entry = contents.entries[hold.key], entry.state == .claimed, entry.owner == owner,
                    entry.fence == hold.fence
                else { return false }
                body(&entry, index)
                contents.entries[hold.key] = entry
                return true
            }
        }
    }
}

extension InMemoryOnceMemory.Contents {
    fileprivate func isCurrent(_ owner: OnceOwner) -> Bool {
        owner.generation >= generations[owner.partition, default: 0]
    }

    fileprivate mutating func claim(
        _ question: OnceClaim, _ owner: OnceOwner, now: Int64, until: Int64
    ) -> ClaimAnswer {
        var entry = entries[question.key] ?? InMemoryOnceMemory.Entry(state: .released)
        var wasHeld = false
        switch entry.state {
        case .done where question.replays <= entry.replays: return .done
        case .dead where question.replays <= entry.replays: return .dead
        case .done, .dead: entry.attempts = 0
        case .claimed where entry.owner?.partition != owner.partition && entry.leaseEnd > now:
            return .busy(.milliseconds(entry.leaseEnd - now))
        case .claimed: wasHeld = entry.owner != owner
        case .released: break
        }
        if entry.state != .claimed { entry.starts = 0 }
        entry.state = .claimed
        entry.owner = owner
        entry.fence &+= 1
        entry.leaseEnd = until
        entry.replays = max(entry.replays, question.replays)
        entries[question.key] = entry
        return .granted(
            OnceHold(question.key, fence: entry.fence), attempts: entry.attempts, wasHeld: wasHeld, starts: entry.starts
        )
    }
}
