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
        // Mostly all of them are done, which goes without saying.
        let isPlain = events.allSatisfy { $0.ending == .done }
        return try await ask(
            "finish", owner, keys: events.map(\.hold.key), numbers: events.map(\.hold.fence),
            endings: isPlain ? nil : events.map(\.ending)
        ).map(\.isYes)
    }

    package func remember(_ events: [OnceKey]) async throws(OnceFault) {
        let nobody = OnceOwner(TopicPartition("", 0), generation: 0)
        _ = try await ask("remember", nobody, keys: events, numbers: nil)
    }

    // MARK: The call

    private struct Answer {
        var letter: UInt8 = 0
        var number: UInt32 = 0
        var attempts = 0
        var rest: UInt8 = 0

        init() {}

        /// Its 8 bytes are the first of these.
        init(_ bytes: ArraySlice<UInt8>) {
            let at = bytes.startIndex
            letter = bytes[at]
            number = bytes[at + 1..<at + 5].reduce(0) { $0 << 8 | UInt32($1) }
            attempts = Int(bytes[at + 5]) << 8 | Int(bytes[at + 6])
            rest = bytes[at + 7]
        }

        var isYes: Bool { letter == UInt8(ascii: "Y") }
    }

    /// Ids in the order of their shards, each shard's in the order they came in.
    private struct ShardOrder {
        var places: [Int]
        /// How many each shard has, 2 bytes each.
        var sizes: [UInt8] = []

        init(_ keys: [OnceKey]) {
            var counts = [Int](repeating: 0, count: OnceScript.shards)
            for key in keys { counts[OnceScript.shard(of: key)] += 1 }
            var starts: [Int] = []
            var end = 0
            for count in counts {
                sizes.append(number: UInt16(clamping: count))
                starts.append(end)
                end += count
            }
            places = [Int](repeating: 0, count: keys.count)
            for (place, key) in keys.enumerated() {
                let shard = OnceScript.shard(of: key)
                places[starts[shard]] = place
                starts[shard] += 1
            }
        }
    }

    /// `numbers` is what the script takes for granted when it is nil or says nothing else.
    private func ask(
        _ verb: String, _ owner: OnceOwner, keys: [OnceKey], numbers: [UInt32]?, endings: [OnceEnding]? = nil
    ) async throws(OnceFault) -> [Answer] {
        guard !keys.isEmpty else { return [] }
        let usual: UInt32 = verb == "claim" ? 0 : 1
        let order = ShardOrder(keys)
        var (ids, packed, letters, attempts): ([UInt8], [UInt8], [UInt8], [UInt8]) = ([], [], [], [])
        ids.reserveCapacity(16 * keys.count)
        for place in order.places { keys[place].append(to: &ids) }
        if let numbers, numbers.contains(where: { $0 != usual }) {
            for place in order.places { packed.append(number: numbers[place]) }
        }
        if let endings {
            for place in order.places {
                letters.append(endings[place].letter)
                attempts.append(number: endings[place].attempts)
            }
        }
        let answer = try await evaluate { [ids, packed, letters, attempts] command in
            command.reserve(arguments: 14, bytes: ids.count + packed.count + letters.count + attempts.count + 256)
            command.add(verb)
            command.add(Self.digest(of: owner.partition))
            command.add(owner.generation)
            command.add(window)
            command.add(lease)
            command.add(ids)
            command.add(order.sizes)
            command.add(packed)
            command.add(letters)
            command.add(attempts)
        }
        guard answer.count == 8 * keys.count else {
            throw OnceFault(.unreachable, "redis answered \(answer.count) bytes for \(keys.count) events")
        }
        var answers = [Answer](repeating: Answer(), count: keys.count)
        for (number, place) in order.places.enumerated() { answers[place] = Answer(answer[(8 * number)...]) }
        return answers
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
        bytes.append(number: high)
        bytes.append(number: low)
    }
}

extension OnceEnding {
    fileprivate var letter: UInt8 {
        switch self {
        case .done: UInt8(ascii: "D")
        case .dead: UInt8(ascii: "X")
        case .released: UInt8(ascii: "R")
        }
    }

    fileprivate var attempts: UInt16 {
        if case .released(let attempts) = self { UInt16(clamping: attempts) } else { 0 }
    }
}

extension [UInt8] {
    /// Big-endian, as the script reads it.
    fileprivate mutating func append(number: some FixedWidthInteger) {
        unsafe Swift.withUnsafeBytes(of: number.bigEndian) { unsafe append(contentsOf: $0) }
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
