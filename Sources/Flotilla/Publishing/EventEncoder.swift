package import Model
internal import Platform

/// Turns what a handler returned into records: the CloudEvents envelope as headers, the value as it is.
///
/// Ids are derived from what an output follows from, the handler and the output's number, so that a handler that runs
/// again publishes the same events again.
package struct EventEncoder: Sendable {
    package let handler: HandlerName
    package let namespace: Namespace
    private let source: [UInt8]
    /// Topics that the handler's contract names, with the name that the servers know; others are refused. They are few,
    /// so looking through them costs less than a hash.
    private let targets: [(name: TopicName, target: TopicName)]
    /// How the name ends that an event's first output has its id from.
    private let firstOutput: [UInt8]

    package init(handler: HandlerName, namespace: Namespace, produces: some Sequence<TopicName>) {
        self.handler = handler
        self.namespace = namespace
        source = Array("/flotilla/\(handler)".utf8)
        firstOutput = Self.nameEnd(handler, number: 0)
        targets = produces.map { ($0, namespace.topic($0)) }
    }

    private static func nameEnd(_ handler: HandlerName, number: Int) -> [UInt8] {
        Array("\u{0}\(handler)\u{0}\(number)".utf8)
    }

    /// Appends what one call of the handler returned, all of it or nothing; `call` is its trace. `sha1` derives the ids: whoever makes many
    /// calls brings one of their own, because it costs more to make than to use.
    package func append(
        _ outputs: [Outgoing], to batch: inout OutgoingBatch, by sha1: Digest = Digest(.sha1),
        in call: CallTrace? = nil, as verb: StaticString = "send"
    ) throws(Refusal) {
        guard !outputs.isEmpty else { return }
        let before = batch.count
        do throws(Refusal) {
            if outputs.count == 1 { return try append(outputs[0], number: 0, to: &batch, sha1, call, verb) }
            var numbers = OutputNumbers()
            for output in outputs {
                try append(output, number: numbers.next(for: output.cause), to: &batch, sha1, call, verb)
            }
        } catch {
            batch.keep(before)
            throw error
        }
    }

    private func append(
        _ output: Outgoing, number: Int, to batch: inout OutgoingBatch, _ sha1: Digest, _ call: CallTrace?,
        _ verb: StaticString
    ) throws(Refusal) {
        guard let target = targets.first(where: { $0.name == output.topic })?.target else {
            throw .permanent(
                "\(handler) publishes to \(output.topic), which its topic file does not name under produces")
        }
        let mark = batch.headers.count
        batch.addHeader("ce_specversion", "1.0")
        let id = id(of: output, number: number, sha1).utf8
        unsafe batch.addHeader("ce_id", id.span.bytes)
        unsafe batch.addHeader("ce_source", source.span.bytes)
        batch.addHeader("ce_type", output.type)
        // Taken out once: each look into the enumeration counts its references anew.
        var cause: Event?
        if case .event(let event) = output.cause { cause = event }
        switch output.time {
        case .text(let text): if let text { batch.addHeader("ce_time", text) }
        case .ofCause: if let time = cause?.timeBytes { batch.addHeader("ce_time", time) }
        }
        switch output.subject {
        case .text(let text): if let text { batch.addHeader("ce_subject", text) }
        case .ofCause: if let subject = cause?.subjectBytes { batch.addHeader("ce_subject", subject) }
        }
        if let schema = output.schema { batch.addHeader("ce_dataschema", schema) }
        batch.addHeader("content-type", output.contentType)
        let given = output.trace
        let place = call?.output(to: target, from: cause, in: given, place: batch.count, verb: verb) ?? given
        if let place {
            place.withBytes { batch.addHeader("traceparent", $0) }
        } else if let trace = cause?.traceParentBytes {
            batch.addHeader("traceparent", trace)
        }
        switch output.key {
        case .bytes(let key):
            unsafe batch.append(topic: target, key: key.span.bytes, value: output.value.span.bytes, headersFrom: mark)
        case .ofCause:
            unsafe batch.append(
                topic: target, key: cause?.record.key, value: output.value.span.bytes, headersFrom: mark)
        case .none: unsafe batch.append(topic: target, key: nil, value: output.value.span.bytes, headersFrom: mark)
        }
    }

    private func id(of output: Outgoing, number: Int, _ sha1: Digest) -> UUIDValue {
        UUIDValue.version5(in: .flotillaEvents, by: sha1) { name in
            switch output.cause {
            case .event(let cause):
                name.add(cause.sourceBytes)
                name.add(Self.separator)
                name.add(cause.idBytes)
                name.add(number == 0 ? firstOutput : Self.nameEnd(handler, number: number))
            case .named(let what, let revision):
                let end = number > 0 ? "\u{0}\(number)" : ""
                name.add(Array("\(handler)\u{0}\(what)\u{0}\(revision)\(end)".utf8))
            }
        }
    }

    private static let separator: [UInt8] = [0]
}

/// Counts the outputs of each cause: a batch's outputs may follow from many events, in any order.
private struct OutputNumbers {
    private enum Key: Hashable {
        case event(TopicPartition, Offset)
        case named(String, Int)
    }

    private var counts: [Key: Int] = [:]

    mutating func next(for cause: Outgoing.Cause) -> Int {
        let key: Key =
            switch cause {
            case .event(let event): .event(event.record.topicPartition, event.offset)
            case .named(let name, let revision): .named(name, revision)
            }
        defer { counts[key, default: 0] += 1 }
        return counts[key, default: 0]
    }
}
