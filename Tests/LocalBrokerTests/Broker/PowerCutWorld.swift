import Platform
import Synchronization
import TestSupport
import Testing

@testable import LocalBroker

/// What clients do to a broker until its power is cut, what they were promised meanwhile, and whether it holds afterwards.
final class PowerCutWorld: Sendable {
    private struct Place: Hashable {
        let partition: Int32
        let offset: Int64
    }

    /// A topic that comes and goes: what was last asked for, and whether that was acknowledged.
    private struct Comings {
        var shouldExist = false
        var isAcknowledged = true
    }

    private struct State {
        /// By place: what was acknowledged to a producer or shown to a consumer.
        var promised: [Place: BatchID] = [:]
        /// By producer: its next sequence, and what it has sent without hearing of it.
        var nextSequence: [Int64: [Int32: Int32]] = [:]
        var unanswered: [Int64: (partition: Int32, id: BatchID)] = [:]
        var committed: Int64 = 0
        var attempted: Int64 = 0
        var topics: [String: Comings] = [:]
        var largestProducerID: Int64 = -1
        var round = 0
    }

    static let topic = "orders"
    static let partitions: Int32 = 3
    private static let producers: [Int64] = [1_000_001, 1_000_002, 1_000_003]
    private static let sizes = [100, 3_000, 5_000, 60_000, 250_000]

    private let seed: UInt64
    private let state = Mutex(State())

    init(seed: UInt64) { self.seed = seed }

    private var label: Comment { "FLOTILLA_SEED=\(seed)" }

    func prepare(_ broker: RunningBroker) throws {
        let client = try broker.client()
        // The smallest segments there are, so that the cut falls between them too.
        let configs = [("segment.bytes", "1048576"), ("retention.ms", "-1")]
        #expect(try client.createTopic(Self.topic, partitions: Self.partitions, configs: configs) == 0)
    }

    // MARK: Work

    /// Lets all clients work until the power is cut.
    func work(_ broker: RunningBroker, until files: ControlledFiles) throws {
        let threads = TestThreads()
        let round = state.withLock { state in
            state.round += 1
            return state.round
        }
        for producer in Self.producers {
            try threads.start("producer") { [self] in
                try? produce(producer, try broker.client(), TestDice(seed: seed &+ UInt64(producer) &* UInt64(round)))
            }
        }
        try threads.start("consumer") { [self] in try? consume(try broker.client(), files) }
        try threads.start("committer") { [self] in try? commit(try broker.client()) }
        try threads.start("topics") { [self] in
            try? makeAndRemoveTopics(try broker.client(), TestDice(seed: seed &* UInt64(round)))
        }
        _ = threads.join()
        #expect(files.isCut, label)
    }

    /// One batch after the other, each when the one before was acknowledged.
    private func produce(_ producer: Int64, _ client: RawClient, _ dice: TestDice) throws {
        var dice = dice
        while true {
            let partition = Int32.random(in: 0..<Self.partitions, using: &dice)
            let size = Self.sizes.randomElement(using: &dice) ?? 100
            let id = state.withLock { state in
                // Sequences count by partition, as the protocol has it.
                let sequence = state.nextSequence[producer, default: [:]][partition, default: 0]
                let id = BatchID(producer: producer, sequence: sequence)
                state.nextSequence[producer, default: [:]][partition] = sequence + 1
                state.unanswered[producer] = (partition, id)
                return id
            }
            let answer = try client.produce(Self.topic, partition, TestBatch.bytes(id, valueBytes: size))
            guard answer.error == 0 else { return }
            state.withLock { state in
                state.unanswered[producer] = nil
                promise(id, Place(partition: partition, offset: answer.offset), &state)
            }
        }
    }

    /// Notes that a batch is at a place; never another one.
    private func promise(_ id: BatchID, _ place: Place, _ state: inout State) {
        let before = state.promised.updateValue(id, forKey: place)
        #expect(before == nil || before == id, label)
    }

