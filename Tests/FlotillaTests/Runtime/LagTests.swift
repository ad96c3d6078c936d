import AdminPort
import Contracts
import FlotillaTesting
import HTTP
import Kafka
import Platform
import Synchronization
import TestSupport
import Testing

@testable import Flotilla

/// How far a worker says that it is behind.
@Suite struct LagTests: WatchedWorker {
    /// What was found a moment ago.
    private func lag(_ stage: Stage, _ topic: TopicName = "events") async throws -> PartitionLag {
        _ = stage.start().worker.lags
        await stage.advance(by: .seconds(10))
        return try #require(stage.start().worker.lags[TopicPartition(topic, 0)])
    }

    @Test func whatAnOperatorHoldsIsNotActionableAndAgesFromWhenItWasWritten() async throws {
        let stage = stage()
        pause(stage)
        await stage.settle()
        send(stage, "a", "b", ago: .seconds(3600))
        // Nobody has read them, so at first it is not known how old they are.
        #expect(try await lag(stage) == PartitionLag(records: 2, milliseconds: 0, actionable: 0, at: 10_000))
        #expect(try await lag(stage) == PartitionLag(records: 2, milliseconds: 3_620_000, actionable: 0, at: 20_000))
        stage.start().worker.follow([])
        #expect(try await lag(stage) == PartitionLag(records: 0, milliseconds: 0, actionable: 0, at: 30_000))
    }

    @Test func behindABreakerNothingIsActionable() async throws {
        var policy = Self.policy
        policy.breaker.failures = 1
        policy.breaker.cooldown = .seconds(60)
        let stage = stage(policy) { _, _ in throw Refusal.unavailable("shop", "closed") }
        send(stage, "a", "b", ago: .seconds(7))
        #expect(try await lag(stage) == PartitionLag(records: 2, milliseconds: 17_000, actionable: 0, at: 10_000))
    }

