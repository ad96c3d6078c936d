internal import Synchronization

/// Many may be inside, or one alone. Who wants to be alone goes before those who come later.
final class SharedGate: Sendable {
    fileprivate struct State {
        var inside = 0
        var isAlone = false
        var waiting: [(isAlone: Bool, continuation: CheckedContinuation<Void, Never>)] = []
    }

    private let state = Mutex(State())

    func shared<Value>(_ body: () async -> Value) async -> Value {
        await enter(alone: false)
        let value = await body()
        leave(alone: false)
        return value
    }

    func alone<Value>(_ body: () async -> Value) async -> Value {
        await enter(alone: true)
        let value = await body()
        leave(alone: true)
        return value
    }

    private func enter(alone: Bool) async {
        if state.withLock({ $0.enter(alone: alone) }) { return }
        await withCheckedContinuation { continuation in
            let mayEnter = state.withLock { state in
                if state.enter(alone: alone) { return true }
                state.waiting.append((alone, continuation))
                return false
            }
            if mayEnter { continuation.resume() }
        }
    }

    private func leave(alone: Bool) {
        let next = state.withLock { state in
            if alone { state.isAlone = false } else { state.inside -= 1 }
            return state.next()
        }
        for continuation in next { continuation.resume() }
    }
}

extension SharedGate.State {
    fileprivate mutating func enter(alone: Bool) -> Bool {
        guard waiting.isEmpty, !isAlone, !alone || inside == 0 else { return false }
        if alone { isAlone = true } else { inside += 1 }
        return true
    }

    /// Those who may enter now, who are inside already when they hear of it.
    fileprivate mutating func next() -> [CheckedContinuation<Void, Never>] {
        var entering: [CheckedContinuation<Void, Never>] = []
        while let first = waiting.first, !isAlone, !first.isAlone || inside == 0 {
            waiting.removeFirst()
            if first.isAlone { isAlone = true } else { inside += 1 }
            entering.append(first.continuation)
        }
        return entering
    }
}
