internal import JSON
package import Model
internal import Platform
package import Redis

/// What operators and workers leave for each other in Redis: which handlers are to stand still, and who works.
///
/// What an operator says outlives every worker; what a worker says of itself is gone soon after it.
package struct ControlBoard: Sendable {
    let redis: RedisClient
    let namespace: Namespace

    package init(_ redis: RedisClient, _ namespace: Namespace) {
        self.redis = redis
        self.namespace = namespace
    }

    private var pausesKey: String { namespace.key("pauses") }
    private func workerKey(_ id: String) -> String { namespace.key("worker:\(id)") }
    private var workersKey: String { namespace.key("workers") }

    // MARK: Pauses

    /// All that is to stand still now; nil when nobody can be asked, and then everything stays as it is.
    package func pauses() async -> [OperatorPause]? {
        await orders(pausesKey) { OperatorPause(field: $0, $1) }
    }

    /// What operators left at a key; nil when nobody can be asked.
    func orders<Order>(_ key: String, _ read: (_ field: String, _ text: String?) -> Order?) async -> [Order]? {
        guard let fields = try? await redis.execute(RedisCommand("HGETALL", key)).array else { return nil }
        return stride(from: 0, to: fields.count - 1, by: 2).compactMap { at in
            fields[at].text.flatMap { read($0, fields[at + 1].text) }
        }
    }

    package func pause(_ pause: OperatorPause) async throws(RedisFault) {
        _ = try await redis.execute(RedisCommand("HSET", pausesKey, pause.field, pause.json))
    }

    /// True when it stood still because somebody said so.
    package func resume(_ handler: HandlerName, _ partition: Partition?) async throws(RedisFault) -> Bool {
        let field = OperatorPause(handler: handler, partition: partition).field
        return try await redis.execute(RedisCommand("HDEL", pausesKey, field)).integer == 1
    }

    // MARK: Workers

    /// After this long without a word a worker counts as gone.
    private static let patience = 10_000

    package func report(_ heartbeat: Heartbeat) async {
        let key = workerKey(heartbeat.id)
        // Nobody waits for this: when it fails, the next one tells more.
        _ = try? await redis.pipeline([
            RedisCommand("SET", key, heartbeat.json, "PX", "\(Self.patience)"),
            RedisCommand("SADD", workersKey, heartbeat.id),
        ])
    }

    package func leave(_ identity: WorkerIdentity) async {
        _ = try? await redis.pipeline([
            RedisCommand("DEL", workerKey(identity.id)), RedisCommand("SREM", workersKey, identity.id),
        ])
    }

    /// The handlers that running workers work for.
    package func handlers() async throws(RedisFault) -> Set<HandlerName> {
        var names: Set<HandlerName> = []
        for text in try await workers() {
            guard let root = try? JSONDocument(parsing: text).root, let handlers = root["handlers"] else { continue }
            for handler in handlers.elements {
                if let name = handler["handler"]?.string { names.insert(HandlerName(name)) }
            }
        }
        return names
    }

    /// What the workers said last, each as a JSON object. Those that are gone are forgotten on the way.
    package func workers() async throws(RedisFault) -> [String] {
        let ids = try await redis.execute(RedisCommand("SMEMBERS", workersKey)).array?.compactMap(\.text) ?? []
        guard !ids.isEmpty else { return [] }
        let answers = try await redis.pipeline(ids.sorted().map { RedisCommand("GET", workerKey($0)) })
        let gone = zip(ids.sorted(), answers).filter { $0.1 == .null }.map(\.0)
        if !gone.isEmpty {
            var forget = RedisCommand("SREM", workersKey)
            for id in gone { forget.add(id) }
            _ = try await redis.execute(forget)
        }
        return answers.compactMap(\.text)
    }
}

/// That a handler, or one partition number of all its topics, is to stand still.
package struct OperatorPause: Hashable, Sendable {
    package let handler: HandlerName
    /// Nil is all of them.
    package let partition: Partition?
    package var reason = ""
    package var by = ""
    package var at = ""

    package init(handler: HandlerName, partition: Partition?, reason: String = "", by: String = "", at: String = "") {
        self.handler = handler
        self.partition = partition
        self.reason = reason
        self.by = by
        self.at = at
    }

    init?(field: String, _ json: String?) {
        let parts = field.split(separator: "/", maxSplits: 1)
        guard let name = parts.first else { return nil }
        var partition: Partition?
        if parts.count == 2 {
            guard let number = Int32(parts[1]), number >= 0 else { return nil }
            partition = Partition(number)
        }
        self.init(handler: HandlerName(String(name)), partition: partition)
        guard let root = json.flatMap({ try? JSONDocument(parsing: $0).root }) else { return }
        reason = root["reason"]?.string ?? ""
        by = root["by"]?.string ?? ""
        at = root["at"]?.string ?? ""
    }

    var field: String { partition.map { "\(handler)/\($0)" } ?? handler.rawValue }

    var json: String {
        var writer = JSONWriter()
        writer.object { json in
            json.member("reason", reason)
            json.member("by", by)
            json.member("at", at)
        }
        return writer.text
    }
}
