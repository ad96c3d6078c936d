internal import Flotilla
package import Model
internal import Platform

/// What goes back to work: the record as it was, with what says that it comes back.
package enum ReplayRecord {
    /// `copy` has the body: the dead letter itself, or the record it was made of when it did not fit into the dead letter.
    ///
    /// The handler's attempts begin anew, and the time of its first failure stays. To the source it goes as a record like
    /// any other: nobody believes our headers there, and they only tell people where it is from. A record that is read
    /// again says so, for handlers with state, which pass it over.
    package static func make(
        of letter: DeadLetter, copy: Record, round: Int64, job: String, toSource: Bool, isRewind: Bool = false,
        namespace: Namespace, now: Int64
    ) -> OutgoingRecord {
        var headers = copy.headers.filter { !HeaderName.isOurs($0.name) }
        headers += [
            Header(HeaderName.dlqID, letter.id.description), Header(HeaderName.dlqReplays, "\(round)"),
            Header(HeaderName.dlqReplayJob, job), Header(HeaderName.sourceTopic, letter.source.topic.rawValue),
            Header(HeaderName.sourcePartition, "\(letter.source.partition)"),
            Header(HeaderName.sourceOffset, "\(letter.source.offset)"),
        ]
        if let timestamp = letter.source.timestamp {
            headers.append(Header(HeaderName.sourceTimestamp, "\(Timestamp(milliseconds: timestamp))"))
        }
        headers += [
            Header(HeaderName.sourceGroup, namespace.group(letter.family.handler).rawValue),
            Header(HeaderName.sourceHandler, letter.family.handler.rawValue),
        ]
        if isRewind {
            headers.append(Header(HeaderName.dlqRewind, "1"))
        } else if letter.firstFailed.milliseconds > 0 {
            headers.append(Header(HeaderName.retryFirstFailed, "\(letter.firstFailed)"))
        }
        return OutgoingRecord(
            topic: target(of: letter, toSource: toSource, namespace), partition: letter.source.partition,
            key: copy.keyBytes, value: copy.valueBytes, headers: headers, timestamp: now)
    }

    package static func target(of letter: DeadLetter, toSource: Bool, _ namespace: Namespace) -> TopicName {
        namespace.topic(toSource ? letter.family.source : letter.family.replay)
    }
}
