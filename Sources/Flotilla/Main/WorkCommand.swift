package import Commands
package import Contracts
internal import Glibc
internal import Kafka
internal import Platform
internal import Synchronization

extension Command {
    /// `work HANDLER…`: a worker for these handlers.
    package static func work(_ handlers: [AnyHandler], build: String) -> Command {
        work(handlers.map(\.name), build: build) { name, _ in handlers.first { $0.name == name } }
    }

    /// The same for handlers that need to know the topic files.
    package static func work(
        _ handlers: [HandlerName], build: String,
        make: @escaping @Sendable (HandlerName, TopicCatalog) throws -> AnyHandler?
    ) -> Command {
        let names = handlers.map(\.rawValue).sorted()
        return Command(
            name: "work", summary: "work for handlers until SIGTERM",
            details: """
                Reads the topics of each handler as a member of its group and has it work them off. The first SIGTERM
                or SIGINT finishes what is under way, commits and leaves; a second one ends the process at once. Several
                workers of a handler share its partitions.

                Settings, where no fleet of this folder (or of FLOTILLA_DATA) tells them:
                  KAFKA_BROKERS          where the log is, as HOST:PORT,…; LIBRDKAFKA_<OPTION> for what else it takes
                  REDIS_URL              what was done is remembered there: needed unless topic files say once: false
                  DATABASE_URL           what handlers with state keep; <HANDLER>_DATABASE_URL for one alone
                  FLOTILLA_TOPICS        the topic files (./topics), which say what a handler reads and how it retries
                  FLOTILLA_NAMESPACE     put before all names, so that two fleets can share servers
                  LOG_LEVEL, LOG_FORMAT  debug, info, warning or error; json or text

                It refuses to start while topics are missing: \(Program.name) topics apply makes them. Ends with 0 after a
                signal, with 1 when it cannot work and 2 when it was called wrongly.

                Handlers here: \(names.isEmpty ? "none" : names.joined(separator: ", ")).
                """,
            operands: [Operand(name: "HANDLER", count: .any, help: "whom to work for; without a name, for all")],
            options: [
                Option(
                    name: "concurrency", value: "N",
                    help: "events of a partition at once, instead of what the topic files say"),
                Option(
                    name: "admin", value: "PORT",
                    help: "where health and metrics are told, or HOST:PORT; 0 is any, without it nowhere"),
            ],
            serves: true, run: { try runWork($0, handlers, build, make) }
        )
    }

    private static func runWork(
        _ arguments: Arguments, _ handlers: [HandlerName], _ build: String,
        _ make: (HandlerName, TopicCatalog) throws -> AnyHandler?
    ) throws -> ExitCode {
        let wanted = arguments.operands.isEmpty ? handlers.map(\.rawValue) : arguments.operands
        for name in wanted where !handlers.contains(HandlerName(name)) {
            throw arguments.fault("there is no handler \(name.debugDescription)")
        }
        FreedMemory.keep()
        var concurrency: Int?
        if let text = arguments["concurrency"] {
            guard let number = Int(text), (1...1000).contains(number) else {
                throw arguments.fault("--concurrency is a number from 1 to 1000")
            }
            concurrency = number
        }
        var settings = Settings.fromEnvironment()
        let (folder, namespace) = TopicsPlace.files(&settings)
        let catalog = try TopicCatalog(folder: folder, namespace: namespace)
        let chosen = try wanted.compactMap { try make(HandlerName($0), catalog) }
        let remembering = chosen.map(\.name).filter { name in
            catalog.subscriptions(of: name).contains { $0.policy.once.ttl != nil }
        }
        let work = try WorkSettings(Settings.fromEnvironment(), handlers: chosen, remembering: remembering)
        var policies: [HandlerName: [TopicName: ConsumerPolicy]] = [:]
        let largest = Dictionary(
            catalog.topics.map { ($0.name, $0.maxMessageBytes) }, uniquingKeysWith: { first, _ in first })
        let retentions = Dictionary(
            catalog.topics.compactMap { topic in
                if case .time(let time) = topic.retention { (topic.name, time) } else { nil }
            }, uniquingKeysWith: { first, _ in first })
        for handler in chosen {
            for subscription in catalog.subscriptions(of: handler.name) {
                var policy = subscription.policy
                if let concurrency, policy.ordering == .none { policy.concurrency = concurrency }
                policies[handler.name, default: [:]][subscription.topic.name] = policy
            }
        }
        let admin = try arguments["admin"].map { _ in try arguments.place("admin") }
        let process = WorkerProcess(
            chosen, work, policies: policies, largest: largest, retentions: retentions, admin: admin, log: work.log,
            build: build)
        return try finish(process, catalog, work, Set(chosen.map(\.name)))
    }

    /// Longer than draining and leaving the group take when nothing but a call hangs; shorter than Kubernetes waits by
    /// deploy/, so that there is a line that says why.
    private static let longestEnd: Duration = .seconds(40)

    /// Runs the process until it ends, or until two signals have come.
    private static func finish(
        _ process: WorkerProcess, _ catalog: TopicCatalog, _ settings: WorkSettings, _ names: Set<HandlerName>
    ) throws -> ExitCode {
        let outcome = Ending()
        Task {
            let result: Result<Void, any Error>
            do {
                try await checkTopics(catalog, settings, names)
                result = .success(try await process.run())
            } catch { result = .failure(error) }
            outcome.result.withLock { $0 = result }
            TerminationSignals.raise()
        }
        let first = TerminationSignals.wait()
        if let result = outcome.result.withLock({ $0 }) {
            try result.get()
            return .ok
        }
        process.stop()
        // Waited for here and not by a task: a call that computes without an end may have taken all of their threads.
        guard TerminationSignals.wait(within: longestEnd) != nil else {
            throw WorkerProcess.Fault(
                "what is under way did not end within \(longestEnd): the process ends without it")
        }
        guard let result = outcome.result.withLock({ $0 }) else { return .signal(first) }
        try result.get()
        return .ok
    }

    private final class Ending: Sendable {
        let result = Mutex<Result<Void, any Error>?>(nil)
    }

    /// A worker whose topics are missing, or other than its files say, would lose what it cannot write.
    private static func checkTopics(
        _ catalog: TopicCatalog, _ settings: WorkSettings, _ names: Set<HandlerName>
    ) async throws {
        let place = TopicsPlace(catalog, settings.client)
        let readiness = try await place.withAdmin { try await catalog.readiness(of: names, with: $0) }
        guard readiness.isReady else { throw WorkerProcess.Fault(readiness.advice(Program.name)) }
    }
}
