import Contracts
import Flotilla
import FlotillaTesting
import Kafka
import Model
import Platform
import Testing

@testable import DeadLetters

/// What is made of records, and what is shown of them.
@Suite struct DeadLetterTests {
    private let family = TopicFamily("orders", "pricer")

    @Test(
        arguments: [
            ("orders.pricer.dlq", "orders/pricer"), ("a.b.c.dlq", "a.b/c"), ("orders.dlq", nil), (".dlq", nil),
            (".x.dlq", nil), ("orders..dlq", nil), ("orders.pricer.replay", nil), ("dlq", nil),
        ] as [(String, String?)])
    func aTopicsNameSaysWhoseDeadLettersItHas(_ name: String, _ wanted: String?) {
        let family = DeadLetter.family(of: TopicName(name), Namespace())
        #expect(family.map { "\($0.source)/\($0.handler)" } == wanted)
    }

    @Test func anotherFleetsTopicsAreNotOurs() {
        #expect(DeadLetter.family(of: "x.orders.pricer.dlq", Namespace("x")) == family)
        #expect(DeadLetter.family(of: "y.orders.pricer.dlq", Namespace("x")) == nil)
    }

    @Test func whatTheRuntimeWroteIsRead() throws {
        let source = SourceCoordinates(topic: "orders", partition: 2, offset: 17, timestamp: 1000)
        let original = record(headers: [Header("ce_id", "e1"), Header("ce_source", "/shop"), Header("ce_type", "t")])
        var state = RetryState(
            original, role: TopicRole(family: family, kind: .source, policy: ConsumerPolicy(handler: "pricer")))
        state.source = source
        state.replays = 2
        let report = FailureReport(
            handler: "pricer", group: "g", state: state, attempts: 3, errorType: "Refusal", errorMessage: "no 17",
            now: 5000, worker: "w", build: "b")
        let copy = CopyWriter.deadLetter(
            of: original, to: "orders.pricer.dlq", reason: .permanent, stage: "handle", rung: .withoutBody, report)
        let letter = DeadLetter(record(headers: copy.headers, value: copy.value), of: family)
        #expect(letter.id == source.deadLetterID(for: "pricer"))
        #expect(letter.source == source)
        #expect(letter.fingerprint == report.fingerprint)
        #expect((letter.reason, letter.errorMessage, letter.stage) == ("permanent", "no 17", "handle"))
        #expect((letter.attempts, letter.copyReplays, letter.isShed) == (3, 2, true))
        #expect((letter.type, letter.eventID, letter.eventSource) == ("t", "e1", "/shop"))
        #expect(letter.at == Timestamp(milliseconds: 5000))
    }

    @Test func nothingThatIsMissingOrDamagedKeepsOneOut() throws {
        let bare = DeadLetter(record(headers: []), of: family)
        #expect(bare.reason == "unknown")
        // It is known by where it lies, and comes back as that.
        #expect(bare.source == SourceCoordinates(topic: family.deadLetters, partition: 2, offset: 5))
        #expect(bare.id == bare.source.deadLetterID(for: "pricer"))
        let sent = ReplayRecord.make(
            of: bare, copy: record(headers: []), round: 1, job: "j", toSource: false, namespace: Namespace(), now: 7)
        let replayed = RetryState(
            record(headers: sent.headers),
            role: TopicRole(family: family, kind: .replay, policy: ConsumerPolicy(handler: "pricer")))
        #expect(replayed.source == bare.source)
        let headers = [
            Header(HeaderName.dlqID, "nonsense"), Header(HeaderName.dlqAt, "0000-01-01T00:00:00Z"),
            Header(HeaderName.dlqReplays, "-4"), Header(HeaderName.sourceOffset, "99999999999999999999"),
            Header(HeaderName.dlqFingerprint, String(repeating: "é", count: 3000)),
            Header("ce_type", "\u{0}\u{1b}[2J" + String(repeating: "x", count: 5000)), Header("ce_id", [0xff, 0]),
        ]
        let odd = DeadLetter(record(headers: headers), of: family)
        #expect(odd.id == bare.id)
        #expect(odd.at == Timestamp(milliseconds: 0))
        #expect(odd.copyReplays == 0)
        #expect(odd.fingerprint.utf8.count <= 64 && odd.type.utf8.count <= 255)
        #expect(!odd.type.utf8.contains(0) && !odd.type.utf8.contains(0x1b) && !odd.eventID.utf8.contains(0))
    }

