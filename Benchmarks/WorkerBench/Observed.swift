import Contracts
import Flotilla
import Glibc
import Kafka
import Model
import Platform
import Synchronization

/// A worker's whole process as `work` runs it, with all that it tells of itself, or nothing of it: by the settings of the
/// environment.
///
///   worker-bench BROKERS observed COUNT ENVELOPE noop|transform PORT    admin port; 0 for none
///
/// Prints: records, seconds, and the seconds of processor time that the process took meanwhile
enum Observed {
    static func work(_ brokers: String, _ count: Int, _ envelope: BenchEnvelope, publishes: Bool, port: UInt16)
        async throws
        -> (seconds: Double, processor: Double)
    {
        let handler = Counted(Seen(publishes: publishes))
        var policy = ConsumerPolicy(handler: handler.name)
        policy.retry.tiers = []
        policy.once.ttl = nil
        policy.produces = [WorkerBench.target]
        let admin = try Admin(ClientConfiguration(brokers: [brokers]))
        let family = TopicFamily(envelope.topic, handler.name)
        _ = try await admin.create(
            [family.deadLetters, family.replay].map { NewTopic($0, partitions: WorkerBench.partitions) })
        await admin.close()
        let process = WorkerProcess(
            [.events(handler)], try WorkSettings(Settings.fromEnvironment()),
            policies: [handler.name: [envelope.topic: policy]],
            admin: port == 0 ? nil : ("127.0.0.1", port), log: Log(level: .warning, format: .text), build: "bench")
        let running = Task { try await process.run() }
        while handler.done == 0 { try await Task.sleep(for: .milliseconds(1)) }
        let (start, used) = (Time.monotonicNanoseconds, processorTime)
        let before = handler.done
        while handler.done < count { try await Task.sleep(for: .milliseconds(2)) }
        let part = Double(count) / Double(max(1, count - before))
        let seconds = Double(Time.monotonicNanoseconds - start) / 1e9
        let processor = processorTime - used
        process.stop()
        try await running.value
        return (seconds * part, processor * part)
    }

    private static var processorTime: Double {
        var used = timespec()
        unsafe clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used)
        return Double(used.tv_sec) + Double(used.tv_nsec) / 1e9
    }

    /// Counts by itself, so that nothing has to be asked of the process.
    private final class Counted: Handler {
        private let handler: Seen
        private let calls = Atomic<Int>(0)
        let name: HandlerName

        init(_ handler: Seen) {
            self.handler = handler
            name = handler.name
        }

        var done: Int { calls.load(ordering: .relaxed) }

        func handle(_ event: Event, _ context: Context) async throws -> [Outgoing] {
            let outputs = try await handler.handle(event, context)
            calls.add(1, ordering: .relaxed)
            return outputs
        }
    }
}
