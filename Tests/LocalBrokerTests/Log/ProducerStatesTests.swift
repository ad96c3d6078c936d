import Testing

@testable import LocalBroker

@Suite struct ProducerStatesTests {
    private func header(
        _ id: Int64 = 1, epoch: Int16 = 0, sequence: Int32, count: Int = 1, offset: Int64 = 0
    ) -> RecordBatchHeader {
        var builder = RecordBatchBuilder(count: count).idempotent(id, epoch: epoch, sequence: sequence)
        builder.baseOffset = offset
        return unsafe builder.bytes().withUnsafeBytes { unsafe RecordBatchHeader($0) }
    }

    private func states(_ headers: RecordBatchHeader..., now: Int64 = 0) -> ProducerStates {
        var states = ProducerStates()
        for header in headers { states.note(header, now: now) }
        return states
    }

    @Test func acceptsWhatFollows() throws {
        let states = states(header(sequence: 0, count: 3))
        #expect(try states.judge(header(sequence: 3)) == .next)
        #expect(throws: AppendFault.outOfOrderSequence) { try states.judge(header(sequence: 4)) }
        #expect(throws: AppendFault.outOfOrderSequence) { try states.judge(header(sequence: 2)) }
    }

    @Test func acceptsAnyStartOfAnUnknownProducer() throws {
        #expect(try ProducerStates().judge(header(sequence: 1234)) == .next)
        #expect(try states(header(7, sequence: 0)).judge(header(8, sequence: 5)) == .next)
    }

    @Test func recognisesTheLastFive() throws {
        var states = ProducerStates()
        for index in 0..<7 {
            states.note(header(sequence: Int32(index * 2), count: 2, offset: Int64(index * 10)), now: 0)
        }
        for index in 2..<7 {
            let known = ProducerStates.Batch(
                firstSequence: Int32(index * 2), lastSequence: Int32(index * 2 + 1), baseOffset: Int64(index * 10),
                lastOffset: Int64(index * 10 + 1))
            #expect(try states.judge(header(sequence: Int32(index * 2), count: 2)) == .duplicate(known))
        }
        #expect(throws: AppendFault.outOfOrderSequence) { try states.judge(header(sequence: 2, count: 2)) }
        // Not the same batch, though it begins like one.
        #expect(throws: AppendFault.outOfOrderSequence) { try states.judge(header(sequence: 12, count: 3)) }
        #expect(throws: AppendFault.outOfOrderSequence) { try states.judge(header(sequence: 12, count: 1)) }
    }

    @Test func fencesOlderEpochsAndStartsNewOnesAtZero() throws {
        var states = states(header(epoch: 4, sequence: 0, count: 10))
        #expect(throws: AppendFault.invalidProducerEpoch) { try states.judge(header(epoch: 3, sequence: 10)) }
        #expect(throws: AppendFault.outOfOrderSequence) { try states.judge(header(epoch: 5, sequence: 10)) }
        #expect(try states.judge(header(epoch: 5, sequence: 0, count: 10)) == .next)
        states.note(header(epoch: 5, sequence: 0, count: 10, offset: 50), now: 0)
        #expect(throws: AppendFault.invalidProducerEpoch) { try states.judge(header(epoch: 4, sequence: 0, count: 10)) }
        #expect(try states.judge(header(epoch: 5, sequence: 10)) == .next)
    }

    @Test func goesAroundTheLargestSequence() throws {
        let exact = states(header(sequence: Int32.max - 1, count: 2))
        #expect(try exact.judge(header(sequence: 0)) == .next)
        let across = states(header(sequence: Int32.max - 1, count: 4))
        #expect(try across.judge(header(sequence: 2)) == .next)
        #expect(throws: AppendFault.outOfOrderSequence) { try across.judge(header(sequence: 3)) }
    }

    @Test func forgetsTheIdle() throws {
        var states = ProducerStates()
        states.note(header(1, sequence: 0), now: 0)
        states.note(header(2, sequence: 0), now: 1000)
        states.expire(now: ProducerStates.idleLimit + 1)
        #expect(states.producers.keys.sorted() == [2])
        #expect(try states.judge(header(1, sequence: 9)) == .next)
    }

    @Test func isBounded() {
        var states = ProducerStates()
        for id in 0..<Int64(ProducerStates.largestCount + 1) { states.note(header(id, sequence: 0), now: id) }
        #expect(states.producers.count <= ProducerStates.largestCount)
        #expect(states.producers[0] == nil, "the longest idle goes")
        #expect(states.producers[Int64(ProducerStates.largestCount)] != nil)
    }

    @Test func survivesItsSnapshot() throws {
        var states = ProducerStates()
        for index in 0..<7 { states.note(header(3, epoch: 2, sequence: Int32(index), offset: Int64(index)), now: 99) }
        states.note(header(4, sequence: 5, count: 6, offset: 40), now: 100)
        let bytes = states.encoded()
        var reader = ByteReader(bytes[...])
        let copy = try #require(ProducerStates(&reader))
        #expect(copy.encoded().count == bytes.count)
        #expect(copy.producers[3]?.epoch == 2)
        #expect(copy.producers[3]?.lastUsed == 99)
        #expect(try copy.judge(header(3, epoch: 2, sequence: 7)) == .next)
        #expect(
            try copy.judge(header(4, sequence: 5, count: 6)) == (try states.judge(header(4, sequence: 5, count: 6))))
        for count in 0..<bytes.count {
            var short = ByteReader(bytes[..<count])
            #expect(ProducerStates(&short) == nil, "\(count) bytes")
        }
    }
}
