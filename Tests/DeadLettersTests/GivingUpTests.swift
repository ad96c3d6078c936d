import Contracts
import Flotilla
import Kafka
import Model
import Platform
import Postgres
import TestServers
import TestSupport
import Testing

@testable import DeadLetters

/// What was replayed is opened only when its handler cannot come to its copy any more: else it would handle both.
@Suite(.inTurns) struct GivingUpTests {
    private let replay = TopicPartition("orders.pricer.replay", 0)
    private let retry = TopicPartition("orders.pricer.retry.10s", 0)
    private let group = Namespace().group("pricer")

    @Test func onlyWhatTheHandlerIsPastIsGivenUp() async throws {
        try await withReplayed(3) { index, client, admin in
            // Nobody has read any of it.
            await refused(index, client)
            try await admin.commit([PartitionOffset(replay, 2)], for: group)
            let given = try await giveUp(index, client)
            #expect(given.count == 2 && given.left == 1, "\(given)")
            #expect(given.why.contains("1 in orders.pricer.replay") && given.why.contains("Start pricer"), "\(given)")
            #expect(try await index.states() == [.open: 2, .replayed: 1])
            #expect(try await index.audit(limit: 1).first?.result == "2 open, 1 left")
            // And what the topic has let go of.
            _ = try await admin.deleteRecords(below: [replay: 3])
            #expect(try await giveUp(index, client) == .init(count: 1, left: 0, why: ""))
        }
    }

    @Test func whatWaitsForItsNextTryIsNotGivenUp() async throws {
        try await withReplayed(2) { index, client, admin in
            // Others wait there for as long as the handler fails: what is not among them is free.
            try await wait([1, 77], client)
            try await admin.commit([PartitionOffset(replay, 2)], for: group)
            let given = try await giveUp(index, client)
            #expect(given.count == 1 && given.left == 1 && given.why.contains("behind it"), "\(given)")
            #expect(try await index.find(TestLetters.letter(1).id)?.state == .replayed)
            try await admin.commit([PartitionOffset(retry, 1)], for: group)
            #expect(try await giveUp(index, client).count == 1)
        }
    }

