import Model
import TestSupport
import Testing

/// Records go into an arena and come out as views; whatever they are, they must come out as they went in.
@Suite struct RecordArenaTests {
    @Test(arguments: TestDice.seeds(1)) func randomRecordsComeOutAsTheyWentIn(seed: UInt64) {
        var random = TestDice(seed: seed)
        for _ in 0..<50 {
            let records = (0..<Int.random(in: 1...60, using: &random)).map { _ in
                OutgoingRecord(
                    topic: TopicName("t\(Int.random(in: 0..<3, using: &random))"),
                    partition: Partition(Int32.random(in: 0..<9, using: &random)),
                    key: bytes(upTo: 20, &random), value: bytes(upTo: 3000, &random),
                    headers: (0..<Int.random(in: 0..<4, using: &random)).map { _ in
                        Header("h\(Int.random(in: 0..<3, using: &random))", bytes(upTo: 9, &random))
                    }, timestamp: Bool.random(using: &random) ? nil : Int64.random(in: 0...9_999, using: &random))
            }
            let batch = batch(of: records)
            #expect(batch.count == records.count)
            #expect(Set(batch.topics).count == batch.topics.count)
            for (index, (view, record)) in zip(batch, records).enumerated() {
                #expect(view.topic == record.topic)
                #expect(batch.topics[view.topicIndex] == record.topic)
                #expect(view.partition == record.partition)
                #expect(view.offset.rawValue == Int64(index))
                #expect(view.keyBytes == record.key)
                #expect(view.valueBytes == record.value)
                #expect(view.isTombstone == (record.value == nil))
                #expect(view.headers == record.headers)
                #expect(view.timestamp == record.timestamp)
                for name in ["h0", "h1", "h2", "h"] {
                    let last = record.headers.last { $0.name == name }
                    #expect(view.lastHeader(name) == last.map { .some($0.value) } ?? .none)
                }
            }
        }
    }

    @Test func aRecordOutlivesItsBatch() {
        var record: Record?
        do {
            let batch = batch(of: [OutgoingRecord(topic: "t", key: [1], value: [2, 3])])
            record = batch.first
        }
        #expect(record?.keyBytes == [1])
        #expect(record?.valueBytes == [2, 3])
    }

    /// The batch that a consumer would make of these records.
    private func batch(of records: [OutgoingRecord]) -> RecordBatch {
        var builder = RecordArena.Builder(records: records.count, bytes: 1)
        var topics: [TopicName] = []
        for (index, record) in records.enumerated() {
            if !topics.contains(record.topic) {
                topics.append(record.topic)
                _ = builder.intern(record.topic)
            }
            let first = Int32(builder.headerTotal)
            for header in record.headers {
                let start = builder.byteCount
                let name = append(Array(header.name.utf8), &builder)
                builder.add(RecordArena.HeaderEntry(start: start, counts: (name, append(header.value, &builder))))
            }
            let start = builder.byteCount
            let counts = (append(record.key, &builder), append(record.value, &builder))
            builder.add(
                RecordArena.Entry(
                    topic: Int32(topics.firstIndex(of: record.topic) ?? 0), partition: record.partition?.rawValue ?? 0,
                    offset: Int64(index), timestamp: record.timestamp ?? -1, start: start, counts: counts,
                    headers: (first, Int32(record.headers.count))))
        }
        return RecordBatch(builder.finish())
    }

    private func append(_ bytes: [UInt8]?, _ builder: inout RecordArena.Builder) -> Int32 {
        guard let bytes else { return unsafe builder.append(nil) }
        return unsafe bytes.withUnsafeBytes { unsafe builder.append($0) }
    }

    private func bytes(upTo limit: Int, _ random: inout TestDice) -> [UInt8]? {
        let count = Int.random(in: -1...limit, using: &random)
        return count < 0 ? nil : (0..<count).map { _ in UInt8.random(in: .min ... .max, using: &random) }
    }
}
