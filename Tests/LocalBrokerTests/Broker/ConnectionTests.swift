import Glibc
import TestSupport
import Testing

@testable import LocalBroker

/// One end of a socket pair as a connection, the other as its client: what was sent has arrived when `receive` looks.
@safe private final class ConnectionBed {
    let connection: Connection
    let client: Int32
    private(set) var frames: [[UInt8]] = []
    private let scratch = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 16, alignment: 16)

    init(_ limits: BrokerLimits = BrokerLimits()) throws {
        var ends: [Int32] = [0, 0]
        let code = unsafe socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &ends)
        try #require(code == 0)
        client = ends[0]
        makeNonBlocking(ends[1])
        connection = Connection(id: 1, descriptor: ends[1], peer: "test", limits: limits, now: 0) { _ in }
    }

    deinit {
        connection.close()
        close(client)
        unsafe scratch.deallocate()
    }

    func send(_ bytes: [UInt8], at now: Int64 = 0) {
        let count = unsafe write(client, bytes, bytes.count)
        #expect(count == bytes.count)
        unsafe connection.receive(scratch: scratch, now: now) { input in
            if case .frame(let frame) = unsafe input { unsafe frames.append(Array(frame)) }
        }
    }
}

@Suite(.inTurns) struct ConnectionTests {
    @Test(arguments: 0...12) func aFrameIsTheSameHoweverItIsCut(_ cut: Int) throws {
        let bed = try ConnectionBed()
        let frames: [[UInt8]] = [[1, 2, 3, 4, 5], []]
        let bytes = frames.flatMap(RawClient.framed)
        bed.send(Array(bytes[..<cut]))
        bed.send(Array(bytes[cut...]))
        #expect(bed.frames == frames)
        #expect(bed.connection.heldBytes == 0)
    }

    @Test func bytesCountAsHeldWhenTheyHaveCome() throws {
        let bed = try ConnectionBed()
        bed.send([1, 0, 0, 0, 7])
        #expect(bed.connection.heldBytes == 5)
    }

    @Test func aByteNowAndThenDoesNotKeepAConnection() throws {
        var limits = BrokerLimits()
        limits.stallMilliseconds = 10_000
        let bed = try ConnectionBed(limits)
        bed.send([0, 0, 1, 0], at: 1000)
        for second in Int64(2)...9 { bed.send([0], at: second * 1000) }
        #expect(bed.connection.isWaitingForPeer)
        #expect((11_000...11_100).contains(bed.connection.patienceEnds))
        // As many bytes as milliseconds is all it takes.
        bed.send([UInt8](repeating: 0, count: 200), at: 10_000)
        #expect(bed.connection.patienceEnds > 11_200)
    }

    @Test func whoOwesNothingHasAllTime() throws {
        var limits = BrokerLimits()
        limits.stallMilliseconds = 10_000
        let bed = try ConnectionBed(limits)
        bed.send([0, 0, 0, 1, 1], at: 1000)
        #expect(!bed.connection.isWaitingForPeer)
        bed.send([0, 0], at: 500_000)
        #expect(bed.connection.isWaitingForPeer)
        #expect(bed.connection.patienceEnds >= 510_000)
    }

    @Test func anAnswerThatWaitsForAnEarlierOneCounts() throws {
        var limits = BrokerLimits()
        limits.queuedOutputBytes = 100
        let bed = try ConnectionBed(limits)
        let (first, second) = (bed.connection.expectAnswer(), bed.connection.expectAnswer())
        second.answer(OutgoingFrame(bytes: [UInt8](repeating: 0, count: 100)))
        #expect(!bed.connection.mayRead)
        first.answer(OutgoingFrame(bytes: [1]))
        #expect(bed.connection.send(now: 0))
        #expect(bed.connection.mayRead)
        #expect(bed.connection.outputBytes == 0)
    }

    @Test func aClosedConnectionIsGoneForWhoeverOwesItAnAnswer() throws {
        let bed = try ConnectionBed()
        let exchange = bed.connection.expectAnswer()
        bed.connection.close()
        #expect(exchange.connection == nil)
        exchange.answer(OutgoingFrame(bytes: [1]))
        #expect(bed.connection.outputBytes == 0)
    }
}
