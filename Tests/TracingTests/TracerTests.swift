import Model
import Synchronization
import Testing

@testable import Tracing

@Suite struct TracerTests {
    private let parent = TraceParent(trace: TraceID(high: 7, low: 9), span: 11, isSampled: true)

    private func tracer(_ sampler: Sampler = Sampler(perSecond: 1_000_000)) -> Tracer {
        var configuration = Tracer.Configuration()
        configuration.sampler = sampler
        return Tracer(configuration) { 1_000_000_000 }
    }

    @Test func aSpanIsWhatWasSaidOfIt() throws {
        let tracer = tracer()
        var span = tracer.begin("process orders", .consumer, below: parent)
        span.set("text", "first")
        span.set("text", "é")
        span.set("number", -1)
        span.set("flag", true)
        span.set("part", 0.5)
        span.link(parent)
        span.fail("no more", type: "Refusal")
        tracer.end(span)
        let read = try #require(ReadSpan.all(of: tracer).first)
        #expect(read.name == "process orders")
        #expect(read.trace == [0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 9])
        #expect(read.parent == [0, 0, 0, 0, 0, 0, 0, 11])
        #expect(read.id.count == 8 && read.id != read.parent)
        #expect(read.attributes["text"] == "é" && read.attributes["flag"] == "1")
        #expect(read.attributes["number"] == "\(UInt64.max)" && read.attributes["part"] == "fixed")
        #expect(read.attributes["error.type"] == "Refusal" && read.failure == "no more")
        #expect(read.links == 1)
    }

    @Test func whatNobodyKeepsCostsNothingAndIsPassedOn() {
        let tracer = tracer()
        let unkept = TraceParent(trace: parent.trace, span: parent.span, isSampled: false)
        func never() -> String {
            Issue.record("was asked for")
            return ""
        }
        var span = tracer.begin(never(), below: unkept)
        span.set("text", .text(never()))
        span.fail(never(), type: never())
        #expect(!span.isRecording)
        #expect(span.place == unkept)
        tracer.end(span)
        #expect(tracer.takeChunk() == nil)
    }

    @Test func partsOfTracesAreKept() {
        for (ratio, expected) in [(0.0, 0...0), (0.25, 2000...3000), (1.0, 10_000...10_000)] {
            let tracer = tracer(Sampler(ratio: ratio, perSecond: 1_000_000))
            let kept = (0..<10_000).count { _ in tracer.begin("x").isRecording }
            #expect(expected.contains(kept), "\(ratio) keeps \(kept) of 10000")
        }
        #expect(Sampler(ratio: .nan).ratio == 0)
        #expect(Sampler(ratio: .infinity).ratio == 1)
        #expect(Sampler(ratio: -1).ratio == 0)
        // The largest below 1 is no overflow.
        #expect(Sampler(ratio: 1.0.nextDown).keeps(TraceID(high: 0, low: 1)))
    }

    @Test func whatOthersDecidedCountsUnlessTheNumberIsTo() {
        let (never, byNumber) = (
            tracer(Sampler(ratio: 0)), tracer(Sampler(ratio: 0.5, isParentBased: false, perSecond: 1_000_000))
        )
        #expect(never.begin("x", below: parent).isRecording)
        #expect(!never.begin("x").isRecording)
        let (low, high) = (
            TraceParent(trace: TraceID(high: 1, low: 1), span: 1, isSampled: false),
            TraceParent(trace: TraceID(high: 1, low: .max), span: 1, isSampled: true)
        )
        #expect(byNumber.begin("x", below: low).place.isSampled)
        #expect(!byNumber.begin("x", below: high).place.isSampled)
        #expect(byNumber.begin("x", below: high).place.trace == high.trace)
    }

    /// However much comes, a second begins only so many traces; what others began is not counted.
    @Test func aSecondBeginsSoManyTraces() {
        let seconds = Atomic<Int64>(5)
        var configuration = Tracer.Configuration()
        configuration.sampler = Sampler(perSecond: 3)
        let tracer = Tracer(configuration) { seconds.load(ordering: .relaxed) * 1_000_000_000 }
        #expect((0..<10).count { _ in tracer.begin("x").isRecording } == 3)
        #expect((0..<10).count { _ in tracer.begin("x", below: parent).isRecording } == 10)
        #expect(tracer.figures.limited == 7)
        seconds.add(1, ordering: .relaxed)
        #expect((0..<10).count { _ in tracer.begin("x").isRecording } == 3)
    }

