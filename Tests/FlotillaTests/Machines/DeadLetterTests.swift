import Contracts
import Flotilla
import Model
import Platform
import TestSupport
import Testing

@Suite struct CopyWriterTests {
    private static let family = TopicFamily("orders", "pricer")

    private func role(_ kind: TopicRole.Kind) -> TopicRole {
        TopicRole(family: Self.family, kind: kind, policy: ConsumerPolicy(handler: "pricer"))
    }

    private static func add(_ bytes: [UInt8]?, to builder: inout RecordArena.Builder) -> Int32 {
        guard let bytes else { return unsafe builder.append(nil) }
        return unsafe bytes.withUnsafeBytes { unsafe builder.append($0) }
    }

    /// A record as a consumer would give it.
    private func record(
        _ topic: TopicName = "orders", value: [UInt8]? = Array("body".utf8), key: [UInt8]? = [1], headers: [Header],
        timestamp: Int64 = 1_000_000
    ) -> Record {
        var builder = RecordArena.Builder(records: 1)
        for header in headers {
            let start = builder.byteCount
            let name = Self.add(Array(header.name.utf8), to: &builder)
            builder.add(RecordArena.HeaderEntry(start: start, counts: (name, Self.add(header.value, to: &builder))))
        }
        let start = builder.byteCount
        let keyCount = Self.add(key, to: &builder)
        let valueCount = Self.add(value, to: &builder)
        builder.add(
            RecordArena.Entry(
                topic: builder.intern(topic), partition: 3, offset: 42, timestamp: timestamp, start: start,
                counts: (keyCount, valueCount), headers: (0, Int32(headers.count))))
        return RecordBatch(builder.finish())[0]
    }

    private func report(_ state: RetryState, message: String = "no such customer 17") -> FailureReport {
        FailureReport(
            handler: "pricer", group: "flotilla.pricer", state: state, attempts: 4, errorType: "Missing",
            errorMessage: message, errorStack: String(repeating: "at somewhere\n", count: 2000), now: 2_000_000,
            worker: "w", build: "b", trace: nil)
    }

    private let foreign = [Header("ce_id", "1"), Header("x", [0xff, 0]), Header("x", "again"), Header("null", nil)]

    @Test func aRetryCopyKeepsTheRecordAndSaysOnceWhereItWas() throws {
        let first = record(headers: foreign + [Header("src-offset", "999"), Header("retry-attempt", "7")])
        // A source topic's headers are anybody's, so they are not believed.
        let state = RetryState(first, role: role(.source))
        #expect(state.source.offset == 42 && state.attempts == 0)
        let copy = CopyWriter.retry(
            of: first, to: "orders.pricer.retry.10s", tier: "10s", due: 12_000_000, countsAttempt: true, report(state))
        #expect(copy.key == [1] && copy.value == Array("body".utf8) && copy.partition == 3)
        #expect(Array(copy.headers.prefix(4)) == foreign)
        for name in Set(copy.headers.map(\.name)) where name != "x" {
            #expect(copy.headers.count { $0.name == name } == 1, "\(name)")
        }
        let again = record("orders.pricer.retry.10s", headers: copy.headers, timestamp: 11_990_000)
        let read = RetryState(again, role: role(.retry(.seconds(10))))
        #expect(read.attempts == 4 && read.source.offset == 42 && read.source.partition == 3)
        #expect(read.source.timestamp == 1_000_000 && read.firstFailed == 2_000_000)
        #expect(read.due == 12_000_000)
    }

    /// A forged due time can hold a partition no longer than its tier does.
    @Test func aDueTimeIsNeverBeyondItsTier() {
        for text in ["9999-01-01T00:00:00Z", "nonsense", "", "1970-01-01T00:00:00Z"] {
            let read = RetryState(
                record(headers: [Header("retry-due", text)], timestamp: 5000), role: role(.retry(.seconds(10))))
            #expect((read.due ?? .max) <= 15_000, "\(text)")
        }
    }

