import Model
import Testing

@Suite struct BatchTests {
    @Test func anEmptyKeyIsNotANullKey() {
        var batch = OutgoingBatch()
        batch.append(OutgoingRecord(topic: "t", key: [], value: nil))
        batch.append(OutgoingRecord(topic: "t", key: nil, value: []))
        #expect(batch.entries.map(\.keyCount) == [0, -1])
        #expect(batch.entries.map(\.valueCount) == [-1, 0])
    }

    @Test func aTopicIsKeptOnce() {
        var batch = OutgoingBatch()
        for name in ["a", "b", "a", "a", "c", "b"] {
            batch.append(OutgoingRecord(topic: TopicName(name), value: nil))
        }
        #expect(batch.topics == ["a", "b", "c"])
        #expect(batch.entries.map(\.topic) == [0, 1, 0, 0, 2, 1])
        batch.removeAll()
        #expect(batch.isEmpty)
        #expect(batch.topics.isEmpty)
        #expect(batch.byteCount == 0)
    }

    @Test func whatIsTakenOffLeavesNothing() {
        var batch = OutgoingBatch()
        batch.append(OutgoingRecord(topic: "t", key: [1], value: [2], headers: [Header("a", "1")]))
        let (bytes, headers) = (batch.bytes, batch.headers.count)
        batch.append(OutgoingRecord(topic: "t", key: [3], value: [4], headers: [Header("b", "2")]))
        batch.append(OutgoingRecord(topic: "t", value: nil))
        batch.keep(1)
        #expect(batch.count == 1)
        #expect(batch.bytes == bytes)
        #expect(batch.headers.count == headers)
    }

    @Test func spansAndArraysAppendTheSame() {
        let (key, value): ([UInt8], [UInt8]) = ([1, 2], [3, 4, 5])
        var ofArrays = OutgoingBatch()
        ofArrays.append(OutgoingRecord(topic: "t", partition: 3, key: key, value: value, timestamp: 7))
        var ofSpans = OutgoingBatch()
        ofSpans.append(
            topic: "t", partition: 3, key: unsafe key.span.bytes, value: unsafe value.span.bytes, timestamp: 7)
        #expect(ofArrays.bytes == ofSpans.bytes)
        #expect(ofSpans.entries[0].partition == 3)
        #expect(ofSpans.entries[0].timestamp == 7)
        #expect(ofSpans.entries[0].keyCount == 2)
    }

    @Test(arguments: [
        ("a", true), ("A-z_0.9", true), ("", false), (".", false), ("..", false), ("a b", false), ("ü", false),
        ("a\0", false), (String(repeating: "x", count: 249), true), (String(repeating: "x", count: 250), false),
    ])
    func aTopicsNameIsChecked(name: String, isValid: Bool) {
        #expect(TopicName(name).isValid == isValid)
    }

    @Test func offsetsNeverTrap() {
        #expect(Offset(7).next == 8)
        #expect(Offset(.max).next.rawValue == .min)
    }
}
