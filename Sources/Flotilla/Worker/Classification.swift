internal import JSON
internal import Kafka
internal import Postgres

extension Failure {
    /// What an error means that a handler threw.
    ///
    /// `isOverdue`: its time was over and it was told so. `isStopping`: it was cancelled because the process stops or the
    /// partition goes, which is no fault of anybody's.
    init(_ error: any Error, isOverdue: Bool, isStopping: Bool) {
        switch error {
        case let refusal as Refusal:
            self = Failure(refusal.kind)
        case is CancellationError where isStopping && !isOverdue:
            self = .cancelled
        case let fault as PostgresFault where fault.kind == .cancelled && isStopping && !isOverdue:
            self = .cancelled
        case _ where isOverdue:
            self = .timeout
        case is EnvelopeFault, is JSONFault:
            self = .undecodable
        case let fault as KafkaFault where fault.isRetriable:
            self = .unavailable(dependency: "kafka")
        case let fault as PostgresFault: self = Failure(fault)
        case _:
            // What nobody has thought of may pass; when it does not, it ends as a dead letter that tells.
            self = .retry(after: nil)
        }
    }

    /// A database that is away, slow, or other than the handler's statements expect is no fault of the event; what the
    /// event brought and no column takes is.
    init(_ fault: PostgresFault) {
        self =
            switch fault.kind {
            case .data: .permanent
            case .constraint, .raised: .retry(after: nil)
            case .unreachable, .timedOut, .conflict, .statement, .refused, .cancelled, .closed:
                .unavailable(dependency: Failure.postgres)
            }
    }

    static let postgres = "postgres"

    private init(_ kind: Refusal.Kind) {
        self =
            switch kind {
            case .retry(let after): .retry(after: after)
            case .permanent: .permanent
            case .undecodable: .undecodable
            case .schemaInvalid: .schemaInvalid
            case .late: .late
            case .expired: .expired
            case .unavailable(let dependency): .unavailable(dependency: dependency)
            }
    }
}
