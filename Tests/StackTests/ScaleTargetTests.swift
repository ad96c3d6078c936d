import Contracts
import Model
import Testing

@testable import Stack

@Suite struct ScaleTargetTests {
    private let handlers: Set<HandlerName> = ["process", "notify", "ingest"]
    private var catalog: TopicCatalog {
        func topic(_ name: TopicName, _ readers: [HandlerName]) -> Topic {
            var topic = Topic(name)
            topic.consumers = readers.map { ConsumerPolicy(handler: $0) }
            return topic
        }
        return TopicCatalog(topics: [
            topic("events.raw", ["ingest"]), topic("events.accepted", ["process", "notify", "elsewhere"]),
            topic("metrics.windows", ["notify"]), topic("ends.here", []),
        ])
    }

    @Test func readsHandlersAndTopics() throws {
        #expect(try ScaleTarget.parse(["process=4", "events.accepted=0"]) == ["process": 4, "events.accepted": 0])
        #expect(try ScaleTarget.parse([]) == [:])
        for wrong in [
            "process", "process=", "=4", "process=-1", "process=65", "process=4=5", "process=x",
            "process=99999999999999999999",
        ] {
            #expect(throws: StackFault.self) { try ScaleTarget.parse([wrong]) }
        }
    }

    @Test func aTopicStandsForItsReadersHere() throws {
        func scaled(_ targets: [String: Int]) throws -> [String: Int] {
            try ScaleTarget.handlers(of: targets, among: handlers, [catalog])
        }
        #expect(try scaled(["process": 4]) == ["process": 4])
        #expect(try scaled(["events.accepted": 3]) == ["process": 3, "notify": 3])
        // Two topics want most; a name wants what it says.
        #expect(try scaled(["events.accepted": 3, "metrics.windows": 2]) == ["process": 3, "notify": 3])
        #expect(try scaled(["events.accepted": 3, "notify": 1]) == ["process": 3, "notify": 1])
        #expect(throws: StackFault.self) { try scaled(["nobody": 1]) }
        #expect(throws: StackFault.self) { try scaled(["ends.here": 1]) }
        #expect(throws: StackFault.self) { try scaled(["process": 65]) }
    }
}
