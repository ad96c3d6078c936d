import Contracts
import Testing

@testable import Flotilla
@testable import Kafka

/// What the doctor says of a group, of what it saw and heard.
@Suite struct GroupCheckTests {
    private let events = (0..<6).map { TopicPartition("events", Partition($0)) }

    private func look(
        _ waiting: [Int32: Int64], members: Int = 2, untold: Set<TopicPartition> = [], isNamed: Bool = true
    ) -> GroupLook {
        let partition = { (place: TopicPartition) in
            TopicDescription.PartitionDescription(partition: place.partition, leader: 1, replicas: [], inSync: [])
        }
        var topics = GroupTopics(
            "tested", Namespace(), [TopicDescription(name: "events", partitions: events.map(partition))])
        if isNamed {
            var topic = Topic("events")
            topic.partitions = 6
            topic.consumers = [ConsumerPolicy(handler: "tested")]
            topics = GroupTopics("tested", TopicCatalog(topics: [topic]))
        }
        let lags = events.filter { !untold.contains($0) }.map { place in
            let end = Offset(waiting[place.partition.rawValue] ?? 0)
            return (place, GroupLag(committed: 0, watermarks: Watermarks(low: 0, high: end)))
        }
        let shares = (0..<max(1, members)).map { number in
            events.filter { Int($0.partition.rawValue) % max(1, members) == number }
        }
        let group = GroupDescription(
            group: "flotilla.tested", state: members > 0 ? .stable : .empty, strategy: "",
            members: shares.prefix(members).map { .init(id: "", clientID: "", host: "", partitions: $0) })
        return GroupLook(
            topics, group, GroupLags(told: Dictionary(uniqueKeysWithValues: lags), untold: untold))
    }

    /// What is said where nothing is finished in what waits; each worker's words are a handler of its heartbeat.
    private func finding(_ waiting: [Int32: Int64], _ workers: String...) -> Finding {
        let look = look(waiting)
        var check = GroupCheck(look)
        let still = Dictionary(uniqueKeysWithValues: waiting.keys.map { (events[Int($0)], Offset(0)) })
        check.note(look, still: still, after: "three seconds")
        let said = workers.enumerated().map { number, words in
            ("\(number)", #"{"id":"\#(number)","handlers":[{"handler":"tested",\#(words)}]}"#)
        }
        let words = WorkerWords.read(Dictionary(uniqueKeysWithValues: said), unlike: [:])
        return check.finding(words["tested"].map(GroupCheck.Voice.says) ?? .silent)
    }

    private let odd = #""partitions":["events/1","events/3","events/5"]"#

    /// One worker hangs, and another that has nothing to do with it speaks.
    @Test func whatASilentWorkerHasIsNotLaidAtTheDoorOfOneThatSpeaks() throws {
        let alone = finding([2: 5], odd)
        #expect(alone.state == .warning)
        #expect(alone.detail.hasSuffix("and finished nothing in three seconds of events 2 at offset 0"))
        #expect(try #require(alone.advice).contains("nobody who has it has said anything meanwhile"))
        // Nor is it what the other waits for.
        #expect(finding([2: 5], odd + #","missing":["redis"]"#).advice == alone.advice)
        let both = finding([2: 5, 3: 1], odd + #","missing":["redis"]"#)
        #expect(both.state == .failed)
        #expect(
            both.detail.hasSuffix(
                "stands still: redis is missing; and finished nothing in three seconds of events 2 at offset 0"))
        // Who speaks and has it is told of as before.
        #expect(try #require(finding([3: 5], odd).advice).contains("its handler is not called for it"))
        #expect(try #require(finding([3: 5]).advice).contains("its workers have said nothing meanwhile"))
    }

    @Test func aPauseOfOnePartitionIsThatOnes() throws {
        let pause = #","operator":[{"partition":3,"reason":"audit","by":"ada"}]"#
        let work = #","work":[{"partition":"events/5","took_ms":9000,"deadline_ms":60000}]"#
        let other = finding([5: 1], odd + pause + work)
        #expect(other.state == .ok)
        #expect(other.detail.hasSuffix("is at events 5 at offset 0, for 9 s of the 60 s that a call may take"))
        let own = finding([3: 1, 5: 1], odd + pause + work)
        #expect(own.state == .failed && own.detail.hasSuffix("stands still: ada paused partition 3: audit"))
        // One that is paused says nothing for another whose call does not come back, nor for one that nobody calls.
        let late = #","work":[{"partition":"events/5","took_ms":90000,"deadline_ms":60000}]"#
        let each = finding([1: 1, 3: 1, 5: 1], odd + pause + late)
        #expect(each.state == .failed)
        #expect(
            each.detail.hasSuffix(
                "stands still: ada paused partition 3: audit; and a call is over its deadline: "
                    + "events 5 at offset 0, for 90 s of the 60 s that a call may take; "
                    + "and finished nothing in three seconds of events 1 at offset 0"))
        let advice = try #require(each.advice)
        #expect(advice.contains("resume tested. Of events 5 at offset 0, ") && advice.contains(". Of events 1 at "))
        let all = finding([5: 1], odd + #","operator":[{"reason":"audit","by":"ada"}]"#)
        #expect(all.state == .failed && all.detail.hasSuffix("stands still: ada paused it: audit"))
    }

    /// The first look still stands.
    @Test func aSecondLookThatFailsTakesNothingBack() throws {
        let gone = KafkaFault(KafkaFault.Code(rawValue: -185), "no answer", at: KafkaFault.Site("describe groups"))
        var check = GroupCheck(look([0: 7], members: 0))
        let alone = check.finding(.unasked)
        check.note(gone)
        let finding = check.finding(.unasked)
        #expect(finding.state == .warning && finding.advice == alone.advice)
        #expect(finding.detail.hasPrefix(alone.detail + "; it could not be looked at again: "))
        check = GroupCheck(look([0: 7]))
        check.note(gone)
        #expect(check.finding(.unasked).state == .warning)
        #expect(try #require(check.finding(.unasked).advice).contains("see the broker that coordinates its group"))
    }

    @Test func whatWasNotToldIsNamedAndTheRestIsJudged() throws {
        let well = GroupCheck(look([0: 7], untold: [events[4], events[1]])).finding(.unasked)
        #expect(well.state == .warning)
        #expect(
            well.detail
                == "2 workers, group stable, at least 7 records behind; "
                + "how much waits in events 1, events 4 was not told")
        let gone = GroupCheck(look([0: 7], members: 0, untold: [events[4]])).finding(.unasked)
        #expect(try #require(gone.advice).contains("nobody works: ") && gone.detail.hasSuffix("events 4 was not told"))
    }

