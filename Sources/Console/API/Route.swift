internal import WebAPI

/// What the console answers to beside its page.
enum Route: WebRoute {
    case session, fleet, fleetEvents, pause, resume
    case topics, records
    case groups, letters, letter, note, discard, restore, audit
    case replays, replay, job, jobEvents, changeJob
    case metrics, description

    var templates: [String] {
        switch self {
        case .session: ["/api/session"]
        case .fleet: ["/api/fleet"]
        case .fleetEvents: ["/api/fleet/events"]
        case .pause: ["/api/handlers/{handler}/pause"]
        case .resume: ["/api/handlers/{handler}/resume"]
        case .topics: ["/api/topics"]
        case .records: ["/api/topics/{topic}/records"]
        case .groups: ["/api/groups"]
        case .letters: ["/api/dead-letters"]
        case .letter: ["/api/dead-letters/{id}"]
        case .note: ["/api/dead-letters/{id}/note"]
        case .discard: ["/api/discard"]
        case .restore: ["/api/restore"]
        case .audit: ["/api/audit"]
        case .replays, .replay: ["/api/replays"]
        case .job: ["/api/replays/{job}"]
        case .jobEvents: ["/api/replays/{job}/events"]
        case .changeJob: ["/api/replays/{job}/{verb}"]
        case .metrics: ["/api/metrics"]
        case .description: ["/api/openapi.json"]
        }
    }

    var method: String {
        switch self {
        case .pause, .resume, .note, .discard, .restore, .replay, .changeJob: "POST"
        case .session, .fleet, .fleetEvents, .topics, .records, .groups, .letters, .letter, .audit, .replays, .job,
            .jobEvents, .metrics, .description:
            "GET"
        }
    }

    /// What it takes to ask.
    var role: ConsoleRole { method == "POST" ? .operate : .read }

    /// Whether its answer goes on.
    var isStream: Bool { self == .fleetEvents || self == .jobEvents }

    var summary: String {
        switch self {
        case .session: "Who you are here, and what you may"
        case .fleet: "Handlers, workers, lag, pauses, and what would help, with the last minutes"
        case .fleetEvents: "The same as it changes: server-sent events"
        case .pause: "Have a handler stand still, wherever it runs"
        case .resume: "Have a handler go on that was paused"
        case .topics: "The topics of the fleet"
        case .records: "Records of a topic: the latest, or by offset, time or key"
        case .groups: "What dead letters died of, most first"
        case .letters: "Dead letters, the latest first"
        case .letter: "One dead letter: body, headers, story"
        case .note: "Write a note to a dead letter, over the one before"
        case .discard: "Put open dead letters aside"
        case .restore: "Have discarded dead letters open again"
        case .audit: "Who changed what, the latest first"
        case .replays: "Replays, the latest first"
        case .replay: "Give open dead letters back to their handlers, as a job"
        case .job: "One replay, and why some of it failed"
        case .jobEvents: "The same as it goes on: server-sent events, until it is over"
        case .changeJob: "Pause, resume or cancel a replay"
        case .metrics: "Windows of a metric, by time, one JSON object a line"
        case .description: "This description"
        }
    }
}
