internal import Commands
internal import DeadLetters
internal import Model
internal import Platform

extension Command {
    /// `dlq list`: dead letters, the latest first.
    static let dlqList = Command(
        name: "dlq list", summary: "dead letters, the latest first",
        details: "From the index that `work deadletters` keeps; when it is away, from the topics.",
        options: DlqOptions.filters + [
            DlqOptions.limit(50),
            Option(
                name: "after", value: "PLACE", help: "go on behind this: a list says it at its end, with --json of each"
            ),
            DlqOptions.json,
        ],
        run: { arguments in
            let filter = try arguments.filter()
            let limit = try arguments.number("limit", in: 1...10_000) ?? 50
            let after = try arguments.after()
            let place = try DlqPlace()
            let isJSON = arguments.has("json")
            return try finish {
                let letters = try await place.withIndexOrTopics {
                    try await $0.list(filter, limit: limit + 1, after: after)
                } orTopics: { scan in
                    let all = try await scan.run(try filter.withoutStates).letters
                    let rest = after.map { after in
                        all.filter { ($0.at, $0.id.description) < (after.at, after.id.description) }
                    }
                    return (rest ?? all).prefix(limit + 1).map { IndexedLetter(unindexed: $0) }
                }
                let shown = Array(letters.prefix(limit))
                if isJSON {
                    for letter in shown { print(letter.json) }
                } else {
                    show(shown, hasMore: letters.count > limit)
                }
                return .ok
            }
        })

    private static func show(_ letters: [IndexedLetter], hasMore: Bool) {
        guard !letters.isEmpty else { return print("none fits") }
        var table = TextTable(["ID", "STATE", "SINCE", "HANDLER", "TOPIC", "REASON", "TYPE", "KEY", "ERROR"])
        for indexed in letters {
            let letter = indexed.letter
            let rounds = indexed.replays > 0 ? " ×\(indexed.replays)" : ""
            table.add([
                letter.id.description, (indexed.state?.rawValue ?? "?") + rounds, letter.at.description,
                letter.family.handler.rawValue, letter.family.source.rawValue, letter.reason, letter.type,
                letter.key ?? "-", letter.errorMessage,
            ])
        }
        print(table.text)
        if hasMore, let last = letters.last {
            print("more: --after \(DeadLetterIndex.Place(at: last.letter.at, id: last.letter.id))")
        }
    }

    /// `dlq groups`: what dead letters died of.
    static let dlqGroups = Command(
        name: "dlq groups", summary: "what dead letters died of, most first",
        details: """
            Those of one handler with the same error, numbers and ids apart, are a group. The trend is how many came in
            each of the last 24 hours, this one last.
            """,
        options: DlqOptions.filters + [DlqOptions.limit(50), DlqOptions.json],
        run: { arguments in
            let filter = try arguments.filter()
            let limit = try arguments.number("limit", in: 1...10_000) ?? 50
            let place = try DlqPlace()
            let isJSON = arguments.has("json")
            return try finish {
                let now = Timestamp(milliseconds: Time.wallMilliseconds)
                let groups = try await place.withIndexOrTopics {
                    try await $0.groups(filter, limit: limit, now: now)
                } orTopics: { scan in
                    Array(try await scan.run(try filter.withoutStates).letters.groups(now: now).prefix(limit))
                }
                if isJSON { for group in groups { print(group.json) } } else { show(groups) }
                return .ok
            }
        })

    static func show(_ groups: [DeadLetterGroup]) {
        guard !groups.isEmpty else { return print("none fits") }
        var table = TextTable(
            [
                "FINGERPRINT", "OPEN", "RESOLVED", "ALL", "HANDLER", "TOPIC", "REASON", "FIRST", "LAST", "24 HOURS",
                "ERROR",
            ], right: [1, 2, 3])
        for group in groups {
            table.add([
                group.fingerprint, group.counts[.open].map { "\($0)" } ?? "?",
                group.counts[.resolved].map { "\($0)" } ?? "?", "\(group.total)", group.handler.rawValue,
                group.topics.joined(separator: ","), group.reasons.joined(separator: ","), group.first.description,
                group.last.description, group.spark, group.errorMessage,
            ])
        }
        print(table.text)
    }
}

extension DeadLetterFilter {
    /// For topics, which know of no states.
    fileprivate var withoutStates: DeadLetterFilter {
        get throws {
            guard states.isEmpty else { throw Refused("--state asks for what only the index knows") }
            return self
        }
    }
}

extension DeadLetterGroup {
    /// The trend as a row of bars.
    fileprivate var spark: String {
        let bars = Array("▁▂▃▄▅▆▇█")
        let most = hours.max() ?? 0
        return String(hours.map { $0 == 0 || most == 0 ? "·" : bars[min(7, $0 * 8 / (most + 1))] })
    }
}
