import Flotilla
import Platform
import Redis
import TestServers
import TestSupport
import Testing

/// What every once-only memory does, and that the one in Redis does what the plain one does.
@Suite(.inTurns) struct OnceMemoryTests {
    private enum Kind: CaseIterable { case plain, redis }

    private static let lease: Duration = .seconds(60)

    /// Runs `body` with a memory of each kind.
    private func withEach(
        ttl: Duration = .seconds(3600), lease: Duration = lease, _ body: (any OnceMemory) async throws -> Void
    ) async throws {
        try await body(InMemoryOnceMemory(lease: lease) { Time.wallMilliseconds })
        let server = try RedisServer()
        let client = try RedisClient(try RedisConfiguration(url: server.url))
        defer { client.close() }
        try await body(
            RedisOnceMemory(client, handler: "h", namespace: Namespace("test"), ttl: ttl, lease: lease))
    }

    private let place = TopicPartition("topic", 0)
    private let other = TopicPartition("other", 3)

    private func key(_ number: UInt64) -> OnceKey { OnceKey(high: number &* 0x9e37_79b9, low: number) }

    private func hold(_ answer: ClaimAnswer) throws -> OnceHold {
        guard case .granted(let hold, _, _, _) = answer else {
            Issue.record("not granted: \(answer)")
            throw NotGranted()
        }
        return hold
    }

    private struct NotGranted: Error {}

