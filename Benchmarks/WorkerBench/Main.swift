// A worker under load: what the runtime adds to a client that only reads.
//
//   worker-bench BROKERS fill COUNT [ENVELOPE]       publishes COUNT events of 300 bytes to bench.events
//   worker-bench BROKERS read COUNT [ENVELOPE]       reads them through the Swift client alone
//   worker-bench BROKERS noop COUNT [ENVELOPE]       has a handler see them that does nothing
//   worker-bench BROKERS transform COUNT [ENVELOPE]  … that reads two fields and publishes one output for each
//
//   worker-bench BROKERS observed COUNT ENVELOPE noop|transform PORT: in Observed.swift
//
// ENVELOPE: `minimal` for the four attributes that CloudEvents requires, in bench.minimal; `edge` for the nine headers
// that the edge writes, in bench.edge; `hundredth` for the same with a trace that is kept in one of a hundred only, in
// bench.hundredth; by default six, those four with time and content type.
// With REDIS_URL set, the handler remembers there what it has done; with OTEL_EXPORTER_OTLP_ENDPOINT set, it is traced.
// BENCH_PARTITIONS is how many the topics have that `fill` makes, 6 by default.
// Prints: records, seconds, and the milliseconds from the partitions' assignment until a first event was done

import Contracts
import Flotilla
import Glibc
import Kafka
import Platform
import Redis
import Synchronization
import Tracing

@main
enum WorkerBench {
    static let target = TopicName("bench.outputs")
    static let partitions = unsafe getenv("BENCH_PARTITIONS").flatMap { unsafe Int(String(cString: $0)) } ?? 6

    static func main() async {
        let arguments = CommandLine.arguments
        guard arguments.count >= 4, let count = Int(arguments[3]) else {
            return fail("see the first lines of the source")
        }
        guard let envelope = BenchEnvelope(arguments.dropFirst(4).first) else {
            return fail("there is no such envelope")
        }
        // As a worker's process does.
        FreedMemory.keep()
        let client = ClientConfiguration(brokers: [arguments[1]])
        do {
            let (seconds, firstAfter): (Double, Double) =
                switch arguments[2] {
                case "fill": (try await fill(client, count, envelope), 0)
                case "read": (try await read(client, count, envelope), 0)
                case "noop": try await work(client, count, envelope, Seen(publishes: false))
                case "transform": try await work(client, count, envelope, Seen(publishes: true))
                case "observed":
                    try await Observed.work(
                        arguments[1], count, envelope, publishes: arguments.dropFirst(5).first == "transform",
                        port: arguments.dropFirst(6).first.flatMap { UInt16($0) } ?? 0)
                case let other: throw Unknown(verb: other)
                }
            print("\(count) \(seconds) \(firstAfter)")
        } catch {
            fail("\(error)")
        }
    }

    struct Unknown: Error { let verb: String }

    private static func fill(
        _ client: ClientConfiguration, _ count: Int, _ envelope: BenchEnvelope
    ) async throws -> Double {
        let admin = try Admin(client)
        _ = try await admin.create([envelope.topic, target].map { NewTopic($0, partitions: partitions) })
        await admin.close()
        var configuration = ProducerConfiguration(client)
        configuration.maxQueuedRecords = 1_000_000
        configuration.maxQueuedBytes = 1 << 30
        let producer = try Producer(configuration)
        let padding = String(repeating: "x", count: 180)
        let start = Time.monotonicNanoseconds
        for first in stride(from: 0, to: count, by: 10_000) {
            var batch = OutgoingBatch()
            for number in first..<min(count, first + 10_000) {
                let value =
                    "{\"event_id\":\"\(number)\",\"event_type\":\"click\",\"campaign_id\":\"c\(number % 1000)\",\"value\":\(number).25,\"dimensions\":{\"country\":\"de\"},\"padding\":\"\(padding)\"}"
                batch.append(
                    OutgoingRecord(
                        topic: envelope.topic, partition: Partition(Int32(number % partitions)),
                        key: Array("c\(number % 1000)".utf8),
                        value: Array(value.utf8),
                        headers: envelope.headers(number)))
            }
            let report = try await producer.send(batch)
            if let failure = report.failures.first { throw failure.fault }
        }
        let seconds = Double(Time.monotonicNanoseconds - start) / 1e9
        await producer.close()
        return seconds
    }

    private static func read(
        _ client: ClientConfiguration, _ count: Int, _ envelope: BenchEnvelope
    ) async throws -> Double {
        let consumer = try Consumer(
            HandlerWorker.consuming(client, group: GroupID("bench.read.\(Time.wallMilliseconds)")))
        var places: [TopicPartition: Consumer.StartingPoint] = [:]
        for number in 0..<partitions { places[TopicPartition(envelope.topic, Partition(Int32(number)))] = .earliest }
        try await consumer.assign(places)
        var start: Int64 = 0
        var seen = 0
        while seen < count {
            for event in try await consumer.nextAll(within: .seconds(1)) {
                guard case .records(let batch) = event else { continue }
                if seen == 0 { start = Time.monotonicNanoseconds }
                seen += batch.count
            }
        }
        let seconds = Double(Time.monotonicNanoseconds - start) / 1e9
        await consumer.close()
        return seconds
    }

