internal import CRdKafka
internal import Platform

// What is read: subscriptions, assignments, and partitions that come and go.
extension ConsumerCore {
    func subscribe(_ topics: [TopicName]) throws(KafkaFault) {
        let site = KafkaFault.Site("subscribe")
        guard let handle = isOpen else { throw .closed("subscribe") }
        for topic in topics { try topic.check(at: KafkaFault.Site("subscribe", topic: topic)) }
        if !isSubscribed {
            // What was chosen before would stay in the table when the group's own replaces it in librdkafka.
            failAssigning()
            if !table.assigned.isEmpty { giveUp(table.assigned.sorted()) }
        }
        let list = PartitionList(topics: topics)
        try KafkaFault.check(list.lend { unsafe rd_kafka_subscribe(handle.handle, $0) }, at: site)
        isSubscribed = true
        hasSubscribed = true
    }

    func unsubscribe() throws(KafkaFault) {
        guard let client = isOpen else { throw .closed("unsubscribe") }
        try KafkaFault.check(unsafe rd_kafka_unsubscribe(client.handle), at: KafkaFault.Site("unsubscribe"))
        isSubscribed = false
    }

    /// The client while nobody closes it.
    var isOpen: NativeClient? { closing == nil ? client : nil }

    // MARK: Partitions of one's own choosing

    /// How long an assignment waits for the one that it replaces to stop.
    private static let assignPatience: Int64 = 10_000

    /// Gives up what is read and, when that has stopped, reads these instead.
    ///
    /// A partition that is started while it still stops would lose its way: stopping cuts its queue off, and after that
    /// librdkafka neither forwards its records to us nor to itself.
    func assign(_ points: [TopicPartition: Consumer.StartingPoint], _ reply: Reply<Void>) {
        guard let client = isOpen else { return reply.fail(.closed("assign")) }
        guard !isSubscribed else {
            return reply.fail(
                KafkaFault(
                    RD_KAFKA_RESP_ERR__INVALID_ARG, "a group decides what is read: unsubscribe first",
                    at: KafkaFault.Site("assign")))
        }
        let stopping = table.assigned.union(assigning?.stopping ?? [])
        failAssigning()
        let gone = table.assigned.sorted()
        resumeNatively(table.remove(gone))
        dropStrays { _ in true }
        // An end that nobody has asked for yet would be taken for that of the next reading.
        events.removeAll { if case .end = $0 { true } else { false } }
        if let fault = Self.fault(unsafe rd_kafka_assign(client.handle, nil), "assign") { return reply.fail(fault) }
        let deadline = Time.monotonicMilliseconds + Self.assignPatience
        assigning = PendingAssignment(points: points, stopping: stopping.sorted(), deadline: deadline, reply: reply)
    }

    /// An assignment that still waits is replaced by something else.
    private func failAssigning() {
        assigning?.reply.fail(KafkaFault(RD_KAFKA_RESP_ERR__OUTDATED, at: KafkaFault.Site("assign")))
        assigning = nil
    }

    func retryAssignment(now: Int64) {
        guard let wanted = assigning else { return }
        guard haveStopped(wanted.stopping) || now >= wanted.deadline else { return }
        assigning = nil
        var list = PartitionList(capacity: wanted.points.count)
        for (place, point) in wanted.points {
            splitOff(place)
            list.add(place, offset: point.native)
        }
        let fault = list.lend { list in Self.fault(unsafe rd_kafka_assign(client.handle, list), "assign") }
        if let fault { return wanted.reply.fail(fault) }
        table.assign(Array(wanted.points.keys))
        wanted.reply.fill(.success(()))
    }

    /// Whether none of the partitions is still stopping. A seek tells: it waits its turn behind the stop, and is refused
    /// with another error when the stop is over.
    private func haveStopped(_ places: [TopicPartition]) -> Bool {
        guard !places.isEmpty else { return true }
        let list = PartitionList(places.map { PartitionOffset($0, 0) })
        let fault = seekNow(list, at: KafkaFault.Site("assign"))
        return fault == nil && list.elements().allSatisfy { $0.error != RD_KAFKA_RESP_ERR__PREV_IN_PROGRESS }
    }

    // MARK: Rebalances

