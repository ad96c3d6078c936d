internal import Glibc
internal import Platform
internal import Synchronization

// Group commit. A sync takes as long for one batch as for thousands, and the loop must not wait for it; so a thread of its
// own syncs what the loop hands over, and whatever arrives meanwhile shares the next round.
//
// One thread for all partitions: a disk serialises its flushes anyway, and two cores have other work.

/// The thread that syncs files. `stop()` must be called before the last reference goes.
final class Syncer: Sendable {
    /// A ticket, and the number by which its submitter finds the log or journal that it belongs to.
    struct Job: Sendable {
        let owner: UInt64
        let ticket: SyncTicket
    }

    struct Outcome: Sendable {
        let owner: UInt64
        let ticket: SyncTicket
        /// Nil when all of the ticket is on the disk.
        let error: SystemError?
    }

    private struct State {
        var jobs: [Job] = []
        var outcomes: [Outcome] = []
        var isStopping = false
        var thread: OSThread?
    }

    private let files: any FileLayer
    private let state = Mutex(State())
    private let wake: Doorbell
    private let finished: Doorbell

    /// Starts the thread; it rings `finished` when `take` has something.
    init(files: any FileLayer, finished: Doorbell) throws(SystemError) {
        self.files = files
        self.finished = finished
        wake = try Doorbell()
        let thread = try OSThread(name: "syncer") { [self] in run() }
        state.withLock { $0.thread = thread }
    }

    deinit { precondition(state.withLock { $0.thread == nil }, "a syncer was dropped without stop()") }

    func submit(_ jobs: [Job]) {
        guard !jobs.isEmpty else { return }
        state.withLock { $0.jobs += jobs }
        wake.ring()
    }

    /// What was finished since the last call.
    func take() -> [Outcome] {
        state.withLock { state in
            let outcomes = state.outcomes
            state.outcomes = []
            return outcomes
        }
    }

    /// Finishes what was submitted and ends the thread; `take` then has the last outcomes.
    func stop() {
        let thread = state.withLock { state in
            state.isStopping = true
            let thread = state.thread
            state.thread = nil
            return thread
        }
        wake.ring()
        thread?.join()
    }

    private func run() {
        while true {
            let (jobs, isStopping) = state.withLock { state in
                let jobs = state.jobs
                state.jobs = []
                return (jobs, state.isStopping)
            }
            for job in jobs {
                let outcome = Outcome(owner: job.owner, ticket: job.ticket, error: failure(of: job.ticket))
                state.withLock { $0.outcomes.append(outcome) }
                // After each: the first producers need not wait for the last partition.
                finished.ring()
            }
            if jobs.isEmpty {
                if isStopping { return }
                wait()
            }
        }
    }

    private func failure(of ticket: SyncTicket) -> SystemError? {
        do {
            for file in ticket.files { try file.sync() }
            for directory in ticket.directories { try files.syncDirectory(directory) }
            return nil
        } catch {
            return error
        }
    }

    /// Sleeps until somebody rings; a ring between the last look at the jobs and this call is not lost.
    private func wait() {
        var bell = pollfd(fd: wake.fileDescriptor, events: Int16(POLLIN), revents: 0)
        _ = unsafe poll(&bell, 1, -1)
        wake.silence()
    }
}
