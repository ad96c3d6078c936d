import Contracts
import Testing

@Suite struct ComparisonTests {
    /// Two schemas, and what is said of going from one to the other: `!` before what breaks.
    @Test(
        arguments: [
            (#"{}"#, #"{}"#, []), (#"{"title":"a"}"#, #"{"title":"b"}"#, []), ("{}", "true", []),
            ("false", #"{"type":"null"}"#, []),
            ("{}", "false", ["!"]), (#"{"type":"string"}"#, #"{"type":["string","null"]}"#, ["/type"]),
            (#"{"type":["string","null"]}"#, #"{"type":"string"}"#, ["!/type"]),
            (#"{"type":"integer"}"#, #"{"type":"number"}"#, ["/type"]),
            (#"{"type":"number"}"#, #"{"type":"integer"}"#, ["!/type"]), ("{}", #"{"type":"object"}"#, ["!/type"]),
            (#"{"enum":[1,2]}"#, #"{"enum":[1,2.0,3]}"#, ["/enum"]), (#"{"enum":[1,2]}"#, #"{"enum":[2]}"#, ["!/enum"]),
            (#"{"const":1}"#, #"{"enum":[1,2]}"#, ["/enum"]), ("{}", #"{"const":1}"#, ["!/enum"]),
            (#"{"minimum":1}"#, #"{"minimum":0.5}"#, ["/minimum"]),
            (#"{"minimum":1}"#, #"{"minimum":2}"#, ["!/minimum"]),
            (#"{"maxLength":5}"#, #"{"maxLength":4}"#, ["!/maxLength"]), ("{}", #"{"maxLength":4}"#, ["!/maxLength"]),
            ("{}", #"{"minItems":0}"#, []), (#"{"maximum":5}"#, "{}", ["/maximum"]),
            (#"{"pattern":"a"}"#, #"{"pattern":"b"}"#, ["!/pattern"]), (#"{"pattern":"a"}"#, "{}", ["/pattern"]),
            ("{}", #"{"format":"uuid"}"#, ["!/format"]), ("{}", #"{"uniqueItems":true}"#, ["!/uniqueItems"]),
            (#"{"uniqueItems":true}"#, #"{"uniqueItems":false}"#, ["/uniqueItems"]),
            ("{}", #"{"required":["a"]}"#, ["!/required"]),
            (#"{"required":["a"],"properties":{"a":{}}}"#, #"{"properties":{"a":{}}}"#, ["/required"]),
            ("{}", #"{"properties":{"a":{"type":"string"}}}"#, ["/properties/a"]),
            (#"{"properties":{"a":{}}}"#, "{}", ["/properties/a"]),
            (
                #"{"properties":{"a":{}}}"#, #"{"additionalProperties":false}"#,
                ["!/additionalProperties", "!/properties/a"]
            ),
            (#"{"properties":{"a":{}},"required":["a"]}"#, "{}", ["!/properties/a"]),
            (
                #"{"properties":{"a":{"maximum":3}}}"#, #"{"properties":{"a":{"maximum":2}}}"#,
                ["!/properties/a/maximum"]
            ),
            (#"{"additionalProperties":true}"#, #"{"additionalProperties":false}"#, ["!/additionalProperties"]),
            (#"{"additionalProperties":false}"#, "{}", ["/additionalProperties"]),
            (
                #"{"additionalProperties":{"maximum":3}}"#, #"{"additionalProperties":{"maximum":2}}"#,
                ["!/additionalProperties/maximum"]
            ),
            (#"{"items":{"type":"string"}}"#, #"{"items":{}}"#, ["/items/type"]),
            ("{}", #"{"prefixItems":[{}]}"#, ["!/prefixItems/0"]),
            (#"{"anyOf":[{"const":1}]}"#, #"{"anyOf":[{"const":1},{"const":2}]}"#, ["/anyOf"]),
            (#"{"anyOf":[{"const":1},{"const":2}]}"#, #"{"anyOf":[{"const":1}]}"#, ["!/anyOf"]),
            (#"{"allOf":[{"minimum":1},{"maximum":2}]}"#, #"{"allOf":[{"minimum":1}]}"#, ["/allOf"]),
            (#"{"not":{"const":1}}"#, #"{"not":{"const":2}}"#, ["!/not"]),
            (
                ##"{"$defs":{"x":{"maximum":3}},"properties":{"a":{"$ref":"#/$defs/x"}}}"##,
                #"{"properties":{"a":{"maximum":2}}}"#, ["!/properties/a/maximum"]
            ),
            (
                ##"{"properties":{"a":{"$ref":"#"}},"maximum":3}"##,
                ##"{"properties":{"a":{"$ref":"#"}},"maximum":4}"##,
                ["/maximum"]
            ),
        ] as [(String, String, [String])])
    func schemasAreCompared(_ old: String, _ new: String, _ expected: [String]) throws {
        let changes = try changes(
            from: ["a.yaml": "name: a\nschema: schemas/s.json\n", "schemas/s.json": old], to: ["schemas/s.json": new])
        let found = changes.map { change in
            (change.isBreaking ? "!" : "") + change.what.replacing("schema", with: "").replacing(" ", with: "")
        }
        #expect(found.sorted() == expected.sorted(), "\(changes)")
    }

    private func changes(from old: [String: String], to new: [String: String]) throws -> [ContractChange] {
        try TopicFolder(old.merging(new) { $1 }).catalog().changes(since: TopicFolder(old).catalog())
    }

    @Test(arguments: [
        ("partitions: 3", "partitions: 2", "!partitions"), ("partitions: 3", "partitions: 4", "partitions"),
        ("key: a", "key: b", "!key"), ("retention: 7d", "retention: 6d", "!retention"),
        ("retention: 7d", "retention: infinite", "retention"),
        ("maxMessageBytes: 2MiB", "maxMessageBytes: 1MiB", "!maxMessageBytes"),
        ("publish: true", "publish: false", "!publish"), ("publish: false", "publish: true", "publish"),
        ("consumers: [{handler: h}]", "consumers: []", "!consumers"),
        ("consumers: []", "consumers: [{handler: h}]", "consumers"),
        (
            "consumers: [{handler: h, retry: {tiers: [1s, 2s]}}]", "consumers: [{handler: h, retry: {tiers: [1s]}}]",
            "!consumers h"
        ),
        ("consumers: [{handler: h, ordering: partition}]", "consumers: [{handler: h}]", "!consumers h"),
        ("about: x", "about: y", ""),
    ])
    func topicsAreCompared(_ old: String, _ new: String, _ expected: String) throws {
        let changes = try changes(from: ["a.yaml": "name: a\n\(old)\n"], to: ["a.yaml": "name: a\n\(new)\n"])
        #expect(
            changes.map { ($0.isBreaking ? "!" : "") + $0.what } == (expected.isEmpty ? [] : [expected]), "\(changes)")
    }

    @Test func topicsThatComeAndGo() throws {
        let one = TopicFolder(["a.yaml": "name: a\n"])
        let other = TopicFolder(["b.yaml": "name: b\n"])
        let changes = try other.catalog().changes(since: one.catalog())
        #expect(changes.map { "\($0.isBreaking) \($0.topic)" } == ["true a", "false b"])
    }

    @Test func aChangeThatBreaksNeedsANewID() throws {
        let old = ["a.yaml": "name: a\nschema: schemas/s.json\n", "schemas/s.json": #"{"$id":"urn:1"}"#]
        let same = try changes(from: old, to: ["schemas/s.json": #"{"$id":"urn:1","type":"null"}"#])
        #expect(same.map(\.what) == ["schema /type", "schema /$id"])
        #expect(same.allSatisfy { $0.isBreaking })
        let other = try changes(from: old, to: ["schemas/s.json": #"{"$id":"urn:2","type":"null"}"#])
        #expect(other.map(\.isBreaking) == [true, false])
    }
}
