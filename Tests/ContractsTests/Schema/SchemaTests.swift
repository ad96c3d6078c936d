import JSON
import Platform
import Testing

@testable import Contracts

@Suite struct SchemaTests {
    private func schema(_ text: String) throws -> Schema { try Schema(Array(text.utf8), file: "test.json") }

    /// Keyword by keyword: what is accepted and what is not.
    @Test(
        arguments: [
            (#"true"#, ["1"], []), (#"false"#, [], ["1"]), (#"{}"#, ["1", "null"], []),
            (
                #"{"type":"integer"}"#, ["1", "-0", "1.0", "1e2", "18446744073709551615"],
                ["1.5", "\"1\"", "null", "true"]
            ),
            (#"{"type":["null","string"]}"#, ["null", "\"\""], ["0", "[]"]),
            (#"{"type":"number"}"#, ["1", "1.5"], ["\"1\""]), (#"{"type":"boolean"}"#, ["true"], ["1"]),
            (#"{"enum":[1,"a",{"x":[1]}]}"#, ["1.0", "\"a\"", #"{"x":[1]}"#], ["2", #"{"x":[2]}"#]),
            (#"{"const":null}"#, ["null"], ["0"]),
            (#"{"minLength":2,"maxLength":3}"#, ["\"éé\"", "\"😀😀😀\"", "5"], ["\"é\"", "\"abcd\""]),
            (#"{"pattern":"^a\\d$"}"#, ["\"a1\"", "1"], ["\"b\"", "\"a1\\n\"", "\"a٣\""]),
            (#"{"pattern":"\\u00e9"}"#, ["\"é\""], ["\"e\""]),
            (
                #"{"minimum":0.1,"maximum":3}"#, ["0.1", "3", "3.0", "\"\""],
                ["0.09", "3.0001", "-1", "18446744073709551615"]
            ),
            (#"{"exclusiveMinimum":0,"exclusiveMaximum":1}"#, ["0.5"], ["0", "1", "1.0"]),
            (
                #"{"exclusiveMinimum":-1000000000000,"exclusiveMaximum":1000000000000}"#,
                ["999999999999.999999", "-999999999999.999999"],
                ["1e12", "1000000000000.0", "1000000000000.000001", "-1000000000000"]
            ),
            (#"{"minimum":9007199254740993}"#, ["9007199254740993"], ["9007199254740992"]),
            (#"{"multipleOf":0.01}"#, ["0.07", "1e20", "19.99", "0"], ["0.001", "19.999", "1e-300"]),
            (#"{"multipleOf":3}"#, ["9", "-9", "9.0"], ["10", "1.5"]),
            (#"{"properties":{"a":{"type":"string"}},"required":["a"]}"#, [#"{"a":""}"#, "[]"], [#"{"a":1}"#, "{}"]),
            (#"{"properties":{"a":true},"additionalProperties":false}"#, [#"{"a":1}"#], [#"{"a":1,"b":1}"#]),
            (
                #"{"properties":{"a":true},"additionalProperties":{"type":"null"}}"#, [#"{"a":1,"b":null}"#],
                [#"{"b":1}"#]
            ),
            (
                #"{"patternProperties":{"^x-":{"type":"integer"}},"additionalProperties":false}"#, [#"{"x-a":1}"#],
                [#"{"x-a":""}"#, #"{"y":1}"#]
            ),
            (#"{"minProperties":1,"maxProperties":2}"#, [#"{"a":1}"#], ["{}", #"{"a":1,"b":1,"c":1}"#]),
            (#"{"propertyNames":{"maxLength":2}}"#, [#"{"ab":1}"#], [#"{"abc":1}"#]),
            (#"{"items":{"type":"integer"}}"#, ["[]", "[1,2]", "{}"], ["[1,\"\"]"]),
            (#"{"prefixItems":[{"type":"string"}],"items":false}"#, ["[]", "[\"\"]"], ["[1]", "[\"\",1]"]),
            (#"{"minItems":1,"maxItems":2}"#, ["[1]"], ["[]", "[1,2,3]"]),
            (#"{"uniqueItems":true}"#, ["[1,2,\"1\",true]"], ["[1,1.0]", #"[{"a":1,"b":2},{"b":2,"a":1}]"#]),
            (#"{"allOf":[{"minimum":1},{"maximum":2}]}"#, ["1"], ["0", "3"]),
            (#"{"anyOf":[{"type":"string"},{"minimum":2}]}"#, ["\"\"", "2"], ["1"]),
            (#"{"oneOf":[{"multipleOf":2},{"multipleOf":3}]}"#, ["2", "3"], ["6", "1"]),
            (#"{"not":{"type":"null"}}"#, ["1"], ["null"]),
            (
                #"{"if":{"properties":{"a":{"const":1}},"required":["a"]},"then":{"required":["b"]},"else":{"required":["c"]}}"#,
                [#"{"a":1,"b":1}"#, #"{"c":1}"#], [#"{"a":1}"#, #"{"a":2}"#]
            ),
            (
                ##"{"$defs":{"n":{"properties":{"next":{"$ref":"#/$defs/n"}},"additionalProperties":false}},"$ref":"#/$defs/n"}"##,
                [#"{"next":{"next":{}}}"#], [#"{"next":{"nxt":{}}}"#]
            ),
            (
                ##"{"properties":{"child":{"$ref":"#"}},"required":["id"]}"##, [#"{"id":1,"child":{"id":2}}"#],
                [#"{"id":1,"child":{}}"#]
            ),
            (
                #"{"format":"date-time"}"#, ["\"2026-02-28T23:59:60Z\"", "\"2024-02-29t00:00:00.123+02:00\"", "7"],
                [
                    "\"2026-02-29T00:00:00Z\"", "\"2026-01-01 00:00:00Z\"", "\"2026-01-01T00:00:00\"",
                    "\"2026-01-01T24:00:00Z\"", "\"2026-01-01T00:00:00.Z\"", "\"\"",
                ]
            ),
            (#"{"format":"date"}"#, ["\"2026-12-31\""], ["\"2026-13-01\"", "\"2026-1-1\"", "\"2026-12-31T\""]),
            (
                #"{"format":"uuid"}"#, ["\"0190F3F0-7d5e-7b3a-9d54-1f0c2b7a9e11\""],
                ["\"0190f3f07d5e7b3a9d541f0c2b7a9e11\"", "\"\""]
            ),
            (
                #"{"format":"uri"}"#, ["\"https://x.example/a?b#c\"", "\"urn:a:b\""],
                ["\"/a\"", "\"a b:c\"", "\"1:x\"", "\"x:\"", "\"http://é\""]
            ),
            (
                #"{"format":"email"}"#, ["\"a@b\"", "\"é@b.example\""],
                ["\"a\"", "\"@b\"", "\"a@\"", "\"a@b@c\"", "\"a b@c\""]
            ),
        ] as [(String, [String], [String])])
    func keywordsMeanWhatTheyShould(_ text: String, _ accepted: [String], _ refused: [String]) throws {
        let schema = try schema(text)
        for text in accepted {
            let value = try JSONDocument(parsing: text).root
            #expect(schema.validate(value) == [], "\(text)")
            #expect(schema.accepts(value))
        }
        for text in refused {
            let value = try JSONDocument(parsing: text).root
            #expect(schema.validate(value) != [], "\(text)")
            #expect(!schema.accepts(value))
        }
    }

    @Test func anotherValidatorSaysTheSame() throws {
        let folder = #filePath.split(separator: "/").dropLast().joined(separator: "/")
        let bytes = try #require(try Files.read("/\(folder)/golden.txt", limit: 1 << 24))
        let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n")
        #expect(lines.count > 1000)
        for line in lines {
            let parts = line.split(separator: "\t").map(String.init)
            let schema = try schema(parts[0])
            let value = try JSONDocument(parsing: parts[1]).root
            #expect(schema.validate(value).isEmpty == (parts[2] == "1"), "\(line)")
            #expect(schema.accepts(value) == (parts[2] == "1"), "\(line)")
        }
    }

    @Test(arguments: [
        (#"{"properties":{"a":{"type":"string"}}}"#, #"{"a":1}"#, ["/a: must be a string, is the number 1"]),
        (#"{"type":["object","null"]}"#, "[]", ["must be null or an object, is an array"]),
        (#"{"required":["a","b"]}"#, "{}", [#"must have a member "a""#, #"must have a member "b""#]),
        (
            #"{"properties":{"campaign":true},"additionalProperties":false}"#, #"{"campagn":1}"#,
            [#"/campagn: is not a member that is known here; did you mean "campaign"?"#]
        ),
        (#"{"items":{"enum":["a",1]}}"#, "[\"a\",2]", [#"/1: must be one of "a", 1"#]),
        (
            #"{"properties":{"a/b":{"items":{"pattern":"^x"}}}}"#, #"{"a/b":["x","y"]}"#,
            ["/a~1b/1: must match the pattern ^x"]
        ),
        (#"{"propertyNames":{"maxLength":1}}"#, #"{"ab":1}"#, ["/ab: must have at most 1 characters, has 2"]),
        (
            #"{"anyOf":[{"type":"string"},{"type":"object","required":["id"]}]}"#, "{}",
            ["must be one of 2 alternatives, is none", #"must have a member "id""#]
        ),
        (#"{"uniqueItems":true}"#, "[1,2,1]", ["/2: is there twice: the elements must differ"]),
    ])
    func violationsSayWhereAndWhat(_ text: String, _ value: String, _ expected: [String]) throws {
        let violations = try schema(text).validate(JSONDocument(parsing: value).root)
        #expect(violations.map(\.description) == expected)
    }

    @Test func thereAreNoMoreThanTwenty() throws {
        let values = "[" + Array(repeating: "\"\"", count: 100).joined(separator: ",") + "]"
        #expect(try schema(#"{"items":{"type":"null"}}"#).validate(JSONDocument(parsing: values).root).count == 20)
    }

    @Test(arguments: [
        (#"{"requird":["a"]}"#, "test.json /requird: is not supported; did you mean required?"),
        (#"{"properties":{"a":{"contains":{}}}}"#, "test.json /properties/a/contains: is not supported"),
        (#"{"type":"text"}"#, "test.json /type: must be one or a list of"),
        (#"{"type":[]}"#, "/type: is an empty list"),
        (#"{"pattern":"("}"#, "/pattern: is no pattern: missing closing parenthesis, at character 1"),
        (#"{"patternProperties":{"[":{}}}"#, "/patternProperties/[: is no pattern"),
        (#"{"$ref":"other.json"}"#, "/$ref: must be # or begin with #/$defs/"),
        (##"{"$ref":"#/$defs/x"}"##, "/$ref: leads nowhere"),
        (##"{"minLength":-1}"##, "/minLength: must be a whole number"),
        (#"{"minItems":3,"maxItems":2}"#, "/minItems: is above maxItems"),
        (#"{"required":["a","a"]}"#, "/required: must be a list of different strings"),
        (#"{"enum":[]}"#, "/enum: must be a list with something in it"),
        (#"{"multipleOf":0}"#, "/multipleOf: must be above zero"),
        (#"{"format":"hostname"}"#, "/format: is not supported: known are date-time"),
        (
            #"{"$schema":"http://json-schema.org/draft-07/schema#"}"#,
            "/$schema: only https://json-schema.org/draft/2020-12"
        ),
        (#"{"then":{}}"#, "/then: has no if"), (#"{"type":"null","type":"null"}"#, "/type: is there twice"),
        (##"{"$ref":"#"}"##, "comes back to itself"), ("[]", "must be an object, true or false"), ("{", "at byte 1"),
        (
            ##"{"$defs":{"a":{"anyOf":[{"$ref":"#/$defs/b"}]},"b":{"not":{"$ref":"#/$defs/a"}}}}"##,
            "comes back to itself"
        ),
        (#"{"items":{"$id":"x"}}"#, "/items/$id: only the whole schema may have one"),
    ])
    func whatCannotBeIsRefusedWhereItStands(_ text: String, _ expected: String) {
        let faults = #expect(throws: SchemaFaults.self) { try schema(text) }
        #expect(faults.map { "\($0)" }?.contains(expected) == true, "\(String(describing: faults))")
    }

    @Test func everyFaultIsTold() {
        let faults = #expect(throws: SchemaFaults.self) { try schema(#"{"type":"x","minItems":-1,"foo":1,"not":5}"#) }
        #expect(faults?.faults.map(\.pointer).sorted() == ["/foo", "/minItems", "/not", "/type"])
    }

    // MARK: Hostile values

    @Test func aPatternThatWouldLookForEverGivesUp() throws {
        let text = #"{"pattern":"^(a+)+$"}"#
        let value = try JSONDocument(parsing: "\"\(String(repeating: "a", count: 40))b\"").root
        #expect(try schema(text).validate(value).map(\.reason) == ["takes too long to match with the pattern ^(a+)+$"])
        // Where failing would be passing, giving up is still no pass.
        #expect(try !schema("{\"not\":\(text)}").accepts(value))
        #expect(try !schema("{\"anyOf\":[\(text),true]}").accepts(value))
        // A long text is no reason to give up.
        let long = try JSONDocument(parsing: "\"\(String(repeating: "ab", count: 2000))\"").root
        #expect(try schema(#"{"pattern":"^(a|b)*$"}"#).accepts(long))
    }

    @Test func schemasThatBranchAtEveryLevelGiveUp() throws {
        let text = ##"{"properties":{"a":{"anyOf":[{"$ref":"#"},{"$ref":"#"}]}},"required":["b"]}"##
        let value = String(repeating: #"{"b":1,"a":"#, count: 60) + "{}" + String(repeating: "}", count: 60)
        let violations = try schema(text).validate(JSONDocument(parsing: value).root)
        #expect(violations.map(\.reason).contains("takes too long to check against its schema"))
    }

    @Test func valuesThatAreTooDeepGiveUp() throws {
        let schema = try schema(##"{"not":{"items":{"$ref":"#"}}}"##)
        let value = String(repeating: "[", count: 1000) + String(repeating: "]", count: 1000)
        #expect(try !schema.accepts(JSONDocument(parsing: value).root))
    }

    @Test func manyMembersCostNoMoreThanTheirNumber() throws {
        let members = (0..<20_000).map { "\"k\($0)\":{\"v\":\($0)}" }.joined(separator: ",")
        let value = try JSONDocument(parsing: "[{\(members)},{\(members)}]").root
        #expect(try !schema(#"{"uniqueItems":true}"#).accepts(value))
        #expect(try schema(#"{"items":{"additionalProperties":{"required":["v"]}}}"#).accepts(value))
    }
}
