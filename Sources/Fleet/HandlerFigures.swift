package import JSON

/// What can be seen of a handler wherever it runs.
package struct HandlerFigures: Hashable, Sendable {
    package var handler: String
    /// Whether a topic file here says what it reads; else that is known from its group, and nobody here can start it.
    package var isNamed = true
    package var workers = 0
    /// How many of them work only when the one that does is gone.
    package var standbys = 0
    /// How many partition numbers its topics have: more workers than that have nothing to do.
    package var partitions = 0
    /// Events a second that it finishes.
    package var rate = 0.0
    /// Records that wait, by partition number.
    package var waiting: [Int32: Int64] = [:]
    /// Whether all partitions have said how many.
    package var isTold = true
    /// How long the oldest of them has waited; nil when nobody could be asked.
    package var behind: Double?
    /// Records a second that come; nil when it was looked at once only.
    package var incoming: Double?
    /// What stands still, and why.
    package var paused: [String] = []
    /// Paused by an operator.
    package var standing: [String] = []
    /// Which of its partition numbers those are; nil is all of them.
    package var standingPartitions: [Int32?] = []
    /// What its workers need and do not get.
    package var missing: Set<String> = []
    /// How much of a core each of its workers uses; nil when they do not say.
    package var cores: Double?

    package init(_ handler: String) { self.handler = handler }

    package var lag: Int64 { waiting.values.reduce(0, +) }

    /// Notes how fast records came since an earlier look. A partition that was silent in one of the two would look as if
    /// all that waits in it had come, or gone, in between.
    package mutating func compare(with earlier: HandlerFigures, after seconds: Double) {
        guard seconds > 0, isTold, earlier.isTold else { return }
        incoming = max(0, rate + Double(lag - earlier.lag) / seconds)
    }

    package func write(to json: inout JSONWriter, advice: String?) {
        json.member("handler", handler)
        json.member("workers", workers)
        json.member("partitions", partitions)
        json.member("rate", (rate * 10).rounded() / 10)
        json.member("lag", lag)
        json.name("lag_seconds")
        if let behind { json.append((behind * 10).rounded() / 10) } else { json.appendNull() }
        json.array("paused") { list in for text in standing + paused { list.append(text) } }
        json.name("advice")
        if let advice { json.append(advice) } else { json.appendNull() }
    }

    /// What the command line leaves out: who stands by, what came, what is missing, and how much waits in each partition.
    package func writeMore(to json: inout JSONWriter) {
        json.member("standbys", standbys)
        if !isNamed { json.member("unnamed", true) }
        json.name("incoming")
        if let incoming { json.append((incoming * 10).rounded() / 10) } else { json.appendNull() }
        json.array("standing") { list in for text in standing { list.append(text) } }
        json.array("paused_partitions") { list in
            for number in standingPartitions { if let number { list.append(number) } else { list.appendNull() } }
        }
        json.array("missing") { list in for name in missing.sorted() { list.append(name) } }
        json.array("waiting") { list in
            for partition in 0..<Int32(clamping: partitions) { list.append(waiting[partition] ?? 0) }
        }
    }
}
