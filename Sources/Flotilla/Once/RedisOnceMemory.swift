package import Model
internal import Platform
package import Redis

/// The once-only memory in Redis: one script call for up to 500 events, over the client's few connections, which send
/// the calls of all lanes that come together in one go.
package struct RedisOnceMemory: OnceMemory {
    private let client: RedisClient
    private let prefix: String
    private let window: Int64
    private let lease: Int64

    /// `ttl` is how long an event is known at least; `lease` how long a claim holds that nobody renews. What is known for
    /// less than a lease would forget claims that hold, so a lease it is at least.
    package init(_ client: RedisClient, handler: HandlerName, namespace: Namespace, ttl: Duration, lease: Duration) {
        self.client = client
        prefix = namespace.key("once:\(handler)")
        self.lease = max(1, lease.milliseconds)
        window = max(self.lease, ttl.milliseconds)
    }

    package func takeOver(_ partition: TopicPartition) async throws(OnceFault) -> OnceOwner {
        let answer = try await evaluate { command in
            command.add("takeover")
            command.add(Self.digest(of: partition))
            command.add("0")
        }
        guard let text = String(validating: answer, as: UTF8.self), let generation = UInt64(text) else {
            throw OnceFault(.unreachable, "redis answered a takeover with something else")
        }
        return OnceOwner(partition, generation: generation)
    }

    package func claim(_ events: [OnceClaim], owner: OnceOwner) async throws(OnceFault) -> [ClaimAnswer] {
        let anyReplay = events.contains { $0.replays > 0 }
        let answers = try await ask(
            "claim", owner, keys: events.map(\.key), numbers: anyReplay ? events.map(\.replays) : nil)
        return zip(events, answers).map { event, answer in
            switch answer.letter {
            case UInt8(ascii: "G"):
                .granted(
                    OnceHold(event.key, fence: answer.number), attempts: answer.attempts,
                    wasHeld: answer.rest & 128 != 0, starts: Int(answer.rest & 127))
            case UInt8(ascii: "D"): .done
            case UInt8(ascii: "X"): .dead
            case UInt8(ascii: "F"): .fenced
            case _: .busy(.milliseconds(Int64(answer.number)))
            }
        }
    }

    package func start(_ event: OnceHold, owner: OnceOwner) async throws(OnceFault) -> Bool {
        try await ask("start", owner, keys: [event.key], numbers: [event.fence])[0].isYes
    }

    package func comeBack(_ event: OnceHold, owner: OnceOwner) async throws(OnceFault) -> Bool {
        try await ask("back", owner, keys: [event.key], numbers: [event.fence])[0].isYes
    }

    package func renew(_ events: [OnceHold], owner: OnceOwner) async throws(OnceFault) -> [Bool] {
        try await ask("renew", owner, keys: events.map(\.key), numbers: events.map(\.fence)).map(\.isYes)
    }

    package func finish(
        _ events: [(hold: OnceHold, ending: OnceEnding)], owner: OnceOwner
    ) async throws(OnceFault) -> [Bool] {
        var endings: [UInt8] = []
        var attempts: [UInt8] = []
        for (_, ending) in events {
            var count = 0
            switch ending {
            case .done: endings.append(UInt8(ascii: "D"))
            case .dead: endings.append(UInt8(ascii: "X"))
            case .released(let attempts):
                endings.append(UInt8(ascii: "R"))
                count = attempts
            }
            let bounded = UInt16(clamping: count)
            attempts += [UInt8(bounded >> 8), UInt8(bounded & 255)]
        }
        return try await ask(
            "finish", owner, keys: events.map(\.hold.key), numbers: events.map(\.hold.fence), endings, attempts
        ).map(\.isYes)
    }

    package func remember(_ events: [OnceKey]) async throws(OnceFault) {
        let nobody = OnceOwner(TopicPartition("", 0), generation: 0)
        _ = try await ask("remember", nobody, keys: events, numbers: nil)
    }

    // MARK: The call

    private struct Answer {
        let letter: UInt8
        let number: UInt32
        let attempts: Int
        let rest: UInt8

        var isYes: Bool { letter == UInt8(ascii: "Y") }
    }

    private func ask(
        _ verb: String, _ owner: OnceOwner, keys: [OnceKey], numbers: [UInt32]?, _ more: [UInt8]...
    ) async throws(OnceFault) -> [Answer] {
        guard !keys.isEmpty else { return [] }
        var ids: [UInt8] = []
        ids.reserveCapacity(16 * keys.count)
        for key in keys { key.append(to: &ids) }
        var packed: [UInt8] = []
        for number in numbers ?? [] {
            packed += [
                UInt8(truncatingIfNeeded: number >> 24), UInt8(truncatingIfNeeded: number >> 16),
                UInt8(truncatingIfNeeded: number >> 8), UInt8(truncatingIfNeeded: number),
            ]
        }
        let answer = try await evaluate { [ids, packed] command in
            command.reserve(arguments: 12, bytes: ids.count + packed.count + 256)
            command.add(verb)
            command.add(Self.digest(of: owner.partition))
            command.add(owner.generation)
            command.add(window)
            command.add(lease)
            command.add(ids)
            command.add(packed)
            for argument in more { command.add(argument) }
        }
        guard answer.count == 8 * keys.count else {
            throw OnceFault(.unreachable, "redis answered \(answer.count) bytes for \(keys.count) events")
        }
        return stride(from: 0, to: answer.count, by: 8).map { at in
            let number = answer[at + 1..<at + 5].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
            return Answer(
                letter: answer[at], number: number, attempts: Int(answer[at + 5]) << 8 | Int(answer[at + 6]),
                rest: answer[at + 7])
        }
    }

    private func evaluate(_ arguments: (inout RedisCommand) -> Void) async throws(OnceFault) -> [UInt8] {
        do {
            let answer = try await client.evaluate(OnceScript.script, keys: [prefix], arguments)
            guard let bytes = answer.bytes else { throw RedisFault(.refused, "the script answered no string") }
            return bytes
        } catch let fault as RedisFault {
            throw OnceFault(fault)
        } catch {
            throw OnceFault(.unreachable, "\(error)")
        }
    }

    /// 8 bytes that stand for a partition; nobody chooses those of another one, for they are given by topic files.
    private static func digest(of partition: TopicPartition) -> [UInt8] {
        let bytes = unsafe Digest.sha256(Array(partition.description.utf8).span.bytes)
        return (0..<8).map { bytes[$0] }
    }
}

