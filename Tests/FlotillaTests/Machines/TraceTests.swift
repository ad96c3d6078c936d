import Contracts
import Flotilla
import FlotillaTesting
import Model
import Platform
import Testing

/// What a trace looks for, and in which order.
@Suite struct TraceTests {
    private func topic(_ name: TopicName, _ consumers: (HandlerName, [TopicName])...) -> Topic {
        var topic = Topic(name)
        topic.consumers = consumers.map { handler, produces in
            var policy = ConsumerPolicy(handler: handler)
            policy.produces = produces
            return policy
        }
        return topic
    }

    @Test func topicsComeAfterAllThatFeedThem() {
        let catalog = TopicCatalog(
            topics: [
                topic("a.last"), topic("b.points", ("sum", ["a.last"])), topic("c.changes", ("tell", ["a.last"])),
                topic("d.raw", ("make", ["b.points", "c.changes"])),
            ], namespace: Namespace("test"))
        let route = TraceRoute(catalog)
        #expect(
            route.stops.map(\.topic.name)
                == ["d.raw", "b.points", "c.changes", "flotilla.outcomes", "a.last"].filter { name in
                    route.stops.contains { $0.topic.name == name }
                })
        #expect(
            route.stops[0].names.map(\.name) == [
                "test.d.raw", "test.d.raw.make.retry.10s", "test.d.raw.make.retry.1m", "test.d.raw.make.retry.10m",
                "test.d.raw.make.dlq", "test.d.raw.make.replay",
            ])
    }

    /// Topics that feed each other have no order, and are all there all the same.
    @Test func circlesEnd() {
        let catalog = TopicCatalog(topics: [topic("a", ("x", ["b"])), topic("b", ("y", ["a", "b"]))])
        #expect(Set(TraceRoute(catalog).stops.map(\.topic.name)) == ["a", "b"])
    }

    @Test func outputsAreKnownByTheIdsThatTheRuntimeGivesThem() async throws {
        let event = try Event.sample(id: "e1", source: "/shop", topic: "orders")
        let outputs = try await Doubler().outputs(of: event)
        var follower = TraceFollower(id: "e1", source: nil)
        let name = TraceFollower.Name(source: "/shop", id: "e1")
        func match(_ id: String, _ source: String) -> TraceFollower.Match? {
            follower.match(id: Array(id.utf8), source: source)
        }
        #expect(match("e1", "/anybody") == .asked)
        #expect(match(outputs[1].id, "/flotilla/doubler") == nil)
        follower.follow(name, through: ["doubler"])
        for (number, output) in outputs.enumerated() {
            let origin = TraceFollower.Origin(event: name, handler: "doubler", number: number)
            #expect(match(output.id, "/flotilla/doubler") == .output(origin))
            // Whoever claims the id of another.
            #expect(match(output.id, "/shop") == nil)
        }
        let other = TraceFollower(id: "e1", source: "/app")
        #expect(other.match(id: Array("e1".utf8), source: "/shop") == nil)
    }

    private struct Doubler: Handler {
        let name: HandlerName = "doubler"

        func handle(_ event: Event, _ context: Context) async throws -> [Outgoing] {
            [Outgoing(to: "out", from: event, json: [0x30]), Outgoing(to: "out", from: event, json: [0x31])]
        }
    }
}
