public import Flotilla
internal import JSON
public import Model
public import Platform
public import Postgres
internal import Synchronization

/// Owns the time series: every point is added to its windows of 1 m, 1 h and 1 d, once for all and once for each
/// dimension that windows are kept for. Windows that have ended are told in `metrics.windows`; what comes later amends
/// them, and they are told again with a higher revision.
///
/// A transaction that applies points writes them to a journal, 20 bytes each, and no window; the process remembers what
/// came to each. Every `writeEvery` one writes the windows instead. So a window that gets a thousand points in that time
/// is written once, and nothing is ever known that is not in the tables: windows and journal together are the state.
/// Whoever takes the partition over reads the journal. `MemoryTable` says why what is remembered can be believed.
public struct Aggregate: ServingHandler {
    public let name: HandlerName = "aggregate"
    public let migrations = Migration.windows
    public let ticks = true
    public let connections = 1
    private let settings: AggregateSettings
    private let memories = MemoryTable()

    static let output: TopicName = "metrics.windows"
    /// How many bytes one partition remembers of windows that are written, about.
    private let memoryLimit: Int
    /// So much may wait in the journal: it has to be read by whoever takes over.
    private static let waitingAtMost = (points: 200_000, minutes: 20_000)

    /// `settings`: those of its consumer in the topic file. `dimensions`: names, with commas in between, that windows are
    /// kept for; `values`: how many values of each a campaign may have before the rest is `other`; `lateness` and
    /// `idleAfter`: times, as 10s, how long windows wait for what is late, and for a partition that brings nothing;
    /// `writeEvery`: how often windows are written; `keepMinutes`, `keepHours`, `keepDays`: how long, as 30d.
    public init(settings: [String: String] = [:]) throws(SettingFault) {
        try self.init(settings: settings, memoryLimit: 24 << 20)
    }

    package init(settings: [String: String], memoryLimit: Int) throws(SettingFault) {
        self.settings = try AggregateSettings(settings)
        self.memoryLimit = memoryLimit
    }

    /// How many bytes are remembered of all partitions, about.
    package var remembered: Int { memories.bytes }

    public func apply(
        _ events: [Event], _ transaction: PostgresTransaction, _ context: Context
    ) async throws -> [Outgoing] {
        let points = try events.map { try Point($0.json(), keeping: settings.dimensions) }
        let partition = events[0].partition.rawValue
        let store = PartitionStore(transaction: transaction, partition: partition)
        let now = context.now.milliseconds
        let row = try await store.hold(now: now)
        let memory = try await remembered(partition, row, transaction)
        let entry = try await add(points, to: memory, store)
        // Replays bring what is old by nature: they move no watermark.
        var watermark = Watermark(settings.watermark, time: row.closedTo, now: row.seenAt)
        let fresh = zip(events, points).filter { !$0.0.topic.rawValue.hasSuffix(".replay") }
        if let newest = fresh.map(\.1.time).max() { watermark.saw(eventTime: newest, now: now) }
        var (folded, last) = (row.folded, row.last)
        if mayWait(memory, entry, row, now) {
            last = JournalStore(transaction: transaction, partition: partition).write(entry, behind: last)
        } else {
            try await write(memory, transaction, partition, now)
            folded = last
        }
        memory.stamp = MemoryTable.newStamp()
        store.save(
            PartitionRow(
                closedTo: watermark.time, seenAt: fresh.isEmpty ? row.seenAt : now, stamp: memory.stamp, folded: folded,
                last: last))
        memories.put(memory, partition)
        return []
    }

    public func tick(
        _ now: Timestamp, _ partition: TopicPartition, _ transaction: PostgresTransaction, _ context: Context
    ) async throws -> [Outgoing] {
        let number = partition.partition.rawValue
        let now = now.milliseconds
        let store = PartitionStore(transaction: transaction, partition: number)
        let row = try await store.hold(now: now)
        var watermark = Watermark(settings.watermark, time: row.closedTo, now: row.seenAt)
        // Where nothing comes because nobody reads, or because what came waits, the clock says nothing.
        watermark.hold()
        if let since = context.quietSince { watermark.release(now: max(row.seenAt, since.milliseconds)) }
        _ = watermark.tick(now: now)
        let windows = WindowStore(transaction: transaction, partition: number)
        var (stamp, folded) = (row.stamp, row.folded)
        if row.folded < row.last {
            let memory = try await remembered(number, row, transaction)
            var writes = !memory.mayWait(now)
            if !writes, let closed = watermark.time { writes = try await isLate(memory, windows, closed, now) }
            if writes {
                try await write(memory, transaction, number, now)
                memory.stamp = MemoryTable.newStamp()
                (stamp, folded) = (memory.stamp, row.last)
            }
            memories.put(memory, number)
        }
        if stamp != row.stamp || watermark.time != row.closedTo {
            store.save(
                PartitionRow(
                    closedTo: watermark.time, seenAt: row.seenAt, stamp: stamp, folded: folded, last: row.last))
        }
        // While something waits to be written, windows would be told without it.
        guard let closed = watermark.time, folded == row.last else { return [] }
        var told: [WindowRow] = []
        repeat {
            let some = try await windows.tell(to: closed)
            told += some
            guard some.count == WindowStore.told else { break }
        } while told.count < Self.toldAtMost && context.now < context.deadline
        memories.told(number, now)
        return told.map { row in
            Outgoing(
                to: Self.output, named: row.name, revision: row.revision, type: "metric.window", key: row.campaign,
                json: row.json)
        }
    }

