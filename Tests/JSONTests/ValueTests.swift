import Testing

@testable import JSON

@Suite struct ValueTests {
    private func root(_ text: String) throws -> JSONValue { try JSONDocument(parsing: text).root }

    @Test(
        arguments: [
            ("12.5", 12_500_000), ("-0.000001", -1), ("1.50000000000", 1_500_000), ("0", 0), ("-0.0", 0),
            ("7", 7_000_000),
            ("1e3", 1_000_000_000), ("1.5E-5", 15), ("0.1", 100_000), ("0.3", 300_000),
            ("999999999999.999999", 999_999_999_999_999_999),
            ("9223372036854.775807", Int64.max), ("-9223372036854.775808", Int64.min), ("10.00e-1", 1_000_000),
            ("0e400000", 0),
        ] as [(String, Int64)])
    func decimalsAreExact(_ text: String, _ units: Int64) throws {
        #expect(try root(text).decimal(fractionDigits: 6) == units)
        // Behind others, and before.
        let inside = try root("[1.25,{\"a\":[]},\"x,1:2\",\(text),2.5]")
        #expect(inside[3]?.decimal(fractionDigits: 6) == units)
        #expect(inside[0]?.decimal(fractionDigits: 6) == 1_250_000)
        #expect(inside[4]?.decimal(fractionDigits: 6) == 2_500_000)
    }

    @Test(arguments: [
        "0.0000001", "1e-7", "9223372036854.775808", "18446744073709551615", "1e300", "\"1\"", "null",
        "1.0000000000000000000000000000000000000001",
    ])
    func whatIsNotExactIsNone(_ text: String) throws {
        #expect(try root(text).decimal(fractionDigits: 6) == nil)
    }

