package import Kafka
internal import Synchronization

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

    /// Hands records over, behind those of earlier calls, without waiting for them.
    package func begin(_ batch: OutgoingBatch) -> Publication {
        let publication = Publication(batch)
        guard !batch.isEmpty else { return publication }
        do {
            try sink.enqueue(batch) { publication.hear(.success($0)) }
        } catch {
            publication.hear(.failure(error))
        }
        return publication
    }

    /// Waits for records that were handed over, and hands those over again that may yet pass. The records that the log
    /// will never take, by their place in the batch; nil when `isOpen` said to stop.
    package func finish(
        _ publication: Publication, while isOpen: @Sendable () -> Bool
    ) async -> [Int: KafkaFault]? {
        var publication = publication
        guard !publication.batch.isEmpty else { return [:] }
        var refused: [Int: KafkaFault] = [:]
        var places: [Int]?
        var pause: Int64 = 10
        while true {
            var trouble: KafkaFault?
            switch await publication.verdict() {
            case .success(let report):
                if report.isAllDelivered { return refused }
                var again: [Int] = []
                for (index, fault) in report.failures {
                    if fault.neverPasses {
                        refused[places?[index] ?? index] = fault
                    } else {
                        trouble = fault
                        again.append(index)
                    }
                }
                if again.isEmpty { return refused }
                places = again.map { places?[$0] ?? $0 }
                publication = Publication(publication.batch.only(again))
            case .failure(let fault):
                trouble = fault
                publication = Publication(publication.batch)
            }
            guard isOpen(), !Task.isCancelled else { return nil }
            if let trouble {
                // A full queue is our own haste; anything else is worth a word.
                if trouble.kind != .queueFull { onTrouble(trouble) }
                if trouble.isFatal || trouble.kind == .closed { return nil }
            }
            await clock.sleep(until: clock.monotonicMilliseconds + pause)
            pause = min(pause * 2, 1000)
            publication = begin(publication.batch)
        }
    }
}

/// Records that were handed over, and what became of them once that is known.
package final class Publication: Sendable {
    package typealias Verdict = Result<DeliveryReport, KafkaFault>

    package let batch: OutgoingBatch

    private enum State {
        case open
        case awaited(CheckedContinuation<Verdict, Never>)
        case heard(Verdict)
    }

    private let state = Mutex(State.open)

    init(_ batch: OutgoingBatch) { self.batch = batch }

    func hear(_ verdict: Verdict) {
        let waiting = state.withLock { state -> CheckedContinuation<Verdict, Never>? in
            defer { state = .heard(verdict) }
            if case .awaited(let continuation) = state { return continuation }
            return nil
        }
        waiting?.resume(returning: verdict)
    }

    /// Every record that a sink accepted gets its verdict, so this ends; a producer that closes says `purged`. It may take
    /// minutes, and a cancelled task does not wait for it.
    func verdict() async -> Verdict {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let known = state.withLock { state -> Verdict? in
                    if case .heard(let verdict) = state { return verdict }
                    state = .awaited(continuation)
                    return nil
                }
                if let known { continuation.resume(returning: known) }
            }
        } onCancel: {
            hear(.failure(KafkaFault(.cancelled, "nobody waits for it any more", at: KafkaFault.Site("publish"))))
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
