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
    /// Why it could not be looked at again.
    private var fault: KafkaFault?

    init(_ first: GroupLook) { (self.first, last) = (first, first) }

    /// What cannot be looked at is a finding about that handler, and keeps nobody from looking at the others.
    static func findings(
        of groups: [GroupTopics], _ namespace: Namespace, _ admin: Admin, _ redis: String?
    ) async -> [Finding] {
        var checks: [GroupCheck] = []
        var unseen: [Finding] = []
        for group in groups {
            do throws(KafkaFault) { checks.append(GroupCheck(try await GroupLook(group, admin))) } catch {
                unseen.append(Self.unseen("handler \(group.name)", error))
            }
        }
        checks.removeAll { !$0.first.isOfInterest }
        guard checks.contains(where: \.first.shouldGetOn) else {
            return checks.map { $0.finding(.unasked) } + unseen
        }
        let before = await WorkerWords.last(namespace, redis)
        // Workers commit once a second: where nothing moves in three, nothing is finished.
        try? await Task.sleep(for: .seconds(3))
        for index in checks.indices where checks[index].first.shouldGetOn {
            await checks[index].look(after: "three seconds", admin)
        }
        // Of a group that gets on, one partition may have a record that takes its time.
        let some = checks.indices.filter { checks[$0].getsOnElsewhere }
        if !some.isEmpty { try? await Task.sleep(for: .seconds(5)) }
        for index in some { await checks[index].look(after: "eight seconds", admin) }
        let last = await WorkerWords.last(namespace, redis)
        let words = last.map { WorkerWords.read($0, unlike: before ?? [:]) }
        return checks.map { check in
            check.finding(words.map { $0[check.first.topics.name].map(Voice.says) ?? .silent } ?? .unasked)
        } + unseen
    }

    private mutating func look(after time: String, _ admin: Admin) async {
        do throws(KafkaFault) {
            let look = try await GroupLook(first.topics, admin)
            note(look, still: try await look.still(since: first, admin), after: time)
        } catch { note(error) }
    }

    mutating func note(_ look: GroupLook, still: [TopicPartition: Offset], after time: String) {
        (last, self.still, self.time) = (look, still, time)
    }

    /// It could not be looked at again.
    mutating func note(_ fault: KafkaFault) { self.fault = fault }

    private var getsOnElsewhere: Bool { !still.isEmpty && last.waits(beside: still) }

    // MARK: What is to be said of it

    /// What is heard of its workers.
    enum Voice {
        case says(WorkerWords)
        /// None has said anything while it was looked.
        case silent
        /// There is nowhere to ask.
        case unasked
    }

    private static let coordinator = "see the broker that coordinates its group: it answers nothing, or is gone"
    private static let outOfTheWay =
        "\(Program.name) tail shows the record, \(Program.name) skip takes it out of the way; restart that worker"

    func finding(_ voice: Voice) -> Finding {
        var finding = judged(voice)
        if let fault {
            finding.detail += "; it could not be looked at again: \(fault)"
            finding.state = max(finding.state, .warning)
            finding.advice = finding.advice ?? Self.coordinator
        }
        if !last.untold.isEmpty {
            finding.detail += "; how much waits in \(list(last.untold)) was not told"
            finding.state = max(finding.state, .warning)
            let advice = "see the brokers that lead them, and their logs: one hangs, is gone, or cannot read its disk"
            finding.advice = finding.advice ?? advice
        }
        if !last.topics.isNamed { finding.detail += "; no topic file here names it, so its group alone was looked at" }
        return finding
    }

    private func judged(_ voice: Voice) -> Finding {
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
        // What is known of each of them; of several, each is told, the worst first.
        var rest = Set(still.keys)
        var found: [Fact] = []
        let explained = rest.filter { !words.reasons(for: $0).isEmpty }
        rest.subtract(explained)
        if !explained.isEmpty {
            let reasons = explained.reduce(into: Set<String>()) { $0.formUnion(words.reasons(for: $1)) }
            found.append(
                Fact(
                    .failed, explained, "stands still: \(reasons.sorted().joined(separator: "; "))",
                    "it goes on by itself when that is over; what an operator paused, with \(Program.name) resume "
                        + "\(last.topics.name)"))
        }
        let overdue = rest.filter { words.work[$0.description]?.isOverdue == true }
        if !overdue.isEmpty {
            found.append(
                Fact(.warning, overdue, "a call is over its deadline: \(list(overdue, words))", Self.outOfTheWay))
        }
        let idle = rest.filter { words.has($0) && words.work[$0.description] == nil }
        if !idle.isEmpty {
            found.append(
                Fact(
                    .warning, idle, nothing + list(idle),
                    "its handler is not called for it: the worker's log says what it waits for"))
        }
        // Others of its workers may speak, which know nothing of these.
        let unheard = rest.filter { !words.has($0) }
        if !unheard.isEmpty {
            found.append(
                Fact(
                    .warning, unheard, nothing + list(unheard),
                    "nobody who has it has said anything meanwhile: see whether its worker runs, and its log"))
        }
        // A call that takes its time is no trouble, nor is a record that is tried again.
        guard let worst = found.first else { return self.found(.ok, "is at \(list(still.keys, words))") }
        let others = found.dropFirst().map { "Of \(list($0.places)), \($0.advice)" }
        return self.found(
            worst.state, found.map(\.what).joined(separator: "; and "),
            ([worst.advice] + others).joined(separator: ". "))
    }

    /// What is known of some of the partitions in which nothing is finished.
    private struct Fact {
        let state: Finding.State
        let places: Set<TopicPartition>
        let what: String
        let advice: String

        init(_ state: Finding.State, _ places: Set<TopicPartition>, _ what: String, _ advice: String) {
            (self.state, self.places, self.what, self.advice) = (state, places, what, advice)
        }
    }

    private static func unseen(_ subject: String, _ fault: KafkaFault) -> Finding {
        Finding(
            subject: subject, state: .failed, detail: "cannot be looked at: \(fault)",
            advice: coordinator)
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
