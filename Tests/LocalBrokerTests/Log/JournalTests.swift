import Glibc
import Platform
import TestSupport
import Testing

@testable import LocalBroker

@Suite struct JournalTests {
    /// A journal's folder, and short ways to use it.
    private struct Bed {
        let folder = TemporaryFolder()
        var files: any FileLayer = SystemFiles()
        var durability = Durability.batch
        let lines: LogLines
        var root: String

        init(files: any FileLayer = SystemFiles()) {
            self.files = files
            lines = LogLines(folder)
            root = folder.path
        }

        var path: String { root + "/metadata" }

        /// The journal and the entries that it replayed.
        func open() throws(JournalFault) -> (journal: Journal, entries: [[UInt8]]) {
            var entries: [[UInt8]] = []
            let journal = try Journal.open(
                directory: root, name: "metadata", files: files, durability: durability, log: lines.log
            ) { entries.append(Array($0)) }
            return (journal, entries)
        }

        func bytes() throws -> [UInt8] { try SmallFile.read(path, limit: .max, SystemFiles()) ?? [] }
        func overwrite(_ bytes: [UInt8]) throws { try SystemFile(path, .replaced).write(bytes, at: 0) }

        func refusal() -> String? {
            do throws(JournalFault) {
                _ = try open()
                return nil
            } catch {
                return error.description
            }
        }
    }

    private func entry(_ number: Int) -> [UInt8] {
        Array("entry \(number)".utf8) + [UInt8](repeating: 1, count: number)
    }

    private func sync(_ journal: Journal) throws {
        while let ticket = journal.takeUnsynced(now: 0) {
            for file in ticket.files { try file.sync() }
            journal.synced(ticket)
        }
    }

    @Test func replaysWhatWasAppended() throws {
        let bed = Bed()
        var expected: [[UInt8]] = []
        for round in 0..<4 {
            let (journal, entries) = try bed.open()
            #expect(entries == expected)
            #expect(try journal.append([entry(round)]) == 1)
            #expect(try journal.append([[], entry(round + 100)]) == 3)
            expected += [entry(round), [], entry(round + 100)]
            journal.close()
        }
    }