    @Test func decimalsCompare() throws {
        let sorted = try [
            "-1e300", "-18", "-17.5", "-0.001", "0", "1e-300", "0.09", "0.1", "1", "1.01", "18446744073709551615",
            "1e20", "1e300",
        ]
        .map { try #require(try root($0).exactNumber) }
        for (index, one) in sorted.enumerated() {
            for (other, two) in sorted.enumerated() {
                #expect((one < two) == (index < other))
                #expect((one == two) == (index == other))
            }
        }
    }

    @Test(arguments: [
        ("0.3", "0.1", true), ("0.35", "0.1", false), ("1e300", "3", false), ("3e300", "3", true), ("7", "0.5", true),
        ("0", "7", true), ("15", "1.5", true), ("-4", "2", true), ("1e-10", "1e-11", true), ("100", "1e3", false),
        ("5000", "1e3", true),
    ])
    func multiplesAreExact(_ number: String, _ divisor: String, _ isMultiple: Bool) throws {
        let divisor = try #require(try root(divisor).exactNumber)
        #expect(try root(number).exactNumber?.isMultiple(of: divisor) == isMultiple)
    }

    @Test func valuesAreGivenAsTheyCame() throws {
        let text = #" {"a" : [1, 2.50 ,{"b":"x\"]"}] , "c":  "\\" ,"d":true} "#
        let value = try root(text)
        func source(_ pointer: String) -> String? {
            value.at(pointer: pointer)?.withSource {
                unsafe $0.withUnsafeBytes { unsafe String(decoding: $0, as: UTF8.self) }
            }
        }
        #expect(source("") == String(text.dropFirst().dropLast()))
        #expect(source("/a") == #"[1, 2.50 ,{"b":"x\"]"}]"#)
        #expect(source("/a/1") == "2.50")
        #expect(source("/a/2/b") == #""x\"]""#)
        #expect(source("/c") == #""\\""#)
        #expect(source("/d") == "true")
        #expect(value["a"]?[1]?.numberText == "2.50")
    }

    /// Each search goes on from the last one: in whatever order they come, they find the same.
    @Test func placesAreFoundInAnyOrder() throws {
        let event = #"{"n":-1.5,"o":{"a":[1,"x,:",-2],"b":{}},"s":"{","e":12}"#
        let text = "[\(Array(repeating: event, count: 9).joined(separator: ","))]"
        let pointers = ["", "/n", "/o", "/o/a", "/o/a/1", "/o/a/2", "/o/b", "/s", "/e"]
        let wanted = [
            event, "-1.5", #"{"a":[1,"x,:",-2],"b":{}}"#, #"[1,"x,:",-2]"#, #""x,:""#, "-2", "{}", #""{""#, "12",
        ]
        let document = try JSONDocument(parsing: text)
        var random = SystemRandomNumberGenerator()
        for _ in 0..<2000 {
            let (number, which) = (Int.random(in: 0..<9, using: &random), Int.random(in: 0..<9, using: &random))
            let value = try #require(document.root[number]?.at(pointer: pointers[which]))
            let range = value.sourceRange
            #expect(String(decoding: Array(text.utf8)[range], as: UTF8.self) == wanted[which])
            #expect(range.lowerBound / (event.utf8.count + 1) == number)
        }
    }

    @Test func elementsAreFoundInOneWalk() throws {
        let elements = [
            "1", "-2.5e3", #""a,]\"\\""#, "true", "null", "[]", "{}", #"[1,[2,"x"],{"a":[-3]}]"#,
            #"{"n":-1,"o":{"p":[]}}"#,
        ]
        // Each in each place, between other things, with and without blanks.
        for shift in elements.indices {
            let wanted = Array(elements[shift...] + elements[..<shift])
            for between in [",", " ,\n", ",\t ", "  ,"] {
                let text =
                    #"{"before":[7,{"x":[8]}],"list":[ "# + wanted.joined(separator: between) + #" ],"after":[9]}"#
                let list = try #require(try root(text)["list"])
                let found = list.elementRanges.map { String(decoding: Array(text.utf8)[$0], as: UTF8.self) }
                #expect(found == wanted)
                #expect(list.elementRanges == list.elements.map(\.sourceRange))
            }
        }
        #expect(try root("[]").elementRanges.isEmpty)
        #expect(try root(#"{"a":[1]}"#).elementRanges.isEmpty)
    }

    @Test(arguments: ["\"", "\\", "\u{0}", "\u{1f}", "\n"])
    func whatNeedsAnEscapeIsSeenAnywhere(_ odd: String) throws {
        for length in 0..<20 {
            for place in 0...length {
                let text =
                    String(repeating: "ä", count: place / 2) + String(repeating: "x", count: place % 2) + odd
                    + String(repeating: "!", count: length - place)
                var json = JSONWriter()
                json.append(text)
                #expect(try root(json.text).string == text)
            }
        }
    }

    @Test func membersAreLentInTheirOrder() throws {
        let value = try root(#"{"a":1,"b":{"c":[2]},"d":"e"}"#)
        var (names, places): ([String], [Int]) = ([], [])
        value.forEachMember { name, value in
            names.append(name.string ?? "")
            places.append(value.place)
        }
        #expect(names == ["a", "b", "d"])
        #expect(places.map { value.document.value(at: $0) } == value.members.map(\.value))
        for other in ["[1]", "\"a\"", "{}", "1"] {
            try root(other).forEachMember { _, _ in Issue.record("\(other) has no members") }
        }
    }

    @Test func wholeNumbersAreWrittenAsTheyAre() {
        var json = JSONWriter(capacity: 0)
        json.object { json in
            json.name(plain: "list")
            json.array { for number in [0, 9, 10, -1, -10, Int.max, Int.min] { $0.append(number) } }
            json.name(plain: "")
            json.append(7)
        }
        #expect(json.text == #"{"list":[0,9,10,-1,-10,\#(Int.max),\#(Int.min)],"":7}"#)
    }

    @Test func pointersLeadThereAndBack() throws {
        let value = try root(#"{"a/b":{"m~n":[10,[20]]},"":{"":5},"0":1,"x":{"y":2}}"#)
        #expect(value.at(pointer: "/a~1b/m~0n/1/0")?.int64 == 20)
        #expect(value.at(pointer: "//")?.int64 == 5)
        #expect(value.at(pointer: "/0")?.int64 == 1)
        for wrong in ["a", "/a~2b", "/a~1b/m~0n/01", "/a~1b/m~0n/-", "/a~1b/m~0n/2", "/x/y/z", "/a~"] {
            #expect(value.at(pointer: wrong) == nil)
        }
        for pointer in ["", "/a~1b/m~0n", "/a~1b/m~0n/1/0", "//", "/0", "/x/y"] {
            let found = try #require(value.at(pointer: pointer))
            #expect(value.pointer(to: found) == pointer)
        }
        #expect(try value.pointer(to: root("1")) == nil)
    }

    @Test func valuesAreEqualByWhatTheyAre() throws {
        let same = [
            ("1", "1.0"), ("1e2", "100"), ("0", "-0.0"), (#"{"a":1,"b":[2]}"#, #"{"b":[2.0],"a":1}"#),
            ("\"\\u0041\"", "\"A\""),
            ("18446744073709551615", "18446744073709551615"), ("[]", "[ ]"),
        ]
        for (one, other) in same {
            #expect(try root(one) == root(other), "\(one) \(other)")
            #expect(try root(one).hashValue == root(other).hashValue, "\(one) \(other)")
        }
        let different = [
            ("1", "true"), ("9007199254740993", "9007199254740992.0"), ("[1,2]", "[2,1]"),
            (#"{"a":1}"#, #"{"a":1,"b":1}"#),
            (#"{"a":1}"#, #"{"b":1}"#), ("18446744073709551615", "18446744073709551616.0"), ("null", "false"),
            ("\"1\"", "1"),
        ]
        for (one, other) in different { #expect(try root(one) != root(other), "\(one) \(other)") }
        // Many members, in the other order.
        let names = (0..<500).map { "\"k\($0)\":\($0)" }
        #expect(
            try root("{\(names.joined(separator: ","))}") == root("{\(names.reversed().joined(separator: ","))}"))
    }

    @Test func namesThatAreThereTwiceAreFound() throws {
        #expect(try root(#"{"a":1,"b":2,"a":3}"#).firstDuplicateKey() == "/a")
        #expect(try root(#"{"a":1,"\u0061":3}"#).firstDuplicateKey() == "/a")
        #expect(try root(#"{"x":{"a":1,"a":2}}"#).firstDuplicateKey() == nil)
        #expect(try root(#"{"x":[0,{"a/b":1,"a/b":2}]}"#).firstDuplicateKey(deep: true) == "/x/1/a~1b")
        #expect(try root(#"{"a":1,"b":{"a":1}}"#).firstDuplicateKey(deep: true) == nil)
        #expect(try root("[1,1]").firstDuplicateKey(deep: true) == nil)
        let many = (0..<5000).map { "\"k\($0)\":0" }.joined(separator: ",")
        #expect(try root("{\(many)}").firstDuplicateKey() == nil)
        #expect(try root("{\(many),\"k77\":1}").firstDuplicateKey() == "/k77")
        #expect(try root("{\(many),\"k77\":1}")["k77"]?.int64 == 0)
    }

    /// A container of more elements than the tape counts.
    @Test func hugeContainersAreCounted() throws {
        let count = 0xff_ffff + 3
        var bytes: [UInt8] = [UInt8(ascii: "[")]
        bytes.reserveCapacity(2 * count + 2)
        for _ in 0..<count { bytes += [UInt8(ascii: "1"), UInt8(ascii: ",")] }
        bytes[bytes.count - 1] = UInt8(ascii: "]")
        #expect(try JSONDocument(parsing: bytes, limit: 1 << 26).root.count == count)
    }
}
