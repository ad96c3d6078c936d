package import Flotilla
internal import JSON
package import Model
package import Platform
package import Postgres
internal import Synchronization
internal import Transfers

/// Tells people: rules over windows, campaign changes and events become deliveries, and each delivery's end an event in
/// `notifications.sent`.
///
/// What comes in by a topic only writes deliveries down, in the transaction of the handler, under ids that are derived
/// from what they are about. `Sender` works them off beside the events, and a `tick` tells of those that have ended.
package struct Notify: ServingHandler {
    package let name: HandlerName = "notify"
    package let migrations = Migration.notifications
    package let ticks = true
    private let rules: Rules
    private let secrets: NotifySecrets
    private let namespace: Namespace
    private let tidying = Tidying()

    static let output: TopicName = "notifications.sent"
    static let windows: TopicName = "metrics.windows"
    static let changes: TopicName = "campaigns.changed"
    static let events: TopicName = "events.accepted"

    package init(_ rules: Rules, _ secrets: NotifySecrets = NotifySecrets(), namespace: Namespace = Namespace()) {
        self.rules = rules
        self.secrets = secrets
        self.namespace = namespace
    }

    package func serve(_ service: HandlerService) async throws {
        try await Sender(rules, secrets, service).run()
    }

    // MARK: What comes in

    package func apply(
        _ events: [Event], _ transaction: PostgresTransaction, _ context: Context
    ) async throws -> [Outgoing] {
        let facts = try events.map { (event: $0, fact: try read($0)) }
        var matches: [Match] = []
        var digests: [AlarmStore.Key: String] = [:]
        for (event, fact) in facts {
            for rule in rules.rules where fact.concerns(rule) {
                var match = Match(event: event, fact: fact, rule: rule)
                if rule.isRemembering {
                    let key = AlarmStore.Key(rule: rule.name, campaign: fact.campaign ?? "", value: fact.seriesValue)
                    digests[key] = rule.digest
                    match.key = key
                }
                matches.append(match)
            }
        }
        guard !matches.isEmpty else { return [] }
        let (store, partition) = (AlarmStore(transaction: transaction), events[0].partition)
        var rows = try await store.hold(digests, partition, context.now)
        let written = DeliveryStore(transaction: transaction)
        var deliveries: [NewDelivery] = []
        for match in matches {
            var row = match.key.flatMap { rows[$0] }
            row?.heardAt = context.now
            for notification in try judge(match, &row, context.now) {
                deliveries += notification.deliveries(
                    rules, because: match.event, in: context.traceParent(of: match.event))
            }
            if let row { rows[row.key] = row }
            // Many events, each for many people, are not all in memory at once.
            if deliveries.count >= DeliveryStore.statement.rows {
                try await written.insert(deliveries)
                deliveries = []
            }
        }
        try store.save(rows.values.sorted { $0.key < $1.key }.map { ($0, dueAt($0)) }, partition)
        try await written.insert(deliveries)
        return []
    }

    /// An event, and a rule that has something to say about it.
    private struct Match {
        let event: Event
        let fact: Fact
        let rule: Rule
        /// What is remembered for it; nil for a rule that remembers nothing.
        var key: AlarmStore.Key?
    }

    private func read(_ event: Event) throws -> Fact {
        let root = try event.json()
        let topic = namespace.plain(event.topic) ?? event.topic
        for (source, reader) in [(Self.windows, Fact.window), (Self.changes, Fact.campaign)] {
            if topic == source || topic == TopicFamily(source, name).replay { return try reader(root) }
        }
        return try Fact.event(root)
    }

    private func judge(_ match: Match, _ row: inout AlarmStore.Row?, _ now: Timestamp) throws -> [Notification] {
        let (rule, fact) = (match.rule, match.fact)
        let moment = moment(fact.time, now)
        if case .window(let window) = fact.content {
            guard var held = row else { return [] }
            defer { row = held }
            return try look(rule, window.start, fact, match.key, &held.alarm, moment)
        }
        guard row != nil else {
            return moment.isFresh ? [Notification(rule, fact, suppressed: 0, event: match.event)] : []
        }
        guard let suppressed = row?.alarm.pass(rule.coolDown.milliseconds, moment) ?? nil else { return [] }
        return [Notification(rule, fact, suppressed: suppressed, event: match.event)]
    }

    /// Has an alarm look at a window.
    private func look(
        _ rule: Rule, _ start: Int64, _ fact: Fact, _ key: AlarmStore.Key?, _ alarm: inout Alarm,
        _ moment: Alarm.Moment
    ) throws -> [Notification] {
        let (found, series): ([Alarm.Found], Series)
        let coolDown = rule.coolDown.milliseconds
        switch rule.kind {
        case .window(let wanted, let threshold):
            series = wanted
            found = alarm.see(
                start, fact.value(series.measure), step: series.step.milliseconds, empty: series.measure.empty,
                threshold,
                coolDown: coolDown, moment)
        case .change(let wanted, let change):
            series = wanted
            found = alarm.compare(
                start, fact.value(series.measure), step: series.step.milliseconds, empty: series.measure.empty, change,
                coolDown: coolDown, moment)
        case .campaign, .event: return []
        }
        return try found.compactMap { found in
            if case .resolved = found.signal, !rule.tellsResolved { return nil }
            // One in between that nobody has told of.
            let shown =
                found.start == start || key == nil
                ? fact
                : try Fact.empty(series, campaign: key?.campaign ?? "", value: key?.value ?? "", start: found.start)
            return Notification(rule, shown, found)
        }
    }

    private func moment(_ time: Int64, _ now: Timestamp) -> Alarm.Moment {
        Alarm.Moment(now: now.milliseconds, isFresh: time >= now.milliseconds - rules.maxAge.milliseconds)
    }

    /// When a series is looked at again if nobody tells of its next window: where an empty one could change something.
    private func dueAt(_ row: AlarmStore.Row) -> Timestamp? {
        guard let rule = rules.rule(row.key.rule), let seen = row.alarm.seen else { return nil }
        let series: Series
        switch rule.kind {
        case .window(let wanted, let threshold):
            series = wanted
            let canFire = series.measure.empty.map(threshold.isBeyond) ?? false
            guard row.alarm.phase != .calm || canFire else { return nil }
        case .change(let wanted, let change):
            series = wanted
            guard change.falls != nil, series.measure.empty != nil, row.alarm.latest ?? 0 >= max(change.least, 1e-6)
            else {
                return nil
            }
        case .campaign, .event: return nil
        }
        return Timestamp(milliseconds: seen + 2 * series.step.milliseconds + rules.silence.milliseconds)
    }

    // MARK: What time brings

    package func tick(
        _ now: Timestamp, _ partition: TopicPartition, _ transaction: PostgresTransaction, _ context: Context
    ) async throws -> [Outgoing] {
        let deliveries = DeliveryStore(transaction: transaction)
        if partition.topic == Self.windows {
            try await deliveries.insert(lookForSilence(now, partition.partition, transaction, context))
        }
        // Whose turn it is to tidy up: each partition's, twice a minute, and each second while there is more.
        if now.milliseconds / 1000 % 30 == Int64(partition.partition.rawValue) % 30 || tidying.hasMore(partition) {
            let limit = Timestamp(milliseconds: now.milliseconds - Self.memory.milliseconds)
            let hasAlarms = try await AlarmStore(transaction: transaction).forget(before: limit, atMost: 5000)
            let hasDeliveries = try await deliveries.forget(after: rules.keep, atMost: 5000)
            tidying.note(partition, hasMore: hasAlarms || hasDeliveries)
        }
        return try await deliveries.takeEnded().map { ended in
            Outgoing(
                to: Self.output, named: "delivery \(ended.id)", type: "notification.sent", key: ended.campaign,
                json: ended.json
            ).keeping(to: "https://flotilla.dev/schemas/notification.sent/1").continuing(traceParent: ended.trace)
        }
    }

    /// Series are remembered for so long after they were last told of.
    private static let memory: Duration = .seconds(7 * 86_400)

    /// Judges windows that nobody has told of: those that would have been read by now if somebody had.
    private func lookForSilence(
        _ now: Timestamp, _ partition: Partition, _ transaction: PostgresTransaction, _ context: Context
    ) async throws -> [NewDelivery] {
        let store = AlarmStore(transaction: transaction)
        var saved: [(AlarmStore.Row, Timestamp?)] = []
        var deliveries: [NewDelivery] = []
        let missing = try await store.due(partition, now)
        guard !missing.isEmpty, let read = context.readThrough else { return [] }
        for var row in missing where row.dueAt.map({ $0 <= read }) ?? false {
            guard let rule = rules.rule(row.key.rule), rule.digest == row.digest, let series = rule.series,
                let seen = row.alarm.seen
            else {
                // Its rule is another one now.
                saved.append((row, nil))
                continue
            }
            let start = seen + series.step.milliseconds
            let empty = try Fact.empty(series, campaign: row.key.campaign, value: row.key.value, start: start)
            for notification in try look(rule, start, empty, row.key, &row.alarm, moment(empty.time, now)) {
                deliveries += notification.deliveries(rules, because: nil)
            }
            saved.append((row, dueAt(row)))
        }
        try store.save(saved, partition)
        return deliveries
    }
}

/// Which partitions found more to be forgotten than goes in one second: tables shrink as fast as they can grow.
private final class Tidying: Sendable {
    private let partitions = Mutex<Set<TopicPartition>>([])

    func hasMore(_ partition: TopicPartition) -> Bool { partitions.withLock { $0.contains(partition) } }

    func note(_ partition: TopicPartition, hasMore: Bool) {
        partitions.withLock { partitions in
            if hasMore { partitions.insert(partition) } else { partitions.remove(partition) }
        }
    }
}

extension Rule {
    /// Whether something has to be kept from one event to the next.
    var isRemembering: Bool {
        switch kind {
        case .window, .change: true
        case .campaign, .event: coolDown > .zero
        }
    }

    var series: Series? {
        switch kind {
        case .window(let series, _), .change(let series, _): series
        case .campaign, .event: nil
        }
    }
}
