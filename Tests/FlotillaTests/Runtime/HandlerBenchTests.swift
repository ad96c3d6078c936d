import FlotillaTesting
import Platform
import TestSupport
import Testing

/// The kit that authors test their handlers with: only what they see of it.
@Suite struct HandlerBenchTests {
    private struct Pricer: Handler {
        let name: HandlerName = "pricer"

        func handle(_ event: Event, _ context: Context) async throws -> [Outgoing] {
            let order = try event.json()
            guard let amount = order["amount"]?.int64 else { throw Refusal.permanent("an order has an amount") }
            if amount == 7, context.attempt < 5 { throw Refusal.retry("unlucky") }
            return [try Outgoing(to: "priced", from: event, type: "order.priced", ["total": amount * 2])]
        }
    }

    private struct Summer: BatchHandler {
        let name: HandlerName = "summer"

        func handle(_ events: [Event], _ context: Context) async throws -> [Outgoing] {
            guard let last = events.last else { return [] }
            let sum = try events.reduce(Int64(0)) { try $0 + ($1.json()["amount"]?.int64 ?? 0) }
            return [try Outgoing(to: "sums", from: last, key: "all", ["sum": sum])]
        }
    }

    private var policy: ConsumerPolicy {
        var policy = ConsumerPolicy(handler: "pricer")
        policy.produces = ["priced"]
        return policy
    }

    @Test func aHandlerCanSimplyBeCalled() async throws {
        let outputs = try await Pricer().outputs(of: .sample(key: "ada", json: #"{"amount": 2}"#))
        #expect(outputs.map(\.json) == [#"{"total":4}"#])
        #expect(outputs.map(\.topic) == ["priced"])
        #expect(outputs.map(\.key) == ["ada"])
        #expect(outputs.map(\.type) == ["order.priced"])
        #expect(try outputs[0].decode([String: Int].self) == ["total": 4])
        await #expect(throws: Refusal.permanent("an order has an amount")) {
            try await Pricer().outputs(of: .sample())
        }
        await #expect(throws: Refusal.retry("unlucky")) {
            try await Pricer().outputs(of: .sample(json: #"{"amount": 7}"#), attempt: 4)
        }
        let sums = try await Summer().outputs(of: [
            .sample(id: "1", json: #"{"amount": 2}"#), .sample(id: "2", json: #"{"amount": 3}"#),
        ])
        #expect(sums.map(\.json) == [#"{"sum":5}"#])
    }

    @Test func aBenchDoesWhatAWorkerDoes() async throws {
        let bench = try HandlerBench(Pricer(), topics: ["orders": policy])
        try bench.send(id: "1", key: "ada", json: #"{"amount": 1}"#)
        try bench.send(id: "1", key: "ada", json: #"{"amount": 1}"#)
        try bench.send(id: "2", json: "{}")
        try bench.send(id: "3", json: #"{"amount": 7}"#)
        bench.append(OutgoingRecord(topic: "orders", value: [0xff]))
        await bench.settle()
        #expect(bench.published(to: "priced").map(\.json) == [#"{"total":2}"#])
        #expect(bench.deadLetters().map(\.reason) == ["undecodable", "permanent"])
        #expect(bench.deadLetters(of: "orders").map(\.value) == [[0xff], Array("{}".utf8)])
        #expect(bench.deadLetters().map(\.id) == [nil, "2"])
        // The unlucky one, and the repeat, which looks again in a moment.
        #expect(bench.unfinished == 2)
        let before = bench.now
        try await bench.run()
        #expect(bench.unfinished == 0)
        // Three tries at once, one after ten seconds, one after another minute.
        #expect(bench.now >= Timestamp(milliseconds: before.milliseconds + 70_000))
        #expect(bench.published(to: "priced").map(\.json) == [#"{"total":2}"#, #"{"total":14}"#])
    }

    @Test func aWorkerThatIsKilledPublishesTheSameAgain() async throws {
        var policy = policy
        policy.once.ttl = nil
        let bench = try HandlerBench(Pricer(), topics: ["orders": policy])
        try bench.send(id: "1", json: #"{"amount": 1}"#)
        await bench.settle()
        bench.kill()
        try await bench.run()
        let published = bench.published(to: "priced")
        #expect(published.count == 2)
        #expect(Set(published.map(\.id)).count == 1)
    }

    @Test func topicFilesSayWhatAHandlerReads() async throws {
        let folder = TemporaryFolder()
        try Files.create(
            folder.path + "/orders.yaml", "name: orders\nconsumers:\n  - handler: pricer\n    produces: [priced]\n")
        try Files.create(folder.path + "/priced.yaml", "name: priced\n")
        let bench = try HandlerBench(Pricer(), topics: folder.path, partitions: 3)
        for number in 1...20 { try bench.send(id: "\(number)", json: #"{"amount": \#(number)}"#) }
        try await bench.run()
        #expect(bench.published(to: "priced").count == 20)
        #expect(throws: BenchFault.self) { try HandlerBench(Summer(), topics: folder.path) }
    }

    @Test func mistakesOfATestAreTold() async throws {
        let bench = try HandlerBench(Pricer(), topics: ["orders": policy, "returns": policy])
        #expect(throws: BenchFault.self) { try bench.send(id: "1") }
        #expect(throws: BenchFault.self) { try bench.send(to: "nowhere", id: "1") }
        #expect(throws: BenchFault.self) { try HandlerBench(Pricer(), topics: [:]) }
        try bench.send(to: "orders", id: "1", json: #"{"amount": 7}"#)
        await #expect(throws: BenchFault.self) { try await bench.run(within: .seconds(20)) }
    }

    @Test func whatATopicFileDoesNotNameIsRefused() async throws {
        let bench = try HandlerBench(Summer(), topics: ["orders": ConsumerPolicy(handler: "summer")])
        try bench.send(id: "1", json: #"{"amount": 7}"#)
        try await bench.run()
        #expect(bench.deadLetters().map(\.reason) == ["permanent"])
        #expect(bench.deadLetters()[0].message.contains("produces"))
    }
}