    /// Nor is it opened by itself when the replay topic has let go of what was copied from there.
    @Test func whatWaitsForItsNextTryIsNotReleased() async throws {
        try await withReplayed(2) { index, client, admin in
            try await wait([1, 77], client)
            _ = try await admin.deleteRecords(below: [replay: 2])
            let watch = RetentionWatch(follower: index.follower(client))
            let low = RetentionWatch.Low(family: TestLetters.family, partition: 0, offset: 2)
            try await watch.carryOut(try #require(try await watch.release([low])))
            #expect(try await index.states() == [.open: 1, .replayed: 1])
            #expect(try await index.find(TestLetters.letter(1).id)?.state == .replayed)
            try await admin.commit([PartitionOffset(retry, 1)], for: group)
            try await watch.carryOut(try #require(try await watch.release([low])))
            #expect(try await index.states() == [.open: 2])
            #expect(try await watch.release([low]) == nil)
        }
    }

    /// What was handled, and told, looks like what nobody tells of until the index has read it.
    @Test func nothingIsGivenUpBeforeWhatWasToldIsRead() async throws {
        try await withReplayed(2) { index, client, admin in
            #expect(try await admin.create([NewTopic(.outcomes, partitions: 1)]).isEmpty)
            try await publish([OutgoingRecord(topic: .outcomes, partition: 0, value: Array("{}".utf8))], client)
            try await admin.commit([PartitionOffset(replay, 2)], for: group)
            await refused(index, client)
            var read = IndexBatch()
            read.positions[TopicPartition(.outcomes, 0)] = (nil, 1)
            try await index.take(read)
            #expect(try await giveUp(index, client).count == 2)
        }
    }

    @Test func whatIsInATopicThatIsGoneIsGivenUp() async throws {
        try await withReplayed(2) { index, client, admin in
            let faults = try await admin.delete([replay.topic])
            let given = try await giveUp(index, client)
            #expect(faults.isEmpty && given.count == 2)
        }
    }

    /// Nobody has noted where it lies: everything before its end is to be read.
    @Test func whatIsSomewhereIsGivenUpWhenAllIsRead() async throws {
        try await withReplayed(2) { index, client, admin in
            try await index.run("UPDATE items SET published_offset = NULL")
            try await admin.commit([PartitionOffset(replay, 1)], for: group)
            await refused(index, client)
            try await admin.commit([PartitionOffset(replay, 2)], for: group)
            try await wait([1], client)
            #expect(try await giveUp(index, client).count == 1)
            #expect(try await index.find(TestLetters.letter(1).id)?.state == .replayed)
        }
    }

    /// What went to its source waits for its handler there.
    @Test func whatWentToItsSourceIsGivenUpWhenItIsRead() async throws {
        try await withReplayed(2, toSource: true) { index, client, admin in
            try await publish([OutgoingRecord(topic: "orders", partition: 0, value: [1])], client)
            await refused(index, client)
            try await admin.commit([PartitionOffset(TopicPartition("orders", 0), 2)], for: group)
            // By what it was published as there it is known in the retry topic. What others have sent is none of it.
            try await wait([1, 77], client)
            #expect(try await giveUp(index, client).count == 1)
            // Nobody knows where the other lies: it may be whatever waits.
            try await index.run("UPDATE items SET source_offset = NULL")
            await refused(index, client)
            try await admin.commit([PartitionOffset(TopicPartition("orders", 0), 3)], for: group)
            await refused(index, client)
            try await admin.commit([PartitionOffset(retry, 2)], for: group)
            #expect(try await giveUp(index, client).count == 1)
        }
    }

    // MARK: What is needed

    /// Has copies wait for their next try.
    private func wait(_ numbers: [Int64], _ client: ClientConfiguration) async throws {
        try await publish(numbers.map { TestLetters.record(TestLetters.letter($0), in: retry.topic) }, client)
    }

    private func giveUp(_ index: DeadLetterIndex, _ client: ClientConfiguration) async throws
        -> DeadLetterIndex.GivenUp
    {
        let copies = try await WaitingCopies(DeadLetterFilter(), index, client, Namespace(), patience: .zero)
        return try await index.giveUp(DeadLetterFilter(), confirmed: 9, who: "ada", waiting: copies)
    }

    private func refused(_ index: DeadLetterIndex, _ client: ClientConfiguration) async {
        await #expect(throws: Refused.self) { try await giveUp(index, client) }
    }

    /// So many that were replayed, with their copies in a broker.
    private func withReplayed(
        _ count: Int64, toSource: Bool = false,
        _ body: (DeadLetterIndex, ClientConfiguration, Admin) async throws -> Void
    ) async throws {
        try await withBroker { client in
            try await withIndex { index in
                try await withAdmin(client) { admin in
                    for topic in [replay.topic, retry.topic, "orders"] {
                        #expect(try await admin.create([NewTopic(topic, partitions: 1)]).isEmpty)
                    }
                    let letters = (0..<count).map { TestLetters.letter($0) }
                    try await index.take(TestLetters.batch(letters))
                    var order = DeadLetterIndex.ReplayOrder(DeadLetterFilter(), confirmed: 9, who: "ada")
                    order.toSource = toSource
                    let job = try await index.replay(order)
                    let lease = try #require(try await WorkLease.take(index, for: "a"))
                    let runner = ReplayRunner(index.follower(client), lease)
                    let reader = try RecordReader(client)
                    let press = ReplayPress(runner.follower, try Producer(ProducerConfiguration(client)), reader)
                    let (_, items) = try #require(try await runner.choose(job, press))
                    let topic = toSource ? "orders" : replay.topic
                    try await publish(letters.map { TestLetters.record($0, in: topic) }, client)
                    let offsets = items.enumerated().map { ($1.number, Offset(Int64($0))) }
                    try await runner.note(.init(published: items, offsets: Dictionary(offsets) { $1 }), job)
                    await reader.close()
                    await press.producer.close()
                    #expect(try await index.states() == [.replayed: Int(count)])
                    // The clocks that are compared are the database's, in milliseconds.
                    try await index.run("UPDATE items SET published_at = published_at - interval '1 second'")
                    try await body(index, client, admin)
                }
            }
        }
    }
}
