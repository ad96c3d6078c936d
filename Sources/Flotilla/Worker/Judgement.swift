internal import Contracts
internal import Model
internal import Platform

/// What is to be done after some calls of the handler: every outcome is one of these.
struct Judgement: Sendable {
    /// What it is about. Those that are done are named by their places here: a copy of each would count its references.
    private let row: ArraySlice<EventJob>
    /// It went well, and these are its outputs, by their places in the run's batch.
    private(set) var done: [(place: Int, outputs: Range<Int>)] = []
    /// It goes to a retry topic or to the dead letters.
    var disposals: [Disposal] = []
    /// It is tried again in this process.
    var again: [(job: EventJob, delay: Duration)] = []
    /// Something is missing; the event is not to blame and stays where it is.
    var missing: (dependency: String, story: ErrorStory)?
    /// How many of the row this is about; the others were not called.
    var handled = 0

    /// Judges the outcomes of a row, one by one. `random` spreads the waiting.
    init(_ outcomes: [CallOutcome], _ row: ArraySlice<EventJob>, _ role: TopicRole, wallNow: Int64, random: Double) {
        self.row = row
        done.reserveCapacity(outcomes.count)
        var outputsStart = 0
        for (outcome, place) in zip(outcomes, row.indices) {
            switch outcome {
            case .done(let end):
                done.append((place, outputsStart..<max(outputsStart, end)))
                outputsStart = max(outputsStart, end)
            case .failed(let failure, let story):
                var job = row[place]
                let decision = RetryDecision(
                    for: failure, policy: role.policy, tries: job.tries + 1, tier: role.tier,
                    age: .milliseconds(wallNow - (job.state?.firstFailed ?? wallNow)), random: random)
                switch decision {
                case .hold(let dependency):
                    missing = (dependency, story)
                    return
                case .leave: return
                case .again(let delay):
                    job.attempts += 1
                    job.tries += 1
                    again.append((job, delay))
                case .tier(let tier, let countsAttempt):
                    job.attempts += 1
                    disposals.append(
                        Disposal(job, role, .tier(tier, countsAttempt: countsAttempt), story, stage: "handle"))
                case .dead(let reason):
                    job.attempts += 1
                    disposals.append(Disposal(job, role, .dead(reason), story, stage: "handle"))
                }
            }
            handled += 1
        }
    }

    /// The event that is done at a place of `done`.
    func job(at place: Int) -> EventJob { row[place] }

    var doneJobs: [EventJob] { done.map { row[$0.place] } }

    var doneTickets: [UInt64] { done.map { row[$0.place].ticket } }
}

extension TopicRole {
    /// The delay of the retry topic that this is, nil when it is none.
    var tier: RetryTier? {
        if case .retry(let tier) = kind { tier } else { nil }
    }
}

extension Disposal {
    init(_ job: EventJob, _ role: TopicRole, _ target: Target, _ story: ErrorStory, stage: String) {
        self.init(
            record: job.event.record, ticket: job.ticket, hold: job.hold, attempts: job.attempts,
            state: job.state ?? RetryState(job.event.record, role: role), target: target, story: story, stage: stage,
            trace: story.trace?.description ?? job.event.traceParent)
    }
}
