import Glibc
import Synchronization
import TestSupport
import Testing

@testable import LocalBroker

/// Clients that do what none should. Each time the broker has to go on serving the others, and to hold no more than its
/// limits say.
@Suite(.inTurns) struct HostileClientTests {
    /// Limits small enough to be reached.
    private func smallBed() -> BrokerBed {
        var bed = BrokerBed()
        bed.configuration.durability = .never
        bed.configuration.limits.connections = 20
        bed.configuration.limits.partitions = 60
        bed.configuration.limits.unfinishedRequestBytes = 2 << 20
        bed.configuration.limits.queuedOutputBytes = 1 << 20
        bed.configuration.limits.stallMilliseconds = 150
        bed.configuration.housekeeping.everyMilliseconds = 30
        return bed
    }

    @Test func aFloodOfRequestsIsAnsweredToTheLast() throws {
        // With nothing that runs by the clock: what is left lying would lie for an hour.
        try BrokerBed().run { broker in
            let client = try broker.client()
            #expect(try client.createTopic("t") == 0)
            var flood: [UInt8] = []
            for number in 0..<1000 {
                let batch = TestBatch.bytes(BatchID(producer: 1, sequence: Int32(number)), valueBytes: 10)
                let body = RawClient.produceBody("t", 0, batch)
                flood += RawClient.frame(0, 3, Int32(number), body)
            }
            try client.send(flood)
            for number in 0..<1000 {
                let answer = try client.answer(to: Int32(number))
                #expect(try RawClient.produced(answer) == RawClient.Produced(error: 0, offset: Int64(number)))
            }
        }
    }

    @Test func whoTakesNoAnswersCostsLittleAndIsClosed() throws {
        var bed = smallBed()
        bed.configuration.limits.stallMilliseconds = 600_000
        try bed.run { broker in
            let honest = try broker.client()
            #expect(try honest.createTopic("t", partitions: 40) == 0)
            for sequence in 0..<40 {
                let batch = TestBatch.bytes(BatchID(producer: 1, sequence: Int32(sequence)), valueBytes: 250_000)
                #expect(try honest.produce("t", 0, batch).error == 0)
            }
            let slow = try broker.client(receiveBuffer: 4096)
            let fetch = RawClient.fetchBody("t", [(0, 0)], maxWait: 0, maxBytes: 8 << 20)
            for _ in 0..<500 {
                let frame = RawClient.frame(1, 4, 1, fetch) + RawClient.frame(3, 0, 2, WireBody { $0.int32(0) })
                guard try slow.sendWhatFits(frame) == frame.count else { break }
            }
            try eventually("the answers wait") { broker.outputBytes > 0 }
            for _ in 0..<100 { try honest.ping() }
            // One answer may go over the limit.
            #expect(broker.outputBytes <= (1 << 20) + (9 << 20))
            #expect(broker.heldBytes <= 2 << 20)
        }
        bed.configuration.limits.stallMilliseconds = 100
        try bed.run { broker in
            let slow = try broker.client(receiveBuffer: 4096)
            try slow.send(RawClient.frame(1, 4, 1, RawClient.fetchBody("t", [(0, 0)], maxWait: 0, maxBytes: 8 << 20)))
            try eventually("it is closed") { broker.lines.contains("nor took its answers") }
            try broker.client().ping()
        }
    }

