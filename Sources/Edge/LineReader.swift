internal import Glibc
internal import HTTP
internal import JSON
internal import Kafka
internal import Model
internal import Platform
internal import Synchronization
internal import WebAPI

/// Publishes a body of lines, one event each, while it comes.
///
/// Lines are gathered into batches that go to the producer; when too much of them is under way, of this stream or of all,
/// the connection waits, so that a body of any length takes the same memory and leaves room for others. The answer is given when the last batch is acknowledged, because the
/// server library sends none before the body has ended. Once the log has failed, nothing more is published, and the
/// answer says from which line on to send again.
final class LineReader: BodyReader, @unchecked Sendable {
    // Unchecked: what is not in the lock belongs to the server's thread, which calls `take` and `end`.
    private let publisher: Publisher
    private let topic: EdgeTopic
    private let share: StreamShare
    private let hasKey: Bool
    private var exchange: Exchange?
    private var context: PublishContext
    private let gunzip: Gunzip?
    private var unfinished: [UInt8] = []
    /// The rest of a line that is too long is skipped.
    private var isSkipping = false
    /// The number of the line that comes next, from 0.
    private var line = 0
    private var block = LineBlock()
    private var batch = OutgoingBatch()
    /// What the batch has room for, once one has become full: those after it are not grown piece by piece.
    private var room = (records: 0, headers: 0, bytes: 0)
    /// The lines that the batch's records were in.
    private var lines: [Int] = []
    private let state = Mutex(State())

    private struct State {
        var accepted = 0
        var rejected = 0
        var refusals: [(line: Int, text: String)] = []
        var refusalBytes = 0
        var bytesUnderWay = 0
        var batchesUnderWay = 0
        var isPaused = false
        /// From how many bytes under way on it waits, as of the last look.
        var window = 0
        var hasEnded = false
        /// What the log said, and the first line that it does not have.
        var failure: Problem?
        var firstLost = Int.max
    }

    /// What the parser takes at once: larger ones leave the processor's cache.
    private static let blockBytes = 32 << 10
    /// What goes to the producer at once. With many streams at work larger ones leave the cache before they are sent.
    static let batchBytes = 64 << 10
    private static let batchRecords = 2000

    init(
        _ publisher: Publisher, _ share: StreamShare, _ context: PublishContext, isGzip: Bool
    ) throws(Gunzip.Fault) {
        self.publisher = publisher
        self.share = share
        topic = context.topic
        self.context = context
        hasKey = context.key != nil
        gunzip = isGzip ? try Gunzip() : nil
    }

    // MARK: On the server's thread

    func take(_ piece: RawSpan, _ exchange: Exchange) -> Int {
        if state.withLock({ $0.failure != nil }) {
            giveUp(exchange)
            return piece.byteCount
        }
        self.exchange = exchange
        context = PublishContext(
            topic, caller: context.caller, now: Time.wallMilliseconds, traceParent: context.traceParent,
            key: context.key, trace: context.trace)
        var taken = piece.byteCount
        if let gunzip {
            do throws(Gunzip.Fault) {
                var plainBytes = 0
                taken = try gunzip.take(piece) { plain in
                    split(plain)
                    plainBytes += plain.byteCount
                    return plainBytes < Self.batchBytes
                }
            } catch { fail(Self.problem(error)) }
        } else {
            split(piece)
        }
        if !exchange.keep(kept) { fail(Self.overload) }
        // Asked for first and taken back, so that a report that comes in between is not missed.
        exchange.pause()
        let window = share.window
        let mustWait = state.withLock { state in
            state.window = window
            state.isPaused = state.bytesUnderWay > window
            return state.isPaused
        }
        if !mustWait, !share.mustWait({ exchange.resume() }) { exchange.resume() }
        return taken
    }

    /// What it keeps until the next piece comes.
    private var kept: Int {
        (gunzip == nil ? 0 : Gunzip.memory) + unfinished.capacity + block.text.capacity
            + max(batch.byteCount, room.bytes) + lines.count * 256
    }

    /// Nothing more is published: what was kept for that goes.
    private func giveUp(_ exchange: Exchange) {
        (unfinished, isSkipping, block, batch, lines) = ([], false, LineBlock(), OutgoingBatch(), [])
        _ = exchange.keep(0)
        exchange.ignoreRest()
    }

    /// What a request is told whose body there is no memory for.
    static let overload = Problem(503, "too many bytes are under way: send this again later", retryAfter: 1)

