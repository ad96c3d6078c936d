internal import Glibc
internal import Platform
internal import Synchronization

/// Work for the thread that owns a client, and the one thing that thread sleeps on.
///
/// librdkafka's queues ring the same bell as we do: an event of the client and a question of ours are both just a
/// reason to look. Jobs are closures over the owner's core, which no other thread can touch.
final class Mailbox<Core>: Sendable {
    /// Something to be done with the core, or to be refused when the client is closed.
    struct Job: Sendable {
        let run: @Sendable (Core) -> Void
        let refuse: @Sendable () -> Void
    }

    let bell: Doorbell
    private let jobs = Mutex<(open: Bool, waiting: [Job])>((true, []))

    init() throws(SystemError) { bell = try Doorbell() }

    /// Hands a job to the owner; after `shut` it is refused at once.
    func post(_ job: Job) {
        let accepted = jobs.withLock { jobs in
            if jobs.open { jobs.waiting.append(job) }
            return jobs.open
        }
        if accepted { bell.ring() } else { job.refuse() }
    }

    /// Has `body` run by the owner and fills the reply with what it returns or throws.
    func perform<Value: Sendable>(
        _ operation: String, _ body: @escaping @Sendable (Core) throws(KafkaFault) -> Value
    ) -> Reply<Value> {
        ask(operation) { core, reply in
            do throws(KafkaFault) { reply.fill(.success(try body(core))) } catch { reply.fail(error) }
        }
    }

    /// Has `body` run by the owner; it fills the reply then or later.
    func ask<Value: Sendable>(
        _ operation: String, _ body: @escaping @Sendable (Core, Reply<Value>) -> Void
    ) -> Reply<Value> {
        let reply = Reply<Value>(operation)
        post(Job(run: { body($0, reply) }, refuse: { reply.fail(.closed(operation)) }))
        return reply
    }

    /// The owner takes what has come.
    func take() -> [Job] {
        jobs.withLock { jobs in
            let taken = jobs.waiting
            jobs.waiting = []
            return taken
        }
    }

    /// The owner's last act: what still waits, and all that comes after, is refused.
    func shut() {
        let left = jobs.withLock { jobs in
            jobs.open = false
            let left = jobs.waiting
            jobs.waiting = []
            return left
        }
        for job in left { job.refuse() }
    }

    /// The owner sleeps until the bell rings or the time is over, and silences it: what rings from now on rings again.
    func sleep(milliseconds: Int64) {
        var ring = pollfd(fd: bell.fileDescriptor, events: Int16(POLLIN), revents: 0)
        _ = unsafe poll(&ring, 1, Int32(clamping: max(0, milliseconds)))
        bell.silence()
    }
}