    @Test func settlesByItsDurability() throws {
        var bed = Bed()
        var journal = try bed.open().journal
        try journal.append([entry(1)])
        #expect(journal.settledEntry == 0)
        let ticket = try #require(journal.takeUnsynced(now: 0))
        try journal.append([entry(2)])
        #expect(journal.takeUnsynced(now: 0) == nil)
        journal.synced(ticket)
        #expect(journal.settledEntry == 1)
        try sync(journal)
        #expect(journal.settledEntry == 2)
        bed = Bed()
        bed.durability = .interval
        journal = try bed.open().journal
        try journal.append([entry(1)])
        #expect(journal.settledEntry == 1)
        journal.synced(try #require(journal.takeUnsynced(now: 100)))
        try journal.append([entry(2)])
        #expect(journal.takeUnsynced(now: 1099) == nil)
        #expect(journal.nextSync == 1100)
        #expect(journal.takeUnsynced(now: 1100) != nil)
    }

    @Test func cutsATornTailAtEveryByte() throws {
        let bed = Bed()
        let journal = try bed.open().journal
        try journal.append([entry(1), entry(2)])
        try sync(journal)
        let synced = try bed.bytes().count
        try journal.append([entry(3)])
        let all = try bed.bytes()
        let mark = try SmallFile.read(bed.path + ".synced", limit: 100, SystemFiles()) ?? []
        for count in synced...all.count {
            try bed.overwrite(Array(all.prefix(count)))
            try SystemFile(bed.path + ".synced", .replaced).write(mark, at: 0)
            let (opened, entries) = try bed.open()
            #expect(entries == (1...(count == all.count ? 3 : 2)).map(entry), "\(count) bytes")
            #expect(opened.size == Int64(count == all.count ? count : synced))
            try opened.append([entry(4)])
            #expect(try bed.open().entries.last == entry(4))
        }
    }

    @Test func refusesDamageBelowWhatWasSynced() throws {
        let bed = Bed()
        let journal = try bed.open().journal
        try journal.append([entry(1), entry(2)])
        try sync(journal)
        let all = try bed.bytes()
        for position in all.indices {
            var changed = all
            changed[position] ^= 0x10
            try bed.overwrite(changed)
            #expect(bed.refusal()?.contains(bed.path) ?? false, "byte \(position)")
            try bed.overwrite(Array(all.prefix(position)))
            #expect(bed.refusal() != nil, "\(position) bytes")
        }
        try SystemFiles().remove(bed.path)
        #expect(bed.refusal()?.contains("is missing") ?? false)
    }

    @Test func goesOnAfterTheAdvisedCut() throws {
        let bed = Bed()
        let journal = try bed.open().journal
        try journal.append([entry(1)])
        let first = try bed.bytes().count
        try journal.append([entry(2)])
        try sync(journal)
        var changed = try bed.bytes()
        changed[first + 9] ^= 1
        try bed.overwrite(changed)
        #expect(bed.refusal()?.contains("truncate -s \(first) \(bed.path) && rm \(bed.path).synced") ?? false)
        try SystemFile(bed.path, .existing).truncate(to: Int64(first))
        try SystemFiles().remove(bed.path + ".synced")
        #expect(try bed.open().entries == [entry(1)])
    }

    @Test func isRewrittenFromASnapshot() throws {
        let bed = Bed()
        let journal = try bed.open().journal
        for number in 0..<50 { try journal.append([entry(number)]) }
        let ticket = try #require(journal.takeUnsynced(now: 0))
        let before = journal.size
        try journal.rewrite([entry(49)])
        #expect(journal.size < before && journal.settledEntry == 50)
        // The answer for the old file says nothing of the new one.
        journal.synced(ticket)
        #expect(try bed.open().entries == [entry(49)])
        try journal.append([entry(50)])
        #expect(journal.settledEntry == 50)
        try sync(journal)
        #expect(try bed.open().entries == [entry(49), entry(50)])
        #expect(try SystemFiles().list(bed.root).sorted() == ["metadata", "metadata.synced"])
    }

    @Test func refusesAnEntryThatItCouldNotReadBack() throws {
        let bed = Bed()
        let journal = try bed.open().journal
        let large = [UInt8](repeating: 0, count: Journal.largestEntry + 1)
        #expect(throws: SystemError.self) { try journal.append([entry(1), large]) }
        #expect(throws: SystemError.self) { try journal.rewrite([large]) }
        try journal.append([entry(2)])
        #expect(try bed.open().entries == [entry(2)])
    }

    @Test func takesNothingAfterAFailedSync() throws {
        let bed = Bed()
        let journal = try bed.open().journal
        try journal.append([entry(1)])
        journal.syncFailed(try #require(journal.takeUnsynced(now: 0)), SystemError(code: EIO, call: "fdatasync"))
        #expect(throws: SystemError.self) { try journal.append([entry(2)]) }
        #expect(throws: SystemError.self) { try journal.rewrite([]) }
        #expect(bed.lines.contains("the journal takes nothing any more"))
    }

    /// Random lives with power cuts: what was settled is replayed, in order, and what is replayed was appended.
    @Test(arguments: TestDice.seeds(30)) func losesNothingThatWasSettled(seed: UInt64) throws {
        var dice = TestDice(seed: seed)
        let outside = TemporaryFolder()
        var bed = Bed()
        bed.files = try ForgetfulFiles(root: bed.root)
        // Entries are numbers; a snapshot is the last one, which stands for all before it.
        var last = 0
        var settled = 0
        for cut in 0..<6 {
            let what: Comment = "seed \(seed), cut \(cut)"
            let (journal, entries) = try bed.open()
            let numbers = entries.map { Int($0[0]) << 16 | Int($0[1]) << 8 | Int($0[2]) }
            #expect(zip(numbers, numbers.dropFirst()).allSatisfy { $0 + 1 == $1 }, what)
            #expect(numbers.last ?? 0 >= settled && numbers.last ?? 0 <= last, what)
            last = numbers.last ?? 0
            settled = last
            let opened = last
            for _ in 0..<Int.random(in: 0...40, using: &dice) {
                switch Int.random(in: 0..<10, using: &dice) {
                case 0..<6:
                    last += 1
                    let padding = [UInt8](repeating: 9, count: Int.random(in: 0...3000, using: &dice))
                    try journal.append([[UInt8(last >> 16), UInt8(last >> 8 & 255), UInt8(last & 255)] + padding])
                // The disk is done, and the loop never hears of it.
                case 6: try journal.takeUnsynced(now: 0)?.files.first?.sync()
                case 7 where last > 0:
                    try journal.rewrite([[UInt8(last >> 16), UInt8(last >> 8 & 255), UInt8(last & 255)]])
                default: try sync(journal)
                }
                settled = max(settled, opened + Int(journal.settledEntry))
            }
            let files = try #require(bed.files as? ForgetfulFiles)
            var thrown: TestDice? = dice.chance(25) ? nil : dice
            bed.root = outside.path + "/\(cut)"
            try files.powerCut(into: bed.root, dice: &thrown)
            _ = dice.next()
            bed.files = try ForgetfulFiles(root: bed.root)
        }
    }

    @Test(arguments: [false, true]) func losesNothingToAFullDisk(staysFull: Bool) throws {
        for call in 1... {
            let failing = FailingFiles(SystemFiles())
            let bed = Bed(files: failing)
            failing.fail(atCall: call, stayBroken: staysFull)
            var accepted: [[UInt8]] = []
            if let journal = try? bed.open().journal {
                for number in 0..<12 {
                    if (try? journal.append([entry(number)])) != nil { accepted.append(entry(number)) }
                    if number == 6, (try? journal.rewrite(accepted.suffix(2).map { $0 })) != nil {
                        accepted = accepted.suffix(2)
                    }
                    if number % 3 == 0, journal.failure == nil { try? sync(journal) }
                }
            }
            let failed = failing.heal()
            let entries = try bed.open().entries
            // A rewrite that failed at its very end may have happened: then the older entries are in its snapshot.
            #expect(entries == accepted || entries == Array(accepted.suffix(entries.count)), "call \(call)")
            #expect(entries.count >= min(2, accepted.count), "call \(call)")
            if !failed { break }
        }
    }
}
