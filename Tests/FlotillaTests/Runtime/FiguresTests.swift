import AdminPort
import Contracts
import FlotillaTesting
import Kafka
import Platform
import Postgres
import Synchronization
import Testing

@testable import Flotilla

/// What a worker says of itself.
@Suite struct FiguresTests: WatchedWorker {
    // MARK: What is not committed

    @Test func aCommitAgesWhileTheCoordinatorIsAway() async {
        let stage = stage()
        let life = stage.start()
        life.source.silence = .coordinator
        await stage.advance(by: .seconds(3600))
        send(stage, "a")
        await stage.settle()
        // An hour without a record is none without a commit.
        #expect(life.worker.commitAges[place] == 0)
        await stage.advance(by: .seconds(20))
        #expect(life.worker.commitAges[place] == 20_000)
        life.source.silence = .none
        await stage.advance(by: .seconds(1))
        #expect(life.worker.commitAges[place] == 0)
    }

    @Test func whatIsFinishedBehindAnUnfinishedRecordCannotBeCommittedYet() async {
        var policy = Self.policy
        policy.concurrency = 4
        policy.breaker.failures = 1
        policy.breaker.cooldown = .seconds(600)
        let isAway = Atomic(false)
        let stage = stage(policy) { event, _ in
            if event.id == "a" {
                isAway.store(true, ordering: .relaxed)
                throw Refusal.unavailable("shop", "closed")
            }
            return []
        }
        for id in ["a", "b", "c", "d"] {
            stage.log.append(ScriptedHandler.record(id, key: id, value: "{}"), now: stage.clock.wallMilliseconds)
        }
        await stage.advance(by: .seconds(240))
        #expect(isAway.load(ordering: .relaxed) && stage.start().worker.commitAges[place] == 0)
    }

    @Test func anOutputAgesFromWhenItCameIntoTheOutbox() throws {
        // Nothing is asked of it.
        let store = StateStore(
            try PostgresPool(try PostgresConfiguration(url: "postgresql://nobody@127.0.0.1:1/none")), worker: "test")
        defer { store.close() }
        let lane = StatefulLane(store)
        #expect(lane.outboxAge(now: 100_000) == nil)
        // A predecessor left it an hour ago, before this process began.
        lane.left(since: 100_000 - 3_600_000)
        #expect(lane.outboxAge(now: 100_000) == 3_600_000)
        let (first, again) = (lane.begin(7, since: 100_000 - 3_600_000), lane.begin(7, since: 100_000))
        #expect(first && !again)
        lane.left(since: nil)
        #expect(lane.begin(8, since: 100_000) && lane.outboxAge(now: 101_000) == 3_601_000)
        lane.finish(7)
        #expect(lane.outboxAge(now: 101_000) == 1000)
        lane.finish(8)
        #expect(lane.outboxAge(now: 101_000) == nil)
    }

    // MARK: Metrics

    private func metrics(_ stage: Stage) -> [String] {
        var text = MetricsText()
        text.add([stage.start().worker])
        return text.text.split(separator: "\n").map(String.init)
    }

    @Test func metricsTellWhatBecameOfEvents() async {
        var policy = Self.policy
        policy.retry.tiers = [.minutes(10)]
        policy.produces = ["results"]
        let stage = stage(policy) { event, _ in
            switch event.id {
            case "dead": throw Refusal.permanent("no")
            case "late": throw Refusal.retry("not yet")
            case _: return [Outgoing(to: "results", from: event, type: "made", json: Array("{}".utf8))]
            }
        }
        send(stage, "done", "dead", "late")
        await stage.advance(by: .seconds(2))
        send(stage, "done")
        await stage.advance(by: .seconds(2))
        let told = Set(metrics(stage))
        let kafka = #"handler="tested",messaging_system="kafka",messaging_destination_name="#
        let read = kafka + #""events",messaging_consumer_group_name="flotilla.tested""#
        let topic = #"handler="tested",topic="events""#
        for line in [
            "messaging_client_consumed_messages_total{\(read)} 4",
            "messaging_client_sent_messages_total{\(kafka)\"results\"} 1",
            "messaging_process_duration_seconds_count{\(read)} 3",
            "flotilla_outcomes_total{\(topic),outcome=\"done\"} 1",
            "flotilla_outcomes_total{\(topic),outcome=\"repeat\"} 1",
            "flotilla_outcomes_total{\(topic),outcome=\"retry\"} 1",
            "flotilla_outcomes_total{\(topic),outcome=\"dead\"} 1",
            "flotilla_attempts_total{\(topic),result=\"ok\"} 1",
            "flotilla_attempts_total{\(topic),result=\"failed\"} 2",
            "flotilla_attempts_total{\(topic),result=\"missing\"} 0",
            "flotilla_retries_total{\(topic),tier=\"10m\"} 1",
            "flotilla_dead_letters_total{\(topic),reason=\"permanent\"} 1",
            "flotilla_claims_total{handler=\"tested\",result=\"granted\"} 3",
            "flotilla_claims_total{handler=\"tested\",result=\"repeat\"} 1",
            "flotilla_commit_age_seconds{\(topic),partition=\"0\"} 0",
            "flotilla_rebalances_total{handler=\"tested\",change=\"assigned\"} 1",
            // The copy waits for its time.
            "flotilla_in_flight{handler=\"tested\"} 1",
            "flotilla_paused_partitions{handler=\"tested\",reason=\"due\"} 1",
            "flotilla_paused_partitions{handler=\"tested\",reason=\"operator\"} 0",
        ] { #expect(told.contains(line), "\(line)\n\(told.sorted().joined(separator: "\n"))") }
        pause(stage)
        stage.start().source.revoke([place])
        await stage.advance(by: .seconds(1))
        let later = metrics(stage)
        #expect(later.contains("flotilla_rebalances_total{handler=\"tested\",change=\"revoked\"} 1"))
        #expect(later.contains("flotilla_paused_partitions{handler=\"tested\",reason=\"operator\"} 2"))
    }

    @Test func metricsTellTheStateOfABreaker() async {
        var policy = Self.policy
        policy.breaker.failures = 2
        policy.breaker.cooldown = .seconds(5)
        let isAway = Atomic(true)
        let stage = stage(policy) { _, _ in
            if isAway.load(ordering: .relaxed) { throw Refusal.unavailable("shop", "closed") }
            return []
        }
        func isTold(_ state: String) -> Bool {
            ["closed", "half-open", "open"].allSatisfy { each in
                metrics(stage).contains(
                    "flotilla_breaker_state{handler=\"tested\",dependency=\"shop\",state=\"\(each)\"} \(each == state ? 1 : 0)"
                )
            }
        }
        for number in 0..<10 { send(stage, "id-\(number)") }
        await stage.settle()
        #expect(isTold("closed"))
        await stage.advance(by: .milliseconds(50))
        #expect(isTold("open"))
        isAway.store(false, ordering: .relaxed)
        await stage.advance(by: .seconds(5))
        #expect(isTold("closed"))
    }

    @Test func namesThatAnAuthorMakesUpAreBounded() async {
        var policy = Self.policy
        policy.breaker.failures = 1000
        let calls = Atomic(0)
        let stage = stage(policy) { _, _ in
            let number = calls.add(1, ordering: .relaxed).newValue
            throw Refusal.unavailable("host-\(number)", "closed")
        }
        send(stage, "a")
        await stage.advance(by: .seconds(10))
        #expect(calls.load(ordering: .relaxed) > 100)
        let names = stage.start().worker.breakers.map(\.dependency)
        #expect(names.count == 34 && names.contains("other") && names.last == "redis")
    }
}
