internal import Flotilla
internal import Platform
internal import Postgres

/// Has tables made ahead for the windows to come, and those dropped that are too old: see `windows_keep`.
///
/// Every process looks when it starts and then once in ten minutes. In Postgres one at a time does it, so it does not
/// matter how many look. Each look is a transaction of its own, because it ends with locks on whole tables: in that of a
/// tick they would last until the tick is through with its windows.
struct Housekeeping: Sendable {
    private let settings: AggregateSettings

    init(_ settings: AggregateSettings) { self.settings = settings }

    func run(_ service: HandlerService) async throws {
        var due: [Step: Int64] = [:]
        while !service.isEnding, !Task.isCancelled {
            for step in Step.allCases where Time.monotonicMilliseconds >= due[step] ?? 0 && !service.isEnding {
                let pause: Duration
                do {
                    pause = try await look(
                        step, service.database, service.log, now: Timestamp(milliseconds: Time.wallMilliseconds))
                } catch {
                    service.log.warning(
                        "tables of windows cannot be looked after", [("step", step.rawValue), ("error", "\(error)")])
                    pause = .seconds(10)
                }
                due[step] = Time.monotonicMilliseconds + pause.milliseconds
            }
            await service.nap(.seconds(1))
        }
    }

    /// Looks after the tables of a step; when it is to be done again.
    func look(_ step: Step, _ database: PostgresPool, _ log: Log, now: Timestamp) async throws -> Duration {
        let from = settings.keep[step].map { Timestamp(milliseconds: now.milliseconds - $0) }
        let did = try await database.transaction { transaction in
            try await transaction.query("SELECT windows_keep(\(step.rawValue), \(now), \(from)) AS did")
                .first?.optional("did", as: String.self)
        }
        guard let did, !did.isEmpty else { return .seconds(600) }
        log.info("tables of windows", [("step", step.rawValue), ("did", did)])
        // There may be more to do. Who is in the way may be so for long, and while we wait for a table others wait for us.
        return .seconds(did.hasPrefix("nothing") ? 60 : 1)
    }
}
