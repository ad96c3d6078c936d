internal import JSON
package import Model
package import Platform

/// What became of a replayed record: told to `flotilla.outcomes` before the record is finished, so that whoever
/// replayed it measures its end and does not assume it.
package struct OutcomeRecord: Hashable, Sendable {
    package let job: String
    package let handler: HandlerName
    package let group: GroupID
    /// `done`, `repeat`, or `dead:` with the reason.
    package let outcome: String
    package let source: SourceCoordinates
    package let replays: UInt32
    package let at: Int64

    package init(
        job: String, handler: HandlerName, group: GroupID, outcome: String, source: SourceCoordinates, replays: UInt32,
        at: Int64
    ) {
        self.job = job
        self.handler = handler
        self.group = group
        self.outcome = outcome
        self.source = source
        self.replays = replays
        self.at = at
    }

    /// The dead letter that was replayed.
    package var deadLetterID: UUIDValue { source.deadLetterID(for: handler) }

    package func record(to topic: TopicName) -> OutgoingRecord {
        let at = Timestamp(milliseconds: at)
        var json = JSONWriter()
        json.object { json in
            json.member("dlq_id", deadLetterID.description)
            json.member("job", job)
            json.member("handler", handler.rawValue)
            json.member("outcome", outcome)
            json.member("replays", Int64(replays))
            json.member("topic", source.topic.rawValue)
            json.member("partition", Int64(source.partition.rawValue))
            json.member("offset", source.offset.rawValue)
            json.member("at", at.description)
        }
        return OutgoingRecord(
            topic: topic, key: Array(deadLetterID.description.utf8), value: json.bytes,
            headers: [Header("content-type", "application/json")])
    }
}
