internal import Commands
internal import Contracts
internal import Kafka
internal import Model

/// The doctor's look at one handler's group: whether somebody works, how far behind it is, and whether it gets on.
struct GroupCheck: Sendable {
    private let first: GroupLook
    private var last: GroupLook
    /// Where nothing was finished between the two, and in what time.
    private var still: [TopicPartition: Offset] = [:]
    private var time = ""

    private init(_ first: GroupLook) { (self.first, last) = (first, first) }

    static func findings(
        of names: [HandlerName], _ catalog: TopicCatalog, _ admin: Admin, _ redis: String?
    ) async throws(KafkaFault) -> [Finding] {
        var checks: [GroupCheck] = []
        for name in names { checks.append(GroupCheck(try await GroupLook(name, catalog, admin))) }
        guard checks.contains(where: \.first.shouldGetOn) else { return checks.map(\.first.finding) }
        let before = await WorkerWords.last(catalog.namespace, redis)
        // Workers commit once a second: where nothing moves in three, nothing is finished.
        try? await Task.sleep(for: .seconds(3))
        for index in checks.indices where checks[index].first.shouldGetOn {
            try await checks[index].look(after: "three seconds", catalog, admin)
        }
        // Of a group that gets on, one partition may have a record that takes its time.
        let some = checks.indices.filter { checks[$0].getsOnElsewhere }
        if !some.isEmpty { try? await Task.sleep(for: .seconds(5)) }
        for index in some { try await checks[index].look(after: "eight seconds", catalog, admin) }
        let last = await WorkerWords.last(catalog.namespace, redis)
        let words = last.map { WorkerWords.read($0, unlike: before ?? [:]) }
        return checks.map { check in
            check.finding(words.map { $0[check.first.name].map(Voice.says) ?? .silent } ?? .unasked)
        }
    }

    private mutating func look(
        after time: String, _ catalog: TopicCatalog, _ admin: Admin
    ) async throws(KafkaFault) {
        last = try await GroupLook(first.name, catalog, admin)
        still = try await last.still(since: first, admin)
        self.time = time
    }

    private var getsOnElsewhere: Bool { !still.isEmpty && last.waits(beside: still) }

    // MARK: What is to be said of it

    /// What is heard of its workers.
    private enum Voice {
        case says(WorkerWords)
        /// None has said anything while it was looked.
        case silent
        /// There is nowhere to ask.
        case unasked
    }

    private static let outOfTheWay =
        "\(Program.name) tail shows the record, \(Program.name) skip takes it out of the way; restart that worker"

    private func finding(_ voice: Voice) -> Finding {
        if case .says(let words) = voice, !words.stuck.isEmpty {
            return found(.failed, "is stuck: \(words.stuck.sorted().joined(separator: "; "))", Self.outOfTheWay)
        }
        guard last.shouldGetOn, !still.isEmpty else { return last.finding }
        let nothing = "finished nothing in \(time) of "
        guard case .says(let words) = voice else {
            let advice =
                if case .silent = voice {
                    "its workers have said nothing meanwhile: see whether they run, and their logs"
                } else { "see its workers' logs; with REDIS_URL they say themselves what they are at" }
            return found(.warning, nothing + list(still.keys), advice)
        }
        guard words.reasons.isEmpty else {
            return found(
                .failed, "stands still: \(words.reasons.sorted().joined(separator: "; "))",
                "it goes on by itself when that is over; what an operator paused, with \(Program.name) resume \(last.name)"
            )
        }
        let idle = still.keys.filter { words.work[$0.description] == nil }
        guard idle.isEmpty else {
            return found(
                .warning, nothing + list(idle),
                "its handler is not called for it: the worker's log says what it waits for")
        }
        let overdue = still.keys.filter { words.work[$0.description]?.isOverdue == true }
        guard overdue.isEmpty else {
            return found(.warning, "a call is over its deadline: \(list(overdue, words))", Self.outOfTheWay)
        }
        // A call that takes its time is no trouble, nor is a record that is tried again.
        return found(.ok, "is at \(list(still.keys, words))")
    }

    private func found(_ state: Finding.State, _ what: String, _ advice: String? = nil) -> Finding {
        Finding(subject: last.subject, state: state, detail: "\(last.detail), and \(what)", advice: advice)
    }

    private func list(_ places: some Collection<TopicPartition>, _ words: WorkerWords? = nil) -> String {
        let some = places.sorted().prefix(5).map { place in
            let offset = still[place].map { " at offset \($0)" } ?? ""
            let work = words?.work[place.description].map { ", \($0)" } ?? ""
            return "\(place.topic) \(place.partition)\(offset)\(work)"
        }
        let more = places.count > some.count ? " and \(places.count - some.count) more" : ""
        return some.joined(separator: words == nil ? ", " : "; ") + more
    }
}

extension PartitionWork: CustomStringConvertible {
    var description: String {
        switch self {
        case .call(let took, let deadline): "for \(took / 1000) s of the \(deadline / 1000) s that a call may take"
        case .again(let after): "tried again in \(after / 1000) s"
        }
    }
}
