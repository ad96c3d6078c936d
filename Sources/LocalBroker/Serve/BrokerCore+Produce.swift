internal import Platform

extension BrokerCore {
    /// Appends the request's batches, from the frame that they arrived in, and answers when they are as durable as was
    /// promised. With `acks=0` nobody is told anything, as the protocol has it; a refusal is at least logged.
    func produce(_ request: ProduceRequest, _ frame: UnsafeMutableRawBufferPointer, _ call: Call) {
        var written: [(topic: Int, index: Int, partition: Partition, lastOffset: Int64)] = []
        var response = ProduceResponse(topics: [])
        response.topics.reserveCapacity(request.topics.count)
        let now = Time.wallMilliseconds
        let refusal = refusal(of: request)
        for (topicIndex, topic) in request.topics.enumerated() {
            let served = topics[topic.name]
            var answers: [ProduceResponse.Partition] = []
            answers.reserveCapacity(topic.partitions.count)
            for (partitionIndex, asked) in topic.partitions.enumerated() {
                if let refusal {
                    answers.append(
                        ProduceResponse.Partition(
                            index: asked.index, error: refusal.error, message: refusal.message))
                    continue
                }
                guard let partition = served?[asked.index] else {
                    answers.append(ProduceResponse.Partition(index: asked.index, error: .unknownTopicOrPartition))
                    continue
                }
                guard let range = asked.records, !range.isEmpty else {
                    answers.append(
                        ProduceResponse.Partition(
                            index: asked.index, error: .invalidRequest, message: "there are no records"))
                    continue
                }
                let records = unsafe UnsafeMutableRawBufferPointer(rebasing: frame[range])
                do throws(AppendFault) {
                    let appended = unsafe try partition.log.append(records, now: now)
                    markUnsynced(partition)
                    // Without a promise about the disk it may be read at once.
                    if partition.log.visibleEnd > appended.lastOffset { markForWaking(partition) }
                    written.append((topicIndex, partitionIndex, partition, appended.lastOffset))
                    answers.append(
                        ProduceResponse.Partition(
                            index: asked.index, baseOffset: appended.baseOffset, logStartOffset: appended.logStart))
                } catch {
                    tell(error, partition, call)
                    answers.append(
                        ProduceResponse.Partition(
                            index: asked.index, error: error.code, message: error.explanation))
                }
            }
            response.topics.append(PerTopic(name: topic.name, partitions: answers))
        }
        if request.acks == 0 { return call.exchange.answer(nil) }
        // Nothing written, nothing to wait for.
        if written.isEmpty { return call.answer(response) }
        whenDurable(written.map { ($0.partition, $0.lastOffset) }) { [response] in
            var response = response
            // A sync that failed took the partition offline: what was written there is not acknowledged.
            for (topic, index, partition, lastOffset) in written where partition.log.visibleEnd <= lastOffset {
                let number = response.topics[topic].partitions[index].index
                response.topics[topic].partitions[index] = ProduceResponse.Partition(
                    index: number, error: .kafkaStorageError, message: "the disk failed; see the broker's log")
            }
            call.answer(response)
        }
    }

    /// What is wrong with a request as a whole.
    private func refusal(of request: ProduceRequest) -> (error: ErrorCode, message: String)? {
        if request.legacyFormat {
            return (
                .unsupportedForMessageFormat, "only record batches of version 2 are kept, as clients send since 2017"
            )
        }
        if request.transactionalID != nil {
            return (.transactionalIdAuthorizationFailed, Self.noTransactions)
        }
        if !(-1...1).contains(request.acks) { return (.invalidRequiredAcks, "acks is -1, 0 or 1") }
        return nil
    }

    /// A client's mistake is the client's to report; what the disk refuses is ours.
    private func tell(_ fault: AppendFault, _ partition: Partition, _ call: Call) {
        let fields: [Log.Field] = [
            ("topic", partition.topic), ("partition", partition.number), ("peer", call.peer),
            ("reason", fault.explanation),
        ]
        if fault.code == .kafkaStorageError {
            log.error("records not written", fields)
        } else {
            log.debug("records refused", fields)
        }
    }

    /// A producer id that nobody else has, now or after any crash: they are taken from the journal in blocks.
    func initProducerID(_ request: InitProducerIdRequest) -> InitProducerIdResponse {
        guard request.transactionalID == nil else {
            return InitProducerIdResponse(error: .transactionalIdAuthorizationFailed)
        }
        if producerIDs.isEmpty {
            let start = catalog.producerIDsEnd
            guard write(.catalog(.producerIDs(end: start + 1000))) else {
                return InitProducerIdResponse(error: .kafkaStorageError)
            }
            producerIDs = start..<(start + 1000)
        }
        let id = producerIDs.lowerBound
        producerIDs = (id + 1)..<producerIDs.upperBound
        return InitProducerIdResponse(producerID: id, producerEpoch: 0)
    }
}

extension AppendFault {
    var code: ErrorCode { ErrorCode(rawValue: rawValue) ?? .unknownServerError }

    /// What a client is told, and can do.
    var explanation: String {
        switch self {
        case .corrupt: "the batch's length or checksum is not that of its bytes"
        case .tooLarge: "the batch is larger than the topic's max.message.bytes"
        case .unsupportedForMessageFormat: "only record batches of version 2 are kept"
        case .outOfOrderSequence: "batches of this producer before this one are missing"
        case .invalidProducerEpoch: "a newer instance of this producer has written"
        case .storage: "the broker's disk is full or failing; see its log"
        case .invalidRecord: "the batch contradicts itself, or is of a transaction"
        }
    }
}
