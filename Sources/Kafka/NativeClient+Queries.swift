internal import CRdKafka
internal import Model
internal import Platform
internal import Synchronization

// Calls that wait for a broker. They belong on a `BlockingLane`.
extension NativeClient {
    /// Learns who leads the partitions of these topics, by one question; what cannot be learned in time is left out, and
    /// left to librdkafka.
    @discardableResult func learn(_ topics: Set<TopicName>, within limit: Duration) -> [TopicPartition: Int32] {
        guard !topics.isEmpty else { return [:] }
        // Those are asked for that the client holds.
        let held = topics.compactMap { HeldTopic($0, of: self) }
        defer { withExtendedLifetime(held) {} }
        var metadata: UnsafePointer<rd_kafka_metadata>?
        let code = unsafe rd_kafka_metadata(handle, 0, nil, &metadata, Int32(limit.patience))
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR else { return [:] }
        defer { unsafe rd_kafka_metadata_destroy(metadata) }
        var leaders: [TopicPartition: Int32] = [:]
        for topic in TopicDescription.read(metadata) {
            for one in topic.partitions { leaders[TopicPartition(topic.name, one.partition)] = one.leader }
        }
        return leaders
    }

    /// A topic that the client is to know, for as long as this lives.
    @safe private final class HeldTopic {
        private let topic: OpaquePointer

        init?(_ name: TopicName, of client: NativeClient) {
            guard let topic = unsafe rd_kafka_topic_new(client.handle, name.rawValue, nil) else { return nil }
            unsafe self.topic = topic
        }

        deinit { unsafe rd_kafka_topic_destroy(topic) }
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

    /// The bounds of several partitions, those that are told within the limit; throws when none was.
    ///
    /// One question about all of them would have no answer at all where one leader hangs. So each leader is asked by
    /// itself, for its share of the time that is left. Who leads what may have changed since it was learned: librdkafka
    /// finds the right one, and that it was not the one who was thought costs somebody an answer at worst.
    func watermarks(
        _ places: [TopicPartition], within limit: Duration
    ) throws(KafkaFault) -> [TopicPartition: Watermarks] {
        let site = KafkaFault.Site("watermarks")
        for place in places { try place.topic.check(at: KafkaFault.Site("watermarks", place)) }
        let deadline = Time.monotonicMilliseconds + limit.patience
        func left() -> Int64 { max(1, deadline - Time.monotonicMilliseconds) }
        let questions = byLeader(places, within: .milliseconds(left() / 4))
        var found: [TopicPartition: Watermarks] = [:]
        var last: KafkaFault?
        for (index, question) in questions.enumerated() where Time.monotonicMilliseconds < deadline {
            let end = Time.monotonicMilliseconds + max(50, left() / Int64(questions.count - index))
            func share() -> Duration { .milliseconds(max(1, end - Time.monotonicMilliseconds)) }
            do throws(KafkaFault) {
                if let place = question.first, question.count == 1 {
                    found[place] = try watermarks(place, within: share())
                } else {
                    for one in try edges(of: question, at: site, within: share()) { found[one.place] = one.marks }
                }
            } catch {
                last = error
                // An error of one partition, as of one that its broker cannot read, is the whole question's.
                guard error.kind != .timedOut, question.count > 1 else { continue }
                for place in question where Time.monotonicMilliseconds < end {
                    found[place] = try? watermarks(place, within: share())
                }
            }
        }
        // Of those it is learned anew the next time.
        leaders.withLock { leaders in for place in places where found[place] == nil { leaders[place] = nil } }
        if found.isEmpty, !places.isEmpty { throw last ?? KafkaFault(RD_KAFKA_RESP_ERR__TIMED_OUT, at: site) }
        return found
    }

    /// Partitions by who leads them; at the end, each by itself, those of which that is not known.
    private func byLeader(_ places: [TopicPartition], within limit: Duration) -> [[TopicPartition]] {
        let unknown = leaders.withLock { leaders in Set(places.filter { leaders[$0] == nil }.map(\.topic)) }
        if !unknown.isEmpty {
            let learned = learn(unknown, within: limit)
            leaders.withLock { $0.merge(learned) { _, new in new } }
        }
        let led = leaders.withLock { leaders in Dictionary(grouping: places) { leaders[$0] } }
        return led.compactMap { $0.key == nil ? nil : $0.value } + (led[nil] ?? []).map { [$0] }
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
