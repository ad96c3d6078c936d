internal import Commands
internal import DeadLetters
internal import Flotilla
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
        run: { arguments in
            let id = try arguments.id(arguments.operands[0])
            let text = arguments.operands.count > 1 ? arguments.operands[1] : ""
            guard text.utf8.count <= 2000, !text.utf8.contains(0) else {
                throw arguments.fault("a note is text of at most 2000 bytes")
            }
            let place = try DlqPlace(needsIndex: true)
            return try finish {
                try await place.withIndex { try await $0.note(id, text, who: DlqPlace.user) }
                print(text.isEmpty ? "the note is removed" : "noted")
                return .ok
            }
        })

    /// `dlq discard`: puts aside what nobody is to handle.
    static let dlqDiscard = bulk(
        "discard", from: .open, "put open dead letters aside",
        details: "They stay in their topic, and `dlq restore` has them open again for as long as that keeps them."
    ) { index, filter, confirmed in
        let count = try await index.discard(filter, confirmed: confirmed, who: DlqPlace.user)
        print("\(count) discarded; to have them back: \(Program.name) dlq restore")
    }

    /// `dlq restore`: takes `dlq discard` back.
    static let dlqRestore = bulk(
        "restore", from: .discarded, "have discarded dead letters open again", details: ""
    ) { index, filter, confirmed in
        let count = try await index.restore(filter, confirmed: confirmed, who: DlqPlace.user)
        print("\(count) open again")
    }

    private static func bulk(
        _ verb: String, from state: DeadLetterState, _ summary: String, details: String,
        _ change: @escaping @Sendable (DeadLetterIndex, DeadLetterFilter, _ confirmed: Int) async throws -> Void
    ) -> Command {
        Command(
            name: "dlq \(verb)", summary: summary, details: details,
            options: DlqOptions.filters + [DlqOptions.confirm, DlqOptions.dryRun],
            run: { arguments in
                let filter = try arguments.filter()
                let place = try DlqPlace(needsIndex: true)
                return try finish {
                    try await place.withIndex { index in
                        guard let seen = filter.narrowed(to: state), case let count = try await index.count(seen),
                            count > 0
                        else {
                            throw Refused("none that is \(state.rawValue) fits: nothing to \(verb)")
                        }
                        if arguments.has("dry-run") {
                            let now = Timestamp(milliseconds: Time.wallMilliseconds)
                            Command.show(try await index.groups(seen, limit: 20, now: now))
                            print("\(count) fit: --confirm \(count) would \(verb) them")
                            return
                        }
                        try await change(index, seen, try arguments.confirmed(count, verb))
                    }
                    return .ok
                }
            })
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
