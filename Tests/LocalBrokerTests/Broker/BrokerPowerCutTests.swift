import Platform
import Synchronization
import TestSupport
import Testing

@testable import LocalBroker

/// The power goes at a random file operation of a broker at work, and another one starts on what the disk holds. Twice.
@Suite(.serialized) struct BrokerPowerCutTests {
    @Test(arguments: TestDice.seeds(12))
    func whatWasAcknowledgedOrShownSurvives(_ seed: UInt64) throws {
        var dice = TestDice(seed: seed)
        let folder = TemporaryFolder()
        let world = PowerCutWorld(seed: seed)
        var root = folder.path + "/0"
        try SystemFiles().makeDirectory(root)
        for life in 1...3 {
            let disk = try ForgetfulFiles(root: root)
            let files = ControlledFiles(disk)
            var bed = BrokerBed(folder, under: root)
            bed.files = files
            // Often, so that retention and the journal's compaction fall into the cut too.
            bed.configuration.housekeeping.everyMilliseconds = 20
            let next = folder.path + "/\(life)"
            let survivors = dice.chance(50) ? TestDice(seed: dice.next()) : nil
            let cut = Int.random(in: 40...(dice.chance(30) ? 150 : 2500), using: &dice)
            try bed.run { broker in
                if life > 1 { try world.check(broker) }
                guard life < 3 else { return }
                if life == 1 { try world.prepare(broker) }
                files.cutPower(atCall: cut) {
                    var survivors = survivors
                    do {
                        try disk.powerCut(into: next, dice: &survivors)
                    } catch {
                        Issue.record("FLOTILLA_SEED=\(seed): the cut failed: \(error)")
                    }
                }
                try world.work(broker, until: files)
            }
            #expect(!bed.lines.contains("ERROR") || life < 3, "FLOTILLA_SEED=\(seed)\n\(bed.lines.all.joined())")
            root = next
        }
    }
}