    @Test func whatSaysThatSomethingIsMissingIsShed() {
        for name in [HeaderName.dlqBody, HeaderName.dlqHeaders] {
            #expect(DeadLetter(record(headers: [Header(name, "omitted")]), of: family).isShed)
            #expect(!DeadLetter(record(headers: [Header(name, "no")]), of: family).isShed)
        }
    }

    /// A header may say what it likes: the name follows from where the record was.
    @Test func aNameIsNotBelieved() throws {
        func letter(_ headers: [(String, String)]) -> DeadLetters.DeadLetter {
            DeadLetter(record(headers: headers.map { Header($0.0, $0.1) }), of: family)
        }
        let place = [("src-partition", "1"), ("src-offset", "9")]
        let honest = letter(place + [("src-topic", "orders")])
        #expect(honest.source == SourceCoordinates(topic: "orders", partition: 1, offset: 9))
        #expect(letter(place).id == honest.id)
        #expect(letter(place + [("dlq-id", "01a1ff14-6e1c-7c40-af8b-d16a3ec5912c")]).id == honest.id)
        let copied = letter([("dlq-id", honest.id.description)])
        #expect(copied.id != honest.id)
        // Another topic's record is not this one's.
        #expect(letter(place + [("src-topic", "payments")]).source.topic == family.deadLetters)
        #expect(honest.isIn(record(headers: place.map { Header($0.0, $0.1) })))
        #expect(!honest.isIn(record(headers: [])))
    }

    @Test func aFleetWithoutANameLeavesThoseOfOthersToThem() throws {
        let seen = try #require(DeadLetter.family(of: "b.orders.pricer.dlq", Namespace()))
        let theirs = record(headers: [Header("src-topic", "orders"), Header("src-partition", "1")])
        #expect(DeadLetter.isOfNamedFleet(theirs, seen))
        #expect(!DeadLetter.isOfNamedFleet(theirs, family))
        #expect(!DeadLetter.isOfNamedFleet(record(headers: []), seen))
    }

    @Test func aReplayIsTheRecordAndWhatSaysThatItComesBack() throws {
        let copy = record(
            headers: [Header("ce_id", "e1"), Header(HeaderName.dlqReason, "permanent"), Header("retry-attempt", "6")],
            value: [1, 0, 255])
        var letter = DeadLetter(copy, of: family)
        letter.source = SourceCoordinates(topic: "orders", partition: 4, offset: 9, timestamp: 2000)
        let sent = ReplayRecord.make(
            of: letter, copy: copy, round: 3, job: "j", toSource: false, namespace: Namespace("x"), now: 7)
        #expect(sent.topic == "x.orders.pricer.replay")
        #expect((sent.partition, sent.key, sent.value) == (4, Array("k".utf8), [1, 0, 255]))
        let names = Dictionary(sent.headers.map { ($0.name, $0.text ?? "") }) { _, last in last }
        #expect(names.count == sent.headers.count)
        #expect(names["ce_id"] == "e1" && names["dlq-replays"] == "3" && names["dlq-replay-job"] == "j")
        #expect(names["src-offset"] == "9" && names["dlq-id"] == letter.id.description)
        #expect(names["dlq-reason"] == nil && names["retry-attempt"] == nil)
        // The runtime reads of it what it is to know.
        let arrived = record(headers: sent.headers)
        let role = TopicRole(family: family, kind: .replay, policy: ConsumerPolicy(handler: "pricer"))
        let state = RetryState(arrived, role: role)
        #expect((state.source.partition, state.source.offset, state.replays) == (4, 9, 3))
        #expect((state.attempts, state.replayJob) == (0, "j"))
        let back = ReplayRecord.make(
            of: letter, copy: copy, round: 3, job: "j", toSource: true, namespace: Namespace(), now: 7)
        #expect(back.topic == "orders")
    }

    @Test(arguments: [
        (["repeat", "dead:permanent", "done", "repeat"], "dead:permanent"),
        (["done", "dead:permanent"], "dead:permanent"),
        (["repeat", "done", "repeat"], "done"), (["dead:permanent", "dead:stale"], "dead:permanent"),
    ]) func theWorstOutcomeOfARoundCounts(_ told: [String], _ counts: String) {
        var batch = IndexBatch()
        let round = ReplayOutcome.Round(id: UUIDValue(high: 1, low: 2), job: "j", replays: 1)
        for text in told {
            batch.add(ReplayOutcome(round: round, outcome: text, at: Timestamp(milliseconds: 0)))
        }
        #expect(batch.outcomes.values.map(\.outcome) == [counts])
    }