    @Test func whatIsDoneIsKnownAndWhatIsReleasedIsNot() async throws {
        try await withEach { memory in
            let owner = try await memory.takeOver(place)
            let questions = (1...500).map { OnceClaim(key(UInt64($0))) }
            let answers = try await memory.claim(questions, owner: owner)
            #expect(answers.count == 500)
            let holds = try answers.map(hold)
            #expect(holds.map(\.key) == questions.map(\.key))
            let endings = holds.enumerated().map { index, hold in
                (hold: hold, ending: index % 3 == 0 ? OnceEnding.done : index % 3 == 1 ? .released(attempts: 7) : .dead)
            }
            let heard = try await memory.finish(endings, owner: owner)
            #expect(heard.allSatisfy { $0 })
            let again = try await memory.claim(questions, owner: owner)
            for (index, answer) in again.enumerated() {
                switch index % 3 {
                case 0: #expect(answer == .done)
                case 1:
                    #expect(
                        answer
                            == .granted(
                                OnceHold(questions[index].key, fence: 2), attempts: 7, wasHeld: false, starts: 0))
                case _: #expect(answer == .dead)
                }
            }
            // What is over cannot be said twice.
            let late = try await memory.finish(endings, owner: owner)
            #expect(late.allSatisfy { !$0 })
        }
    }

    @Test func aNewOwnerTakesOverAtOnceAndTheOldOneIsFenced() async throws {
        try await withEach { memory in
            let old = try await memory.takeOver(place)
            let held = try hold(try await memory.claim([OnceClaim(key(1))], owner: old)[0])
            let started = try await memory.start(held, owner: old)
            #expect(started)
            let new = try await memory.takeOver(place)
            #expect(new.generation > old.generation)
            let answers = try await memory.claim([OnceClaim(key(1)), OnceClaim(key(2))], owner: new)
            #expect(answers[0] == .granted(OnceHold(key(1), fence: 2), attempts: 0, wasHeld: true, starts: 1))
            #expect(answers[1] == .granted(OnceHold(key(2), fence: 1), attempts: 0, wasHeld: false, starts: 0))
            let fenced = try await memory.claim([OnceClaim(key(3))], owner: old)
            #expect(fenced == [.fenced])
            let finished = try await memory.finish([(held, .done)], owner: old)
            #expect(finished == [false])
            let renewed = try await memory.renew([held], owner: old)
            #expect(renewed == [false])
        }
    }

    @Test func aRepeatedQuestionIsGrantedAgainWithANewFence() async throws {
        try await withEach { memory in
            let owner = try await memory.takeOver(place)
            let first = try hold(try await memory.claim([OnceClaim(key(1))], owner: owner)[0])
            let second = try await memory.claim([OnceClaim(key(1))], owner: owner)[0]
            #expect(second == .granted(OnceHold(key(1), fence: 2), attempts: 0, wasHeld: false, starts: 0))
            let heard = try await memory.finish([(first, .done)], owner: owner)
            #expect(heard == [false])
        }
    }

    @Test func anotherPartitionWaitsForTheLease() async throws {
        try await withEach(lease: .seconds(8)) { memory in
            let mine = try await memory.takeOver(place)
            let theirs = try await memory.takeOver(other)
            _ = try await memory.claim([OnceClaim(key(1))], owner: mine)
            var answer = try await memory.claim([OnceClaim(key(1))], owner: theirs)[0]
            guard case .busy(let wait) = answer else {
                Issue.record("should be busy: \(answer)")
                return
            }
            #expect(wait > .zero && wait <= .seconds(8))
            let end = ContinuousClock.now + .seconds(60)
            while case .busy = answer, ContinuousClock.now < end {
                answer = try await memory.claim([OnceClaim(key(1))], owner: theirs)[0]
            }
            #expect(answer == .granted(OnceHold(key(1), fence: 2), attempts: 0, wasHeld: true, starts: 0))
        }
    }

    @Test func aReplayPassesWhatEndedBefore() async throws {
        try await withEach { memory in
            let owner = try await memory.takeOver(place)
            let held = try hold(try await memory.claim([OnceClaim(key(1))], owner: owner)[0])
            _ = try await memory.finish([(held, .dead)], owner: owner)
            let same = try await memory.claim([OnceClaim(key(1))], owner: owner)
            #expect(same == [.dead])
            let replayed = try hold(try await memory.claim([OnceClaim(key(1), replays: 1)], owner: owner)[0])
            _ = try await memory.finish([(replayed, .done)], owner: owner)
            let repeated = try await memory.claim([OnceClaim(key(1), replays: 1)], owner: owner)
            #expect(repeated == [.done])
            _ = try hold(try await memory.claim([OnceClaim(key(1), replays: 2)], owner: owner)[0])
        }
    }

    @Test func whatIsRememberedWithoutAClaimIsDone() async throws {
        try await withEach { memory in
            let owner = try await memory.takeOver(place)
            _ = try await memory.claim([OnceClaim(key(1))], owner: owner)
            try await memory.remember([key(1), key(2)])
            let answers = try await memory.claim([OnceClaim(key(1)), OnceClaim(key(2))], owner: owner)
            #expect(answers == [.done, .done])
        }
    }

    /// Windows of a second: what is done is forgotten after two of them, a claim that is renewed in its time never.
    @Test func windowsPassAndClaimsStay() async throws {
        let server = try RedisServer()
        let client = try RedisClient(try RedisConfiguration(url: server.url))
        defer { client.close() }
        let memory = RedisOnceMemory(
            client, handler: "h", namespace: Namespace(), ttl: .milliseconds(100), lease: .seconds(1))
        let owner = try await memory.takeOver(place)
        let done = try hold(try await memory.claim([OnceClaim(key(1))], owner: owner)[0])
        _ = try await memory.finish([(done, .done)], owner: owner)
        var kept = try hold(try await memory.claim([OnceClaim(key(2))], owner: owner)[0])
        var answer = ClaimAnswer.done
        var renewals = 0
        var last = ContinuousClock.now
        let end = ContinuousClock.now + .seconds(30)
        while answer == .done || renewals == 0, ContinuousClock.now < end {
            let renewed = try await memory.renew([kept], owner: owner)
            if ContinuousClock.now - last < .seconds(1) {
                #expect(renewed == [true])
                renewals += 1
            } else if renewed == [false] {
                // The machine stood still for longer than the lease: that claim may be gone.
                kept = try hold(try await memory.claim([OnceClaim(key(2))], owner: owner)[0])
            }
            last = ContinuousClock.now
            if answer == .done { answer = try await memory.claim([OnceClaim(key(1))], owner: owner)[0] }
        }
        _ = try hold(answer)
    }

    @Test(arguments: TestDice.seeds(8)) func redisDoesWhatThePlainOneDoes(seed: UInt64) async throws {
        var dice = TestDice(seed: seed)
        let server = try RedisServer()
        let client = try RedisClient(try RedisConfiguration(url: server.url))
        defer { client.close() }
        // Leases that never end, so that time plays no part.
        let plain = InMemoryOnceMemory(lease: .seconds(3600)) { 0 }
        let redis = RedisOnceMemory(
            client, handler: "h", namespace: Namespace(), ttl: .seconds(7200), lease: .seconds(3600))
        var owners: [(plain: OnceOwner, redis: OnceOwner)] = []
        for place in [place, other] {
            owners.append((try await plain.takeOver(place), try await redis.takeOver(place)))
        }
        // Fences may differ, so each memory is told its own.
        var holds: [(plain: OnceHold, redis: OnceHold)] = []
        for step in 0..<400 {
            let owner = owners[Int.random(in: 0..<owners.count, using: &dice)]
            let keys = (0..<Int.random(in: 1...4, using: &dice)).map { _ in
                key(UInt64.random(in: 0..<12, using: &dice))
            }
            switch Int.random(in: 0..<10, using: &dice) {
            case 0:
                let place = owner.plain.partition
                owners.append((try await plain.takeOver(place), try await redis.takeOver(place)))
            case 1...4:
                let questions = Set(keys).map { OnceClaim($0, replays: UInt32(dice.chance(20) ? 1 : 0)) }
                let expected = try await plain.claim(questions, owner: owner.plain)
                let found = try await redis.claim(questions, owner: owner.redis)
                for (left, right) in zip(expected, found) {
                    if case .busy = left, case .busy = right { continue }
                    guard case .granted(let mine, let attempts, let wasHeld, let starts) = left,
                        case .granted(let its, _, _, _) = right
                    else {
                        #expect(left == right, "step \(step), seed \(seed)")
                        continue
                    }
                    holds.append((mine, its))
                    let same = ClaimAnswer.granted(its, attempts: attempts, wasHeld: wasHeld, starts: starts)
                    #expect(same == right, "step \(step), seed \(seed)")
                }
            case 5...7:
                guard let hold = holds.randomElement(using: &dice) else { continue }
                let ending: OnceEnding = [.done, .dead, .released(attempts: 3)][Int.random(in: 0..<3, using: &dice)]
                let expected = try await plain.finish([(hold.plain, ending)], owner: owner.plain)
                let found = try await redis.finish([(hold.redis, ending)], owner: owner.redis)
                #expect(expected == found, "step \(step), seed \(seed)")
            case 8:
                guard let hold = holds.randomElement(using: &dice) else { continue }
                let isStart = dice.chance(70)
                let expected =
                    isStart
                    ? try await plain.start(hold.plain, owner: owner.plain)
                    : try await plain.comeBack(hold.plain, owner: owner.plain)
                let found =
                    isStart
                    ? try await redis.start(hold.redis, owner: owner.redis)
                    : try await redis.comeBack(hold.redis, owner: owner.redis)
                #expect(expected == found, "step \(step), seed \(seed)")
            case _:
                try await plain.remember(keys)
                try await redis.remember(keys)
            }
        }
    }
}