    /// So many windows are told by one tick; the next one goes on.
    private static let toldAtMost = 10_000

    /// Whether windows that have ended wait for longer than they should because points keep coming: then the tick writes
    /// what waits, or it might always find some that are not written.
    private func isLate(
        _ memory: PartitionMemory, _ windows: WindowStore, _ closed: Int64, _ now: Int64
    ) async throws -> Bool {
        let since = min(memory.toldAt ?? now, now)
        memory.toldAt = since
        // What writing costs counts here too: another tenth of the time at most.
        guard now - since >= max(2000, 2 * memory.pause) else { return false }
        if memory.hasEnded(by: closed) { return true }
        if try await windows.hasToTell(to: closed) { return true }
        memory.toldAt = now
        return false
    }

    // MARK: Beside the events

    /// Looks after the tables: see `Housekeeping`.
    public func serve(_ service: HandlerService) async throws { try await Housekeeping(settings).run(service) }

    /// Looks after the tables of each step once.
    package func keepTables(_ database: PostgresPool, _ log: Log, now: Timestamp) async throws {
        for step in Step.allCases { _ = try await Housekeeping(settings).look(step, database, log, now: now) }
    }

    public func left(_ partition: TopicPartition) { memories.forget(partition.partition.rawValue) }

    // MARK: Memory

    /// What is known of the partition: as it was left here, or as the tables and the journal have it.
    private func remembered(
        _ partition: Int32, _ row: PartitionRow, _ transaction: PostgresTransaction
    ) async throws -> PartitionMemory {
        if let memory = memories.take(partition, stamp: row.stamp) { return memory }
        let memory = PartitionMemory()
        guard row.folded < row.last else { return memory }
        let journal = JournalStore(transaction: transaction, partition: partition)
        for entry in try await journal.entries(row.folded + 1..<row.last + 1) {
            try PostgresFault.reading("journal") { try memory.replay(entry) }
        }
        return memory
    }

    /// Adds points, and tells them as a journal entry.
    private func add(_ points: [Point], to memory: PartitionMemory, _ store: PartitionStore) async throws -> [UInt8] {
        let names = settings.dimensions.map { ByteText($0) }
        func part(_ dimension: (name: Int, value: ByteText)) -> Metric.Part {
            Metric.Part(dimension: names[dimension.name], value: dimension.value)
        }
        let metrics = points.map { memory.campaign($0.campaign).metric($0.metric) }
        // What has a series has its place; of the others' campaigns it is to be known which values have.
        var unknown: [ByteText: CampaignValues] = [:]
        for (point, metric) in zip(points, metrics) where metric.values.admitted == nil {
            guard point.dimensions.contains(where: { metric.parts[part($0)] == nil }) else { continue }
            unknown[point.campaign] = metric.values
        }
        if !unknown.isEmpty {
            let found = try await store.values(of: unknown.keys.sorted())
            for (name, values) in unknown {
                values.admitted = found[name] ?? CardinalityGuard()
                memory.settled(values)
            }
        }
        var journal = JournalWriter(entry: memory.nextEntry())
        var grown: [(campaign: ByteText, values: CampaignValues)] = []
        var parts: [Series] = []
        for (point, metric) in zip(points, metrics) {
            parts.removeAll(keepingCapacity: true)
            for dimension in point.dimensions {
                let part = part(dimension)
                if let series = metric.parts[part] {
                    parts.append(series)
                    continue
                }
                let values = metric.values
                let answer = values.admitted?.admit(
                    part.value.text, dimension: part.dimension.text, limits: settings.values)
                if answer == .new, !values.hasNew {
                    values.hasNew = true
                    grown.append((point.campaign, values))
                }
                let shown = answer == .known || answer == .new ? part.value : ByteText(CardinalityGuard.other)
                parts.append(metric.part(Metric.Part(dimension: part.dimension, value: shown)))
            }
            journal.add(metric, parts, point.time, point.value, point.user)
            memory.add(metric, parts, point.time, point.value, point.user)
        }
        let all = try await store.add(grown.map { ($0.campaign, $0.values.admitted ?? CardinalityGuard()) })
        for ((_, values), stored) in zip(grown, all) {
            values.admitted = stored
            values.hasNew = false
            memory.settled(values)
        }
        return journal.sealed()
    }

    // MARK: Writing

    /// Whether points may stay in the journal for now. What writing costs decides as well: it takes a fifth of the time at
    /// most, so that under load there is more in each.
    private func mayWait(_ memory: PartitionMemory, _ entry: [UInt8], _ row: PartitionRow, _ now: Int64) -> Bool {
        let pieces = row.last - row.folded + JournalStore.pieces(of: entry)
        return pieces <= JournalStore.places && memory.points < Self.waitingAtMost.points
            && memory.dirty.count < Self.waitingAtMost.minutes
            && memory.mayWait(now)
    }

    private func write(
        _ memory: PartitionMemory, _ transaction: PostgresTransaction, _ partition: Int32, _ now: Int64
    ) async throws {
        let began = Time.monotonicMilliseconds
        try await WindowStore(transaction: transaction, partition: partition).write(
            memory, limit: memoryLimit, isKept: { settings.keeps($0, at: now) })
        let took = Time.monotonicMilliseconds - began
        memory.pause = settings.writeEvery == 0 ? 0 : max(settings.writeEvery, min(5 * took, 30_000))
        memory.nextWrite = now + memory.pause
    }
}
