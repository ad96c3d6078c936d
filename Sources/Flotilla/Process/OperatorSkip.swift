internal import JSON
package import Model
internal import Platform
package import Redis

/// That one record is to become a dead letter instead of being handled.
package struct OperatorSkip: Hashable, Sendable {
    package let handler: HandlerName
    /// As the servers name it.
    package let topic: TopicName
    package let partition: Partition
    package let offset: Offset
    package var reason = ""
    package var by = ""
    package var at = ""

    package init(
        handler: HandlerName, topic: TopicName, partition: Partition, offset: Offset, reason: String = "",
        by: String = "", at: String = ""
    ) {
        self.handler = handler
        self.topic = topic
        self.partition = partition
        self.offset = offset
        self.reason = reason
        self.by = by
        self.at = at
    }

    init?(field: String, _ json: String?) {
        let parts = field.split(separator: "/")
        guard parts.count == 4, let partition = Int32(parts[2]), partition >= 0, let offset = Int64(parts[3]),
            offset >= 0
        else { return nil }
        self.init(
            handler: HandlerName(String(parts[0])), topic: TopicName(String(parts[1])), partition: Partition(partition),
            offset: Offset(offset))
        guard let root = json.flatMap({ try? JSONDocument(parsing: $0).root }) else { return }
        reason = root["reason"]?.string ?? ""
        by = root["by"]?.string ?? ""
        at = root["at"]?.string ?? ""
    }

    package var place: TopicPartition { TopicPartition(topic, partition) }

    fileprivate var field: String { "\(handler)/\(topic)/\(partition)/\(offset)" }

    fileprivate var json: String {
        var writer = JSONWriter()
        writer.object { json in
            json.member("reason", reason)
            json.member("by", by)
            json.member("at", at)
        }
        return writer.text
    }
}

// A skip stands on the board until the worker that has the partition has done it, so that it outlives that worker.
extension ControlBoard {
    private var skipsKey: String { namespace.key("skips") }

    /// All that are to be skipped and are not yet; nil when nobody can be asked.
    package func skips() async -> [OperatorSkip]? {
        await orders(skipsKey) { OperatorSkip(field: $0, $1) }
    }

    package func skip(_ skip: OperatorSkip) async throws(RedisFault) {
        _ = try await redis.execute(RedisCommand("HSET", skipsKey, skip.field, skip.json))
    }

    package func isWaiting(_ skip: OperatorSkip) async throws(RedisFault) -> Bool {
        try await redis.execute(RedisCommand("HEXISTS", skipsKey, skip.field)).integer == 1
    }

    /// Takes it back. False when it does not wait: nobody has said it, or it is done.
    package func withdraw(_ skip: OperatorSkip) async throws(RedisFault) -> Bool {
        try await redis.execute(RedisCommand("HDEL", skipsKey, skip.field)).integer == 1
    }

    /// It is done, or nobody wants it any more. When this fails it is forgotten a second later.
    package func forget(_ skips: [OperatorSkip]) async {
        guard !skips.isEmpty else { return }
        var command = RedisCommand("HDEL", skipsKey)
        for skip in skips { command.add(skip.field) }
        _ = try? await redis.execute(command)
    }
}
