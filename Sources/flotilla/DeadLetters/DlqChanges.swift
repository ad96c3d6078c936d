internal import Commands
internal import DeadLetters
internal import Flotilla
internal import JSON
internal import Model
internal import Platform

extension Command {
    /// `dlq note`: a word for whoever looks next.
    static let dlqNote = Command(
        name: "dlq note", summary: "write a note to a dead letter, over the one before",
        operands: [
            Operand(name: "ID", help: "as dlq list shows it"),
            Operand(name: "TEXT", count: .optional, help: "up to 2000 bytes; without it the note is removed"),
        ],
        options: [DlqOptions.json],
        run: { arguments in
            let id = try arguments.id(arguments.operands[0])
            let text = arguments.operands.count > 1 ? arguments.operands[1] : ""
            guard text.utf8.count <= 2000, !text.utf8.contains(0) else {
                throw arguments.fault("a note is text of at most 2000 bytes")
            }
            let place = try DlqPlace(needsIndex: true)
            return try finish {
                try await place.withIndex { try await $0.note(id, text, who: DlqPlace.user) }
                if arguments.has("json") {
                    print(
                        JSONWriter.line { json in
                            json.member("id", id.description)
                            json.member("note", text)
                        })
                } else {
                    print(text.isEmpty ? "the note is removed" : "noted")
                }
                return .ok
            }
        })

    /// `dlq discard`: puts aside what nobody is to handle.
    static let dlqDiscard = bulk(
        "discard", past: "discarded", "put open dead letters aside",
        details: "They stay in their topic, and `dlq restore` has them open again for as long as that keeps them.",
        said: { "\($0) discarded; to have them back: \(Program.name) dlq restore" },
        state: { _ in .open },
        change: { _, index, filter, limit, confirmed in
            (try await index.discard(filter, limit: limit, confirmed: confirmed, who: DlqPlace.user), nil)
        })

    /// `dlq restore`: takes `dlq discard` back, and what nobody tells the end of.
    static let dlqRestore = bulk(
        "restore", past: "restored", "have discarded dead letters open again",
        details: """
            With --state replayed it has those open again that were replayed and whose end nobody has told, as far as their
            handler is past their copies, or its topic has let go of them. Copies that it may still come to are left, for they
            would be handled twice: start the handler, or wait until the topic's retention has deleted them. When an end is
            told after all, that counts. Who has handled one without anybody having heard of it handles it again when it is
            replayed once more.
            """,
        said: { "\($0) open again" },
        state: { $0.states == [.replayed] ? .replayed : .discarded },
        change: { place, index, filter, limit, confirmed in
            guard filter.states == [.replayed] else {
                return (try await index.restore(filter, limit: limit, confirmed: confirmed, who: DlqPlace.user), nil)
            }
            guard let client = place.client else {
                throw Refused(
                    "KAFKA_BROKERS is not set, and whether copies still wait for their handler is in the topics")
            }
            let given = try await index.giveUp(
                filter, limit: limit, confirmed: confirmed, who: DlqPlace.user,
                waiting: WaitingCopies(filter, index, client, place.namespace))
            return (given.count, given.left > 0 ? (given.left, given.why) : nil)
        })

    private static func bulk(
        _ verb: String, past: String, _ summary: String, details: String, said: @escaping @Sendable (Int) -> String,
        state: @escaping @Sendable (DeadLetterFilter) -> DeadLetterState,
        change:
            @escaping @Sendable (DlqPlace, DeadLetterIndex, DeadLetterFilter, _ limit: Int?, _ confirmed: Int)
            async throws -> (count: Int, left: (count: Int, why: String)?)
    ) -> Command {
        Command(
            name: "dlq \(verb)", summary: summary, details: details,
            options: DlqOptions.filters + [DlqOptions.most, DlqOptions.confirm, DlqOptions.dryRun, DlqOptions.json],
            run: { arguments in
                let filter = try arguments.filter()
                let (state, limit, isJSON) = (state(filter), try arguments.most(), arguments.has("json"))
                let place = try DlqPlace(needsIndex: true)
                return try finish {
                    try await place.withIndex { index in
                        guard let seen = filter.narrowed(to: state), case let all = try await index.count(seen), all > 0
                        else {
                            throw Refused("none that is \(state.rawValue) fits: nothing to \(verb)")
                        }
                        let count = min(all, limit ?? all)
                        if arguments.has("dry-run") {
                            return try await tell(fitting: count, seen, index, to: verb, isJSON: isJSON)
                        }
                        let confirmed = try arguments.confirmed(count, verb)
                        let (done, left) = try await change(place, index, seen, limit, confirmed)
                        guard isJSON else {
                            print(said(done))
                            if let left { print("\(left.count) left as they are: \(left.why)") }
                            return
                        }
                        print(
                            JSONWriter.line { json in
                                json.member(past, done)
                                guard let left else { return }
                                json.member("left", left.count)
                                json.member("why", left.why)
                            })
                    }
                    return .ok
                }
            })
    }

    /// What a change would do.
    static func tell(
        fitting count: Int, _ filter: DeadLetterFilter, _ index: DeadLetterIndex, to verb: String,
        targets: [String] = [], isJSON: Bool
    ) async throws {
        let now = Timestamp(milliseconds: Time.wallMilliseconds)
        let groups = try await index.groups(filter, limit: 20, now: now)
        guard !isJSON else {
            return print(
                JSONWriter.line { json in
                    json.member("fit", count)
                    if !targets.isEmpty { json.array("targets") { list in for line in targets { list.append(line) } } }
                    json.array("groups") { list in for group in groups { list.object { group.write(to: &$0) } } }
                })
        }
        show(groups)
        print("\(count) fit: --confirm \(count) would \(verb) them")
    }

    /// `dlq audit`: who changed what.
    static let dlqAudit = Command(
        name: "dlq audit", summary: "who changed what of the dead letters, the latest first",
        options: [DlqOptions.limit(50), DlqOptions.json],
        run: { arguments in
            let limit = try arguments.number("limit", in: 1...10_000) ?? 50
            let isJSON = arguments.has("json")
            let place = try DlqPlace(needsIndex: true)
            return try finish {
                let lines = try await place.withIndex { try await $0.audit(limit: limit) }
                var table = TextTable(["AT", "WHO", "VERB", "COUNT", "JOB", "RESULT", "FILTER"], right: [3])
                for line in lines {
                    if isJSON { print(line.json) }
                    table.add([
                        line.at.description, line.who, line.verb, "\(line.count)", line.job ?? "-", line.result,
                        line.filter,
                    ])
                }
                if !isJSON { print(lines.isEmpty ? "nobody changed anything" : table.text) }
                return .ok
            }
        })
}
