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

    /// librdkafka has a call for this, which gives a leader that does not answer a minute whatever it was told.
    func watermarks(_ place: TopicPartition, within limit: Duration) throws(KafkaFault) -> Watermarks {
        let site = KafkaFault.Site("watermarks", place)
        try place.topic.check(at: site)
        var marks: [Edges]?
        do throws(KafkaFault) {
            let found = try edges(of: [place], at: site, within: limit)
            if found.first?.fault?.kind != .unknownPartition { marks = found }
        } catch {
            guard error.kind == .unknownPartition else { throw error }
        }
        if marks == nil {
            // A partition that nobody led is remembered as none, for minutes after somebody does.
            learn([place.topic], within: limit)
            marks = try edges(of: [place], at: site, within: limit)
        }
        // Without a fault of the whole there is one of the partition, or both its ends.
        if let fault = marks?.first?.fault { throw fault }
        guard let found = marks?.first?.marks else { throw KafkaFault(RD_KAFKA_RESP_ERR__FAIL, at: site) }
        return found
    }

    /// The bounds of several partitions, those that are told within the limit: two questions to each leader. One that
    /// cannot be reached spoils the answers of all, so then each is asked by itself, for its share of the time.
    func watermarks(
        _ places: [TopicPartition], within limit: Duration
    ) throws(KafkaFault) -> [TopicPartition: Watermarks] {
        let site = KafkaFault.Site("watermarks")
        for place in places { try place.topic.check(at: KafkaFault.Site("watermarks", place)) }
        guard !places.isEmpty else { return [:] }
        let deadline = Time.monotonicMilliseconds + limit.patience
        func left() -> Int64 { max(1, deadline - Time.monotonicMilliseconds) }
        if let all = try? edges(of: places, at: site, within: .milliseconds(left() / 2)) {
            return all.reduce(into: [:]) { $0[$1.place] = $1.marks }
        }
        var found: [TopicPartition: Watermarks] = [:]
        var last = KafkaFault(RD_KAFKA_RESP_ERR__TIMED_OUT, at: site)
        for (index, place) in places.enumerated() where Time.monotonicMilliseconds < deadline {
            let share = max(50, left() / Int64(places.count - index))
            do throws(KafkaFault) {
                found[place] = try watermarks(place, within: .milliseconds(share))
            } catch { last = error }
        }
        if found.isEmpty { throw last }
        return found
    }

    private typealias Edges = (place: TopicPartition, marks: Watermarks?, fault: KafkaFault?)

    /// Where logs begin and end, or what is wrong with a partition. Throws when a leader did not answer.
    private func edges(
        of places: [TopicPartition], at site: KafkaFault.Site, within limit: Duration
    ) throws(KafkaFault) -> [Edges] {
        let deadline = Time.monotonicMilliseconds + limit.patience
        let lows = try edge(RD_KAFKA_OFFSET_BEGINNING, of: places, at: site, within: limit)
        let left = max(1, deadline - Time.monotonicMilliseconds)
        let highs = try edge(RD_KAFKA_OFFSET_END, of: places, at: site, within: .milliseconds(left))
        return zip(lows, highs).map { low, high in
            let code = low.error == RD_KAFKA_RESP_ERR_NO_ERROR ? high.error : low.error
            guard code == RD_KAFKA_RESP_ERR_NO_ERROR else {
                return (low.place, nil, KafkaFault(code, at: KafkaFault.Site(site.operation, low.place)))
            }
            guard let first = low.knownOffset, let end = high.knownOffset else { return (low.place, nil, nil) }
            return (low.place, Watermarks(low: first, high: end), nil)
        }
    }

    /// In the order of the partitions.
    private func edge(
        _ edge: Int32, of places: [TopicPartition], at site: KafkaFault.Site, within limit: Duration
    ) throws(KafkaFault) -> [PartitionList.Element] {
        var list = PartitionList(capacity: places.count)
        for place in places { list.add(place, offset: Int64(edge)) }
        let code = list.lend { list in unsafe rd_kafka_offsets_for_times(handle, list, Int32(limit.patience)) }
        try KafkaFault.check(code, at: site)
        return list.elements()
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