    /// What comes from outside counts as what begins here, in one second together; beyond that it goes on unkept.
    @Test func whatEntersIsLimitedToo() {
        let seconds = Atomic<Int64>(5)
        var configuration = Tracer.Configuration()
        configuration.sampler = Sampler(perSecond: 3)
        let tracer = Tracer(configuration) { seconds.load(ordering: .relaxed) * 1_000_000_000 }
        #expect(tracer.begin("x").isRecording)
        let entered = (0..<10).map { _ in
            let span = tracer.begin("x", entering: parent)
            return (span.isRecording, span.place)
        }
        #expect(entered.count { $0.0 } == 2)
        let unkept = TraceParent(trace: parent.trace, span: parent.span, isSampled: false)
        #expect(entered.filter { !$0.0 }.allSatisfy { $0.1 == unkept })
        #expect(tracer.figures.limited == 8)
        seconds.add(1, ordering: .relaxed)
        // One that is not to be kept takes nobody's place, and one that brings nothing begins a trace.
        #expect((0..<10).count { _ in tracer.begin("x", entering: unkept).isRecording } == 0)
        #expect((0..<10).count { _ in tracer.begin("x", entering: nil).isRecording } == 3)
        #expect(!tracer.unkept(below: parent).isRecording)
    }

    @Test func aSpanHoldsOnlySoMuch() throws {
        let tracer = tracer()
        var span = tracer.begin(String(repeating: "é", count: 2000))
        for number in 0..<100 { span.set("a\(number)", .text(String(repeating: "x", count: 5000))) }
        for _ in 0..<200 { span.link(parent) }
        tracer.end(span)
        let read = try #require(ReadSpan.all(of: tracer).first)
        #expect(read.name == String(repeating: "é", count: 512))
        #expect(read.attributes.count == Span.mostAttributes && read.dropped.attributes == 36)
        #expect(read.attributes.values.allSatisfy { $0.utf8.count == Span.longestText })
        #expect(read.links == Span.mostLinks && read.dropped.links == 72)
        // Four bytes a character, so that the limit falls into one.
        #expect(Span.cut("a" + String(repeating: "🚢", count: 300)) == "a" + String(repeating: "🚢", count: 255))
    }

    /// Nobody takes anything: the buffer is full at some time, and what comes then is counted.
    @Test func theBufferIsBoundedAndTellsWhatItLost() {
        let tracer = tracer()
        let text = String(repeating: "x", count: Span.longestText)
        var ended = 0
        while tracer.figures.lost.isEmpty {
            var span = tracer.begin("x")
            for number in 0..<20 { span.set("a\(number)", .text(text)) }
            tracer.end(span)
            ended += 1
            guard ended < 10_000 else {
                Issue.record("nothing is lost")
                return
            }
        }
        #expect(tracer.figures.waitingBytes <= 8 << 20)
        #expect(tracer.figures.lost == [.full: 1])
        // What was taken is paid back when it is over, and only then.
        let chunk = tracer.takeChunk()
        tracer.end(tracer.begin("y"))
        if let chunk { tracer.release(chunk, unwanted: Int.max) }
        #expect(tracer.figures.lost[.refused] == chunk?.count)
        #expect(tracer.figures.waitingBytes < 8 << 20)
        let read = ReadSpan.all(of: tracer)
        #expect(tracer.figures.waitingBytes == 0)
        #expect(read.count + (chunk?.count ?? 0) + (tracer.figures.lost[.full] ?? 0) == ended + 1)
    }

    @Test func anErrorIsTheSpansOwn() async throws {
        struct Broken: Error {}
        let tracer = tracer()
        await #expect(throws: Broken.self) {
            try await tracer.withSpan("look", below: parent) { _ in throw Broken() }
        }
        #expect(await tracer.withSpan("see", below: parent) { $0.place.trace } == parent.trace)
        let read = ReadSpan.all(of: tracer)
        #expect(read.map(\.name) == ["look", "see"])
        #expect(read[0].attributes["error.type"] == "Broken" && read[1].failure == nil)
    }
}
