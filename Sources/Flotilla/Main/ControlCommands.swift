package import Commands
internal import Contracts
internal import Glibc
internal import Platform
internal import Redis

extension Command {
    private static let partition = Option(
        name: "partition", value: "P", help: "this number of all its topics, and no other")

    /// Writes down who had what stand still, or go on, where that is kept.
    package typealias PauseNote = @Sendable (_ verb: String, OperatorPause) async -> Void

    /// `pause HANDLER`: running workers stop within two seconds, and those to come do not begin.
    package static func pause(noting note: @escaping PauseNote = { _, _ in }) -> Command {
        Command(
            name: "pause", summary: "have a handler stand still, wherever it runs",
            details: "What is under way is finished. It lasts until `resume`, over restarts of every worker.",
            operands: [Operand(name: "HANDLER", help: "whose work is to stop")],
            options: [partition, Option(name: "reason", value: "TEXT", help: "why, for whoever finds it standing")],
            run: { arguments in
                let pause = OperatorPause(
                    handler: HandlerName(arguments.operands[0]), partition: try number(arguments),
                    reason: arguments["reason"] ?? "", by: user,
                    at: Timestamp(milliseconds: Time.wallMilliseconds).description)
                return try onBoard { board in
                    let known = try await known(board)
                    guard known.isEmpty || known.contains(pause.handler) else {
                        Program.complain(
                            "\(Program.name): nobody knows the handler \(pause.handler): topic files and running workers have "
                                + known.sorted().map(\.rawValue).joined(separator: ", "))
                        return .failed
                    }
                    try await board.pause(pause)
                    print("\(pause.place) stands still until: \(Program.name) resume \(pause.command)")
                    await note("pause", pause)
                    return .ok
                }
            })
    }

    /// `resume HANDLER`: goes on where `pause` stopped.
    package static func resume(noting note: @escaping PauseNote = { _, _ in }) -> Command {
        Command(
            name: "resume", summary: "have a handler go on that `pause` stopped",
            operands: [Operand(name: "HANDLER", help: "whose work is to go on")], options: [partition],
            run: { arguments in
                let pause = OperatorPause(
                    handler: HandlerName(arguments.operands[0]), partition: try number(arguments), by: user)
                return try onBoard { board in
                    guard try await board.resume(pause.handler, pause.partition) else {
                        Program.complain("\(Program.name): \(pause.place) was not paused")
                        return .failed
                    }
                    print("\(pause.place) goes on")
                    await note("resume", pause)
                    return .ok
                }
            })
    }

    /// `workers`: what the running workers say of themselves.
    package static let workers = Command(
        name: "workers", summary: "the workers that run now, one JSON object a line",
        details:
            "What each said of itself in the last second: handlers, partitions, counts, pauses with their reasons, memory.",
        run: { _ in
            try onBoard { board in
                for worker in try await board.workers() { print(worker) }
                return .ok
            }
        })

    /// The handlers that topic files or running workers name. A command line far from both knows none.
    private static func known(_ board: ControlBoard) async throws -> Set<HandlerName> {
        var settings = Settings.fromEnvironment()
        let (folder, namespace) = TopicsPlace.files(&settings)
        let files = (try? TopicCatalog(folder: folder, namespace: namespace))?.handlers ?? []
        return Set(files).union(try await board.handlers())
    }

    private static func number(_ arguments: Arguments) throws(UsageFault) -> Partition? {
        guard let text = arguments["partition"] else { return nil }
        guard let number = Int32(text), number >= 0 else { throw arguments.fault("--partition is a number from 0") }
        return Partition(number)
    }

    private static var user: String {
        unsafe getpwuid(geteuid()).map { unsafe String(cString: $0.pointee.pw_name) } ?? "uid \(geteuid())"
    }

    /// Runs `body` with what operators and workers share.
    private static func onBoard(_ body: @escaping @Sendable (ControlBoard) async throws -> ExitCode) throws -> ExitCode
    {
        var settings = Settings.fromEnvironment()
        let url = settings.required("REDIS_URL", "redis://HOST:PORT, where the fleet's workers meet")
        let namespace = TopicsPlace.files(&settings).namespace
        try settings.check()
        let configuration = try RedisConfiguration(url: url ?? "")
        return try finish {
            let client = try RedisClient(configuration)
            defer { client.close() }
            return try await body(ControlBoard(client, namespace))
        }
    }
}

extension OperatorPause {
    fileprivate var place: String { partition.map { "\(handler), partition \($0)," } ?? handler.rawValue }
    fileprivate var command: String { partition.map { "\(handler) --partition \($0)" } ?? handler.rawValue }
}
