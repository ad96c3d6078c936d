internal import Synchronization

/// The answer to one question, asked by a task and given by another thread.
///
/// Three states, because all orders are legal: the answer may come before the task waits, the task may wait first, and
/// a cancellation may come before either. The first answer counts and later ones are discarded, so a cancelled wait
/// leaves the C side to finish what it does; nothing of it refers to the task.
final class Reply<Value: Sendable>: Sendable {
    private enum State {
        case open
        case awaited(CheckedContinuation<Result<Value, KafkaFault>, Never>)
        case answered(Result<Value, KafkaFault>)
    }

    private let state = Mutex(State.open)
    private let operation: String

    /// `operation` names what was asked, for the fault of a cancelled wait.
    init(_ operation: String) { self.operation = operation }

    /// Gives the answer, from any thread; only the first counts.
    func fill(_ answer: Result<Value, KafkaFault>) {
        let waiting: CheckedContinuation<Result<Value, KafkaFault>, Never>? = state.withLock { state in
            switch state {
            case .open:
                state = .answered(answer)
                return nil
            case .awaited(let continuation):
                state = .answered(answer)
                return continuation
            case .answered: return nil
            }
        }
        waiting?.resume(returning: answer)
    }

    func fail(_ fault: KafkaFault) { fill(.failure(fault)) }

    /// Waits for the answer; a cancelled task gets `.cancelled`. To be called once.
    func value() async throws(KafkaFault) -> Value {
        try await value { self.fail(.cancelled(self.operation)) }
    }

    /// Waits for the answer and lets `cancel` decide what a cancellation means.
    func value(onCancel cancel: @escaping @Sendable () -> Void) async throws(KafkaFault) -> Value {
        try await withTaskCancellationHandler(operation: { await answer() }, onCancel: cancel).get()
    }

    /// Waits for the answer whatever happens to the task: for what must not be left half done.
    func certainValue() async throws(KafkaFault) -> Value {
        try await answer().get()
    }

    private func answer() async -> Result<Value, KafkaFault> {
        await withCheckedContinuation { continuation in
            let already: Result<Value, KafkaFault>? = state.withLock { state in
                switch state {
                case .open:
                    state = .awaited(continuation)
                    return nil
                case .awaited: preconditionFailure("two tasks wait for one reply")
                case .answered(let answer): return answer
                }
            }
            if let already { continuation.resume(returning: already) }
        }
    }
}
