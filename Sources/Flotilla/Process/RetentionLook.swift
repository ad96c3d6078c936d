internal import Kafka
internal import Model
internal import Platform
internal import Synchronization

/// Asks the broker for how long it keeps what handlers read: topic files say what is wanted, and whoever is later than what
/// is really so loses records. Asked again and again for as long as somebody reads the figures.
final class RetentionLook: Sendable {
    private let admin: Admin
    private let interval: Int64
    private let state = Mutex<(next: Int64, isAsking: Bool)>((.min, false))

    init(_ admin: Admin, every interval: Duration = .seconds(30)) {
        self.admin = admin
        self.interval = interval.milliseconds
    }

    /// Begins to ask when it is time to.
    func begin(_ workers: [HandlerWorker]) {
        let now = Time.monotonicMilliseconds
        let isDue = state.withLock { state in
            guard !workers.isEmpty, !state.isAsking, now >= state.next else { return false }
            state = (now + interval, true)
            return true
        }
        guard isDue else { return }
        Task {
            await ask(workers)
            state.withLock { $0.isAsking = false }
        }
    }

    /// A topic that is not told of keeps what was known.
    func ask(_ workers: [HandlerWorker]) async {
        for worker in workers {
            for topic in worker.sources {
                guard let settings = try? await admin.settings(of: worker.job.namespace.topic(topic)) else { continue }
                guard let retention = Retention(settings.compactMapValues(\.value)) else { continue }
                worker.note(retention, of: topic)
            }
        }
    }

    /// What a broker says of a topic.
    enum Retention: Hashable, Sendable {
        case always
        case time(Duration)

        /// Nil where it does not say.
        init?(_ settings: [String: String]) {
            if let policy = settings["cleanup.policy"], !policy.contains("delete") {
                self = .always
                return
            }
            guard let milliseconds = settings["retention.ms"].flatMap({ Int64($0) }) else { return nil }
            self = milliseconds < 0 ? .always : .time(.milliseconds(milliseconds))
        }
    }
}

extension HandlerWorker {
    /// The source topics, by their plain names.
    var sources: [TopicName] { job.topics.values.filter { $0.kind == .source }.map(\.topic).sorted() }

    /// For how long its source topics keep their records: as the broker says, else as their files do. Missing where they
    /// are kept for ever.
    var retentions: [TopicName: Duration] {
        let told = toldRetentions.withLock { $0 }
        return told.reduce(into: job.retentions) { retentions, one in
            if case .time(let time) = one.value { retentions[one.key] = time } else { retentions[one.key] = nil }
        }
    }

    func note(_ retention: RetentionLook.Retention, of topic: TopicName) {
        toldRetentions.withLock { $0[topic] = retention }
    }
}
