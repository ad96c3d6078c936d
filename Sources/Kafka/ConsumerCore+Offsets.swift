internal import CRdKafka
internal import Platform

// Positions and commits.
extension ConsumerCore {
    func pause(_ partitions: [TopicPartition]) throws(KafkaFault) {
        guard let client = isOpen else { throw .closed("pause") }
        let fresh = table.pause(partitions)
        guard !fresh.isEmpty else { return }
        let list = PartitionList(fresh)
        let code = list.lend { list in unsafe rd_kafka_pause_partitions(client.handle, list) }
        try KafkaFault.check(code, at: KafkaFault.Site("pause"))
    }

    func resume(_ partitions: [TopicPartition]) throws(KafkaFault) {
        guard let client = isOpen else { throw .closed("resume") }
        let stopped = table.resume(partitions)
        guard !stopped.isEmpty else { return }
        let list = PartitionList(stopped)
        let code = list.lend { list in unsafe rd_kafka_resume_partitions(client.handle, list) }
        try KafkaFault.check(code, at: KafkaFault.Site("resume"))
    }

    /// Has the owner do something that nobody waits for; a failure goes to `ClientHooks.fault`.
    func later(_ operation: String, _ body: @escaping @Sendable (ConsumerCore) throws(KafkaFault) -> Void) {
        let job = Mailbox<ConsumerCore>.Job(
            run: { core in
                do throws(KafkaFault) { try body(core) } catch { core.hooks.fault(error) }
            }, refuse: { [hooks] in hooks.fault(.closed(operation)) })
        mailbox.post(job)
    }

    // MARK: Seeking

    /// How long a seek waits for a partition that was only just assigned.
    private static let seekPatience: Int64 = 5000

    /// Seeks, or says of each partition why not. librdkafka's own thread answers this without asking a broker, so there
    /// is no time limit: before 2.1 librdkafka takes the one it is given for microseconds.
    func seekNow(_ list: borrowing PartitionList, at site: KafkaFault.Site) -> KafkaFault? {
        list.lend { list in unsafe KafkaFault.taking(rd_kafka_seek_partitions(client.handle, list, -1), at: site) }
    }

    func seek(_ place: TopicPartition, to point: Consumer.StartingPoint, _ reply: Reply<Void>) {
        guard closing == nil else { return reply.fail(.closed("seek")) }
        guard table.assigned.contains(place) else {
            return reply.fail(
                KafkaFault(
                    KafkaFault.Code(RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION), "the partition is not assigned",
                    at: KafkaFault.Site("seek", place)))
        }
        dropStrays { $0 == place }
        let deadline = Time.monotonicMilliseconds + Self.seekPatience
        trySeek(PendingSeek(place: place, offset: point.native, deadline: deadline, reply: reply), now: 0)
    }

    func retrySeeks(now: Int64) {
        guard !seeks.isEmpty else { return }
        let waiting = seeks
        seeks = []
        for seek in waiting { trySeek(seek, now: now) }
    }

    private func trySeek(_ seek: PendingSeek, now: Int64) {
        let site = KafkaFault.Site("seek", seek.place)
        var list = PartitionList(capacity: 1)
        list.add(seek.place, offset: seek.offset)
        if let fault = seekNow(list, at: site) { return seek.reply.fail(fault) }
        let code = list.elements().first?.error ?? RD_KAFKA_RESP_ERR_NO_ERROR
        // Assigned, but not yet being fetched: that comes by itself.
        if code == RD_KAFKA_RESP_ERR__STATE, now < seek.deadline, table.assigned.contains(seek.place) {
            seeks.append(seek)
        } else if code == RD_KAFKA_RESP_ERR_NO_ERROR {
            seek.reply.fill(.success(()))
        } else {
            seek.reply.fail(KafkaFault(code, at: site))
        }
    }

    // MARK: Committing

    func store(_ offsets: [PartitionOffset]) throws(KafkaFault) {
        guard let client = isOpen else { throw .closed("store") }
        let list = PartitionList(offsets)
        let code = list.lend { list in unsafe rd_kafka_offsets_store(client.handle, list) }
        for element in list.elements() { try element.check("store") }
        try KafkaFault.check(code, at: KafkaFault.Site("store"))
    }

    /// Commits these offsets, or what is stored. The result is called back by the control queue.
    func commit(_ offsets: [PartitionOffset]?, _ reply: Reply<Void>?) {
        lastCommit += 1
        commits[lastCommit] = reply
        let number = unsafe UnsafeMutableRawPointer(bitPattern: lastCommit)
        let site = KafkaFault.Site("commit")
        let callback:
            @convention(c) (OpaquePointer?, rd_kafka_resp_err_t, PartitionList.Native?, UnsafeMutableRawPointer?)
                -> Void = { client, code, list, number in
                    guard let client = unsafe client else { return }
                    guard let core = unsafe ConsumerCallbacks.core(of: rd_kafka_opaque(client)) else { return }
                    core.committed(UInt(bitPattern: number), code, PartitionList.read(list))
                }
        let code: rd_kafka_resp_err_t
        if let offsets {
            let list = PartitionList(offsets)
            code = list.lend { list in
                unsafe rd_kafka_commit_queue(client.handle, list, client.queue, callback, number)
            }
        } else {
            code = unsafe rd_kafka_commit_queue(client.handle, nil, client.queue, callback, number)
        }
        if code != RD_KAFKA_RESP_ERR_NO_ERROR { settle(lastCommit, KafkaFault(code, at: site)) }
    }

    private func committed(_ number: UInt, _ code: rd_kafka_resp_err_t, _ elements: [PartitionList.Element]) {
        switch code {
        case RD_KAFKA_RESP_ERR_NO_ERROR: break
        // Nothing was stored since the last time.
        case RD_KAFKA_RESP_ERR__NO_OFFSET: return settle(number, nil)
        case _: return settle(number, KafkaFault(code, at: KafkaFault.Site("commit")))
        }
        let refused = elements.first { $0.error != RD_KAFKA_RESP_ERR_NO_ERROR }
        settle(number, refused.map { KafkaFault($0.error, at: KafkaFault.Site("commit", $0.place)) })
    }

    private func settle(_ number: UInt, _ fault: KafkaFault?) {
        let reply = commits.removeValue(forKey: number) ?? nil
        guard let fault else { return reply?.fill(.success(())) ?? () }
        if let reply { reply.fail(fault) } else { hooks.fault(fault) }
    }

    // MARK: Where we are

    func positions() throws(KafkaFault) -> [TopicPartition: Offset] {
        guard let client = isOpen else { throw .closed("positions") }
        let list = PartitionList(table.assigned.sorted())
        let code = list.lend { list in unsafe rd_kafka_position(client.handle, list) }
        try KafkaFault.check(code, at: KafkaFault.Site("positions"))
        var positions: [TopicPartition: Offset] = [:]
        for element in list.elements() { positions[element.place] = element.knownOffset }
        return positions
    }

    func lag() throws(KafkaFault) -> [TopicPartition: Int64] {
        var lag: [TopicPartition: Int64] = [:]
        for (place, position) in try positions() {
            var low: Int64 = 0
            var high: Int64 = 0
            let code = unsafe rd_kafka_get_watermark_offsets(
                client.handle, place.topic.rawValue, place.partition.rawValue, &low, &high)
            guard code == RD_KAFKA_RESP_ERR_NO_ERROR, high >= 0 else { continue }
            lag[place] = max(0, high - position.rawValue)
        }
        return lag
    }
}
