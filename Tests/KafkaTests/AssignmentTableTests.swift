import Testing

@testable import Kafka

@Suite struct AssignmentTableTests {
    private let a = TopicPartition("t", 0)
    private let b = TopicPartition("t", 1)
    private let c = TopicPartition("t", 2)

    @Test func onlyWhatIsAssignedIsPausedAndOnlyOnce() {
        var table = AssignmentTable()
        table.assign([a, b])
        #expect(table.pause([a, c]) == [a])
        #expect(table.pause([a, b]) == [b])
        #expect(table.pause([a, b]).isEmpty)
    }

    @Test func onlyWhatThisTablePausedIsResumed() {
        var table = AssignmentTable()
        table.assign([a, b])
        _ = table.pause([a])
        #expect(table.resume([a, b]) == [a])
        #expect(table.resume([a, b]).isEmpty)
    }

    @Test func whatGoesIsNoLongerPaused() {
        var table = AssignmentTable()
        table.assign([a, b])
        _ = table.pause([a])
        #expect(table.remove([a, b]) == [a])
        table.assign([a])
        #expect(table.paused.isEmpty)
        #expect(table.pause([a]) == [a])
    }

    @Test func aLateAnswerDoesNotEndTheNextRevocation() {
        var table = AssignmentTable()
        let first = table.revoke([a], deadline: 10)
        #expect(table.expired(now: 9) == nil)
        #expect(table.expired(now: 10)?.partitions == [a])
        let second = table.revoke([b], deadline: 20)
        #expect(table.answered(first) == nil)
        #expect(table.answered(second)?.partitions == [b])
        #expect(table.answered(second) == nil)
        #expect(table.abandoned() == nil)
    }
}