    @Test func whoStopsInTheMiddleOfARequestIsClosed() throws {
        try smallBed().run { broker in
            try broker.client().ping()
            let silent = try broker.client()
            try silent.send([1, 0, 0, 0])
            try silent.waitUntilClosed()
            try eventually("it is told") { broker.lines.contains("neither finished its request") }
            // Never silent for long, and never done.
            let trickling = try broker.client()
            try trickling.send([1, 0, 0, 0])
            #expect(throws: RawClientFault.closed) {
                while true {
                    try trickling.send([0])
                    usleep(5000)
                }
            }
            try broker.client().ping()
            try eventually("nothing is held") { broker.heldBytes == 0 }
        }
    }

    @Test func announcedBytesTakeNothingFromOthers() throws {
        var bed = smallBed()
        bed.configuration.limits.stallMilliseconds = 600_000
        try bed.run { broker in
            let honest = try broker.client()
            #expect(try honest.createTopic("t") == 0)
            // Ten times what all may hold, announced.
            let liars = try (0..<10).map { _ in try broker.client() }
            for liar in liars { try liar.send([1, 0x80, 0, 0]) }
            // And nearly all of it, sent.
            let greedy = try broker.client()
            try greedy.send([1, 0x80, 0, 0] + [UInt8](repeating: 0, count: 1_500_000))
            try eventually("it is held") { broker.heldBytes > 1_500_000 }
            let batch = TestBatch.bytes(BatchID(producer: 1, sequence: 0), valueBytes: 900_000)
            let frame = RawClient.frame(0, 3, 7, RawClient.produceBody("t", 0, batch))
            try honest.send(Array(frame[..<800_000]))
            try greedy.waitUntilClosed()
            try eventually("it is told") { broker.lines.contains("too many unfinished requests") }
            try honest.send(Array(frame[800_000...]))
            #expect(try RawClient.produced(try honest.answer(to: 7)).error == 0)
        }
    }

    @Test func tooManyConnectionsAreTurnedAway() throws {
        try smallBed().run { broker in
            var clients = try (0..<20).map { _ in try broker.client() }
            for client in clients { try client.ping() }
            try broker.client().waitUntilClosed()
            try eventually("it is told") { broker.lines.contains("too many connections") }
            for client in clients { try client.ping() }
            clients.removeLast().close()
            try eventually("there is room") { broker.connections == 19 }
            try broker.client().ping()
        }
    }

    @Test(arguments: [
        ("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "this is HTTP"),
        ("POST /v1/events HTTP/1.1\r\n\r\n", "this is HTTP"),
        ("\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}\u{0}\u{1}\u{fc}", "this is TLS"),
        ("EHLO somebody\r\n", "not a request of Kafka's protocol"),
    ])
    func anotherProtocolIsToldApartInOneLine(_ said: String, _ expected: String) throws {
        try smallBed().run { broker in
            let client = try broker.client()
            try client.send(Array(said.unicodeScalars.map { UInt8(truncatingIfNeeded: $0.value) }))
            try client.waitUntilClosed()
            #expect(broker.lines.all.filter { $0.contains("connection closed") && $0.contains(expected) }.count == 1)
            try broker.client().ping()
        }
    }

    @Test func hangingUpAnywhereInAnyRequestDisturbsNobody() throws {
        try smallBed().run { broker in
            let honest = try broker.client()
            for vector in GoldenVector.requests {
                let frame = RawClient.framed(vector.bytes)
                for count in [2, frame.count / 2, frame.count] {
                    let client = try broker.client()
                    try client.send(Array(frame[..<count]))
                    if count % 2 == 0 { client.close() } else { client.reset() }
                }
                try honest.ping()
                // The limit on connections is low: those that hung up must be seen to go.
                try eventually("they are gone") { broker.connections <= 1 }
            }
            try eventually("nothing is held") { broker.heldBytes == 0 && broker.outputBytes == 0 }
        }
    }

    @Test(arguments: TestDice.seeds(3)) func whateverBytesComeOthersAreServed(_ seed: UInt64) throws {
        var dice = TestDice(seed: seed)
        try smallBed().run { broker in
            let honest = try broker.client()
            #expect(try honest.createTopic("t") == 0)
            for round in 0..<80 {
                let hostile = try broker.client()
                for _ in 0..<25 {
                    do {
                        if try hostile.sendWhatFits(Self.noise(&dice)) == 0 { break }
                    } catch {
                        break
                    }
                }
                if dice.chance(50) { hostile.reset() } else { hostile.close() }
                try honest.ping()
                if round % 10 == 0 {
                    let batch = TestBatch.bytes(BatchID(producer: 1, sequence: Int32(round)), valueBytes: 10)
                    // A mutated request may have removed the topic.
                    #expect([0, 3, 45].contains(try honest.produce("t", 0, batch).error), "FLOTILLA_SEED=\(seed)")
                }
                #expect(broker.heldBytes <= 3 << 20, "FLOTILLA_SEED=\(seed)")
            }
            try eventually("they are gone") { broker.connections == 1 && broker.heldBytes == 0 }
        }
    }

    /// A request with something wrong about it, or nothing like a request.
    private static func noise(_ dice: inout TestDice) -> [UInt8] {
        guard var frame = GoldenVector.requests.randomElement(using: &dice)?.bytes else { return [] }
        switch Int.random(in: 0..<10, using: &dice) {
        case 0: return (0..<Int.random(in: 1...100, using: &dice)).map { _ in UInt8.random(in: 0...255, using: &dice) }
        case 1: return RawClient.framed(Array(frame.prefix(Int.random(in: 0..<frame.count, using: &dice))))
        case 2: return RecordBatchBuilder.integer(UInt32.random(in: 0 ... .max, using: &dice)) + frame
        default:
            for _ in 0..<Int.random(in: 1...3, using: &dice) {
                let position = Int.random(in: frame.indices, using: &dice)
                switch Int.random(in: 0..<3, using: &dice) {
                case 0: frame[position] = UInt8.random(in: 0...255, using: &dice)
                case 1: frame.insert(UInt8.random(in: 0...255, using: &dice), at: position)
                default: if frame.count > 1 { frame.remove(at: position) }
                }
            }
            return RawClient.framed(frame)
        }
    }

    @Test func aNameRepeatedIsAnsweredOnce() throws {
        try smallBed().run { broker in
            let client = try broker.client()
            #expect(try client.createTopic("t", partitions: 50) == 0)
            let names = [String](repeating: "t", count: 20_000)
            let metadata = WireBody {
                $0.array(names) { $0.string($1) }
                $0.int8(0)
            }
            try client.request(3, 4, metadata)
            #expect(Int(try AnswerReader(try client.receive(4)).length()) < 10_000)
        }
    }

    @Test func aFetchThatNamesAPartitionThousandsOfTimesStopsNobody() throws {
        try BrokerBed().run { broker in
            let client = try broker.client()
            #expect(try client.createTopic("t") == 0)
            let hostile = try broker.client()
            let asked = [(partition: Int32, offset: Int64)](repeating: (0, 0), count: 20_000)
            for _ in 0..<20 {
                try hostile.request(1, 4, RawClient.fetchBody("t", asked, maxWait: 60_000, minBytes: 1_000_000))
            }
            try hostile.request(18, 0, WireBody())
            let batch = TestBatch.bytes(BatchID(producer: 1, sequence: 0), valueBytes: 10)
            #expect(try client.produce("t", 0, batch).error == 0)
            #expect(try client.deleteTopic("t") == 0)
            for _ in 0..<20 { _ = try hostile.answer() }
        }
    }
}

extension AnswerReader {
    fileprivate func length() throws -> Int32 {
        var copy = self
        return try copy.int32()
    }
}