    @Test func whoNoTopicFileNamesIsMissedWhileSomethingWaits() throws {
        #expect(!look([:], members: 0, isNamed: false).isOfInterest)
        #expect(look([:], members: 1, isNamed: false).isOfInterest)
        let gone = look([2: 9], members: 0, isNamed: false)
        #expect(gone.isOfInterest)
        let finding = GroupCheck(gone).finding(.unasked)
        #expect(finding.state == .warning)
        #expect(
            finding.detail
                == "0 workers, group empty, 9 records behind; "
                + "no topic file here names it, so its group alone was looked at")
        #expect(try #require(finding.advice).contains("start its worker where its topic files are"))
    }

    @Test func theDelaysOfHandlersWithoutTopicFilesAreInTheNamesOfTheirTopics() {
        let names: [TopicName] = [
            "orders", "orders.tested.retry.10s", "orders.tested.retry.5m", "orders.tested.replay",
        ]
        let topics = GroupTopics("tested", Namespace("a"), names.map { TopicDescription(name: $0, partitions: []) })
        #expect(topics.delays == [names[1]: .seconds(10), names[2]: .seconds(300)])
        #expect(topics.group == "a.flotilla.tested" && !topics.isNamed)
    }

    @Test func aGroupIsAHandlersByItsName() {
        #expect(Namespace().handler(of: "flotilla.ingest") == "ingest" && Namespace().handler(of: "ingest") == nil)
        #expect(Namespace().handler(of: "flotilla.flotilla.ingest") == nil)
        #expect(Namespace().handler(of: "flotilla.") == nil && Namespace().handler(of: "flotilla.a\u{1b}[2J") == nil)
        #expect(Namespace("a").handler(of: "a.flotilla.x") == "x" && Namespace("a").handler(of: "flotilla.x") == nil)
    }
}
