public import Model

extension Event {
    /// An event as a test makes one up: only what the test is about has to be said.
    ///
    /// Throws when that is no event: an empty id, for one.
    public static func sample(
        id: String = "sample", type: String = "sample", source: String = "/test", subject: String? = nil,
        time: String? = nil, key: String? = nil, json: String = "{}", topic: TopicName = "samples",
        headers: [Header] = []
    ) throws(EnvelopeFault) -> Event {
        let record = OutgoingRecord.event(
            topic, id: id, type: type, source: source, subject: subject, time: time, key: key, json: json,
            headers: headers)
        return try Event(Record(record, at: TopicPartition(topic, 0), 0, timestamp: nil))
    }
}

extension OutgoingRecord {
    /// An event on its way into a log.
    static func event(
        _ topic: TopicName, id: String, type: String, source: String, subject: String?, time: String?, key: String?,
        json: String, headers: [Header]
    ) -> OutgoingRecord {
        var envelope = [
            Header("ce_specversion", "1.0"), Header("ce_id", id), Header("ce_source", source), Header("ce_type", type),
        ]
        if let subject { envelope.append(Header("ce_subject", subject)) }
        if let time { envelope.append(Header("ce_time", time)) }
        envelope.append(Header("content-type", "application/json"))
        return OutgoingRecord(
            topic: topic, key: key.map { Array($0.utf8) }, value: Array(json.utf8), headers: envelope + headers)
    }
}
