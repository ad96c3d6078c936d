internal import Platform
internal import Postgres
internal import Synchronization

/// Has tables made ahead for the windows to come, and those dropped that are too old: see `windows_keep`.
///
/// Every process looks at the first tick and then once in ten minutes, whichever partition it is. In Postgres one at a time
/// does it, so it does not matter how many look.
final class Housekeeping: Sendable {
    private let next = Mutex<Int64>(.min)
    private static let every: Int64 = 600_000

    func look(_ settings: AggregateSettings, _ transaction: PostgresTransaction, _ log: Log, now: Int64) async throws {
        let isDue = next.withLock { next in
            // A clock that was put back does not keep it waiting.
            guard now >= next || now < next - Self.every else { return false }
            next = now + Self.every
            return true
        }
        guard isDue else { return }
        for step in Step.allCases {
            let row = try await transaction.query(
                """
                SELECT windows_keep(\(step.rawValue), \(Timestamp(milliseconds: now)),
                    \(settings.keep[step].map { Timestamp(milliseconds: now - $0) })) AS did
                """
            ).first
            guard let did = try row?.optional("did", as: String.self), !did.isEmpty else { continue }
            log.info("tables of windows", [("step", step.rawValue), ("did", did)])
        }
    }
}
