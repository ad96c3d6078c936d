internal import Flotilla
package import JSON
internal import Model
internal import Platform

/// What can be told of dead letters as JSON: the members of one object, the same wherever they are asked for.
package protocol Told {
    func write(to json: inout JSONWriter)
}

extension Told {
    package var json: String {
        var writer = JSONWriter()
        writer.object { write(to: &$0) }
        return writer.text
    }
}

extension DeadLetterGroup: Told {
    package func write(to json: inout JSONWriter) {
        json.member("fingerprint", fingerprint)
        json.member("handler", handler.rawValue)
        json.array("topics") { list in for topic in topics { list.append(topic) } }
        json.array("reasons") { list in for reason in reasons { list.append(reason) } }
        json.member("error_type", errorType)
        json.member("error", errorMessage)
        json.member("first", first.description)
        json.member("last", last.description)
        json.member("sample", sample.description)
        json.member("total", total)
        json.object("states") { json in
            for state in DeadLetterState.allCases {
                if let count = counts[state] { json.member(state.rawValue, count) }
            }
        }
        json.array("hours") { list in for hour in hours { list.append(hour) } }
    }
}

extension IndexedLetter: Told {
    package func write(to json: inout JSONWriter) {
        json.member("id", letter.id.description)
        if let state { json.member("state", state.rawValue) }
        if let stateAt { json.member("state_at", stateAt.description) }
        json.member("handler", letter.family.handler.rawValue)
        json.member("topic", letter.family.source.rawValue)
        // One that does not say where it was first is known by where it lies.
        if letter.source.topic != letter.family.source { json.member("source_topic", letter.source.topic.rawValue) }
        json.member("partition", Int64(letter.source.partition.rawValue))
        json.member("offset", letter.source.offset.rawValue)
        json.member("dlq_topic", letter.family.deadLetters.rawValue)
        json.member("dlq_partition", Int64(letter.partition.rawValue))
        json.member("dlq_offset", letter.offset.rawValue)
        json.member("reason", letter.reason)
        json.member("fingerprint", letter.fingerprint)
        json.member("error_type", letter.errorType)
        json.member("error", letter.errorMessage)
        json.member("stage", letter.stage)
        json.member("type", letter.type)
        json.member("event_id", letter.eventID)
        json.member("event_source", letter.eventSource)
        if let key = letter.key { json.member("key", key) }
        json.member("attempts", letter.attempts)
        json.member("first_failed", letter.firstFailed.description)
        json.member("at", letter.at.description)
        json.member("replays", replays)
        if let job { json.member("job", job) }
        if !note.isEmpty { json.member("note", note) }
        // A list goes on behind this one from here.
        json.member("place", DeadLetterIndex.Place(at: letter.at, id: letter.id).description)
    }
}

extension ReplayJob: Told {
    package func write(to json: inout JSONWriter) {
        json.member("job", id)
        json.member("state", state.rawValue)
        if !reason.isEmpty { json.member("reason", reason) }
        json.member("made_at", madeAt.description)
        json.member("made_by", madeBy)
        json.name("filter")
        if let root = try? JSONDocument(parsing: filter).root { json.append(root) } else { json.append(filter) }
        json.member("to_source", toSource)
        json.member("rewind", isRewind)
        json.member("rate", rate)
        json.member("canary", canary)
        json.member("total", total)
        json.member("published", published)
        json.member("resolved", resolved)
        json.member("failed", failed)
        json.member("skipped", skipped)
        if let endedAt { json.member("ended_at", endedAt.description) }
    }
}

extension DeadLetterIndex.AuditLine: Told {
    package func write(to json: inout JSONWriter) {
        json.member("at", at.description)
        json.member("who", who)
        json.member("verb", verb)
        json.name("filter")
        if let root = try? JSONDocument(parsing: filter).root { json.append(root) } else { json.append(filter) }
        json.member("count", count)
        if let job { json.member("job", job) }
        json.member("result", result)
    }
}
