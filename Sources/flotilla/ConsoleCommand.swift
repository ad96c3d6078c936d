internal import Commands
internal import Console
internal import Contracts
internal import HTTP
internal import Kafka
internal import Platform
internal import Stack
internal import WebAPI

extension Command {
    static let console = Command(
        name: "console",
        summary: "a page to look after the fleet with, until SIGTERM",
        details: """
            Handlers, workers and lag as they move; what is in topics; dead letters and their replay; metrics over time. The
            same as JSON under /api, which /api/openapi.json describes. docs/console.md tells more.

            On this machine alone it asks nobody who they are. Elsewhere FLOTILLA_CONSOLE_TOKENS says who may come, and
            FLOTILLA_CONSOLE_HOSTS by which names.
            """,
        options: [
            Option(name: "http", value: "PORT", fallback: "8081", help: "where browsers come, or HOST:PORT; 0 is any"),
            Option(
                name: "admin", value: "PORT", fallback: "9465",
                help: "where health and metrics are, or HOST:PORT; 0 is any"),
            data,
        ],
        serves: true,
        run: { arguments in
            FreedMemory.giveBack()
            var configuration = try ConsoleConfiguration(Settings.fromEnvironment())
            let log = try Log.fromEnvironment()
            (configuration.http.host, configuration.http.port) = try arguments.place("http")
            try configuration.settleAccess()
            configuration.catalogs = [
                try TopicCatalog(folder: configuration.topicsFolder, namespace: configuration.namespace)
            ]
            let stack = (try? StackFolder(existing: RunningStack.folder(arguments))).flatMap {
                RunningFile.read($0.file)
            }
            if let stack, stack.process.isRunning, stack.settings["KAFKA_BROKERS"] == configuration.client.brokers.first
            {
                configuration.isBesideWorkers = true
                for topics in stack.guests {
                    configuration.catalogs.append(try TopicCatalog(folder: topics, namespace: configuration.namespace))
                }
            }
            configuration.operatorName = DlqPlace.user
            configuration.version = Main.version
            let admin = try arguments.place("admin")
            OpenFiles.raiseLimit()
            return try serve { [configuration] in
                let server = try await ConsoleServer(configuration, admin: admin, log: log)
                log.info(
                    "console is ready",
                    [("http", "\(configuration.http.host):\(server.port)"), ("admin", server.adminAddress)])
                return {
                    log.info("console is stopping")
                    await server.stop()
                    log.tellLeftOut()
                    log.info("console has stopped")
                }
            }
        })

    /// `console token`: what a setting needs to let somebody in.
    static let consoleToken = Command(
        name: "console token", summary: "make a token for the console",
        details: "It is shown once, with the entry for FLOTILLA_CONSOLE_TOKENS, which has only a digest of it.",
        operands: [Operand(name: "NAME", help: "whose it is: what the audit calls them")],
        options: [
            Option(name: "role", value: "read|operate", fallback: "read", help: "to look, or to change things too")
        ],
        run: { arguments in
            let name = arguments.operands[0]
            guard Credentials.isName(name) else {
                throw arguments.fault("NAME is letters, digits, dashes, underscores and dots, at most 64")
            }
            guard let role = ConsoleRole(rawValue: arguments["role"] ?? "") else {
                throw arguments.fault("--role is read or operate")
            }
            let (token, entry) = ConsoleTokens.make(ConsoleUser(name, role))
            print("token  \(token)\nentry  \(entry)")
            return .ok
        })
}
