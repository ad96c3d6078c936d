internal import Commands
internal import Flotilla
internal import Model
internal import Platform
internal import Postgres

extension Command {
    /// Runs a command's body with what a handler keeps in Postgres, where the handler's own workers have it.
    static func inDatabase(
        of handler: HandlerName, _ body: @escaping @Sendable (PostgresPool) async throws -> ExitCode
    ) throws -> ExitCode {
        var settings = Settings.fromEnvironment()
        let own = settings.text("\(handler.rawValue.uppercased())_DATABASE_URL")
        let url =
            own == nil
            ? settings.required("DATABASE_URL", "postgresql://USER@HOST/DATABASE, where \(handler) writes") : own
        let namespace = TopicsPlace.files(&settings).namespace
        try settings.check()
        var place = try PostgresConfiguration(url: url ?? "")
        place.schema = namespace.schema(handler)
        place.connections = 1
        return try finish { [place] in
            let pool = try PostgresPool(place)
            defer { pool.close() }
            return try await body(pool)
        }
    }
}
