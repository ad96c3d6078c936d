internal import Commands
internal import Console
internal import Contracts
internal import Edge
internal import Flotilla
internal import HTTP
internal import Model
internal import Platform
internal import Stack

extension Command {
    static let data = Option(
        name: "data", value: "DIR", help: "the stack's folder: FLOTILLA_DATA, or \(RunningStack.defaultFolder)")

    static let up = Command(
        name: "up",
        summary: "the whole fleet on this machine, until Ctrl-C",
        details: """
            Starts a broker, a Redis and a Postgres of its own under one folder, makes the topics, and then runs the edge and
            a worker for each handler. What dies is started again. Servers that the settings name (KAFKA_BROKERS, REDIS_URL,
            DATABASE_URL) are used instead. docs/local.md tells more.
            """,
        options: [
            data,
            Option(name: "http", value: "PORT", fallback: "8080", help: "where clients come, or HOST:PORT; 0 is any"),
            Option(
                name: "console", value: "PORT", fallback: "8081", help: "where the page is, or HOST:PORT; 0 is any"),
            Option(name: "broker", value: "PORT", fallback: "9092", help: "where the broker listens; 0 is any"),
            Option(
                name: "admin", value: "PORT", fallback: "9464",
                help: "where health and metrics of the stack are, or HOST:PORT; 0 is any"),
            Option(name: "scale", value: "H=N,…", help: "so many workers for a handler, or for all who read a topic"),
            Option(
                name: "fsync", value: "batch|interval|never", fallback: "batch",
                help: "when the broker forces records to the disk: before each acknowledgement, every second, or never"),
            Option(
                name: "with", value: "PATH", repeats: true,
                help: "a worker of yours, beside ours: its program, or its package's folder"),
            Option(name: "demo", help: "send made-up events of some campaigns, some of them faulty"),
            Option(name: "detach", help: "go on in the background, once it is ready"),
        ],
        joinsStack: false, run: runUp)

    @Sendable private static func runUp(_ arguments: Arguments) throws -> ExitCode {
        let options = try stackOptions(arguments)
        if arguments.has("detach") { return try Detached.start(options) }
        let folder = try StackFolder(making: options.folder)
        try folder.take()
        try folder.prepare()
        try checkSettings(options)
        OpenFiles.raiseLimit()
        let signals = try Signals.file()
        try Stack(options, folder).run(signals: signals)
        return .ok
    }

    private static func stackOptions(_ arguments: Arguments) throws -> StackOptions {
        guard let program = Files.resolved("/proc/self/exe") else { throw StackFault("/proc is not mounted") }
        var options = StackOptions(
            folder: RunningStack.folder(arguments), program: program, settings: Settings.fromEnvironment())
        guard !options.folder.isEmpty else { throw arguments.fault("--data is empty") }
        options.version = Main.version
        options.command = CommandLine.arguments.first ?? options.command
        options.http = try arguments.place("http")
        options.console = try arguments.place("console")
        options.admin = try arguments.place("admin")
        guard let broker = arguments["broker"].flatMap({ UInt16($0) }) else {
            throw arguments.fault("--broker is a port; one that other machines reach is Apache Kafka's (KAFKA_BROKERS)")
        }
        options.broker = broker
        options.fsync = arguments["fsync"] ?? "batch"
        guard ["batch", "interval", "never"].contains(options.fsync) else {
            throw arguments.fault("--fsync is batch, interval or never")
        }
        do throws(StackFault) {
            options.scale = try ScaleTarget.parse((arguments["scale"] ?? "").split(separator: ",").map(String.init))
        } catch { throw arguments.fault("--scale: \(error)") }
        options.hasDemo = arguments.has("demo")
        options.handlers = FleetHandlers.names + [.deadLetters]
        options.stateful = FleetHandlers.stateful.union([.deadLetters])
        options.guests = try Guests.find(arguments.all("with"), options)
        options.isDetached = options.settings.all[Detached.mark] != nil
        return options
    }

    /// What would end the edge or a worker as soon as it starts is told here, all at once and before anything runs.
    private static func checkSettings(_ options: StackOptions) throws {
        // The places are not known yet; what else is set is.
        let places = [
            "KAFKA_BROKERS": "127.0.0.1:9092", "DATABASE_URL": "postgresql:///postgres", "REDIS_URL": "unix:///redis",
        ]
        var all = options.settings.all
        for (name, place) in places where all[name] == nil && all[name + "_FILE"] == nil {
            if name != "KAFKA_BROKERS" || all["KAFKA_BOOTSTRAP_SERVERS"] == nil { all[name] = place }
        }
        let settings = Settings(all)
        var faults: [SettingFault] = []
        do throws(SettingFaults) { _ = try WorkSettings(settings) } catch { faults += error.faults }
        do throws(SettingFaults) { _ = try EdgeSettings(settings) } catch { faults += error.faults }
        var console: ConsoleConfiguration?
        do throws(SettingFaults) { console = try ConsoleConfiguration(settings) } catch { faults += error.faults }
        var seen: Set<SettingFault> = []
        faults = faults.filter { seen.insert($0).inserted }
        guard faults.isEmpty else { throw SettingFaults(faults: faults) }
        console?.http.host = options.console.host
        try console?.settleAccess()
        try FleetHandlers.check(settings)
    }
}
