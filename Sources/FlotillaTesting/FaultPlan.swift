internal import Synchronization

/// Faults of what a worker calls. One at the n-th call: run for every n until there is no n-th call, and each place has
/// been tried where things can go wrong. Or many, where dice say.
package final class FaultPlan: Sendable {
    /// What a worker calls.
    package enum Call: Hashable, Sendable, CaseIterable {
        case fetch, enqueue, delivery, commit
        case takeOver, claim, start, comeBack, renew, finish
    }

    package enum Damage: Hashable, Sendable, CaseIterable {
        /// It fails and has had no effect.
        case before
        /// It fails, and all the same has had its effect.
        case after
        /// The process dies before it, or after it and before the answer.
        case deathBefore, deathAfter
    }

    private struct State {
        var count = 0
        var struck: Call?
        var dice: Dice?
        /// Faults still to come, so that every run has an end.
        var left = 1
    }

    private let damage: Damage
    private let number: Int
    private let state: Mutex<State>

    /// At the `number`-th call; the first is 1.
    package init(_ damage: Damage, at number: Int) {
        self.damage = damage
        self.number = number
        state = Mutex(State())
    }

    /// At calls that dice choose, one of ten, `most` of them; nobody dies of these.
    package init(seed: UInt64, most: Int) {
        damage = .before
        number = 0
        state = Mutex(State(dice: Dice(seed: seed), left: most))
    }

    /// Where it struck, nil when there was no such call.
    package var struck: Call? { state.withLock { $0.struck } }

    /// Counts a call. What is to become of it, nil when nothing is.
    func meets(_ call: Call) -> Damage? {
        state.withLock { state in
            guard state.left > 0 else { return nil }
            state.count += 1
            var damage = self.damage
            if let throwOfTen = state.dice?.next(below: 10) {
                guard throwOfTen == 0, let side = state.dice?.next(below: 2) else { return nil }
                damage = side == 0 ? .before : .after
            } else {
                guard state.count == number else { return nil }
            }
            state.left -= 1
            state.struck = call
            return damage
        }
    }
}
