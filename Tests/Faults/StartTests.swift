import TestSupport
import Testing

/// What whoever starts the process sees of it.
@Suite(.serialized, .timeLimit(.minutes(1))) struct StartTests {
    @Test func aSecondStartOnTheFolderIsRefusedAndAKilledOneLeavesNoLock() throws {
        let folder = TemporaryFolder()
        let broker = try BrokerProcess(folder: folder.path)
        try broker.start()
        let second = try BrokerProcess(folder: folder.path).runToItsEnd()
        #expect(second.exitCode == 1)
        #expect(second.said.contains("is in use by another broker"))
        broker.kill()
        try broker.start()
        #expect(broker.stop() == 0)
    }

    @Test func aTakenPortIsRefused() throws {
        let folders = (TemporaryFolder(), TemporaryFolder())
        let broker = try BrokerProcess(folder: folders.0.path)
        try broker.start()
        let second = try BrokerProcess(folder: folders.1.path, port: broker.port).runToItsEnd()
        #expect(second.exitCode == 1)
        #expect(second.said.contains("Another process has the port"))
        #expect(broker.stop() == 0)
    }
}
