import Contracts
import Flotilla
import FlotillaTesting
import TestSupport
import Testing

/// The worker on a log in memory, with many faults where dice say, tasks that take turns as dice say, and partitions
/// that are taken away and given back in the middle of it.
@Suite struct RandomFaultTests {
    @Test(arguments: TestDice.seeds(40)) func whateverHappensNothingIsLost(_ seed: UInt64) async throws {
        for setup in Setup.all {
            let calm = try await setup.run(nil)
            let verdict = Verdict(setup.policy, undisturbed: calm.stage.log)
            let (stage, handler) = setup.begin(FaultPlan(seed: seed, most: 12), seed: seed)
            var dice = TestDice(seed: seed)
            // Who was at work each time is a dead letter after three, and a start whose answer was lost counts twice: of two
            // blows one such start makes three.
            var blows = 1
            for _ in 0..<60 { disturb(stage, &dice, &blows) }
            let isDone = await stage.run(within: .seconds(600))
            #expect(isDone, "seed \(seed), \(setup): not done in ten minutes")
            let faults = verdict.faults(stage.log, handled: handler.handled)
            #expect(faults == [], "seed \(seed), \(setup)")
        }
    }

    /// A few steps of the worker, and then something that may happen between any two.
    private func disturb(_ stage: Stage, _ dice: inout TestDice, _ blows: inout Int) {
        let life = stage.start()
        life.executor.runReady(atMost: Int.random(in: 1...60, using: &dice))
        guard let place = life.source.assignment.randomElement(using: &dice) else { return }
        switch Int.random(in: 0..<20, using: &dice) {
        case 0 where blows > 0:
            blows -= 1
            life.executor.crash()
        case 1...3: life.source.revoke([place]) { life.source.assign([place]) }
        case 4...5 where blows > 0:
            blows -= 1
            life.source.lose([place])
            life.source.assign([place])
        case 6...16: if let due = stage.clock.nextDue { stage.clock.move(to: due) }
        case _: break
        }
    }
}
