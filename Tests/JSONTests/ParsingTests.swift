import Testing

@testable import JSON

@Suite struct ParsingTests {
    @Test func valuesAreFoundByNameAndPlace() throws {
        let json = try JSONDocument(
            parsing:
                #"{"a":[1,-2,3.5,18446744073709551615],"b":{"c":"d\n\u00e9\ud83d\ude00"},"t":true,"f":false,"n":null,"":9}"#
        )
        let root = json.root
        #expect(root.kind == .object)
        #expect(root.count == 6)
        #expect(root["a"]?.count == 4)
        #expect(root["a"]?[1]?.int64 == -2)
        #expect(root["a"]?[2]?.double == 3.5)
        #expect(root["a"]?[2]?.int64 == nil)
        #expect(root["a"]?[3]?.uint64 == .max)
        #expect(root["a"]?[3]?.int64 == nil)
        #expect(root["a"]?[4] == nil)
        #expect(root["a"]?[-1] == nil)
        #expect(root["b"]?["c"]?.string == "d\né😀")
        #expect(root["b"]?["c"]?.isString("d\né😀") == true)
        #expect(root["t"]?.bool == true)
        #expect(root["f"]?.bool == false)
        #expect(root["n"]?.isNull == true)
        #expect(root[""]?.int64 == 9)
        #expect(root["x"] == nil)
        #expect(root["t"]?["x"] == nil)
        #expect(root["t"]?[0] == nil)
        #expect(root.members.map(\.name) == ["a", "b", "t", "f", "n", ""])
        #expect(root["a"]?.elements.compactMap(\.double) == [1, -2, 3.5, 18446744073709551616])
        #expect(root["b"]?["c"]?.withUTF8 { $0.count } == 8)
        #expect(root["a"]?.withUTF8 { $0.count } == nil)
    }

    @Test(arguments: ["1", "null", "\"\"", "[]", "{}", " \t\r\n[ ] ", "-0", "0.5e-3"])
    func anyValueMayStandAlone(_ text: String) throws { _ = try JSONDocument(parsing: text) }

    @Test(arguments: [
        ("", JSONFault.Kind.syntax, 0), ("  ", .syntax, 2), ("{", .syntax, 1), ("[1,", .syntax, 3),
        ("[1 2]", .syntax, 3), ("{\"a\" 1}", .syntax, 5), ("{a:1}", .syntax, 1), ("[1,]", .syntax, 3),
        ("01", .syntax, 0),
        ("1.", .syntax, 0), ("-", .syntax, 0), ("+1", .syntax, 0), (".5", .syntax, 0), ("1e", .syntax, 0),
        ("tru", .syntax, 0), ("nul!", .syntax, 0), ("'a'", .syntax, 0), ("\"a", .syntax, 0), ("\"\\x\"", .syntax, 1),
        ("\"\\u12g4\"", .syntax, 1), ("\"a\nb\"", .syntax, 2), ("1 2", .syntax, 2), ("[1]]", .syntax, 3),
        ("NaN", .syntax, 0), ("[Infinity]", .syntax, 1), ("\u{0}", .syntax, 0), ("[\u{0}]", .syntax, 1),
        ("\"\\ud800\"", .encoding, 1), ("\"\\udc00\"", .encoding, 1), ("\"\\ud800\\u0041\"", .encoding, 1),
        ("\"\\ud800\\ud800\"", .encoding, 1), ("\u{feff}1", .encoding, 0),
        ("18446744073709551616", .numberRange, 0), ("[-9223372036854775809]", .numberRange, 1),
        ("1e400", .numberRange, 0),
    ])
    func whatIsNoJSONSaysWhyAndWhere(_ text: String, _ kind: JSONFault.Kind, _ offset: Int) throws {
        let fault = #expect(throws: JSONFault.self) { try JSONDocument(parsing: text) }
        #expect(fault?.kind == kind, "\(String(describing: fault))")
        #expect(fault?.offset == offset, "\(String(describing: fault))")
    }

    @Test(
        arguments: [
            [0xff], [0x22, 0xc0, 0x80, 0x22], [0x22, 0xed, 0xa0, 0x80, 0x22], [0x22, 0xf4, 0x90, 0x80, 0x80, 0x22],
            [0x22, 0xe2, 0x82, 0x22], [0x22, 0x80, 0x22],
        ] as [[UInt8]])
    func whatIsNotUTF8IsRefused(_ bytes: [UInt8]) {
        let fault = #expect(throws: JSONFault.self) { try JSONDocument(parsing: bytes) }
        #expect(fault?.offset != nil)
    }