    func end(_ exchange: Exchange) {
        if let gunzip, !gunzip.isAtEnd { fail(Self.problem(.notGzip)) }
        if state.withLock({ $0.failure != nil }) { giveUp(exchange) }
        if !unfinished.isEmpty || isSkipping { finishLine() }
        publishBlock()
        submit(exchange)
        let isDone = state.withLock { state in
            state.hasEnded = true
            return state.batchesUnderWay == 0
        }
        if isDone { answer(exchange) }
    }

    static func problem(_ fault: Gunzip.Fault) -> Problem {
        switch fault {
        case .notGzip: Problem(400, "the body is not what content-encoding says: gzip")
        case .bomb: Problem(413, "the body is a hundred times as large as its gzip: too much")
        }
    }

    private func split(_ piece: RawSpan) {
        var start = 0
        unsafe piece.withUnsafeBytes { bytes in
            while start < bytes.count {
                guard let end = unsafe Self.newline(bytes, from: start) else { break }
                let text = unsafe UnsafeRawBufferPointer(rebasing: bytes[start..<end])
                if unfinished.isEmpty, !isSkipping {
                    add(unsafe RawSpan(_unsafeBytes: text))
                } else {
                    unsafe keep(text)
                    finishLine()
                }
                start = end + 1
            }
            if start < bytes.count { unsafe keep(UnsafeRawBufferPointer(rebasing: bytes[start...])) }
        }
        publishBlock()
    }

    private static func newline(_ bytes: UnsafeRawBufferPointer, from start: Int) -> Int? {
        guard let base = bytes.baseAddress, let found = unsafe memchr(base + start, 10, bytes.count - start) else {
            return nil
        }
        return unsafe UnsafeRawPointer(found) - base
    }

    /// Keeps a part of a line until the rest comes.
    private func keep(_ part: UnsafeRawBufferPointer) {
        guard !isSkipping else { return }
        // A line may have spaces around its event; more than a few are no event.
        if part.count > topic.eventLimit + 1024 - unfinished.count {
            isSkipping = true
            unfinished = []
        } else {
            unsafe unfinished.append(contentsOf: part)
        }
    }

    private func finishLine() {
        if isSkipping {
            publishBlock()
            refuse("the event has more than the \(topic.eventLimit) bytes allowed")
            line += 1
        } else {
            unsafe add(unfinished.span.bytes)
        }
        isSkipping = false
        // A long line is seldom followed by another.
        unfinished.removeAll(keepingCapacity: unfinished.capacity <= Self.blockBytes)
    }

    /// Adds a line to the block, or publishes a line by itself that is too long for one.
    private func add(_ text: RawSpan) {
        if Self.isBlank(text) { return line += 1 }
        if text.byteCount > Self.blockBytes {
            publishBlock()
            publish(text)
            return line += 1
        }
        if block.text.count + text.byteCount > Self.blockBytes { publishBlock() }
        block.append(text, line)
        line += 1
    }

    /// Publishes the lines of the block.
    private func publishBlock() {
        guard !block.isEmpty else { return }
        let next = line
        var known = 0
        if block.count > 1, let document = block.parsed {
            for (place, (value, range)) in zip(document.root.elements, document.root.elementRanges).enumerated() {
                // A line that is no value by itself may be one together with its neighbours: no line of this is that.
                guard place < block.count, block.holds(range, place) else { break }
                line = block.lines[place]
                publish(value, range)
                known += 1
            }
        }
        for place in known..<block.count {
            line = block.lines[place]
            block.withLine(place) { publish($0) }
        }
        block.removeAll()
        line = next
    }

    private func publish(_ text: RawSpan) {
        do throws(JSONFault) {
            let value = try JSONDocument(parsing: text, limit: topic.eventLimit + 1024).root
            publish(value, value.sourceRange)
        } catch { refuse(EventRefusal(error).text) }
    }

    private func publish(_ value: JSONValue, _ source: Range<Int>) {
        if batch.isEmpty, room.bytes > 0 {
            batch.reserveCapacity(records: room.records, headers: room.headers, bytes: room.bytes)
        }
        do throws(EventRefusal) {
            _ = try EventList.append(value, source, .plain, context, line, to: &batch)
            lines.append(line)
        } catch { refuse(error.text) }
        if batch.byteCount >= Self.batchBytes || batch.count >= Self.batchRecords, let exchange { submit(exchange) }
    }

    private static func isBlank(_ text: RawSpan) -> Bool {
        unsafe text.withUnsafeBytes { unsafe $0.allSatisfy { $0 == 32 || $0 == 9 || $0 == 13 } }
    }

    private func refuse(_ reason: String) { refuse(reason, at: line) }

