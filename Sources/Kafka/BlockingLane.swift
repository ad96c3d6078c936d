internal import Platform
internal import Synchronization

/// A thread for the calls of librdkafka that wait for a broker and have no form that does not: committed offsets,
/// watermarks, offsets by time, metadata.
///
/// They must neither hold up a client's owner, which serves rebalances, nor a thread of the cooperative pool. One at a
/// time is enough: they are rare. The thread starts with the first of them.
final class BlockingLane: Sendable {
    private struct State {
        var thread: OSThread?
        var isStopped = false
    }

    private let state = Mutex(State())
    private let mailbox: Mailbox<BlockingLane.Stop>
    private let name: String

    /// What a job of the lane can do to the lane.
    final class Stop {
        var isAsked = false
    }

    init(name: String) throws(SystemError) {
        self.name = name
        mailbox = try Mailbox()
    }

    /// Runs `body` on the lane's thread.
    func run<Value: Sendable>(
        _ operation: String, _ body: @escaping @Sendable () throws(KafkaFault) -> Value
    ) async throws(KafkaFault) -> Value {
        try start(operation)
        return try await mailbox.perform(operation) { _ throws(KafkaFault) in try body() }.value()
    }

    /// Runs `body` on the lane's thread, with nobody waiting for it; `refuse` where there is no thread to be had, or no
    /// longer.
    func begin(_ body: @escaping @Sendable () -> Void, refuse: @escaping @Sendable () -> Void) {
        do throws(KafkaFault) { try start("ask") } catch { return refuse() }
        mailbox.post(Mailbox.Job(run: { _ in body() }, refuse: refuse))
    }

    private func start(_ operation: String) throws(KafkaFault) {
        let failed: SystemError? = state.withLock { state in
            guard state.thread == nil, !state.isStopped else { return nil }
            do throws(SystemError) {
                state.thread = try OSThread(name: name) { [mailbox] in Self.loop(mailbox) }
                return nil
            } catch { return error }
        }
        if let failed { throw KafkaFault(system: failed, at: KafkaFault.Site(operation)) }
    }

    private static func loop(_ mailbox: Mailbox<Stop>) {
        let stop = Stop()
        while !stop.isAsked {
            mailbox.sleep(milliseconds: 60_000)
            for job in mailbox.take() { job.run(stop) }
        }
        mailbox.shut()
    }

    /// Lets the call that runs end, refuses the others and ends the thread. To be called by the owner, which may wait.
    func stop() {
        let thread = state.withLock { state in
            state.isStopped = true
            return state.thread.take()
        }
        guard let thread else { return mailbox.shut() }
        mailbox.post(Mailbox.Job(run: { $0.isAsked = true }, refuse: {}))
        thread.join()
    }
}
