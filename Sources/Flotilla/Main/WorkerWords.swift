internal import Contracts
internal import JSON
internal import Kafka
internal import Model
internal import Redis

/// What the workers of a handler say of themselves: why it does not get on, or what it is at.
struct WorkerWords: Sendable {
    /// What it needs and does not get.
    private var missing: Set<String> = []
    /// What operators said, each with the number of the partitions for which; nil is all of them.
    private var pauses: [Int64?: Set<String>] = [:]
    /// Partitions of those who speak, by what `TopicPartition` calls itself.
    private var partitions: Set<String> = []
    /// Partitions whose call does not come back.
    private(set) var stuck: Set<String> = []
    /// What is under way, by what `TopicPartition` calls itself.
    private(set) var work: [String: PartitionWork] = [:]

    /// What all workers said last, each under its name; nil when nobody can be asked.
    static func last(_ namespace: Namespace, _ redis: String?) async -> [String: String]? {
        guard let redis, let configuration = try? RedisConfiguration(url: redis),
            let client = try? RedisClient(configuration)
        else { return nil }
        defer { client.close() }
        guard let texts = try? await ControlBoard(client, namespace).workers() else { return nil }
        return texts.reduce(into: [:]) { found, text in
            if let id = (try? JSONDocument(parsing: text).root["id"])?.string { found[id] = text }
        }
    }

    /// By handler. A worker that has said the same before says nothing any more, so what it said is left out.
    static func read(_ last: [String: String], unlike before: [String: String]) -> [HandlerName: WorkerWords] {
        var words: [HandlerName: WorkerWords] = [:]
        for (id, text) in last where before[id] != text {
            guard let root = try? JSONDocument(parsing: text).root, let handlers = root["handlers"] else { continue }
            for handler in handlers.elements {
                guard let name = handler["handler"]?.string else { continue }
                words[HandlerName(name), default: WorkerWords()].add(handler)
            }
        }
        return words
    }

    /// Whether somebody speaks who has it.
    func has(_ place: TopicPartition) -> Bool { partitions.contains(place.description) }

    /// Why nothing is done in it; known only from who has it.
    func reasons(for place: TopicPartition) -> Set<String> {
        guard has(place) else { return [] }
        let said = pauses.filter { $0.key == nil || $0.key == Int64(place.partition.rawValue) }.values.joined()
        return Set(missing.map { "\($0) is missing" }).union(said)
    }

    private mutating func add(_ handler: JSONValue) {
        partitions.formUnion(handler["partitions"]?.elements.compactMap(\.string) ?? [])
        missing.formUnion(handler["missing"]?.elements.compactMap(\.string) ?? [])
        for pause in handler["operator"]?.elements.map({ $0 }) ?? [] {
            let (by, reason) = (pause["by"]?.string ?? "somebody", pause["reason"]?.string ?? "")
            let partition = pause["partition"]?.int64
            let what = partition.map { "partition \($0)" } ?? "it"
            pauses[partition, default: []].insert("\(by) paused \(what): \(reason)")
        }
        for text in handler["stuck"]?.elements.compactMap(\.string) ?? [] { stuck.insert(text) }
        for one in handler["work"]?.elements.map({ $0 }) ?? [] {
            guard let place = one["partition"]?.string else { continue }
            if let took = one["took_ms"]?.int64, let deadline = one["deadline_ms"]?.int64 {
                work[place] = .call(took: took, deadline: deadline)
            } else if let after = one["again_ms"]?.int64 {
                work[place] = .again(after: after)
            }
        }
    }
}
