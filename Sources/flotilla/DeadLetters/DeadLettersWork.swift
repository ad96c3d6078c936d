internal import Commands
internal import Contracts
internal import DeadLetters
internal import Flotilla
internal import Kafka
internal import Model
internal import Platform
internal import Postgres
internal import Redis
internal import Synchronization

extension Command {
    /// `work`: for the fleet's handlers, or `work deadletters`, which is none and works by itself.
    static func fleetWork(_ handlers: Command, build: String) -> Command {
        Command(
            name: handlers.name, summary: handlers.summary,
            details: handlers.details + "\n\n"
                + """
                `work deadletters` is a process of its own: it keeps the index of dead letters and replays them. More than
                one stand by for each other.
                """,
            operands: handlers.operands, options: handlers.options, serves: handlers.serves,
            run: { arguments in
                guard arguments.operands.contains(HandlerName.deadLetters.rawValue) else {
                    return try handlers.run(arguments)
                }
                guard arguments.operands.count == 1 else {
                    throw arguments.fault("deadletters works in a process of its own: start one for it alone")
                }
                return try runDeadLetters(arguments, build)
            })
    }

    private static func runDeadLetters(_ arguments: Arguments, _ build: String) throws -> ExitCode {
        guard arguments["concurrency"] == nil else {
            throw arguments.fault("deadletters handles no events: it has no --concurrency")
        }
        FreedMemory.keep()
        var settings = Settings.fromEnvironment()
        let log = Log.from(&settings)
        let database = WorkSettings.database(of: .deadLetters, &settings)
        let client = ClientConfiguration.from(&settings)
        let redis = settings.text("REDIS_URL")
        if let redis {
            do throws(RedisFault) { _ = try RedisConfiguration(url: redis) } catch {
                settings.refuse("REDIS_URL", ": \(error.reason)")
            }
        }
        let namespace = TopicsPlace.files(&settings).namespace
        try settings.check()
        defer { log.tellLeftOut() }
        // Without them there was a fault.
        guard let database, var client else { throw SettingFault(name: "KAFKA_BROKERS", problem: "is not set") }
        client.hooks.fault = { log.warning("kafka", [("handler", HandlerName.deadLetters), ("error", $0)]) }
        let place = DeadLettersProcess.Place(
            client: client, database: database, redisURL: redis, namespace: namespace,
            admin: try arguments["admin"].map { _ in try arguments.place("admin") })
        let process = try DeadLettersProcess(place, log: log, build: build)
        let outcome = Ending()
        Task {
            let result: Result<Void, any Error>
            do { result = .success(try await process.run()) } catch { result = .failure(error) }
            outcome.result.withLock { $0 = result }
            TerminationSignals.raise()
        }
        let first = TerminationSignals.wait()
        if outcome.result.withLock({ $0 }) == nil {
            process.stop()
            _ = TerminationSignals.wait()
        }
        guard let result = outcome.result.withLock({ $0 }) else { return .signal(first) }
        try result.get()
        return .ok
    }

    private final class Ending: Sendable {
        let result = Mutex<Result<Void, any Error>?>(nil)
    }
}
