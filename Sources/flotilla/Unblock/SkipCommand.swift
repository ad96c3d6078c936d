internal import Commands
internal import Contracts
internal import DeadLetters
internal import Flotilla
internal import JSON
internal import Kafka
internal import Model
internal import Platform
internal import Redis

extension Command {
    /// `skip HANDLER`: that record becomes a dead letter.
    static let skip = Command(
        name: "skip", summary: "have one record that stands in the way become a dead letter",
        details: """
            Says so to the worker that has the partition, and waits until it has done it. The record is not lost: it is a
            dead letter with the reason `skipped`, to be looked at and replayed like any other. Without a worker it is
            done by the next one, when it comes to the record; until then --undo takes it back. With the handler alone it
            says where that stands, for with strict order, what is in the way lies there; and which skips wait.
            """,
        operands: [Operand(name: "HANDLER", help: "who is not to handle it")],
        options: [
            Option(name: "topic", value: "T", help: "where it lies: a topic that the handler reads"),
            Option(name: "partition", value: "P", help: "in this partition"),
            Option(name: "offset", value: "O", help: "at this offset"),
            Option(name: "reason", value: "TEXT", help: "why, for whoever finds the dead letter"),
            Option(name: "wait", value: "SPAN", fallback: "30s", help: "wait for a worker so long"),
            Option(name: "undo", help: "take it back, when no worker has come to the record yet"), DlqOptions.json,
        ],
        run: { arguments in
            let handler = HandlerName(arguments.operands[0])
            let isJSON = arguments.has("json")
            if ["topic", "partition", "offset", "reason", "undo"].allSatisfy({ !arguments.has($0) }) {
                let place = try DlqPlace(needsBroker: true)
                let redis = try meetingPlace(isNeeded: false)
                return try finish { try await showStanding(handler, place, redis, isJSON: isJSON) }
            }
            guard let topic = arguments["topic"], let partition = arguments["partition"].flatMap(Int32.init),
                let offset = arguments["offset"].flatMap(Int64.init), partition >= 0, offset >= 0
            else { throw arguments.fault("say which record: --topic T --partition P --offset O") }
            guard TopicName(topic).isValid else { throw arguments.fault("--topic is not the name of a topic") }
            let isUndone = arguments.has("undo")
            let reason = arguments["reason"] ?? ""
            guard isUndone || !reason.isEmpty, reason.utf8.count <= 500 else {
                throw arguments.fault("--reason says why, in at most 500 bytes")
            }
            guard let wait = arguments["wait"].flatMap(Duration.init(text:)), wait >= .zero else {
                throw arguments.fault("--wait is a span of time, as 30s")
            }
            let place = try DlqPlace(needsBroker: true)
            guard let redis = try meetingPlace(isNeeded: true) else { return .failed }
            let plain = TopicName(topic)
            return try finish {
                let skip = OperatorSkip(
                    handler: handler, topic: place.namespace.topic(plain), partition: Partition(partition),
                    offset: Offset(offset), reason: Harmless.line(reason), by: DlqPlace.user,
                    at: Timestamp(milliseconds: Time.wallMilliseconds).description)
                let client = try RedisClient(redis)
                defer { client.close() }
                let board = ControlBoard(client, place.namespace)
                let skipping = Skipping(skip: skip, plain: plain, place: place, isJSON: isJSON)
                return isUndone ? try await skipping.undo(board) : try await skipping.run(board, within: wait)
            }
        })

    /// Where workers and operators meet; nil when that is not said and not needed.
    private static func meetingPlace(isNeeded: Bool) throws -> RedisConfiguration? {
        var settings = Settings.fromEnvironment()
        let url =
            isNeeded
            ? settings.required("REDIS_URL", "redis://HOST:PORT, where the fleet's workers meet")
            : settings.text("REDIS_URL")
        try settings.check()
        return try url.map { try RedisConfiguration(url: $0) }
    }
}

/// One skip: checked, written on the board, and waited for; or taken back.
private struct Skipping {
    let skip: OperatorSkip
    let plain: TopicName
    let place: DlqPlace
    let isJSON: Bool

    private var record: String { "\(plain)/\(skip.partition)/\(skip.offset)" }

    func undo(_ board: ControlBoard) async throws -> ExitCode {
        guard try await board.withdraw(skip) else {
            throw Refused(
                "no skip of \(record) waits for \(skip.handler): nobody has said it, or it is done. "
                    + "To see those that wait: \(Program.name) skip \(skip.handler)")
        }
        await noteAudit("skip --undo", record)
        tell("taken back: \(record) is handled when \(skip.handler) comes to it", "undone")
        return .ok
    }

