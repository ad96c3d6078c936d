import Testing

@testable import Fleet

@Suite struct AdviceTests {
    /// Six partitions, equally full, two workers that compute.
    private var busy: HandlerFigures {
        var figures = HandlerFigures("process")
        figures.workers = 2
        figures.partitions = 6
        figures.rate = 1000
        figures.incoming = 1500
        figures.waiting = Dictionary(uniqueKeysWithValues: (0..<6).map { ($0, 1000) })
        figures.behind = 30
        figures.cores = 0.9
        return figures
    }

    @Test func whoKeepsUpNeedsNothing() {
        var figures = busy
        figures.waiting = [0: 20]
        #expect(Advice.about(figures) == nil)
        // Much that came just now is not behind.
        figures = busy
        figures.behind = 1
        #expect(Advice.about(figures) == nil)
    }

    @Test func saysHowManyWouldKeepUp() {
        // 500/s each; 1500/s come and 6000 wait, so 1600/s for a minute.
        #expect(Advice.about(busy) == "flotilla scale process=4: so many would keep up (6 are the most that can help)")
        var figures = busy
        figures.incoming = 1_000_000
        #expect(Advice.needed(figures) == 6)
        figures.rate = 0
        #expect(Advice.needed(figures) == 3)
        figures.rate = 1e-300
        #expect(Advice.needed(figures) == 6)
    }

    /// A leader that hangs for one look is no flood when it is back, and nothing has come to an end while it hangs.
    @Test func whatWasNotToldForALookHasNotComeMeanwhile() {
        var (before, now) = (busy, busy)
        now.incoming = nil
        before.waiting[5] = nil
        before.isTold = false
        now.compare(with: before, after: 2)
        #expect(now.incoming == nil)
        before.compare(with: now, after: 2)
        #expect(before.incoming == busy.incoming)
        var later = now
        later.waiting[5] = 1200
        later.compare(with: now, after: 2)
        #expect(later.incoming == 1100)
        later.compare(with: now, after: 0)
        #expect(later.incoming == 1100)
    }

    @Test func saysWhenMoreCannotHelp() throws {
        var figures = busy
        figures.workers = 6
        #expect(try #require(Advice.about(figures)).contains("every partition has a worker"))
        figures.workers = 8
        #expect(Advice.about(figures) == "2 of its workers have no partition: 6 are as many as can help")
        figures = busy
        figures.waiting = [4: 9000, 1: 100, 2: 100]
        #expect(try #require(Advice.about(figures)).hasPrefix("partition 4 has 97 % of what waits: one key is hot"))
        figures = busy
        figures.cores = 0.08
        #expect(try #require(Advice.about(figures)).contains("8 % of a core each, so they wait for what they call"))
        #expect(
            Advice.about(busy, machine: (cores: 2, used: 1.95))
                == "the 2 cores of this machine are busy: more workers help on another one only")
    }

    @Test func whatStandsStillComesFirst() {
        var figures = busy
        figures.missing = ["redis", "postgres"]
        #expect(Advice.about(figures) == "it waits for postgres and redis: more workers cannot help")
        figures.standing = ["paused (ada: audit)"]
        #expect(Advice.about(figures) == "paused (ada: audit): flotilla resume process")
        figures = busy
        figures.workers = 0
        #expect(Advice.about(figures) == "nobody works and 6000 records wait: flotilla scale process=1")
    }

    /// Nobody here can start the workers of a handler that no topic file here names.
    @Test func nobodyIsToldToScaleWhatIsOnlyKnownByItsGroup() throws {
        var figures = busy
        figures.isNamed = false
        #expect(try #require(Advice.about(figures)).hasPrefix("no topic file here names it; have 4 of its workers run"))
        figures.workers = 0
        #expect(try #require(Advice.about(figures)).hasPrefix("nobody works and 6000 records wait: no topic file here"))
    }

    @Test func readsHowBusyTheMachineIs() throws {
        let before = try #require(MachineLoad("cpu  100 0 100 700 100 0 0 0 0 0\ncpu0 1\ncpu1 1\nintr 5\n"))
        let after = try #require(MachineLoad("cpu  150 0 130 710 110 0 0 0 0 0\ncpu0 1\ncpu1 1\nintr 5\n"))
        let load = try #require(after.since(before))
        #expect(load.cores == 2 && load.used == 1.6)
        #expect(before.since(before) == nil && before.since(after) == nil)
        for wrong in ["", "cpu", "cpu 1 2 3", "intr 1 2 3 4 5 6 7 8"] { #expect(MachineLoad(wrong) == nil) }
    }
}
