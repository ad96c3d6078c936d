internal import CRdKafka

/// What was taken of that which librdkafka fetches ahead, to know when it has to be woken.
///
/// Once its queue is full, the thread that fetches from a broker sleeps for a second or until it has something else to
/// do, whatever is taken meanwhile: a reader that is faster than a full queue a second stands still for the rest of
/// it. From 2.2 on `fetch.queue.backoff.ms` says how long. Before that the thread is given something to do.
struct Prefetch {
    /// When a part of the queue has been taken there is room to fetch again.
    private static let part = 4

    private let bytes: Int
    private let records: Int
    private var takenBytes = 0
    private var takenRecords = 0
    /// Where records were taken from: their leaders are to be woken.
    private var places: Set<TopicPartition> = []
    /// One question at a time.
    private var isAsking = false

    /// How much is fetched ahead.
    init(bytes: Int, records: Int) {
        self.bytes = bytes
        self.records = records
    }

    mutating func took(records count: Int, bytes size: Int, of taken: some Sequence<TopicPartition>) {
        takenRecords += count
        takenBytes += size
        places.formUnion(taken)
    }

    /// Whose leaders to ask something, when it is time to; `answered` is to be told then.
    mutating func wake() -> [TopicPartition] {
        guard !isAsking, takenRecords >= records / Self.part || takenBytes >= bytes / Self.part else { return [] }
        let due = places.sorted()
        (takenRecords, takenBytes, places) = (0, 0, [])
        isAsking = !due.isEmpty
        return due
    }

    /// The question has done what it was asked for, or could not be asked.
    mutating func answered() { isAsking = false }
}

extension ConsumerCore {
    /// Has the threads that fetch look at their queues again, when enough was taken. What they are asked does not matter,
    /// and neither does the answer.
    func wakeFetching() {
        guard !KafkaLibrary.hasFetchBackoff, closing == nil else { return }
        let places = prefetch.wake()
        guard !places.isEmpty else { return }
        let (client, mailbox) = (client, mailbox)
        let answered: @Sendable () -> Void = {
            let job = Mailbox<ConsumerCore>.Job(
                run: { core in
                    core.prefetch.answered()
                    // It may have come too early for what was taken meanwhile.
                    core.wakeFetching()
                }, refuse: {})
            mailbox.post(job)
        }
        lane.begin {
            client.askForStarts(of: places, within: .seconds(1))
            answered()
        } refuse: {
            answered()
        }
    }
}
