internal import Glibc
public import Model
internal import Platform

/// All that a folder of topic files says: topics, their schemas, and who consumes what.
public struct TopicCatalog: Sendable {
    public let namespace: Namespace
    /// By name.
    public let topics: [Topic]
    private let places: [TopicName: Int]

    /// A topic and how one handler consumes it.
    public struct Subscription: Sendable {
        public let topic: Topic
        public let policy: ConsumerPolicy
    }

    /// Beside the topic files: the rules of notifications, which are not topics.
    private static let otherFiles: Set<String> = ["rules.yaml"]
    private static let fileLimit = 256 << 10

    /// Reads every `*.yaml` of a folder and the schemas that they name. Throws everything that is wrong with all of them.
    public init(folder: String, namespace: Namespace = Namespace()) throws(TopicFaults) {
        var reading = Reading(folder: folder)
        reading.files()
        let catalog = TopicCatalog(topics: reading.topics, namespace: namespace)
        let faults = (reading.faults + catalog.brokenRules()).sorted {
            ($0.file, $0.place ?? FilePlace(line: 0, column: 0)) < ($1.file, $1.place ?? FilePlace(line: 0, column: 0))
        }
        guard faults.isEmpty else { throw TopicFaults(faults: faults) }
        self = catalog
    }

    /// A catalog of topics that a program made, as tests do; nothing is checked.
    public init(topics: [Topic], namespace: Namespace = Namespace()) {
        self.namespace = namespace
        self.topics = topics.sorted { $0.name < $1.name }
        places = Dictionary(self.topics.enumerated().map { ($1.name, $0) }) { first, _ in first }
    }

    public subscript(name: TopicName) -> Topic? { places[name].map { topics[$0] } }

    /// Everyone who consumes something, by name.
    public var handlers: [HandlerName] { Set(topics.flatMap { $0.consumers.map(\.handler) }).sorted() }

    /// What a handler consumes, by topic.
    public func subscriptions(of handler: HandlerName) -> [Subscription] {
        topics.flatMap { topic in
            topic.consumers.filter { $0.handler == handler }.map { Subscription(topic: topic, policy: $0) }
        }
    }

    /// Every topic with every handler that has retries and dead letters for it.
    public var families: [TopicFamily] {
        topics.flatMap { topic in
            topic.consumers.filter { $0.handler != .deadLetters }.map { TopicFamily(topic.name, $0.handler) }
        }
    }

    /// Every dead-letter topic, by its plain name: what the reader of dead letters consumes beside its own.
    public var deadLetterTopics: [TopicName] { families.map(\.deadLetters) }

    /// Every topic that should be on the broker: the files' own, each followed by those that its consumers need.
    public var wanted: [WantedTopic] {
        topics.flatMap { topic in
            [WantedTopic(topic, namespace)] + topic.consumers.flatMap { topic.derived(for: $0, namespace) }
        } + (outcomes.map { [WantedTopic($0, namespace, isAssumed: true)] } ?? [])
    }

    /// Where workers tell what became of replays: wanted wherever somebody can have dead letters, with no file of its own
    /// unless somebody writes one. As the fleet's own file has it, whoever is the first to make it.
    private var outcomes: Topic? {
        let sources = topics.filter { $0.consumers.contains { $0.handler != .deadLetters } }
        guard !sources.isEmpty, self[.outcomes] == nil else { return nil }
        var topic = Topic(.outcomes)
        topic.retention = .time(.seconds(30 * 86_400))
        topic.replication = sources.compactMap(\.replication).max()
        return topic
    }

    /// Those of them that some handlers cannot work without: what they consume, what that needs, what they publish to.
    public func wanted(for handlers: Set<HandlerName>) -> [WantedTopic] {
        var names: Set<TopicName> = []
        for handler in handlers {
            for subscription in subscriptions(of: handler) {
                names.insert(namespace.topic(subscription.topic.name))
                names.formUnion(subscription.topic.derived(for: subscription.policy, namespace).map(\.name))
                names.formUnion(subscription.policy.produces.map(namespace.topic))
                if handler != .deadLetters { names.insert(namespace.topic(.outcomes)) }
            }
            if handler == .deadLetters { names.formUnion(deadLetterTopics.map(namespace.topic)) }
        }
        return wanted.filter { names.contains($0.name) }
    }

    /// Reads the files one after the other and goes on after faults.
    private struct Reading {
        let folder: String
        var topics: [Topic] = []
        var faults: [TopicFault] = []
        private var schemas: [String: Schema?] = [:]

        init(folder: String) { self.folder = folder }

        mutating func files() {
            do throws(SystemError) {
                let names = try Files.names(in: folder)
                for name in names where name.hasSuffix(".yml") {
                    faults.append(TopicFault(file: "\(folder)/\(name)", reason: "is not read: call it .yaml"))
                }
                let files = names.filter { $0.hasSuffix(".yaml") && !otherFiles.contains($0) }
                if files.isEmpty {
                    faults.append(TopicFault(file: folder, reason: "has no topic files: one NAME.yaml a topic"))
                }
                for name in files { try read(name) }
            } catch {
                let hint = error.code == ENOENT ? "; FLOTILLA_TOPICS names the folder of the topic files" : ""
                faults.append(TopicFault(file: folder, reason: "\(error)\(hint)"))
            }
        }

        private mutating func read(_ name: String) throws(SystemError) {
            let path = "\(folder)/\(name)"
            guard let text = try Files.read(path, limit: fileLimit) else {
                faults.append(TopicFault(file: path, reason: "is larger than \(ByteCount.text(fileLimit))"))
                return
            }
            var file = TopicFile(text, file: path, stem: String(name.dropLast(5)))
            faults += file.faults
            if let schema = file.schemaPath {
                file.topic.schema = self.schema(schema, for: file.topic)
            } else if file.topic.publish == .validated {
                let place = file.topic.source?.place("publish.validate")
                faults.append(TopicFault(file: path, place: place, reason: "publish.validate needs a schema: name one"))
            }
            topics.append(file.topic)
        }

        private mutating func schema(_ path: String, for topic: Topic) -> Schema? {
            // Told once, however many topics name it.
            if let known = schemas[path] { return known }
            let full = "\(folder)/\(path)"
            var schema: Schema?
            do throws(SystemError) {
                if let text = try Files.read(full, limit: 1 << 20) {
                    do throws(SchemaFaults) { schema = try Schema(text, file: full) } catch {
                        faults += error.faults.map { fault in
                            TopicFault(
                                file: fault.file + (fault.pointer.isEmpty ? "" : " \(fault.pointer)"),
                                reason: fault.reason)
                        }
                    }
                } else {
                    faults.append(TopicFault(file: full, reason: "is larger than 1MiB"))
                }
            } catch {
                let source = topic.source
                faults.append(
                    TopicFault(file: source?.file ?? full, place: source?.place("schema"), reason: "schema: \(error)"))
            }
            schemas[path] = schema
            return schema
        }
    }
}
