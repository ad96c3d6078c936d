internal import CRdKafka
internal import Model
internal import Platform

// Calls that wait for a broker. They belong on a `BlockingLane`.
extension NativeClient {
    /// Learns where the partitions of these topics are. What cannot be learned in time is left to librdkafka.
    func learn(_ topics: Set<TopicName>, within limit: Duration) {
        let deadline = Time.monotonicMilliseconds + limit.milliseconds
        for name in topics.sorted() {
            guard let topic = unsafe rd_kafka_topic_new(handle, name.rawValue, nil) else { continue }
            var metadata: UnsafePointer<rd_kafka_metadata>?
            let rest = Int32(clamping: max(1, deadline - Time.monotonicMilliseconds))
            if unsafe rd_kafka_metadata(handle, 0, topic, &metadata, rest) == RD_KAFKA_RESP_ERR_NO_ERROR {
                unsafe rd_kafka_metadata_destroy(metadata)
            }
            unsafe rd_kafka_topic_destroy(topic)
        }
    }

    func watermarks(_ place: TopicPartition, within limit: Duration) throws(KafkaFault) -> Watermarks {
        try place.topic.check(at: KafkaFault.Site("watermarks", place))
        var low: Int64 = 0
        var high: Int64 = 0
        let code = unsafe rd_kafka_query_watermark_offsets(
            handle, place.topic.rawValue, place.partition.rawValue, &low, &high, Int32(limit.patience))
        try KafkaFault.check(code, at: KafkaFault.Site("watermarks", place))
        return Watermarks(low: Offset(low), high: Offset(high))
    }

    /// The bounds of several partitions, those that are told within the limit: two questions to each leader. One that
    /// cannot be reached spoils the answers of all, so then each is asked by itself, for its share of the time.
    func watermarks(
        _ places: [TopicPartition], within limit: Duration
    ) throws(KafkaFault) -> [TopicPartition: Watermarks] {
        for place in places { try place.topic.check(at: KafkaFault.Site("watermarks", place)) }
        let deadline = Time.monotonicMilliseconds + limit.patience
        func left() -> Int64 { max(1, deadline - Time.monotonicMilliseconds) }
        if let lows = edges(of: places, at: RD_KAFKA_OFFSET_BEGINNING, within: .milliseconds(left() / 2)),
            let highs = edges(of: places, at: RD_KAFKA_OFFSET_END, within: .milliseconds(left() / 2))
        {
            return lows.reduce(into: [:]) { marks, low in
                marks[low.key] = highs[low.key].map { Watermarks(low: low.value, high: $0) }
            }
        }
        var marks: [TopicPartition: Watermarks] = [:]
        var last: KafkaFault?
        for (index, place) in places.enumerated() where Time.monotonicMilliseconds < deadline {
            let share = max(50, left() / Int64(places.count - index))
            do throws(KafkaFault) { marks[place] = try watermarks(place, within: .milliseconds(share)) } catch {
                last = error
            }
        }
        if marks.isEmpty, !places.isEmpty {
            throw last ?? KafkaFault(RD_KAFKA_RESP_ERR__TIMED_OUT, at: KafkaFault.Site("watermarks"))
        }
        return marks
    }

    /// Where logs begin or end; nil when a leader did not answer.
    private func edges(of places: [TopicPartition], at edge: Int32, within limit: Duration) -> [TopicPartition: Offset]?
    {
        var list = PartitionList(capacity: places.count)
        for place in places { list.add(place, offset: Int64(edge)) }
        let code = list.lend { list in unsafe rd_kafka_offsets_for_times(handle, list, Int32(limit.patience)) }
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR else { return nil }
        return list.elements().reduce(into: [:]) { edges, element in
            if element.error == RD_KAFKA_RESP_ERR_NO_ERROR { edges[element.place] = element.knownOffset }
        }
    }

    /// Asks the partitions' leaders, one question each, where their logs begin.
    func askForStarts(of places: [TopicPartition], within limit: Duration) {
        var list = PartitionList(capacity: places.count)
        for place in places { list.add(place, offset: Int64(RD_KAFKA_OFFSET_BEGINNING)) }
        _ = list.lend { list in unsafe rd_kafka_offsets_for_times(handle, list, Int32(limit.patience)) }
    }

    func offsets(
        at timestamp: Int64, of partitions: [TopicPartition], within limit: Duration
    ) throws(KafkaFault) -> [TopicPartition: Offset] {
        for place in partitions { try place.topic.check(at: KafkaFault.Site("offsets by time", place)) }
        // The list carries the times in and the offsets out.
        var list = PartitionList(capacity: partitions.count)
        for place in partitions { list.add(place, offset: max(0, timestamp)) }
        let code = list.lend { list in
            unsafe rd_kafka_offsets_for_times(handle, list, Int32(limit.patience))
        }
        try KafkaFault.check(code, at: KafkaFault.Site("offsets by time"))
        var found: [TopicPartition: Offset] = [:]
        for element in list.elements() {
            try element.check("offsets by time")
            if let offset = element.knownOffset { found[element.place] = offset }
        }
        return found
    }
}
