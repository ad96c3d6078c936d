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
        func ask() -> rd_kafka_resp_err_t {
            unsafe rd_kafka_query_watermark_offsets(
                handle, place.topic.rawValue, place.partition.rawValue, &low, &high, Int32(limit.patience))
        }
        var code = ask()
        if code == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION {
            // A partition that nobody led is remembered as none, for minutes after somebody does.
            learn([place.topic], within: limit)
            code = ask()
        }
        try KafkaFault.check(code, at: KafkaFault.Site("watermarks", place))
        return Watermarks(low: Offset(low), high: Offset(high))
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