extension OnceKey {
    fileprivate func append(to bytes: inout [UInt8]) {
        for shift in stride(from: UInt64(56), through: 0, by: -8) {
            bytes.append(UInt8(truncatingIfNeeded: high >> shift))
        }
        for shift in stride(from: UInt64(56), through: 0, by: -8) {
            bytes.append(UInt8(truncatingIfNeeded: low >> shift))
        }
    }
}

extension OnceFault {
    init(_ fault: RedisFault) {
        switch fault.kind {
        case .unreachable, .unready, .garbled, .noScript: self.init(.unreachable, fault.description)
        case .full: self.init(.full, fault.description)
        case .denied, .refused, .closed: self.init(.unusable, fault.description)
        }
    }
}

extension RedisOnceMemory {
    /// Checks that the server keeps what it is told: one that evicts would forget claims and do things twice. What is
    /// wrong says which setting to change; nil is fine, or cannot be known because CONFIG is denied.
    package static func unfitness(of client: RedisClient) async -> OnceFault? {
        guard let limit = await setting("maxmemory", of: client), limit != "0",
            let policy = await setting("maxmemory-policy", of: client), policy != "noeviction"
        else { return nil }
        return OnceFault(
            .unusable,
            "redis evicts what it is to remember: maxmemory-policy is \(policy); set it to noeviction, or give the fleet a Redis of its own"
        )
    }

    private static func setting(_ name: String, of client: RedisClient) async -> String? {
        guard let answer = try? await client.execute(RedisCommand("CONFIG", "GET", name)).array, answer.count == 2
        else { return nil }
        return answer[1].text
    }
}
