import Contracts
import Flotilla
import FlotillaTesting
import Testing

/// The worker on a log in memory, with one fault at the n-th call that it makes of the world, for every n there is.
@Suite struct FaultAtEveryCallTests {
    @Test(arguments: FaultPlan.Damage.allCases, Setup.all)
    func nothingIsLostAndNothingIsCommittedTooEarly(_ damage: FaultPlan.Damage, _ setup: Setup) async throws {
        let calm = try await setup.run(nil)
        let verdict = Verdict(setup.policy, undisturbed: calm.stage.log)
        #expect(
            verdict.outputs.values.map(\.count).sorted()
                == (setup.ordering == .none ? [1, 1, 1, 1, 1, 1, 2] : [1, 1, 1, 1, 1, 2]))
        #expect(verdict.faults(calm.stage.log, handled: calm.handler.handled) == [])
        var number = 1
        while true {
            let faults = FaultPlan(damage, at: number)
            let (stage, handler) = try await setup.run(faults)
            guard let call = faults.struck else { break }
            let found = verdict.faults(stage.log, handled: handler.handled)
            #expect(found == [], "\(damage) at call \(number), which was \(call)")
            number += 1
        }
        #expect(number > 20)
    }

    /// The partition goes in the moment when a call has failed, and comes back. Who was about to probe a dependency then
    /// must not take the right to with it.
    @Test(arguments: Setup.all, [false, true])
    func aRevocationInTheMomentOfAFaultLeavesNothingBehind(_ setup: Setup, isLost: Bool) async throws {
        let calm = try await setup.run(nil)
        let verdict = Verdict(setup.policy, undisturbed: calm.stage.log)
        for number in 1... {
            let faults = FaultPlan(.before, at: number)
            let (stage, handler) = setup.begin(faults, outage: 8)
            // Whoever is at work when the process dies is noted before each call from then on.
            step(stage) { stage.life?.worker.broken.isEmpty == false || faults.struck != nil }
            stage.life?.executor.crash()
            step(stage) { faults.struck != nil }
            guard let call = faults.struck else { break }
            if let source = stage.life?.source {
                let places = source.assignment
                if isLost {
                    source.lose(places)
                    source.assign(places)
                } else {
                    source.revoke(places) { source.assign(places) }
                }
            }
            let isDone = await stage.run(within: .seconds(300))
            #expect(isDone, "not done, after call \(number), which was \(call)")
            #expect(verdict.faults(stage.log, handled: handler.handled) == [], "call \(number), which was \(call)")
        }
    }

    /// One job after the other, and time when there is none, until something is so or everything is done.
    private func step(_ stage: Stage, until isSo: () -> Bool) {
        while !isSo(), !stage.isDone {
            let life = stage.start()
            life.executor.runReady(atMost: 1)
            if life.executor.isIdle, let due = stage.clock.nextDue { stage.clock.move(to: due) }
        }
    }
}
