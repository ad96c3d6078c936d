import Contracts
import Flotilla
import TestSupport
import Testing

@testable import Notify

@Suite struct RulesTests {
    private func read(_ text: String, dimensions: [String]? = nil) throws(TopicFaults) -> Rules {
        try RulesReader.read(Array(text.utf8), file: "rules.yaml", dimensions: dimensions)
    }

    private static let channels = """
        channels:
          - {name: ops, webhook: "https://hooks.example.com/x"}
          - {name: desk, mail: [desk@example.com, night@example.com], from: fleet@example.com}
          - {name: journal, log: true}

        """

    @Test func allKindsOfRulesAreRead() throws {
        let rules = try read(
            Self.channels + """
                rules:
                  - name: clicks
                    window: {metric: clicks, step: 1m, measure: uniques, by: country, campaign: c, above: 10, until: 5, for: 5m}
                    channels: [ops, desk]
                    template: "{{ dimensions.country }} {{ value }}"
                    coolDown: 15m
                    resolved: false
                  - {name: fell, change: {metric: revenue, step: 1h, measure: sum, falls: 50%, least: 9.5}, channels: [ops], template: x}
                  - {name: ends, campaign: {states: [completed]}, channels: [journal], template: "{{ goals.clicks | none }}"}
                  - {name: orders, event: {type: order.created, above: 1000}, channels: [journal], template: "{{ data.who }}"}
                """, dimensions: ["country"])
        #expect(rules.rules.map(\.name) == ["clicks", "fell", "ends", "orders"])
        guard case .window(let series, let threshold) = rules.rules[0].kind else { throw Unexpected() }
        #expect(
            series == Series(metric: "clicks", step: .minute, measure: .uniques, dimension: "country", campaign: "c"))
        #expect(threshold == Threshold(side: .above, limit: 10, until: 5, duration: .seconds(300)))
        #expect(!rules.rules[0].tellsResolved)
        guard case .change(_, let change) = rules.rules[1].kind else { throw Unexpected() }
        #expect(change == Change(rises: nil, falls: 50, least: 9.5))
        #expect(rules.channel("desk")?.recipients == ["desk@example.com", "night@example.com"])
    }

    private struct Unexpected: Error {}

    /// Each with the line that it stands in and words of what is wrong.
    @Test(arguments: [
        ("rules: [", 2, "did not find expected node content"),
        ("rule: []", 1, "rule is not known; did you mean rules?"),
        ("maxAge: soon", 1, "maxAge must be a time"),
        ("channels:\n  - {name: a}", 2, "needs one of webhook"),
        ("channels:\n  - {name: a, log: true, mail: [a@b]}", 2, "needs one of webhook"),
        ("channels:\n  - {name: A, log: true}", 2, "lower-case"),
        ("channels:\n  - {name: a, webhook: nowhere}", 2, "is no URL"),
        ("channels:\n  - {name: a, webhook: \"https://u:p@example.com\"}", 2, "password"),
        ("channels:\n  - {name: a, webhook: \"https://example.com\", timeout: 1h}", 2, "timeout must be a time"),
        ("channels:\n  - {name: a, webhook: \"https://example.com\", rate: 0}", 2, "rate must be a whole number"),
        ("channels:\n  - {name: a, webhook: \"https://example.com\", body: \"{{{ text }}\"}", 2, "body"),
        ("channels:\n  - {name: a, webhook: \"https://example.com\", body: '{\"a\": {{ text }}}'}", 2, "is no JSON"),
        (
            "channels:\n  - {name: a, webhook: \"https://example.com\", body: '{\"a\": \"{{ alarm }}\"}'}", 2,
            "which there is not"
        ),
        ("channels:\n  - {name: a, mail: [a@b], from: \"a@b\\r\\nBcc: x@y\"}", 2, "from must be a mail address"),
        ("channels:\n  - {name: a, mail: [\"a@b,c@d\"], from: a@b}", 2, "mail must be a list of mail addresses"),
        ("channels:\n  - {name: a, mail: [a@b, a@b], from: a@b}", 2, "each once"),
        ("channels:\n  - {name: a, mail: [a@b]}", 2, "from is missing"),
        ("channels:\n  - {name: a, log: true, allowPrivate: true}", 2, "is for a webhook alone"),
        ("channels:\n  - {name: a, log: true}\n  - {name: a, log: true}", 3, "is there twice"),
    ])
    func whatIsWrongWithAFileIsToldByItsLine(_ text: String, _ line: Int, _ words: String) { expect(text, line, words) }

    @Test(arguments: [
        ("{name: r, channels: [journal], template: x}", "needs one of window"),
        ("{name: r, event: {type: a}, window: {}, channels: [journal], template: x}", "needs one of window"),
        ("{name: r, event: {type: a}, channels: [jurnal], template: x}", "did you mean journal?"),
        ("{name: r, event: {type: a}, channels: [], template: x}", "channels is empty"),
        ("{name: r, event: {type: a}, template: x}", "channels is missing"),
        ("{name: r, event: {type: a}, channels: [journal]}", "template is missing"),
        ("{name: r, event: {type: Order}, channels: [journal], template: x}", "lower case"),
        ("{name: r, event: {}, channels: [journal], template: x}", "type is missing"),
        ("{name: r, event: {type: a, above: lots}, channels: [journal], template: x}", "above must be a number"),
        ("{name: r, event: {type: a, above: 1e400}, channels: [journal], template: x}", "above must be a number"),
        ("{name: r, event: {type: a}, channels: [journal], template: \"{{ campaign_id\"}", "no }} closes"),
        ("{name: r, event: {type: a}, channels: [journal], template: \"campaign_id }}\"}", "no {{ opens"),
        ("{name: r, event: {type: a}, channels: [journal], template: \"{{ }}\"}", "without a name"),
        ("{name: r, event: {type: a}, channels: [journal], template: \"{{ data..x }}\"}", "without a name"),
        ("{name: r, event: {type: a}, channels: [journal], template: \"{{ data }}\"}", "one member"),
        ("{name: r, event: {type: a}, channels: [journal], template: \"{{ value.x }}\"}", "has no members"),
        ("{name: r, event: {type: a}, channels: [journal], template: \"{{ state }}\"}", "which there is not"),
        ("{name: r, event: {type: a}, channels: [journal], template: \"{{ user_id }}\"}", "nobody's business"),
        ("{name: r, event: {type: a}, channels: [journal], template: x, resolved: false}", "for a window alone"),
        ("{name: r, event: {type: a}, channels: [journal], template: x, coolDown: never}", "coolDown must be a time"),
        ("{name: r, window: {step: 1m, above: 1}, channels: [journal], template: x}", "metric is missing"),
        (
            "{name: r, window: {metric: m, step: 5m, above: 1}, channels: [journal], template: x}",
            "step must be 1m or 1h"
        ),
        ("{name: r, window: {metric: m, step: 1m}, channels: [journal], template: x}", "one of above and below"),
        (
            "{name: r, window: {metric: m, step: 1m, above: 1, below: 2}, channels: [journal], template: x}",
            "one of above"
        ),
        ("{name: r, window: {metric: m, step: 1m, above: 1, until: 2}, channels: [journal], template: x}", "never end"),
        (
            "{name: r, window: {metric: m, step: 1m, above: \"1\"}, channels: [journal], template: x}",
            "must be a number"
        ),
        ("{name: r, window: {metric: m, step: 1m, above: .nan}, channels: [journal], template: x}", "must be a number"),
        (
            "{name: r, window: {metric: m, step: 1m, above: 1, measure: mean}, channels: [journal], template: x}",
            "measure must"
        ),
        (
            "{name: r, window: {metric: m, step: 1m, above: 1, by: city}, channels: [journal], template: x}",
            "keeps no windows"
        ),
        ("{name: r, change: {metric: m, step: 1m}, channels: [journal], template: x}", "needs rises, falls"),
        ("{name: r, change: {metric: m, step: 1m, falls: 101%}, channels: [journal], template: x}", "more than 100%"),
        ("{name: r, change: {metric: m, step: 1m, falls: 50}, channels: [journal], template: x}", "a percentage"),
        ("{name: r, campaign: {states: [asleep]}, channels: [journal], template: x}", "states must be a list"),
        ("{name: r, campaign: {}, channels: [journal], template: x}", "states is missing"),
        ("{name: r, campaign: [active], channels: [journal], template: x}", "expected a map"),
    ])
    func whatIsWrongWithARuleIsToldByItsLine(_ rule: String, _ words: String) {
        expect(Self.channels + "rules:\n  - \(rule)", 6, words)
    }

    private func expect(_ text: String, _ line: Int, _ words: String) {
        let faults = #expect(throws: TopicFaults.self) { try read(text, dimensions: ["country"]) }
        let found = faults?.faults.contains { $0.reason.contains(words) && $0.place?.line == line } == true
        #expect(found, "\(text): \(faults.map { "\($0)" } ?? "read")")
    }

    @Test func whoNamesAChannelWithAFaultIsNotAtFault() {
        let faults = #expect(throws: TopicFaults.self) {
            try read(
                "channels:\n  - {name: a, webhook: x}\nrules:\n  - {name: r, event: {type: t}, channels: [a], template: x}"
            )
        }
        #expect(faults?.faults.count == 1)
    }

    @Test func allFaultsAreToldAtOnce() {
        let faults = #expect(throws: TopicFaults.self) {
            try read("maxAge: soon\nchannels:\n  - {name: a, webhook: x}\nrules:\n  - {name: r}")
        }
        #expect(faults?.faults.count == 3)
    }

    @Test func aSettingMayHoldWhatLeadsToAHook() throws {
        let text = Array("channels:\n  - {name: a, webhook: $HOOK}".utf8)
        let rules = try RulesReader.read(text, file: "rules.yaml") { $0 == "HOOK" ? "https://example.com/secret" : nil }
        #expect(rules.channels.first?.target == "https://example.com/secret")
        #expect(try RulesReader.read(text, file: "rules.yaml").channels.count == 1)
        let faults = #expect(throws: TopicFaults.self) { try RulesReader.read(text, file: "rules.yaml") { _ in nil } }
        #expect(faults?.description.contains("HOOK is not set") == true)
    }

    @Test func theRulesOfTheRepositoryAreRight() throws {
        let folder = "/" + #filePath.split(separator: "/").dropLast(3).joined(separator: "/") + "/topics"
        let rules = try RulesReader.read(folder: folder, catalog: TopicCatalog(folder: folder))
        #expect(rules.rules.count == 4)
    }

    @Test(arguments: TestDice.seeds(2)) func whateverTheBytesReadingEnds(_ seed: UInt64) {
        var dice = TestDice(seed: seed)
        let good = Array(
            (Self.channels + "rules:\n  - {name: r, event: {type: a}, channels: [ops], template: \"{{ data.x }}\"}")
                .utf8)
        for _ in 0..<300 {
            var bytes = good
            for _ in 0..<Int.random(in: 1...6, using: &dice) {
                let place = Int.random(in: 0..<bytes.count, using: &dice)
                bytes[place] = UInt8.random(in: 0...255, using: &dice)
            }
            _ = try? RulesReader.read(bytes, file: "rules.yaml")
        }
    }
}