    private static func work(
        _ client: ClientConfiguration, _ count: Int, _ envelope: BenchEnvelope, _ handler: Seen
    ) async throws -> (seconds: Double, firstAfter: Double) {
        var policy = ConsumerPolicy(handler: handler.name)
        policy.retry.tiers = []
        policy.once.ttl = nil
        policy.produces = [target]
        let job = HandlerJob(.events(handler), namespace: Namespace(), policies: [envelope.topic: policy])
        let admin = try Admin(client)
        _ = try await admin.create(job.topics.keys.map { NewTopic($0, partitions: partitions) })
        await admin.close()
        var producing = ProducerConfiguration(client)
        producing.maxQueuedRecords = 500_000
        let producer = try Producer(producing)
        let redis = try unsafe getenv("REDIS_URL").map { url in
            try RedisClient(try RedisConfiguration(url: unsafe String(cString: url)))
        }
        let gate = redis.map { client in
            OnceGate(
                RedisOnceMemory(
                    client, handler: handler.name, namespace: Namespace(), ttl: .seconds(1200), lease: .seconds(40)),
                onStoreDown: .pause)
        }
        var settings = Settings.fromEnvironment()
        let plan = Tracing.plan(&settings, service: "bench")
        try settings.check()
        let log = Log(level: .warning, format: .text)
        let tracing = plan.flatMap { Tracing.start($0, version: "bench", instance: "bench", log: log) }
        let worker = HandlerWorker(
            job, source: try Consumer(HandlerWorker.consuming(client, group: Namespace().group(handler.name))),
            sink: producer,
            once: gate,
            log: log, identity: WorkerIdentity(id: "bench", build: "bench"), tracer: tracing?.tracer)
        if let redis, let unfit = await RedisOnceMemory.unfitness(of: redis) { throw unfit }
        let running = Task { try await worker.run() }
        defer { redis?.close() }
        var (assigned, start, first): (Int64?, Int64?, Int64?)
        while worker.figures.done < count {
            try await Task.sleep(for: .milliseconds(2))
            let now = Time.monotonicNanoseconds
            if !worker.assignment.isEmpty { assigned = assigned ?? now }
            if worker.figures.consumed > 0 { start = start ?? now }
            if worker.figures.done > 0 { first = first ?? now }
        }
        let seconds = Double(Time.monotonicNanoseconds - (start ?? 0)) / 1e9
        worker.stop()
        try await running.value
        await producer.close()
        await tracing?.close()
        return (seconds, Double((first ?? 0) - (assigned ?? 0)) / 1e6)
    }

    private static func fail(_ reason: String) {
        var line = "worker-bench: \(reason)\n"
        line.withUTF8 { _ = unsafe write(2, $0.baseAddress, $0.count) }
        exit(1)
    }
}

/// How much envelope the events have, and the topic that has such.
enum BenchEnvelope: String {
    case minimal, usual, edge, hundredth

    init?(_ name: String?) {
        guard let name else {
            self = .usual
            return
        }
        self.init(rawValue: name)
    }

    var topic: TopicName {
        switch self {
        case .minimal: "bench.minimal"
        case .usual: "bench.events"
        case .edge: "bench.edge"
        case .hundredth: "bench.hundredth"
        }
    }

    private func isKept(_ number: Int) -> Bool { self == .edge || number % 100 == 0 }

    func headers(_ number: Int) -> [Header] {
        var headers = [
            Header("ce_specversion", "1.0"), Header("ce_id", "\(number)"), Header("ce_source", "/bench"),
            Header("ce_type", "click"),
        ]
        if self == .minimal { return headers }
        headers += [Header("ce_time", "2026-01-01T00:00:00Z"), Header("content-type", "application/json")]
        if self == .usual { return headers }
        return headers + [
            Header("ce_subject", "c\(number % 1000)"), Header("ce_recordedtime", "2026-01-01T00:00:00.123Z"),
            Header(
                "traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-\(isKept(number) ? "01" : "00")"),
        ]
    }
}

/// Sees events; with outputs it reads two fields of each and publishes them.
struct Seen: Handler {
    /// New each time: numbers of processes come again, and a group goes on where one of its name has ended.
    let name = HandlerName("bench\(Time.wallMilliseconds)")
    let publishes: Bool

    func handle(_ event: Event, _ context: Context) async throws -> [Outgoing] {
        guard publishes else { return [] }
        let json = try event.json()
        guard let campaign = json["campaign_id"]?.string, let value = json["value"]?.double else {
            throw Refusal.schemaInvalid("campaign_id and value are missing")
        }
        var point = JSONWriter(capacity: 64)
        point.object { point in
            point.member("campaign", campaign)
            point.member("value", value)
        }
        return [Outgoing(to: WorkerBench.target, from: event, type: "point", json: point.bytes)]
    }
}
