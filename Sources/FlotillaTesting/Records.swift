package import Model

// Records between the forms that they have on their way out and on their way in.

extension Record {
    /// A record as it lies in a log.
    package init(_ record: OutgoingRecord, at place: TopicPartition, _ offset: Offset, timestamp: Int64?) {
        var builder = RecordArena.Builder(records: 1)
        let topic = builder.intern(place.topic)
        builder.add(record, topic, place.partition, offset, timestamp)
        self = RecordBatch(builder.finish())[0]
    }
}

extension RecordBatch {
    /// Records as they lie in a log, from an offset on: one batch, one memory.
    package init(_ records: [OutgoingRecord], at place: TopicPartition, from offset: Int64) {
        var builder = RecordArena.Builder(records: records.count)
        let topic = builder.intern(place.topic)
        for (index, record) in records.enumerated() {
            builder.add(record, topic, place.partition, Offset(offset + Int64(index)), nil)
        }
        self.init(builder.finish())
    }

    /// Records of one partition, as a consumer has them: one batch, one memory.
    init(_ records: ArraySlice<Record>) {
        var builder = RecordArena.Builder(records: records.count)
        if let first = records.first {
            let topic = builder.intern(first.topic)
            for record in records {
                builder.add(OutgoingRecord(record), topic, record.partition, record.offset, record.timestamp)
            }
        }
        self.init(builder.finish())
    }
}

extension OutgoingRecord {
    /// A record as its producer had it.
    init(_ record: Record) {
        self.init(
            topic: record.topic, partition: record.partition, key: record.keyBytes, value: record.valueBytes,
            headers: record.headers, timestamp: record.timestamp)
    }
}

extension RecordArena.Builder {
    fileprivate mutating func add(
        _ record: OutgoingRecord, _ topic: Int32, _ partition: Partition, _ offset: Offset, _ timestamp: Int64?
    ) {
        let firstHeader = Int32(clamping: headerTotal)
        for header in record.headers {
            let start = byteCount
            let name = append(bytes: Array(header.name.utf8))
            let value = append(bytes: header.value)
            add(RecordArena.HeaderEntry(start: start, counts: (name, value)))
        }
        let start = byteCount
        let key = append(bytes: record.key)
        let value = append(bytes: record.value)
        add(
            RecordArena.Entry(
                topic: topic, partition: partition.rawValue, offset: offset.rawValue, timestamp: timestamp ?? -1,
                start: start, counts: (key, value), headers: (firstHeader, Int32(clamping: record.headers.count))))
    }

    private mutating func append(bytes: [UInt8]?) -> Int32 {
        // The bytes are copied before the call is over.
        guard let bytes else { return unsafe append(nil) }
        return unsafe bytes.withUnsafeBytes { unsafe append($0) }
    }
}

extension OutgoingBatch {
    /// Its records, each with bytes of its own.
    package var records: [OutgoingRecord] {
        entries.map { entry in
            let first = Int(entry.firstHeader)
            let afterKey = entry.start + max(0, Int(entry.keyCount))
            return OutgoingRecord(
                topic: topics[Int(entry.topic)],
                partition: entry.partition == Self.unset ? nil : Partition(entry.partition),
                key: slice(entry.start, entry.keyCount), value: slice(afterKey, entry.valueCount),
                headers: headers[first..<first + Int(entry.headerCount)].map { header in
                    let name = slice(header.start, header.nameCount) ?? []
                    let value = slice(header.start + Int(header.nameCount), header.valueCount)
                    return Header(String(decoding: name, as: UTF8.self), value)
                },
                timestamp: entry.timestamp == Int64(Self.unset) ? nil : entry.timestamp)
        }
    }

    private func slice(_ start: Int, _ count: Int32) -> [UInt8]? {
        count < 0 ? nil : Array(bytes[start..<start + Int(count)])
    }
}
