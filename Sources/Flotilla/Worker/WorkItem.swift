internal import Contracts
internal import Model

/// A record that waits for its turn, or is being worked on.
struct WorkItem: Sendable {
    let record: Record
    /// Its place in the partition's ledger.
    let ticket: UInt64
}

/// An event on its way through the handler. It is copied from step to step, so it is kept small.
struct EventJob: Sendable {
    var event: Event
    let ticket: UInt64
    /// Calls of the handler so far, over all retries, and those in this process.
    var attempts: Int
    var tries = 0
    private let way: Way?
    /// What the once-only memory granted; nil without it.
    var hold: OnceHold?
    /// How often it was started and not heard of again, nil when it is above suspicion.
    var suspectedStarts: Int?

    /// What the headers say of its way, nil for a record of a source topic.
    var state: RetryState? { way?.state }

    init(event: Event, ticket: UInt64, state: RetryState?) {
        self.event = event
        self.ticket = ticket
        attempts = state?.attempts ?? 0
        way = state.map(Way.init)
    }

    var item: WorkItem { WorkItem(record: event.record, ticket: ticket) }

    private final class Way: Sendable {
        let state: RetryState

        init(_ state: RetryState) { self.state = state }
    }
}

/// A record that is not handled here any more: where it goes, and why.
struct Disposal: Sendable {
    enum Target: Sendable {
        case tier(RetryTier, countsAttempt: Bool)
        case dead(DeadLetterReason)
    }

    let record: Record
    let ticket: UInt64
    let hold: OnceHold?
    let attempts: Int
    let state: RetryState
    let target: Target
    let story: ErrorStory
    let stage: String
    /// Where the event's trace stands: the failed attempt, if it has a span.
    let trace: String?
}

/// What became of a call of the handler, for one event.
enum CallOutcome: Sendable {
    /// Its outputs end at this number in the run's batch.
    case done(outputsEnd: Int)
    case failed(Failure, ErrorStory)
}

/// What is told of an error, wherever it goes: its type and its words.
struct ErrorStory: Sendable, Hashable {
    let type: String
    let message: String
    /// The span that failed, where there is one.
    var trace: TraceParent?

    init(type: String, message: String) {
        self.type = type
        self.message = message
    }

    init(_ error: any Error, in call: CallTrace? = nil) {
        self.init(type: "\(Swift.type(of: error))", message: "\(error)")
        trace = call?.failing
    }
}
