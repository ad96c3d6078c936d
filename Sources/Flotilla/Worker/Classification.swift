internal import JSON
internal import Kafka

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
        case _ where isOverdue:
            self = .timeout
        case is EnvelopeFault, is JSONFault:
            self = .undecodable
        case let fault as KafkaFault where fault.isRetriable:
            self = .unavailable(dependency: "kafka")
        case _:
            // What nobody has thought of may pass; when it does not, it ends as a dead letter that tells.
            self = .retry(after: nil)
        }
    }

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
