import Kafka
import Platform
import Testing

@Suite(.timeLimit(.minutes(2))) struct AdminTests {
    @Test func topicsComeGrowChangeAndGo() async throws {
        try await BrokerFixture.with { fixture in
            try await fixture.withAdmin { admin in
                let created = try await admin.create([
                    NewTopic("a", partitions: 2, settings: ["retention.ms": "60000"]), NewTopic("b", partitions: 1),
                ])
                #expect(created.isEmpty)
                let again = try await admin.create([NewTopic("a", partitions: 1), NewTopic("c", partitions: 1)])
                #expect(again.mapValues(\.kind) == ["a": .exists])
                await #expect(throws: KafkaFault.self) { try await admin.create([NewTopic("no name", partitions: 1)]) }

                #expect(try await admin.grow(["a": 3]).isEmpty)
                #expect(try await admin.grow(["a": 2])["a"]?.kind == .invalid)
                let topics = try await admin.topics(["a", "missing"])
                #expect(topics.keys.sorted() == ["a"])
                #expect(topics["a"]?.partitions.map(\.partition) == [0, 1, 2])
                #expect(topics["a"]?.partitions.allSatisfy { $0.leader != nil } == true)

                try await admin.change(["max.message.bytes": "5000"], of: "a")
                var settings = try await admin.settings(of: "a")
                #expect(settings["max.message.bytes"]?.value == "5000")
                #expect(settings["retention.ms"]?.value == "60000")
                #expect(settings["retention.ms"]?.isOwn == true)
                try await admin.change(["retention.ms": nil], of: "a")
                settings = try await admin.settings(of: "a")
                #expect(settings["retention.ms"]?.isOwn == false)
                #expect(settings["max.message.bytes"]?.value == "5000")

                #expect(try await admin.delete(["a", "missing"]).mapValues(\.kind) == ["missing": .unknownTopic])
                #expect(try await admin.topics().keys.sorted() == ["b", "c"])
            }
        }
    }

    @Test func groupsAreDescribedAndTheirOffsetsAreOurs() async throws {
        try await BrokerFixture.with { fixture in
            try await fixture.withAdmin { admin in
                _ = try await admin.create([NewTopic("t", partitions: 2)])
                try await fixture.fill("t", count: 10, timestamp: 1_700_000_000_000)
                let place = TopicPartition("t", 0)
                try await fixture.withConsumer(group: "g") { consumer in
                    try await consumer.subscribe(["t"])
                    _ = try await consumer.records(10)
                    try await consumer.commit([PartitionOffset(place, 4, metadata: "note")])
                    let group = try await admin.describe("g")
                    #expect(group.state == .stable)
                    #expect(group.strategy == "range")
                    #expect(group.members.first?.partitions.sorted() == [place, TopicPartition("t", 1)])
                    #expect(try await admin.groups()["g"] == .stable)
                    #expect(try await admin.delete(groups: ["g"])["g"]?.isRetriable == true)
                }
                #expect(try await admin.describe("g").state == .empty)
                #expect(try await admin.committed(by: "g") == [place: PartitionOffset(place, 4, metadata: "note")])
                #expect(try await admin.lag(of: "g").told[place]?.records == 6)
                #expect(try await admin.lag(of: "g", on: ["t"]).told[TopicPartition("t", 1)]?.records == 0)
                try await admin.commit([PartitionOffset(place, 9)], for: "g")
                #expect(try await admin.lag(of: "g").told[place]?.records == 1)
                try await admin.forget([place], of: "g")
                #expect(try await admin.committed(by: "g").isEmpty)
                #expect(try await admin.delete(groups: ["g"]).isEmpty)
                #expect(try await admin.describe("g").state == .dead)
            }
        }
    }

    @Test func placesAreFoundByTimeAndRecordsGo() async throws {
        try await BrokerFixture.with { fixture in
            try await fixture.withAdmin { admin in
                _ = try await admin.create([NewTopic("t", partitions: 1)])
                let (place, time): (TopicPartition, Int64) = (TopicPartition("t", 0), 1_700_000_000_000)
                try await fixture.fill("t", count: 10, timestamp: time)
                #expect(try await admin.offset(of: place, at: .earliest) == 0)
                #expect(try await admin.offset(of: place, at: .latest) == 10)
                #expect(try await admin.offset(of: place, at: .time(time + 4)) == 4)
                #expect(try await admin.offset(of: place, at: .time(time + 10)) == nil)
                #expect(try await admin.deleteRecords(below: [place: 3]) == [place: 3])
                #expect(try await admin.offset(of: place, at: .earliest) == 3)
                try await fixture.withConsumer(group: "g") { consumer in
                    try await consumer.assign([place: .earliest])
                    #expect(try await consumer.records(1, max: 1).map(\.offset) == [3])
                    try await consumer.seek(place, toTime: time + 7)
                    #expect(try await consumer.records(1, max: 1).map(\.offset) == [7])
                    #expect(try await consumer.watermarks(place) == Watermarks(low: 3, high: 10))
                }
            }
        }
    }

    @Test func whatIsDrainedIsCommittedBeforeItIsGivenUp() async throws {
        try await BrokerFixture.with { fixture in
            try await fixture.withAdmin { _ = try await $0.create([NewTopic("t", partitions: 2)]) }
            try await fixture.fill("t", count: 10, timestamp: 1_700_000_000_000)
            try await fixture.withConsumer(group: "g") { old in
                try await old.subscribe(["t"])
                _ = try await old.records(10)
                try await fixture.withConsumer(group: "g") { new in
                    try await new.subscribe(["t"])
                    let revocation = try await old.event { event in
                        if case .revoked(let revocation) = event { revocation } else { nil }
                    }
                    try await old.commit(revocation.partitions.map { PartitionOffset($0, 6) })
                    revocation.done()
                    let drain = Task { try await old.swallow() }
                    let taken = try await new.event { event -> [TopicPartition]? in
                        if case .assigned(let places) = event { places } else { nil }
                    }
                    #expect(try await new.committed(taken)[taken[0]]?.offset == 6)
                    drain.cancel()
                    _ = await drain.result
                }
            }
        }
    }

    @Test func aNameThatCSeesAsAnotherIsRefused() async throws {
        try await BrokerFixture.with { fixture in
            try await fixture.withAdmin { admin in
                _ = try await admin.create([NewTopic("t", partitions: 1)])
                try await fixture.fill("t", count: 3, timestamp: 1_700_000_000_000)
                let place = TopicPartition("t", 0)
                try await admin.commit([PartitionOffset(place, 2)], for: "g")
                await #expect(throws: KafkaFault.self) { try await admin.delete(groups: ["g\0h"]) }
                await #expect(throws: KafkaFault.self) { try await admin.forget([place], of: "g\0h") }
                await #expect(throws: KafkaFault.self) { try await admin.delete(["t\0u"]) }
                await #expect(throws: KafkaFault.self) {
                    try await admin.deleteRecords(below: [TopicPartition("t\0u", 0): 3])
                }
                #expect(try await admin.committed(by: "g")[place]?.offset == 2)
                #expect(try await admin.offset(of: place, at: .earliest) == 0)
            }
        }
    }

    @Test func aClosedClientAnswersNothing() async throws {
        let admin = try Admin(ClientConfiguration(brokers: ["127.0.0.1:1"]))
        let waiting = Task { () throws(KafkaFault) in try await admin.groups() }
        await admin.close()
        await #expect(throws: KafkaFault.self) { try await waiting.value }
        await #expect(throws: KafkaFault.self) { try await admin.topics() }
    }
}
