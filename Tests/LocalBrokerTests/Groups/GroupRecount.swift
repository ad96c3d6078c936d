import Testing

@testable import LocalBroker

extension GroupTable {
    /// What is counted as groups change is what counting everything gives.
    func expectCountedRight(_ what: Comment) {
        var members = 0
        var offsets = 0
        for group in values {
            let said =
                group.members.values.reduce(0) { $0 + $1.byteCount }
                + group.pending.reduce(0) { $0 + ClassicGroup.pendingByteCount($1) }
            let given = group.members.values.reduce(0) { $0 + $1.assignment.count }
            #expect(group.saidBytes == said, what)
            #expect(group.assignmentBytes == given, what)
            members += said + given
            let kept = group.offsets.all.reduce(0) {
                $0 + GroupOffsets.overhead + $1.partition.topic.utf8.count + $1.offset.metadata.utf8.count
            }
            #expect(group.offsets.byteCount == kept, what)
            offsets += kept
        }
        #expect(memberBytes == members, what)
        #expect(offsetBytes == offsets, what)
    }
}
