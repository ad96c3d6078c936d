package import Kafka
internal import Platform

/// Publishes records until the log has them: a broker that is away or slow is waited for, in order and without end.
///
/// Only what will never be taken comes back as a failure. Waiting ends when the records' partition is given up; nothing
/// is finished then, so that the next owner does it again.
package struct Publisher: Sendable {
    package let sink: any RecordSink
    package let clock: any WorkerClock
    /// Told when publishing has to wait, and why.
    package let onTrouble: @Sendable (KafkaFault) -> Void

    package init(
        sink: any RecordSink, clock: any WorkerClock, onTrouble: @escaping @Sendable (KafkaFault) -> Void
    ) {
        self.sink = sink
        self.clock = clock
        self.onTrouble = onTrouble
    }

    /// The records that the log will never take, by their place in the batch; nil when `isOpen` said to stop.
    package func publish(
        _ batch: OutgoingBatch, while isOpen: @Sendable () -> Bool
    ) async -> [Int: KafkaFault]? {
        guard !batch.isEmpty else { return [:] }
        var refused: [Int: KafkaFault] = [:]
        var batch = batch
        var places = Array(0..<batch.count)
        var pause: Int64 = 10
        while true {
            var trouble: KafkaFault?
            var again: [Int] = []
            do {
                let report = try await sink.publish(batch)
                for (index, fault) in report.failures {
                    if fault.neverPasses {
                        refused[places[index]] = fault
                    } else {
                        trouble = fault
                        again.append(index)
                    }
                }
                if again.isEmpty { return refused }
                batch = batch.only(again)
                places = again.map { places[$0] }
            } catch {
                trouble = error
            }
            guard isOpen(), !Task.isCancelled else { return nil }
            if let trouble {
                // A full queue is our own haste; anything else is worth a word.
                if trouble.kind != .queueFull { onTrouble(trouble) }
                if trouble.isFatal || trouble.kind == .closed { return nil }
            }
            await clock.sleep(until: clock.monotonicMilliseconds + pause)
            pause = min(pause * 2, 1000)
        }
    }
}

extension KafkaFault {
    /// Whether a record was refused for what it is, rather than for what is going on.
    var neverPasses: Bool {
        switch kind {
        case .tooLarge, .invalid: true
        case _: false
        }
    }
}