    private func record(headers: [Header], value: [UInt8]? = Array("{}".utf8)) -> Record {
        Record(
            OutgoingRecord(
                topic: "orders.pricer.dlq", partition: 2, key: Array("k".utf8), value: value, headers: headers),
            at: TopicPartition("orders.pricer.dlq", 2), 5, timestamp: 4000)
    }
}

/// What is shown of bodies.
@Suite struct BodyViewTests {
    private func view(_ text: String, personal: [String]? = [], unmasked: Bool = false) -> BodyView {
        BodyView(Array(text.utf8), personal: personal, unmasked: unmasked)
    }

    @Test func whatIsPersonalIsMaskedWhereverItIs() {
        let body = #"{"user":{"mail":"ada@x","n":1},"list":[{"ip":"1.2.3.4"},{"ip":"5.6.7.8"}],"a/b":[1],"none":{}}"#
        let pointers = ["/user/mail", "/list/1/ip", "/a~1b", "/missing/x", "/none/y"]
        guard case .json(let text) = view(body, personal: pointers) else { return #expect(Bool(false)) }
        #expect(!text.contains("ada") && !text.contains("5.6.7.8") && text.contains("1.2.3.4"))
        #expect(text.contains(#""a/b": "(masked)""#) && text.contains(#""none": {}"#))
        guard case .json(let all) = view(body, personal: pointers, unmasked: true) else { return #expect(Bool(false)) }
        #expect(all.contains("ada@x"))
        #expect(view("{}", personal: [""]) == .json("\"(masked)\""))
    }

    @Test func whatNobodyCanTellIsHidden() {
        guard case .hidden = view("{}", personal: nil) else { return #expect(Bool(false)) }
        guard case .hidden = view("mail=ada", personal: ["/mail"]) else { return #expect(Bool(false)) }
        #expect(view("mail=ada", personal: nil, unmasked: true) == .text("mail=ada"))
        #expect(BodyView(nil, personal: nil, unmasked: false) == .none)
    }

    @Test func whatIsNoTextIsShownAsNumbers() {
        let view = BodyView([0, 0xff, 0x41], personal: [], unmasked: false)
        #expect(
            view == .binary("00000000  00 ff 41" + String(repeating: " ", count: 41) + "..A", count: 3), "\(view)")
        guard
            case .binary(let dump, 1_000_000) = BodyView(
                Array(repeating: 0, count: 1_000_000), personal: [], unmasked: false)
        else { return #expect(Bool(false)) }
        #expect(dump.split(separator: "\n").count == 256)
        guard case .binary = self.view("\u{1b}[31m") else { return #expect(Bool(false)) }
    }

    /// What is printed may be many times what came: somebody who sees the beginning needs no more made of it.
    @Test func noMoreIsPrintedThanIsWanted() {
        let zeros =
            String(repeating: "[", count: 17) + "0" + String(repeating: ",0", count: 500_000)
            + String(repeating: "]", count: 17)
        for body in [zeros, String(repeating: "[", count: 900) + String(repeating: "]", count: 900)] {
            guard case .json(let text) = BodyView(Array(body.utf8), personal: ["/mail"], unmasked: false, limit: 16_384)
            else { return #expect(Bool(false)) }
            #expect(text.utf8.count <= 20_000)
            guard case .json(let all) = view(body) else { return #expect(Bool(false)) }
            #expect(all.hasPrefix(text) || text == all)
        }
        let large = Array(String(repeating: "é", count: 2_000_000).utf8)
        #expect(
            BodyView(large, personal: ["/mail"], unmasked: false, limit: 100) == .hidden(.tooLarge(bytes: 4_000_000)))
        guard case .text(let text) = BodyView(large, personal: ["/mail"], unmasked: true, limit: 101) else {
            return #expect(Bool(false))
        }
        #expect((102...105).contains(text.utf8.count))
    }

    @Test func deepJSONIsShown() {
        let deep = String(repeating: "[", count: 500) + String(repeating: "]", count: 500)
        guard case .json = view(deep) else { return #expect(Bool(false)) }
    }
}
