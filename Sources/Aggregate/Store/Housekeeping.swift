internal import Platform
internal import Postgres
internal import Synchronization

/// Has tables made ahead for the windows to come, and those dropped that are too old: see `windows_keep`.
///
/// Every process looks with its first ticks and then once in ten minutes, whichever partition it is. In Postgres one at a
/// time does it, so it does not matter how many look. A tick looks after one step, because two of them would hold on to
/// tables that others take in another order.
final class Housekeeping: Sendable {
    private let due = Mutex<[Step: Int64]>([:])
    private static let every: Int64 = 600_000

    func look(_ settings: AggregateSettings, _ transaction: PostgresTransaction, _ log: Log, now: Int64) async throws {
        let step = due.withLock { due -> Step? in
            // A clock that was put back does not keep it waiting.
            let found = Step.allCases.first { step in due[step].map { now >= $0 || now < $0 - Self.every } ?? true }
            if let found { due[found] = now + Self.every }
            return found
        }
        guard let step else { return }
        let row = try await transaction.query(
            """
            SELECT windows_keep(\(step.rawValue), \(Timestamp(milliseconds: now)),
                \(settings.keep[step].map { Timestamp(milliseconds: now - $0) })) AS did
            """
        ).first
        guard let did = try row?.optional("did", as: String.self), !did.isEmpty else { return }
        log.info("tables of windows", [("step", step.rawValue), ("did", did)])
        // There may be more to do. Who is in the way may be so for long, and while we wait for a table others wait for us.
        let pause: Int64 = did.hasPrefix("nothing") ? 60_000 : 1000
        due.withLock { $0[step] = now + pause }
    }
}
