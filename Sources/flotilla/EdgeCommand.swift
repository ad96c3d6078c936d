internal import Commands
internal import Contracts
internal import Edge
internal import HTTP
internal import Kafka
internal import Platform
internal import Redis
internal import Tracing
internal import WebAPI

extension Command {
    static let edge = Command(
        name: "edge",
        summary: "take events over HTTP and publish them, until SIGTERM",
        details: """
            POST /v1/events takes one event, a list, lines of JSON, or CloudEvents; docs/http.md shows each. A 2xx means
            that the log has acknowledged what was sent. Topic files say which topics are open to clients.
            """,
        options: [
            Option(name: "http", value: "PORT", fallback: "8080", help: "where clients come, or HOST:PORT"),
            Option(
                name: "admin", value: "PORT", fallback: "9464",
                help: "where health and metrics are, or HOST:PORT; 0 is any"),
        ],
        serves: true, run: runEdge
    )

    @Sendable private static func runEdge(_ arguments: Arguments) throws -> ExitCode {
        FreedMemory.keep()
        let (host, port) = try arguments.place("http")
        let admin = try arguments.place("admin")
        let settings = try EdgeSettings(Settings.fromEnvironment())
        let log = try Log.fromEnvironment()
        var configuration = EdgeConfiguration(
            try TopicCatalog(folder: settings.topicsFolder, namespace: settings.namespace))
        configuration.origins = settings.origins
        configuration.version = "0.1.0"
        configuration.http.tls = settings.tls
        configuration.http.host = host
        configuration.http.port = port
        try settleAccess(&configuration, settings, log)
        OpenFiles.raiseLimit()
        return try run(configuration, settings, admin, log)
    }

    /// Who may publish: those with a key or a certificate; everybody only where this machine alone can come.
    private static func settleAccess(
        _ configuration: inout EdgeConfiguration, _ settings: EdgeSettings, _ log: Log
    ) throws {
        if let path = settings.keys {
            configuration.access.keys = try KeyRing(path: path, log: log, now: Time.monotonicMilliseconds)
            configuration.access.open = nil
        }
        if let tokens = settings.tokens {
            configuration.access.tokens = try TokenVerifier(
                tokens.source, issuer: tokens.issuer, audience: tokens.audience, log: log,
                now: Time.monotonicMilliseconds)
            configuration.access.open = nil
        }
        if settings.tls?.clientAuthority != nil {
            configuration.access.takesCertificates = true
            configuration.access.open = nil
        }
        if let path = settings.grants {
            configuration.access.grants = try Grants(path: path, log: log, now: Time.monotonicMilliseconds)
        }
        let host = configuration.http.host
        guard configuration.access.open == nil || Credentials.isLoopback(host) else {
            throw HTTPFault(
                "an edge that asks nobody who they are listens on this machine alone, not on \(host): "
                    + "set FLOTILLA_KEYS (`flotilla keys create` makes the file), FLOTILLA_JWKS, FLOTILLA_ISSUER, or FLOTILLA_TLS_CLIENT_CA"
            )
        }
        // Somebody on this machine may send as much as it bears, unless told otherwise.
        configuration.rate = settings.rate ?? (configuration.access.open == nil ? 100 : nil)
    }

    private static func run(
        _ configuration: EdgeConfiguration, _ settings: EdgeSettings, _ admin: (host: String, port: UInt16), _ log: Log
    ) throws -> ExitCode {
        try serve {
            let redis = try settings.redis.map { try RedisClient($0) }
            let tracing = settings.traces.flatMap {
                Tracing.start(
                    $0, version: configuration.version, instance: UUIDValue.version7().description, log: log)
            }
            let server: EdgeServer
            do {
                server = try await EdgeServer(
                    configuration, client: settings.client, redis: redis, admin: admin, log: log,
                    tracer: tracing?.tracer)
            } catch {
                redis?.close()
                await tracing?.close()
                throw error
            }
            log.info(
                "edge is ready",
                [("http", "\(configuration.http.host):\(server.port)"), ("admin", server.adminAddress ?? "")])
            return {
                log.info("edge is stopping")
                await server.stop()
                await tracing?.close()
                log.tellLeftOut()
                log.info("edge has stopped")
                redis?.close()
            }
        }
    }
}