    private func tell(_ text: String, _ state: String, id: String? = nil) {
        guard isJSON else { return print(text) }
        print(
            JSONWriter.line { json in
                json.member("state", state)
                json.member("topic", plain.rawValue)
                json.member("partition", Int64(skip.partition.rawValue))
                json.member("offset", skip.offset.rawValue)
                if let id { json.member("id", id) }
            })
    }

    func run(_ board: ControlBoard, within wait: Duration) async throws -> ExitCode {
        let family = try await family()
        let dead = TopicPartition(place.namespace.topic(family.deadLetters), skip.partition)
        let from = try await place.withReader { reader in
            let there = try await reader.range(of: skip.place)
            guard skip.offset >= there.low else {
                throw Refused("that record is gone: \(plain)/\(skip.partition) begins at \(there.low)")
            }
            guard skip.offset < there.high else {
                throw Refused("there is no such record yet: \(plain)/\(skip.partition) ends at \(there.high)")
            }
            return try await reader.range(of: dead).high
        }
        if let committed = try await committed(), committed > skip.offset {
            throw Refused(
                "\(skip.handler) is past that record: it goes on at \(committed). "
                    + "To see what became of it: \(Program.name) dlq list --handler \(skip.handler)")
        }
        try await board.skip(skip)
        await noteAudit("skip", "\(record): \(skip.reason)")
        let end = Time.monotonicMilliseconds + wait.milliseconds
        while Time.monotonicMilliseconds < end {
            let isOpen: Bool
            if try await board.isWaiting(skip) {
                let committed = try await committed()
                isOpen = committed.map { $0 <= skip.offset } ?? true
            } else {
                isOpen = false
            }
            if !isOpen {
                await board.forget([skip])
                return try await tell(family, dead, from: from)
            }
            try await Task.sleep(for: .milliseconds(200))
        }
        tell(
            "noted: no worker of \(skip.handler) has come to \(record) yet. It becomes a dead letter when one does, "
                + "unless --undo takes that back", "waiting")
        return .ok
    }

    /// Whose topic it is: the source, or one that is derived from it.
    private func family() async throws -> TopicFamily {
        let topics = try await place.topics()
        let families = topics.compactMap { name -> TopicFamily? in
            guard let family = DeadLetter.family(of: name, place.namespace), family.handler == skip.handler else {
                return nil
            }
            return family
        }
        guard !families.isEmpty else {
            throw Refused("no topic is read by \(skip.handler) here: \(Program.name) topics apply makes them")
        }
        for family in families {
            let isRetry = plain.rawValue.hasPrefix(family.retry("").rawValue)
            guard plain == family.source || plain == family.replay || isRetry else { continue }
            guard topics.contains(skip.topic) else { break }
            return family
        }
        let names = families.map(\.source.rawValue).sorted().joined(separator: ", ")
        throw Refused("\(skip.handler) does not read \(plain): it reads \(names), and what is derived of that")
    }

    private func committed() async throws -> Offset? {
        guard let client = place.client else { return nil }
        let admin = try Admin(client, patience: .seconds(10))
        do {
            let offset = try await admin.committed(by: place.namespace.group(skip.handler))[skip.place]?.offset
            await admin.close()
            return offset
        } catch {
            await admin.close()
            throw error
        }
    }

    /// The word of the worker counts, and it is the dead letter.
    private func tell(_ family: TopicFamily, _ dead: TopicPartition, from: Offset) async throws -> ExitCode {
        let found = try await place.withReader { reader in
            var found: DeadLetter?
            try await reader.readAll([dead], startingAt: [dead: from]) { record in
                let letter = DeadLetter(record, of: family)
                let isIt = plain != family.source || letter.source.offset == skip.offset
                if letter.reason == "skipped", isIt { found = letter }
            }
            return found
        }
        guard let found else {
            Program.complain(
                "\(Program.name): \(skip.handler) has finished that record in the meantime, and has not skipped it")
            return .failed
        }
        tell("skipped: \(record) is the dead letter \(found.id)", "skipped", id: found.id.description)
        return .ok
    }

    /// Who is on call must get on while the index is away; the dead letter says who it was too.
    private func noteAudit(_ verb: String, _ what: String) async {
        do {
            try await place.withIndex { index in
                try await index.note(verb, handler: skip.handler, topic: plain, count: 1, what, who: skip.by)
            }
        } catch { Program.complain("\(Program.name): this is not in the audit (\(error))") }
    }
}
