package import Model
internal import Platform

/// Turns what a handler returned into records: the CloudEvents envelope as headers, the value as it is.
///
/// Ids are derived from what an output follows from, the handler and the output's number, so that a handler that runs
/// again publishes the same events again.
package struct EventEncoder: Sendable {
    package let handler: HandlerName
    package let namespace: Namespace
    private let source: String
    /// Topics that the handler's contract names, with the name that the servers know; others are refused.
    private let targets: [TopicName: TopicName]

    package init(handler: HandlerName, namespace: Namespace, produces: some Sequence<TopicName>) {
        self.handler = handler
        self.namespace = namespace
        source = "/flotilla/\(handler)"
        targets = Dictionary(produces.map { ($0, namespace.topic($0)) }, uniquingKeysWith: { first, _ in first })
    }

    /// Appends what one call of the handler returned, all of it or nothing.
    package func append(
        _ outputs: [Outgoing], to batch: inout OutgoingBatch
    ) throws(Refusal) {
        guard !outputs.isEmpty else { return }
        let before = batch.count
        do throws(Refusal) {
            if outputs.count == 1 { return try append(outputs[0], number: 0, to: &batch) }
            var numbers = OutputNumbers()
            for output in outputs { try append(output, number: numbers.next(for: output.cause), to: &batch) }
        } catch {
            batch.keep(before)
            throw error
        }
    }

    private func append(_ output: Outgoing, number: Int, to batch: inout OutgoingBatch) throws(Refusal) {
        guard let target = targets[output.topic] else {
            throw .permanent(
                "\(handler) publishes to \(output.topic), which its topic file does not name under produces")
        }
        let mark = batch.headers.count
        batch.addHeader("ce_specversion", "1.0")
        batch.addHeader("ce_id", id(of: output, number: number))
        batch.addHeader("ce_source", source)
        batch.addHeader("ce_type", output.type)
        if let time = output.time { batch.addHeader("ce_time", time) }
        if let subject = output.subject { batch.addHeader("ce_subject", subject) }
        if let schema = output.schema { batch.addHeader("ce_dataschema", schema) }
        batch.addHeader("content-type", output.contentType)
        if case .event(let cause) = output.cause, let trace = cause.traceParent {
            batch.addHeader("traceparent", trace)
        }
        switch (output.key, output.cause) {
        case (.bytes(let key), _):
            unsafe batch.append(topic: target, key: key.span.bytes, value: output.value.span.bytes, headersFrom: mark)
        case (.ofCause, .event(let cause)):
            unsafe batch.append(topic: target, key: cause.record.key, value: output.value.span.bytes, headersFrom: mark)
        case (.ofCause, .named), (.none, _):
            unsafe batch.append(topic: target, key: nil, value: output.value.span.bytes, headersFrom: mark)
        }
    }

    private func id(of output: Outgoing, number: Int) -> String {
        var name: [UInt8] = []
        name.reserveCapacity(128)
        switch output.cause {
        case .event(let cause):
            cause.sourceBytes.append(to: &name)
            name.append(0)
            cause.idBytes.append(to: &name)
            name.append(0)
            name.append(contentsOf: handler.rawValue.utf8)
            name.append(0)
            name.append(contentsOf: "\(number)".utf8)
        case .named(let what, let revision):
            name.append(contentsOf: handler.rawValue.utf8)
            name.append(0)
            name.append(contentsOf: what.utf8)
            name.append(0)
            name.append(contentsOf: "\(revision)".utf8)
            if number > 0 {
                name.append(0)
                name.append(contentsOf: "\(number)".utf8)
            }
        }
        return UUIDValue.version5(in: .flotillaEvents, name).description
    }
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

extension RawSpan {
    func append(to array: inout [UInt8]) {
        unsafe withUnsafeBytes { unsafe array.append(contentsOf: $0) }
    }
}