    private func consume(_ client: RawClient, _ files: ControlledFiles) throws {
        var next = [Int64](repeating: 0, count: Int(Self.partitions))
        while !files.isCut {
            let asked = (0..<Self.partitions).map { (partition: $0, offset: next[Int($0)]) }
            for fetched in try client.fetch(Self.topic, asked, maxWait: 20) {
                guard fetched.error == 0 else { return }
                for stored in try TestBatch.stored(in: fetched.records) {
                    #expect(stored.offset == next[Int(fetched.partition)], label)
                    next[Int(fetched.partition)] = stored.offset + 1
                    state.withLock { state in
                        promise(stored.id, Place(partition: fetched.partition, offset: stored.offset), &state)
                    }
                }
            }
        }
    }

    private func commit(_ client: RawClient) throws {
        // Long, so that the journal soon has enough history to be rewritten.
        let metadata = String(repeating: "m", count: 4000)
        while true {
            let offset = state.withLock { state in
                state.attempted += 1
                return state.attempted
            }
            guard try client.commitOffset("readers", Self.topic, 0, offset, metadata: metadata) == 0 else { return }
            state.withLock { $0.committed = offset }
        }
    }

    private func makeAndRemoveTopics(_ client: RawClient, _ dice: TestDice) throws {
        var dice = dice
        while true {
            let name = "passing-\(Int.random(in: 0..<4, using: &dice))"
            let comes = state.withLock { state in
                let comes = state.topics[name]?.shouldExist != true
                state.topics[name] = Comings(shouldExist: comes, isAcknowledged: false)
                return comes
            }
            let error = comes ? try client.createTopic(name) : try client.deleteTopic(name)
            guard error == 0 else { return }
            state.withLock { $0.topics[name]?.isAcknowledged = true }
            let (idError, id) = try client.initProducerID()
            guard idError == 0 else { return }
            state.withLock { state in
                #expect(id > state.largestProducerID, label)
                state.largestProducerID = id
            }
        }
    }

    // MARK: Afterwards

    /// Holds what the new broker has against what the old one promised, and goes on with it.
    func check(_ broker: RunningBroker) throws {
        let client = try broker.client()
        try checkTopics(client)
        let (error, id) = try client.initProducerID()
        #expect(error == 0 && id > state.withLock { $0.largestProducerID }, label)
        let offset = try client.committedOffset("readers", Self.topic, 0)
        let (committed, attempted) = state.withLock { ($0.committed, $0.attempted) }
        #expect((committed...attempted).contains(max(0, offset)), label)
        try checkRecords(client)
        try sendAgain(client)
        try checkRecords(client)
    }

    private func checkTopics(_ client: RawClient) throws {
        let there = try client.metadata(nil)
        for (name, comings) in state.withLock({ $0.topics }) {
            if comings.isAcknowledged {
                #expect((there[name] == 0) == comings.shouldExist, "\(name), \(label)")
            }
            state.withLock { $0.topics[name] = Comings(shouldExist: there[name] == 0) }
        }
    }

    private func checkRecords(_ client: RawClient) throws {
        for partition in 0..<Self.partitions {
            let batches = try client.allBatches(Self.topic, partition)
            #expect(batches.map(\.offset) == (0..<Int64(batches.count)).map { $0 }, label)
            #expect(Set(batches.map(\.id)).count == batches.count, "a batch is there twice, \(label)")
            for producer in Self.producers {
                let sequences = batches.filter { $0.id.producer == producer }.map(\.id.sequence)
                #expect(sequences == sequences.indices.map { Int32($0) }, "out of order or lost, \(label)")
            }
            for (place, id) in state.withLock({ $0.promised }) where place.partition == partition {
                let found = batches.indices.contains(Int(place.offset)) ? batches[Int(place.offset)].id : nil
                #expect(found == id, "partition \(partition) at \(place.offset), \(label)")
            }
        }
    }

    /// What was not acknowledged is sent again, as a producer would; it may be there already.
    private func sendAgain(_ client: RawClient) throws {
        for (producer, (partition, id)) in state.withLock({ $0.unanswered }) {
            let answer = try client.produce(Self.topic, partition, TestBatch.bytes(id, valueBytes: 100))
            #expect(answer.error == 0, "\(id), \(label)")
            state.withLock { state in
                state.unanswered[producer] = nil
                promise(id, Place(partition: partition, offset: answer.offset), &state)
            }
        }
    }
}
