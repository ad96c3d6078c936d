import JSON
import Testing

@testable import Notify

@Suite struct TemplateTests {
    private let event = Result {
        try JSONDocument(parsing: #"{"campaign_id":"ü🚢","value":12.50,"data":{"a":{"b":true},"n":null,"l":[1]}}"#).root
    }

    private func render(_ text: String, _ computed: [String: String] = [:]) throws -> String {
        try Template(text, names: ["campaign_id", "value", "data", "rule", "suppressed"]).render(computed, event.get())
    }

    @Test func placesShowWhatTheEventHas() throws {
        #expect(try render("{{campaign_id}}: {{ value }}, {{ data.a.b }}!") == "ü🚢: 12.50, true!")
        #expect(try render("plain") == "plain")
        #expect(try render("") == "")
        #expect(try render("{ {} } {{ rule }}", ["rule": "r"]) == "{ {} } r")
    }

    @Test func whatIsMissingShowsAndNothingFails() throws {
        #expect(try render("{{ data.x }} {{ data.n }} {{ data.l }}") == "(data.x) (data.n) (data.l)")
        #expect(try render("{{ data.x | nobody at all }}{{ rule | }}") == "nobody at all")
        #expect(try Template("{{ value }}", names: ["value"]).render([:], nil) == "(value)")
    }

    @Test func whatIsComputedGoesFirst() throws {
        #expect(try render("{{ value }}", ["value": "7"]) == "7")
    }

    @Test func whatIsTooLongIsCutAndNoCharacterWithIt() throws {
        let shown = try Template("{{ rule }}", names: ["rule"]).render(
            ["rule": String(repeating: "🚢", count: 100)], nil, limit: 31)
        #expect(shown == String(repeating: "🚢", count: 7) + "…")
        #expect(Template.cut("abc", 3) == "abc")
        #expect(Template.cut("abcd", 3) == "…")
    }

    /// Cut behind its escaping it could end in half of one, or without its last brace.
    @Test(arguments: [0, 1, 20, 24, 25, 30, 100, 1000, 100_000])
    func inJSONWhatIsTooLongIsCutAndStaysJSON(_ limit: Int) throws {
        let template = try Template(
            #"{"text": "{{ text }}", "again": "{{ text }}{{ subject }}"}"#, names: ["text", "subject"])
        let plain = #"{"text": "", "again": ""}"#.utf8.count
        for text in ["\"", "\u{1}", "\\", "x", "🚢"].map({ String(repeating: $0, count: 9000) }) {
            let json = template.renderJSON(["text": text, "subject": "s"], limit: limit)
            #expect(json.utf8.count <= max(limit, plain))
            let root = try JSONDocument(parsing: json).root
            #expect(root["again"]?.string != nil)
            #expect(text.hasPrefix(root["text"]?.string.map { $0.replacing("…", with: "") } ?? "no text"))
        }
    }

    @Test func inJSONPlacesAreEscaped() throws {
        let template = try Template(#"{"text": "{{ text }}"}"#, names: ["text"])
        let text = "\"}\u{0}\n\\ ü🚢 \u{202e}"
        let value = try JSONDocument(parsing: template.renderJSON(["text": text])).root
        #expect(value["text"]?.string == text)
    }
}