    @Test func depthAndSizeAreBounded() throws {
        for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
            let fits = String(repeating: open, count: 1000) + "1" + String(repeating: close, count: 1000)
            #expect(try JSONDocument(parsing: fits).root.firstDuplicateKey(deep: true) == nil)
            for text in [
                String(repeating: open, count: 10_000),
                String(repeating: open, count: 10_000) + "1" + String(repeating: close, count: 10_000),
            ] {
                let fault = #expect(throws: JSONFault.self) { try JSONDocument(parsing: text) }
                #expect(fault?.kind == .tooDeep)
            }
        }
        let fault = #expect(throws: JSONFault.self) { try JSONDocument(parsing: "[1,2,3]", limit: 6) }
        #expect(fault?.kind == .tooLarge)
    }

    @Test func aDocumentOutlivesManyOthers() throws {
        let kept = try JSONDocument(parsing: #"{"name":"the first"}"#)
        for size in [10, 5000, 100_000, 3_000_000] {
            let text = "[\"" + String(repeating: "x", count: size) + "\"]"
            #expect(try JSONDocument(parsing: text).root[0]?.withUTF8 { $0.count } == size)
        }
        #expect(kept.root["name"]?.string == "the first")
    }

    @Test func manyTasksParseAtOnce() async throws {
        await withTaskGroup(of: Bool.self) { group in
            for task in 0..<8 {
                group.addTask {
                    (0..<500).allSatisfy { round in
                        let document = try? JSONDocument(parsing: "{\"n\":\(task * 1000 + round)}")
                        return document?.root["n"]?.int64 == Int64(task * 1000 + round)
                    }
                }
            }
            for await isRight in group { #expect(isRight) }
        }
    }

    /// What the parser takes and what the slow finder of faults takes is the same, for texts that are nearly JSON.
    @Test(arguments: [UInt64.random(in: 0...UInt64.max), 1, 2])
    func nearlyJSONIsJudgedAlikeAndTrapsNobody(_ seed: UInt64) {
        var dice = Dice(seed: seed)
        let pieces = [
            #"{"a":[1,2.5e-3,"x\u0041\ud83d\ude00"],"b":{"c":null,"d":true}}"#, "[[],{},[{}],\"é€😀\"]",
            "[0,-1,1e308,0.1,false]",
            "18446744073709551615", "\"\\\\\\\"\\/\\b\"",
        ]
        let odd: [UInt8] = Array("{}[],:\"\\u0e+-.1tfn \u{1}".utf8) + [0, 0x80, 0xc2, 0xed, 0xa0, 0xff]
        for _ in 0..<4000 {
            var bytes = Array(pieces[dice.below(pieces.count)].utf8)
            for _ in 0..<dice.below(4) {
                let at = dice.below(bytes.count)
                switch dice.below(3) {
                case 0: bytes[at] = odd[dice.below(odd.count)]
                case 1: bytes.insert(odd[dice.below(odd.count)], at: at)
                case _: if bytes.count > 1 { bytes.remove(at: at) }
                }
            }
            let document = try? JSONDocument(parsing: bytes)
            let fault = unsafe bytes.withUnsafeBytes { unsafe JSONFault.find(in: RawSpan(_unsafeBytes: $0)) }
            #expect((document == nil) == (fault != nil), "seed \(seed): \(bytes)")
            if let document { touch(document.root) }
        }
    }

    /// Looks at everything there is to see.
    private func touch(_ value: JSONValue) {
        _ = (value.string, value.double, value.decimal(fractionDigits: 6), value.hashValue, value.numberText)
        #expect(value == value)
        #expect(value.document.root.pointer(to: value).flatMap { value.document.root.at(pointer: $0) } != nil)
        for element in value.elements { touch(element) }
        for member in value.members where value[member.name] == member.value { touch(member.value) }
    }
}

/// Random numbers that a seed decides.
struct Dice {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }

    mutating func below(_ limit: Int) -> Int { Int(next() % UInt64(max(1, limit))) }
}
