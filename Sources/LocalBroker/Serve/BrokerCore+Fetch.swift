// Fetch: what is there at once, or, when that is less than the client wants, what is there when enough has come or its
// time is over. The records themselves are never touched: an answer names ranges of files.
//
// A waiting fetch is noted with every partition that it asks for. A partition whose visible end has moved wakes those
// that wait on it, once a turn, however many batches came in that turn.

internal import Platform

/// A fetch that waits for records.
final class PendingFetch {
    let request: FetchRequest
    let call: BrokerCore.Call
    let deadline: Int64
    /// Where it is noted: each partition once, however often the request names it.
    var partitions: [Partition] = []
    var isAnswered = false
    /// Whether it is among those that this turn will look at again.
    var isWoken = false

    init(_ request: FetchRequest, _ call: BrokerCore.Call, deadline: Int64) {
        self.request = request
        self.call = call
        self.deadline = deadline
    }

    /// Nobody waits any more.
    var isOver: Bool { isAnswered || call.exchange.connection == nil }
}

extension BrokerCore {
    /// The most that one answer carries, whatever the client allows.
    private static let largestAnswer = 64 << 20
    private static let longestWait: Int64 = 60_000

    func fetch(_ request: FetchRequest, _ call: Call, now: Int64) {
        // Sessions are declined by never opening one; a client that names one all the same is told to start anew.
        if request.sessionID != 0 {
            return call.answer(FetchResponse(error: .fetchSessionIdNotFound, topics: []))
        }
        let found = collect(request)
        let wait = min(Int64(max(0, request.maxWait)), Self.longestWait)
        if found.mustAnswer || found.bytes >= request.minBytes || wait == 0 { return answer(call, found) }
        let pending = PendingFetch(request, call, deadline: now + wait)
        note(pending)
        polls.add(pending, at: pending.deadline)
        if polls.count > pollsBeforeTidying {
            polls.keep { pending in
                if pending.isOver { forget(pending) }
                return !pending.isOver
            }
            pollsBeforeTidying = max(1024, 2 * polls.count)
        }
    }

    /// What a fetch can have now.
    private struct Found {
        var response = FetchResponse(topics: [])
        var slices: [LogSlice] = []
        var bytes = 0
        /// An error is worth telling at once.
        var mustAnswer = false
    }

    private func collect(_ request: FetchRequest) -> Found {
        var found = Found()
        looks += 1
        let limit = min(max(0, Int(request.maxBytes)), Self.largestAnswer)
        for topic in request.topics {
            let served = topics[topic.name]
            var answers: [FetchResponse.Partition] = []
            answers.reserveCapacity(topic.partitions.count)
            for asked in topic.partitions {
                let partition = served?[asked.index]
                // Each once: a look costs some reads, and naming one a thousand times costs the client nothing.
                if let partition, partition.lastLook == looks { continue }
                partition?.lastLook = looks
                answers.append(collect(asked, partition, limit, &found))
            }
            found.response.topics.append(PerTopic(name: topic.name, partitions: answers))
        }
        return found
    }

    private func collect(
        _ asked: FetchRequest.Partition, _ partition: Partition?, _ limit: Int, _ found: inout Found
    ) -> FetchResponse.Partition {
        guard let partition else {
            found.mustAnswer = true
            return FetchResponse.Partition(index: asked.index, error: .unknownTopicOrPartition)
        }
        let log = partition.log
        do throws(ReadFault) {
            // The first records of an answer come whole even if they are larger than the client allows: else it would
            // never get past them.
            let room = max(0, limit - found.bytes)
            let slice =
                room == 0 && found.bytes > 0
                ? nil
                : try log.read(
                    from: asked.offset, maxBytes: min(max(0, Int(asked.maxBytes)), room), atLeastOne: found.bytes == 0)
            var answer = FetchResponse.Partition(
                index: asked.index, highWatermark: log.visibleEnd, lastStableOffset: log.visibleEnd,
                logStartOffset: log.logStart)
            if let slice, slice.count > 0 {
                answer.records = .spliced(payload: found.slices.count, count: slice.count)
                found.slices.append(slice)
                found.bytes += slice.count
            }
            return answer
        } catch {
            found.mustAnswer = true
            return FetchResponse.Partition(
                index: asked.index, error: error.code, logStartOffset: log.isOffline ? -1 : log.logStart)
        }
    }

    private func answer(_ call: Call, _ found: Found) {
        call.answer(found.response, payloads: found.slices)
    }

    private func note(_ pending: PendingFetch) {
        for topic in pending.request.topics {
            guard let served = topics[topic.name] else { continue }
            for asked in topic.partitions {
                guard let partition = served[asked.index] else { continue }
                let known = partition.waitingForRecords.updateValue(pending, forKey: ObjectIdentifier(pending))
                if known == nil { pending.partitions.append(partition) }
            }
        }
    }

    // MARK: Waking

    /// Notes that there may be something for those that wait on the partition.
    func markForWaking(_ partition: Partition) {
        guard !partition.isMarkedForWaking, !partition.waitingForRecords.isEmpty else { return }
        partition.isMarkedForWaking = true
        partitionsToWake.append(partition)
    }

    func wakeFetches() {
        guard !partitionsToWake.isEmpty else { return }
        var woken: [PendingFetch] = []
        for partition in partitionsToWake {
            partition.isMarkedForWaking = false
            for pending in partition.waitingForRecords.values where !pending.isWoken {
                pending.isWoken = true
                woken.append(pending)
            }
        }
        partitionsToWake.removeAll(keepingCapacity: true)
        for pending in woken {
            pending.isWoken = false
            guard !pending.isOver else {
                forget(pending)
                continue
            }
            let found = collect(pending.request)
            if found.mustAnswer || found.bytes >= pending.request.minBytes { end(pending, found) }
        }
    }

    func endDuePolls(now: Int64) {
        while let pending = polls.popDue(now: now) {
            if !pending.isAnswered { end(pending, collect(pending.request)) }
        }
    }

    private func end(_ pending: PendingFetch, _ found: Found) {
        pending.isAnswered = true
        answer(pending.call, found)
        forget(pending)
    }

    private func forget(_ pending: PendingFetch) {
        for partition in pending.partitions { partition.waitingForRecords[ObjectIdentifier(pending)] = nil }
        pending.partitions = []
    }

    /// When nobody is answered any more: partitions and who waits on them hold each other, and would for ever.
    func forgetFetches() {
        polls.keep { pending in
            forget(pending)
            return false
        }
    }

    /// Ends the fetches that wait on a partition that is going away.
    func endFetches(on partition: Partition) {
        for pending in partition.waitingForRecords.values { end(pending, collect(pending.request)) }
    }
}