    /// Called by librdkafka while its queue is drained. It waits for our `assign` or `unassign`, now or later.
    func rebalance(_ code: rd_kafka_resp_err_t, _ partitions: [TopicPartition]) {
        switch code {
        case RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS where closing?.stage == .leaving:
            // The group took it back when it was told to close.
            break
        case RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS where closing != nil && !isCooperative:
            // Too late. The group waits for an answer all the same, and "nothing" is one.
            _ = unsafe rd_kafka_assign(client.handle, nil)
        case RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS:
            for place in partitions { splitOff(place) }
            let list = PartitionList(partitions)
            let fault =
                isCooperative
                ? list.lend { list in
                    unsafe KafkaFault.taking(
                        rd_kafka_incremental_assign(client.handle, list), at: KafkaFault.Site("assign"))
                } : list.lend { list in Self.fault(unsafe rd_kafka_assign(client.handle, list), "assign") }
            if let fault { return tell(.fault(fault)) }
            table.assign(partitions)
            tell(.assigned(partitions))
        case RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS where closing != nil:
            giveUp(partitions)
        case RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS where unsafe rd_kafka_assignment_lost(client.handle) != 0:
            // Nobody waits for us any more, and nothing can be committed.
            giveUp(partitions)
            tell(.lost(partitions))
        case RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS:
            let deadline = Time.monotonicMilliseconds + drainTimeout
            let number = table.revoke(partitions, deadline: deadline)
            // Mailbox and number only: a revocation that someone keeps must not keep the client.
            let answer: @Sendable () -> Void = { [mailbox] in
                mailbox.post(Mailbox.Job(run: { $0.answered(number) }, refuse: {}))
            }
            dropStrays(where: Set(partitions).contains)
            tell(.revoked(Revocation(partitions, answer: answer)))
        case _:
            giveUp(table.assigned.sorted())
            tell(.fault(KafkaFault(code, at: KafkaFault.Site("rebalance"))))
        }
    }

    private func tell(_ event: ConsumerEvent) {
        // Nobody will ask for it, and a revocation would be kept from being answered.
        if closing == nil { events.append(event) }
    }

    private func answered(_ number: Int) {
        if let pending = table.answered(number) { giveUp(pending.partitions) }
    }

    /// Gives partitions back to the group, which goes on when all members have.
    func giveUp(_ partitions: [TopicPartition]) {
        // A pause would outlive the assignment and stop the partition when it comes back.
        resumeNatively(table.remove(partitions))
        dropStrays(where: Set(partitions).contains)
        let fault: KafkaFault?
        if isCooperative {
            let list = PartitionList(partitions)
            fault = list.lend { list in
                unsafe KafkaFault.taking(
                    rd_kafka_incremental_unassign(client.handle, list), at: KafkaFault.Site("unassign"))
            }
        } else {
            fault = Self.fault(unsafe rd_kafka_assign(client.handle, nil), "unassign")
        }
        if let fault { tell(.fault(fault)) }
    }

    var assignmentIsEmpty: Bool {
        var list: PartitionList.Native?
        guard unsafe rd_kafka_assignment(client.handle, &list) == RD_KAFKA_RESP_ERR_NO_ERROR, let list = unsafe list
        else {
            return false
        }
        defer { unsafe rd_kafka_topic_partition_list_destroy(list) }
        return unsafe list.pointee.cnt == 0
    }

    /// The name that the group gave us; empty before it did, and again when it was told that we leave.
    var memberID: String {
        let name = unsafe rd_kafka_memberid(client.handle)
        defer { unsafe rd_kafka_mem_free(client.handle, name) }
        return unsafe string(name) ?? ""
    }

    private static func fault(_ code: rd_kafka_resp_err_t, _ operation: String) -> KafkaFault? {
        code == RD_KAFKA_RESP_ERR_NO_ERROR ? nil : KafkaFault(code, at: KafkaFault.Site(operation))
    }

    func resumeNatively(_ partitions: [TopicPartition]) {
        guard !partitions.isEmpty else { return }
        let list = PartitionList(partitions)
        _ = list.lend { list in unsafe rd_kafka_resume_partitions(client.handle, list) }
    }
}

extension Consumer.StartingPoint {
    /// As librdkafka's lists say it.
    var native: Int64 {
        switch self {
        case .offset(let offset): max(0, offset.rawValue)
        case .earliest: Int64(RD_KAFKA_OFFSET_BEGINNING)
        case .latest: Int64(RD_KAFKA_OFFSET_END)
        case .committed: Int64(RD_KAFKA_OFFSET_STORED)
        }
    }
}
