import Contracts
import Testing

struct NormalisationTests {
    private func schema(_ text: String) throws(SchemaFaults) -> Schema { try Schema(Array(text.utf8), file: "s.json") }

    @Test func textsAreMadeWhatTheyShouldHaveBeen() throws {
        let found = try schema(
            """
            {"properties": {"state": {"enum": ["open"], "x-normalise": ["trim", "lowercase"]},
                "deep": {"properties": {"name": {"x-normalise": ["trim"]}}}}}
            """
        ).normalisations
        #expect(found.map(\.path) == [["state"], ["deep", "name"]])
        #expect(found[0].apply(to: " \tÖPEN\n ") == "öpen")
        #expect(found[1].apply(to: " A b ") == "A b")
        #expect(found[1].apply(to: "   ") == "")
    }

    @Test(arguments: [
        #"{"x-normalise": ["trim"]}"#, #"{"items": {"x-normalise": ["trim"]}}"#,
        #"{"properties": {"a": {"x-normalise": []}}}"#, #"{"properties": {"a": {"x-normalise": ["upper"]}}}"#,
        #"{"properties": {"a": {"x-normalise": "trim"}}}"#, #"{"properties": {"a": {"x-normalize": ["trim"]}}}"#,
        ##"{"$defs": {"a": {"x-normalise": ["trim"]}}, "properties": {"b": {"$ref": "#/$defs/a"}}}"##,
    ])
    func whereItWouldDoNothingItIsRefused(_ text: String) {
        #expect(throws: SchemaFaults.self) { try schema(text) }
    }
}
