extension BrokerCore {
    /// Where a log begins and ends, and what was there at a time.
    func listOffsets(_ request: ListOffsetsRequest) -> ListOffsetsResponse {
        // A lookup may have to read and decompress batches, so each partition gets one a request, as in Kafka.
        let budget = LookupBudget()
        var seen = Set<GroupPartition>()
        return ListOffsetsResponse(
            topics: request.topics.map { topic in
                let served = topics[topic.name]
                return PerTopic(
                    name: topic.name,
                    partitions: topic.partitions.map { asked in
                        let isFirst = seen.insert(GroupPartition(topic: topic.name, partition: asked.index)).inserted
                        return isFirst
                            ? find(asked, served?[asked.index], budget)
                            : ListOffsetsResponse.Partition(index: asked.index, error: .invalidRequest)
                    })
            })
    }

    private func find(
        _ asked: ListOffsetsRequest.Partition, _ partition: Partition?, _ budget: LookupBudget
    ) -> ListOffsetsResponse.Partition {
        var answer = ListOffsetsResponse.Partition(index: asked.index)
        guard let log = partition?.log else {
            answer.error = .unknownTopicOrPartition
            return answer
        }
        do throws(ReadFault) {
            guard !log.isOffline else { throw .storage }
            switch asked.timestamp {
            case ListOffsetsRequest.latest: answer.offset = log.visibleEnd
            case ListOffsetsRequest.earliest: answer.offset = log.logStart
            case ListOffsetsRequest.highestTimestamp:
                // Only admin clients ask for it, and they ask again for what has timed out.
                guard !budget.isSpent else {
                    answer.error = .requestTimedOut
                    break
                }
                if let found = try log.latestTimestamp(budget) {
                    answer.offset = found.offset
                    answer.timestamp = found.timestamp
                }
            case 0...:
                if let found = try log.offset(at: asked.timestamp, budget) {
                    answer.offset = found.offset
                    answer.timestamp = found.timestamp
                }
            default: answer.error = .invalidRequest
            }
        } catch {
            answer.error = error.code
        }
        return answer
    }

    /// Moves the start of logs forward, for good.
    func deleteRecords(_ request: DeleteRecordsRequest) -> DeleteRecordsResponse {
        // Each has to be on the disk before the next, so a partition gets one a request.
        var seen = Set<GroupPartition>()
        return DeleteRecordsResponse(
            topics: request.topics.map { topic in
                let served = topics[topic.name]
                return PerTopic(
                    name: topic.name,
                    partitions: topic.partitions.map { asked in
                        var answer = DeleteRecordsResponse.Partition(index: asked.index)
                        guard seen.insert(GroupPartition(topic: topic.name, partition: asked.index)).inserted else {
                            answer.error = .invalidRequest
                            return answer
                        }
                        guard let log = served?[asked.index]?.log else {
                            answer.error = .unknownTopicOrPartition
                            return answer
                        }
                        do throws(ReadFault) {
                            answer.lowWatermark = try log.deleteRecords(before: asked.offset)
                        } catch {
                            answer.error = error.code
                        }
                        return answer
                    })
            })
    }
}

extension ReadFault {
    var code: ErrorCode { ErrorCode(rawValue: rawValue) ?? .unknownServerError }
}