    @Test func aRetryBeforeItsTimeIsNotActionableAndHasNoAge() async throws {
        var policy = Self.policy
        policy.retry.tiers = [.minutes(10)]
        let stage = stage(policy) { _, _ in throw Refusal.retry("no") }
        send(stage, "a")
        #expect(
            try await lag(stage, "events.tested.retry.10m")
                == PartitionLag(records: 1, milliseconds: 0, actionable: 0, at: 10_000))
        #expect(try await lag(stage).records == 0)
    }

    @Test func whatAWorkerIsAtIsActionable() async throws {
        let hold = Hold()
        let stage = stage { _, _ in
            await hold.wait()
            return []
        }
        send(stage, "a", "b", "c")
        _ = stage.start().worker.lags
        pass(stage, .seconds(11))
        #expect(
            stage.start().worker.lags[place]
                == PartitionLag(records: 3, milliseconds: 10_000, actionable: 3, at: 10_000))
        hold.end()
        await stage.settle()
    }

    /// How far the handlers are behind is told with what they depend on, and fails nothing.
    @Test func healthTellsHowFarBehindAndWhereItIsWorst() async throws {
        func page(_ stage: Stage) async -> String {
            let worker = stage.start().worker
            let health = Health(version: "1", probes: [.lag { [worker] }])
            return String(decoding: await health.report().response.body, as: UTF8.self)
        }
        let stage = stage()
        pause(stage)
        await stage.settle()
        stage.start().source.silence = .coordinator
        let unknown = await page(stage)
        #expect(
            unknown.contains("\"status\":\"ok\"")
                && unknown.contains("\"lag\":{\"status\":\"unknown\",\"latency_ms\":0,"))
        stage.start().source.silence = .none
        send(stage, "a", "b", ago: .seconds(60))
        await stage.advance(by: .seconds(10))
        _ = await page(stage)
        await stage.advance(by: .seconds(10))
        let known = await page(stage)
        #expect(
            known.contains(
                "\"lag\":{\"status\":\"ok\",\"latency_ms\":0,\"records\":2,\"actionable_records\":0,\"seconds\":80.0,\"looked_seconds\":0.0,"
                    + "\"worst\":{\"handler\":\"tested\",\"topic\":\"events\",\"partition\":0,\"records\":2,\"seconds\":80.0}}"
            ),
            "\(known)")
    }

    /// What nothing was read of, of a group that has not said how far it is, is not taken for unread from the beginning.
    @Test func aCoordinatorThatIsAwayLeavesTheFiguresAsTheyWere() async throws {
        let stage = stage()
        send(stage, "a", "b")
        #expect(await stage.run(within: .seconds(60)))
        await stage.stop()
        let began = stage.clock.monotonicMilliseconds
        let life = stage.start()
        life.source.silence = .coordinator
        _ = life.worker.lags
        await stage.advance(by: .seconds(10))
        #expect(life.worker.lags[place] == nil && life.worker.lagAge == nil)
        life.source.silence = .none
        #expect(try await lag(stage).records == 0)
        life.source.silence = .coordinator
        let old = try await lag(stage)
        #expect(old.records == 0 && old.at == began + 20_000 && life.worker.lagAge == 10_000)
    }

    /// A broker that hangs for longer than a session: nobody has told that there is nothing to be behind with.
    @Test func whatIsLostIsToldAsItWasUntilTheGroupSaysWhoseItIs() async throws {
        let stage = stage()
        pause(stage)
        await stage.settle()
        send(stage, "a", "b", ago: .seconds(60))
        _ = try await lag(stage)
        let before = try await lag(stage)
        let life = stage.start()
        life.source.lose(life.worker.assignment)
        #expect(try await lag(stage) == before && before.records == 2)
        #expect(life.worker.assignment.isEmpty && life.worker.lagAge == 10_000)
        let report = await LagReport([life.worker])
        #expect(report.records == 2 && !report.isIdle && report.age == 10_000)
        // Another has it now.
        life.source.assign([])
        await stage.advance(by: .seconds(10))
        #expect(life.worker.lags.isEmpty && life.worker.lagAge == nil)
        #expect(await LagReport([life.worker]).isIdle)
    }

    /// What it asks with may be busy with something else that hangs.
    @Test func aDependencyThatIsNotAnsweredForIsToldWithinADeadline() async throws {
        let hold = Hold()
        let calls = Atomic(0)
        let health = Health(
            version: "1",
            probes: [
                Health.Probe("well") { nil },
                Health.Probe("hanging") {
                    calls.add(1, ordering: .relaxed)
                    await hold.wait()
                    return nil
                },
            ])
        for _ in 0..<2 {
            let text = String(decoding: await health.report().response.body, as: UTF8.self)
            let told = try JSONDocument(parsing: text).root
            #expect(told.at(pointer: "/dependencies/hanging/detail")?.string == "no answer within 3.0 seconds")
            #expect(told.at(pointer: "/dependencies/well/status")?.string == "ok")
            // What is remembered for a second.
            try await Task.sleep(for: .milliseconds(1100))
        }
        #expect(calls.load(ordering: .relaxed) == 1)
        hold.end()
        try await eventually {
            let text = String(decoding: await health.report().response.body, as: UTF8.self)
            return try JSONDocument(parsing: text).root["status"]?.string == "ok"
        }
    }

    @Test func whoLeavesDoesNotWaitForALookThatHangs() async throws {
        let stage = stage()
        send(stage, "a")
        let life = stage.start()
        life.source.silence = .leaders
        _ = life.worker.lags
        await stage.advance(by: .seconds(10))
        await stage.stop()
        #expect(life.source.isClosed)
    }

    /// That there was no time is no news of the record.
    @Test func aFirstRecordThatDoesNotComeInTimeIsAskedForAgain() async throws {
        let stage = stage()
        pause(stage)
        await stage.settle()
        let source = stage.start().source
        source.silence = .times
        send(stage, "a", "b", ago: .seconds(3600))
        _ = try await lag(stage)
        #expect(try await lag(stage).milliseconds == 10_000)
        #expect(source.askedForTimes == 1)
        source.silence = .none
        #expect(try await lag(stage).milliseconds == 3_600_000 + 30_000)
    }

    /// What lies between may be no record at all.
    @Test func aFirstRecordThatDoesNotComeIsAskedForAgainAfterMinutesOrWhenSomethingCameBehindIt() async throws {
        let stage = stage()
        pause(stage)
        await stage.settle()
        let source = stage.start().source
        source.silence = .records
        send(stage, "a", "b", ago: .seconds(3600))
        _ = try await lag(stage)
        #expect(source.askedForTimes == 0)
        #expect(try await lag(stage).milliseconds == 10_000)
        #expect(source.askedForTimes == 1)
        for _ in 0..<29 { _ = try await lag(stage) }
        #expect(source.askedForTimes == 1)
        _ = try await lag(stage)
        #expect(source.askedForTimes == 2)
        source.silence = .none
        // It is not asked for, and it still ages.
        #expect(try await lag(stage).milliseconds == 320_000)
        send(stage, "c")
        #expect(try await lag(stage).milliseconds == 3_600_000 + 340_000)
        #expect(source.askedForTimes == 3)
        // Once it is known nobody asks, whatever comes.
        send(stage, "d")
        _ = try await lag(stage)
        #expect(source.askedForTimes == 3)
    }
}
