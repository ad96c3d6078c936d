import Glibc
import Platform
import Testing

@testable import LocalBroker

@Suite struct SyncerTests {
    /// Waits for the bell, as the loop would, until `count` outcomes are there.
    private func outcomes(_ count: Int, _ syncer: Syncer, _ bell: Doorbell) -> [Syncer.Outcome] {
        var outcomes: [Syncer.Outcome] = []
        while outcomes.count < count {
            var ready = pollfd(fd: bell.fileDescriptor, events: Int16(POLLIN), revents: 0)
            guard unsafe poll(&ready, 1, 10_000) == 1 else { return outcomes }
            bell.silence()
            outcomes += syncer.take()
        }
        return outcomes
    }

    @Test func syncsWhatItIsGivenAndRings() throws {
        let bed = LogBed()
        let log = try bed.open()
        let bell = try Doorbell()
        let syncer = try Syncer(files: bed.files, finished: bell)
        defer { syncer.stop() }
        for round in 1...50 {
            try log.append(RecordBatchBuilder(count: 1).bytes())
            syncer.submit([.init(owner: 7, ticket: try #require(log.takeUnsynced(now: 0)))])
            let outcome = try #require(outcomes(1, syncer, bell).first)
            #expect(outcome.owner == 7 && outcome.error == nil)
            log.synced(outcome.ticket)
            #expect(log.visibleEnd == Int64(round))
        }
    }

    @Test func reportsWhatFails() throws {
        let failing = FailingFiles(SystemFiles())
        let bed = LogBed(files: failing)
        let log = try bed.open()
        try log.append(RecordBatchBuilder(count: 1).bytes())
        let bell = try Doorbell()
        let syncer = try Syncer(files: failing, finished: bell)
        defer { syncer.stop() }
        let ticket = try #require(log.takeUnsynced(now: 0))
        failing.fail(atCall: 1, code: EIO)
        syncer.submit([.init(owner: 1, ticket: ticket)])
        let outcome = try #require(outcomes(1, syncer, bell).first)
        #expect(outcome.error?.code == EIO)
    }

    @Test func finishesWhatWasSubmittedBeforeItStops() throws {
        let bed = LogBed()
        let bell = try Doorbell()
        let syncer = try Syncer(files: bed.files, finished: bell)
        let log = try bed.open()
        try log.append(RecordBatchBuilder(count: 1).bytes())
        let ticket = try #require(log.takeUnsynced(now: 0))
        syncer.submit((0..<20).map { .init(owner: $0, ticket: ticket) })
        syncer.stop()
        #expect(syncer.take().map(\.owner) == Array(0..<20))
    }
}