    private func refuse(_ reason: String, at number: Int) {
        state.withLock { state in
            state.rejected += 1
            state.refusalBytes += reason.utf8.count
            guard state.refusals.count < Limits.toldRefusals, state.refusalBytes <= Limits.toldRefusalBytes else {
                return
            }
            state.refusals.append((number, reason))
        }
    }

    private func fail(_ problem: Problem) {
        let number = lines.first ?? line
        state.withLock { state in
            if state.failure == nil { state.failure = problem }
            state.firstLost = min(state.firstLost, number)
        }
    }

    /// Hands over what was gathered.
    private func submit(_ exchange: Exchange) {
        guard !batch.isEmpty else { return }
        let (full, numbers) = (batch, lines)
        let traced = context.trace?.takeEvents() ?? []
        // A single large event says nothing of the next ones.
        if full.byteCount < 2 * Self.batchBytes {
            room = (
                full.count + full.count / 8, full.headers.count + full.headers.count / 8, full.byteCount + (4 << 10)
            )
        }
        batch = OutgoingBatch()
        lines = []
        let isFirst: Bool? = state.withLock { state in
            guard state.failure == nil else { return nil }
            state.bytesUnderWay += full.byteCount
            state.batchesUnderWay += 1
            return state.batchesUnderWay == 1
        }
        guard let isFirst else { return }
        share.take(full.byteCount, isFirst: isFirst)
        do throws(KafkaFault) {
            try publisher.producer.enqueue(full) { [self, trace = context.trace] report in
                trace?.end(traced, report)
                topic.heard(report)
                reported(report, numbers, full.byteCount, exchange)
            }
        } catch {
            context.trace?.end(traced, error)
            let problem = Publisher.problem(error, topic)
            let isLast = state.withLock { state in
                state.bytesUnderWay -= full.byteCount
                state.batchesUnderWay -= 1
                if state.failure == nil { state.failure = problem }
                state.firstLost = min(state.firstLost, numbers[0])
                return state.batchesUnderWay == 0
            }
            share.give(full.byteCount, isLast: isLast)
        }
    }

    // MARK: On the producer's thread

    private func reported(_ report: DeliveryReport, _ numbers: [Int], _ bytes: Int, _ exchange: Exchange) {
        let all = report.failures
        // Sending those again would not help: they are refused, and the others are not.
        let tooLarge = all.filter { $0.fault.kind == .tooLarge }
        for failure in tooLarge { refuse(Publisher.tooLarge(topic), at: numbers[failure.index]) }
        let failures = tooLarge.isEmpty ? all : all.filter { $0.fault.kind != .tooLarge }
        let problem = failures.first.map { Publisher.problem($0.fault, topic) }
        let (mayReadOn, isLast, isDone) = state.withLock { state in
            state.accepted += report.count - all.count
            state.bytesUnderWay -= bytes
            state.batchesUnderWay -= 1
            if let problem {
                if state.failure == nil { state.failure = problem }
                state.firstLost = min(state.firstLost, failures.map { numbers[$0.index] }.min() ?? .max)
            }
            let mayReadOn = state.isPaused && state.bytesUnderWay <= state.window / 2
            if mayReadOn { state.isPaused = false }
            return (mayReadOn, state.batchesUnderWay == 0, state.hasEnded && state.batchesUnderWay == 0)
        }
        share.give(bytes, isLast: isLast)
        if mayReadOn, !share.mustWait({ exchange.resume() }) { exchange.resume() }
        // What there is to tell may be long, and everybody's acknowledgements come by this thread.
        if isDone { Task { answer(exchange) } }
    }

    private func answer(_ exchange: Exchange) {
        let (accepted, rejected, refusals, failure, firstLost) = state.withLock {
            ($0.accepted, $0.rejected, $0.refusals, $0.failure, $0.firstLost)
        }
        let write: @Sendable (inout JSONWriter) -> Void = { json in
            json.member("accepted", accepted)
            json.member("rejected", rejected)
            // Of a failure: what stands before is in the log, or refused.
            if failure != nil { json.member("next", firstLost) }
            json.array("results") { list in
                for refusal in refusals {
                    list.object { json in
                        json.member("index", refusal.line)
                        json.member("error", refusal.text)
                    }
                }
            }
        }
        if var failure {
            // Ids follow from places in a request: those of another that begins at `next` would be the first lines' again.
            if hasKey {
                failure.detail += ". Under this Idempotency-Key send all lines again; from `next` on takes another key"
            }
            failure.more = write
            return exchange.answer(failure.response)
        }
        exchange.answer(EventList.response(accepted: accepted, refused: rejected, write))
    }
}