    @Test(arguments: TestDice.seeds(5)) func noHeaderTraps(seed: UInt64) {
        var dice = TestDice(seed: seed)
        let names = [
            "retry-attempt", "retry-due", "src-partition", "src-offset", "src-timestamp", "dlq-replays",
            "dlq-replay-job",
            "retry-first-failed", "ce_id", "ce_type", "ce_source", "traceparent", "content-type", "ce_specversion",
        ]
        for _ in 0..<2000 {
            let headers = (0..<Int.random(in: 0...12, using: &dice)).map { _ in
                let size = Int.random(in: 0...40, using: &dice)
                let isDigits = dice.chance(50)
                let value = (0..<size).map { _ in UInt8.random(in: isDigits ? 45...57 : 0...255, using: &dice) }
                return Header(names[Int.random(in: 0..<names.count, using: &dice)], dice.chance(10) ? nil : value)
            }
            let record = record(headers: headers)
            for kind in [TopicRole.Kind.source, .retry(.seconds(10)), .replay] {
                let state = RetryState(record, role: role(kind))
                #expect(state.attempts >= 0 && state.source.offset >= 0, "seed \(seed)")
                _ = CopyWriter.deadLetter(
                    of: record, to: "d", reason: .permanent, stage: "handle", maxBytes: 1000, report(state))
            }
            _ = try? Event(record)
        }
    }

    @Test func aDeadLetterShedsWhatItMust() throws {
        let body = [UInt8](repeating: 7, count: 50_000)
        let large = Header("large", [UInt8](repeating: 1, count: 20_000))
        let whole = record(value: body, headers: foreign + [large])
        let state = RetryState(whole, role: role(.source))
        func letter(_ room: Int) -> OutgoingRecord? {
            CopyWriter.deadLetter(
                of: whole, to: "d", reason: .exhausted, stage: "handle", maxBytes: room, report(state))
        }
        func has(_ letter: OutgoingRecord?, _ name: String) -> Bool {
            letter?.headers.contains { $0.name == name } == true
        }
        let all = letter(1 << 20)
        #expect(has(all, "dlq-error-stack") && has(all, "large") && all?.value == body)
        let stackless = letter(75_000)
        #expect(!has(stackless, "dlq-error-stack") && has(stackless, "large") && stackless?.value == body)
        let lean = letter(60_000)
        #expect(!has(lean, "large") && has(lean, "x") && has(lean, "ce_id") && lean?.value == body)
        // It says what it lacks, and nothing when nothing was large.
        #expect(!has(all, "dlq-headers") && !has(stackless, "dlq-headers"))
        #expect(lean?.headers.last { $0.name == "dlq-headers" }?.text == "omitted")
        let small = CopyWriter.deadLetter(
            of: record(value: body, headers: foreign), to: "d", reason: .exhausted, stage: "handle",
            rung: .withoutLargeHeaders, report(state))
        #expect(!has(small, "dlq-headers"))
        let stub = try #require(letter(10_000))
        #expect(stub.value == nil && has(stub, "dlq-body") && has(stub, "ce_id"))
        let digest = unsafe Digest.sha256(body.span.bytes).hex()
        #expect(stub.headers.first { $0.name == "dlq-body-sha256" }?.text == digest)
        #expect(stub.headers.first { $0.name == "dlq-body-bytes" }?.text == "50000")
        #expect(letter(500) == nil)
        for room in stride(from: 500, to: 100_000, by: 997) {
            guard let letter = letter(room) else { continue }
            let bytes = letter.headers.reduce((letter.value?.count ?? 0) + 1) {
                $0 + $1.name.utf8.count + ($1.value?.count ?? 0)
            }
            #expect(bytes <= room)
        }
        let ours = all?.headers.filter { HeaderName.isOurs($0.name) } ?? []
        #expect(ours.reduce(0) { $0 + $1.name.utf8.count + ($1.value?.count ?? 0) } <= 16 * 1024)
        #expect(ours.allSatisfy { $0.text != nil })
    }

    @Test func theSameTroubleHasTheSameFingerprintAndTheSameRecordTheSameName() {
        let state = RetryState(record(headers: foreign), role: role(.source))
        let first = report(state, message: "no customer 17 (id 3f2a-11bc)")
        let second = report(state, message: "no customer 4711 (id 99aa-0000)")
        let other = report(state, message: "no shop 17")
        #expect(first.fingerprint == second.fingerprint && first.fingerprint.count == 16)
        #expect(first.fingerprint != other.fingerprint)
        #expect(first.deadLetterID == other.deadLetterID)
    }

    @Test func anErrorsWordsAreCutBetweenCharactersAndHaveNoControls() {
        #expect(ErrorText.line("a\nb\u{0}c", bytes: 100) == "a b c")
        for bytes in 0..<20 {
            let line = ErrorText.line("aäö€😀x", bytes: bytes)
            #expect(line.utf8.count <= bytes && "aäö€😀x".hasPrefix(line))
        }
    }
}
