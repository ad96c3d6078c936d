internal import Commands
internal import DeadLetters
internal import Glibc
internal import Platform

extension Command {
    /// `dlq replay`: gives dead letters back to work.
    static let dlqReplay = Command(
        name: "dlq replay", summary: "give open dead letters back to the handler that could not handle them",
        details: """
            Chooses all that are open and fit now, and has `work deadletters` publish them, in the order of their sources:
            to the replay topic of that handler, which nobody else reads. Their end is told by whoever handles them, so the
            command goes on until all have ended; Ctrl-C leaves the job to the worker. It stops by itself when more than a
            fifth of the last 50 fail again, judged from the tenth on, and in a job of fewer than twenty from its half on.
            """,
        options: DlqOptions.filters + [
            DlqOptions.most, Option(name: "rate", value: "N", fallback: "100", help: "records a second"),
            Option(
                name: "canary", value: "N",
                help: "publish so many first, and the others when those have ended and at most a fifth failed"),
            Option(
                name: "to-source",
                help: "to the source topic, for everyone who reads that; nobody tells what became of them"),
            DlqOptions.confirm, DlqOptions.dryRun,
            Option(name: "no-wait", help: "leave at once"), DlqOptions.json,
        ],
        run: { arguments in
            guard let filter = try arguments.filter().narrowed(to: .open) else {
                throw arguments.fault("only what is open is replayed; `dlq restore` opens what was discarded")
            }
            let rate = try arguments.number("rate", in: 1...10_000) ?? 100
            let canary = try arguments.number("canary", in: 1...10_000) ?? 0
            let isToSource = arguments.has("to-source")
            let (limit, isJSON) = (try arguments.most(), arguments.has("json"))
            guard !isToSource || canary == 0 else {
                throw arguments.fault("--canary waits for what becomes of records, and with --to-source nobody tells")
            }
            let place = try DlqPlace(needsIndex: true)
            return try finish {
                try await place.withIndex { index in
                    let all = try await index.count(filter)
                    guard all > 0 else { throw Refused(try await whyNone(filter, index)) }
                    let count = min(all, limit ?? all)
                    let there = place.client == nil ? nil : try await place.topics()
                    let targets = try await index.targets(
                        of: filter, place.namespace, place.catalog, topics: there, toSource: isToSource)
                    if !isJSON { for line in targets { print(Harmless.line(line)) } }
                    if arguments.has("dry-run") {
                        try await tell(
                            fitting: count, filter, index, to: "replay", targets: targets, isJSON: isJSON)
                        return .ok
                    }
                    var order = DeadLetterIndex.ReplayOrder(
                        filter, confirmed: try arguments.confirmed(count, "replay"), who: DlqPlace.user)
                    (order.toSource, order.rate, order.canary, order.limit) = (isToSource, rate, canary, limit)
                    let job = try await index.replay(order)
                    let view = ReplayView(index: index, id: job.id, isJSON: isJSON)
                    guard !arguments.has("no-wait") else {
                        view.show(job)
                        return .ok
                    }
                    return try await view.follow()
                }
            }
        })

    /// Why there is nothing to replay: what another replay has chosen is not open.
    private static func whyNone(_ filter: DeadLetterFilter, _ index: DeadLetterIndex) async throws -> String {
        var chosen = filter
        chosen.states = [.replaying]
        let (none, count) = ("none that is open fits: nothing to replay", try await index.count(chosen))
        guard count > 0 else { return none }
        return none + ", but \(count) that another replay has chosen: \(Program.name) dlq jobs shows where it stands"
    }

    /// `dlq jobs`: replays, and what is done to them.
    static let dlqJobs = Command(
        name: "dlq jobs", summary: "replays: all, or one to show, pause, resume, cancel",
        details: """
            pause finishes what is under way and lets the rest wait. resume goes on, also after a stop because too many
            failed. cancel has what was not begun open again, as if nobody had asked.
            """,
        operands: [Operand(name: "VERB ID", count: .any, help: "show, follow, pause, resume or cancel, and a job")],
        options: [DlqOptions.limit(20), DlqOptions.json],
        run: { arguments in
            let words = arguments.operands
            let verbs = ["show", "follow", "pause", "resume", "cancel"]
            guard words.isEmpty || words.count == 2 && verbs.contains(words[0]) else {
                throw arguments.fault("dlq jobs, or dlq jobs \(verbs.joined(separator: "|")) ID")
            }
            let limit = try arguments.number("limit", in: 1...10_000) ?? 20
            let isJSON = arguments.has("json")
            let place = try DlqPlace(needsIndex: true)
            return try finish {
                try await place.withIndex { index in
                    guard let verb = words.first else {
                        show(try await index.jobs(limit: limit), isJSON: isJSON)
                        return .ok
                    }
                    let view = ReplayView(index: index, id: words[1], isJSON: isJSON)
                    if let change = DeadLetterIndex.JobVerb(rawValue: verb) {
                        view.show(try await index.change(words[1], change, who: DlqPlace.user))
                        return .ok
                    }
                    guard let job = try await index.job(words[1]) else { throw Refused("there is no job \(words[1])") }
                    if verb == "follow" { return try await view.follow() }
                    view.show(job)
                    if !isJSON { try await view.showTroubles() }
                    return .ok
                }
            }
        })

    private static func show(_ jobs: [ReplayJob], isJSON: Bool) {
        if isJSON { return jobs.forEach { print($0.json) } }
        guard !jobs.isEmpty else { return print("nothing was replayed yet") }
        var table = TextTable(
            ["JOB", "STATE", "ALL", "PUBLISHED", "RESOLVED", "FAILED", "SKIPPED", "MADE", "BY", "FILTER"],
            right: [2, 3, 4, 5, 6])
        for job in jobs {
            table.add([
                job.id, job.state.rawValue, "\(job.total)", "\(job.published)", "\(job.resolved)", "\(job.failed)",
                "\(job.skipped)", job.madeAt.description, job.madeBy, job.filter,
            ])
        }
        print(table.text)
    }
}
