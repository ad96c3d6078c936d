import Flotilla
import Kafka
import Testing

// What a worker of a handler with state says of itself.
extension StatefulWorkerTests {
    /// A worker that is started again and again must not make outputs young that nobody takes.
    @Test func whatAPredecessorLeftInTheOutboxKeepsItsAge() async throws {
        try await Fleet.with { fleet in
            try await fleet.makeTopics("amounts", policy)
            try await withStore { store, pool in
                let (book, _) = try await store.take(TopicPartition("amounts", 0))
                let transaction = try await store.begin(book)
                let batch = OutgoingBatch([OutgoingRecord(topic: "counted", value: [1])])
                _ = try await store.commit(transaction, book, next: 0, outputs: batch, published: nil)
                try await pool.transaction {
                    try await $0.execute("UPDATE flotilla_outbox SET made_at = made_at - interval '1 hour'")
                }
                let sink = HeldSink(fleet.producer)
                try await fleet.withWorker(.stateful(Totals()), ["amounts": policy], store: store, sink: sink) {
                    worker in
                    try await waitUntil { worker.outboxAge ?? 0 >= 3_600_000 }
                    sink.letGo()
                    try await waitUntil { worker.outboxAge == 0 }
                }
            }
        }
    }
}
