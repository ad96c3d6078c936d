internal import Commands
internal import LocalBroker
internal import Platform

extension Command {
    private static let brokerName = "broker"

    static let broker = Command(
        name: brokerName,
        summary: "a durable log for one machine that speaks Kafka's protocol",
        details: """
            Any Kafka client works against it unchanged. It keeps everything under one folder and forces it to the
            disk before it acknowledges. It does not replicate, compact, authenticate or do transactions: for those,
            use Apache Kafka.
            """,
        options: [
            Option(name: "data", value: "DIR", fallback: ".flotilla/broker", help: "the folder that holds everything"),
            Option(name: "listen", value: "HOST:PORT", fallback: "127.0.0.1:9092", help: "where to listen"),
            Option(name: "advertise", value: "HOST:PORT", help: "what clients are told to connect to, if not that"),
            Option(
                name: "fsync", value: Durability.allCases.map(\.rawValue).joined(separator: "|"), fallback: "batch",
                help: "force to the disk before each acknowledgement, every second, or when the system sees fit"),
            Option(name: "insecure", help: "allow an address that other machines reach"),
        ],
        joinsStack: false, serves: true, run: runBroker
    )

    /// Serves until SIGINT or SIGTERM, or until the broker ends by itself.
    @Sendable private static func runBroker(_ arguments: Arguments) throws -> ExitCode {
        var configuration = BrokerConfiguration(dataFolder: arguments["data"] ?? "")
        guard !configuration.dataFolder.isEmpty else { throw UsageFault("--data is empty", of: brokerName) }
        if let listen = try endpoint("listen", arguments) { configuration.listen = listen }
        configuration.advertise = try endpoint("advertise", arguments)
        guard let durability = arguments["fsync"].flatMap(Durability.init(rawValue:)) else {
            throw UsageFault("--fsync is batch, interval or never", of: brokerName)
        }
        configuration.durability = durability
        configuration.insecure = arguments.has("insecure")
        let log = try Log.fromEnvironment()
        defer { log.tellLeftOut() }
        OpenFiles.raiseLimit()
        let broker = try Broker.start(configuration, log: log)
        broker.whenStopped { _ in TerminationSignals.raise() }
        _ = TerminationSignals.wait()
        try broker.stop()
        return .ok
    }

    private static func endpoint(_ name: String, _ arguments: Arguments) throws(UsageFault) -> Endpoint? {
        guard let text = arguments[name] else { return nil }
        guard let endpoint = Endpoint(text) else {
            throw UsageFault("--\(name) \(text.debugDescription) is not HOST:PORT", of: brokerName)
        }
        return endpoint
    }
}
