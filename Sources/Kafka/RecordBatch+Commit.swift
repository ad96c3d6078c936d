public import Model

extension RecordBatch {
    /// What to commit when all of these records are done: one past the last record of each partition.
    public var nextOffsets: [PartitionOffset] {
        var last: [TopicPartition: Offset] = [:]
        // Records of a partition mostly come in a row, so that few of them need the table.
        var run: Record?
        for record in self {
            if let before = run, before.topicIndex != record.topicIndex || before.partition != record.partition {
                last[before.topicPartition] = before.offset
            }
            run = record
        }
        if let run { last[run.topicPartition] = run.offset }
        return last.map { PartitionOffset($0.key, $0.value.next) }
    }
}
