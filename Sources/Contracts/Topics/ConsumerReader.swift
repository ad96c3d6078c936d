internal import Model
internal import Platform

/// Reads an entry of `consumers`.
struct ConsumerReader {
    private let fields: FieldReader
    private(set) var policy: ConsumerPolicy?

    private static let keys = [
        "handler", "ordering", "concurrency", "deadline", "retry", "once", "breaker", "produces", "settings",
    ]

    /// Retry topics keep their records this long, so no tier may be longer.
    private static let longestTier = 7 * 86_400 - 3600
    private static let mostTiers = 8

    init(_ node: YamlNode, path: String, _ notes: FieldReader.Notes) {
        fields = FieldReader(node, path: path, known: Self.keys, notes: notes)
        let name = fields.value("handler", "a name of lower-case letters, digits and dashes, at most 64") { text, _ in
            HandlerName.isName(text) ? HandlerName(text) : nil
        }
        guard let name else {
            if notes.places[path + "handler"] == nil {
                notes.refuse(node.place, "\(path)handler is missing: name who consumes")
            }
            return
        }
        var policy = ConsumerPolicy(handler: name)
        if name == .deadLetters { readDeadLetters(&policy) } else { read(&policy) }
        self.policy = policy
    }

    /// It is special: in order, once by its own state, without retries and dead letters.
    private func readDeadLetters(_ policy: inout ConsumerPolicy) {
        policy.ordering = .partition
        policy.retry.tiers = []
        policy.once.ttl = nil
        for key in Self.keys.dropFirst() {
            guard let node = fields.node(key) else { continue }
            fields.refuse(node, key, "is not for \(policy.handler), which has no settings: take it out")
        }
    }

    private func read(_ policy: inout ConsumerPolicy) {
        if let ordering = fields.choice("ordering", ConsumerPolicy.Ordering.self) { policy.ordering = ordering }
        if let concurrency = fields.integer("concurrency", 1...1024) { policy.concurrency = concurrency }
        if policy.ordering == .partition, policy.concurrency > 1, let node = fields.node("concurrency") {
            fields.refuse(node, "concurrency", "must be 1 with ordering: partition, where one event follows the other")
            policy.concurrency = 1
        }
        if let deadline = fields.duration("deadline", .milliseconds(100)...(.seconds(600))) {
            policy.deadline = deadline
        }
        if policy.ordering == .partition { policy.retry.tiers = [] }
        if let node = fields.node("retry") { read(retry: node, &policy) }
        if let node = fields.node("once") { read(once: node, &policy) }
        if let node = fields.node("breaker") { read(breaker: node, &policy) }
        if let node = fields.node("settings") { read(settings: node, &policy) }
        checkMemory(&policy)
        policy.produces =
            fields.list("produces", "topic names") { TopicFile.isTopicName($0) ? TopicName($0) : nil } ?? []
    }

    /// Names and texts; what they mean is the handler's to know.
    private func read(settings node: YamlNode, _ policy: inout ConsumerPolicy) {
        guard case .map(let members) = node.content else {
            return fields.refuse(node, "settings", "must be a map of names and texts, found \(node.kind)")
        }
        for member in members {
            guard case .scalar(let text, _) = member.value.content else {
                fields.refuse(member.value, "settings.\(member.name)", "must be a text, found \(member.value.kind)")
                continue
            }
            policy.settings[member.name] = text
        }
    }

    private func read(retry node: YamlNode, _ policy: inout ConsumerPolicy) {
        let inner = FieldReader(node, path: fields.path + "retry.", known: ["inProcess", "tiers"], notes: fields.notes)
        if let tries = inner.integer("inProcess", 1...10) { policy.retry.inProcess = tries }
        let read = inner.list(
            "tiers", "times in whole seconds, at most \(RetryTier(seconds: Self.longestTier)), as 10s or 1m"
        ) { text in
            Duration(text: text).flatMap { time -> RetryTier? in
                let (seconds, rest) = time.components
                return rest == 0 && (1...Int64(Self.longestTier)).contains(seconds)
                    ? RetryTier(seconds: Int(seconds)) : nil
            }
        }
        guard let tiers = read, let list = inner.node("tiers") else { return }
        if policy.ordering == .partition, !tiers.isEmpty {
            inner.refuse(list, "tiers", "must be empty with ordering: partition, which has no retry topics")
        } else if tiers.count > Self.mostTiers {
            inner.refuse(list, "tiers", "has \(tiers.count) entries: \(Self.mostTiers) are the most")
        } else if !zip(tiers, tiers.dropFirst()).allSatisfy({ $0.seconds < $1.seconds }) {
            inner.refuse(list, "tiers", "must grow from one to the next")
        } else {
            policy.retry.tiers = tiers
        }
    }

    private func read(once node: YamlNode, _ policy: inout ConsumerPolicy) {
        if case .scalar = node.content {
            if fields.flag("once") == false { policy.once.ttl = nil }
            return
        }
        let inner = FieldReader(node, path: fields.path + "once.", known: ["ttl", "onStoreDown"], notes: fields.notes)
        if let ttl = inner.duration("ttl", .seconds(60)...(.seconds(7 * 86_400))) { policy.once.ttl = ttl }
        if let choice = inner.choice("onStoreDown", ConsumerPolicy.Once.OnStoreDown.self) {
            policy.once.onStoreDown = choice
        }
    }

    private func read(breaker node: YamlNode, _ policy: inout ConsumerPolicy) {
        let inner = FieldReader(
            node, path: fields.path + "breaker.", known: ["failures", "window", "cooldown"], notes: fields.notes)
        if let failures = inner.integer("failures", 1...10_000) { policy.breaker.failures = failures }
        if let window = inner.duration("window", .seconds(1)...(.seconds(3600))) { policy.breaker.window = window }
        if let cooldown = inner.duration("cooldown", .milliseconds(100)...(.seconds(3600))) {
            policy.breaker.cooldown = cooldown
        }
    }

    /// The memory must outlast the longest way through the retries: an event that is forgotten before its last try
    /// ends could be taken for a new one. The default grows by itself; what was written is left to who wrote it.
    private func checkMemory(_ policy: inout ConsumerPolicy) {
        guard let ttl = policy.once.ttl else { return }
        let path = policy.longestRetryPath
        guard ttl < path else { return }
        if let node = fields.node("once"), fields.notes.places[fields.path + "once.ttl"] != nil {
            fields.refuse(
                node, "once.ttl", "is \(ttl.text), less than the longest way through the retries: at least \(path.text)"
            )
        }
        policy.once.ttl = path
    }
}

extension ConsumerPolicy {
    /// From the first try of a record to the end of its last: all delays, and every try as long as it may take. In whole
    /// minutes.
    package var longestRetryPath: Duration {
        let tries = retry.tiers.count + 1
        let waiting = retry.tiers.reduce(Duration.zero) { $0 + $1.delay }
        // In-process tries wait up to two seconds in between.
        let total = waiting + (deadline + .seconds(2)) * retry.inProcess * tries
        return .seconds((total.components.seconds / 60 + 1) * 60)
    }
}
