import Testing

@testable import JSON

@Suite struct CodingTests {
    struct Order: Codable, Equatable {
        var id: String
        var amount: Double
        var count: Int
        var tags: [String]
        var note: String?
        var lines: [Line]
        var extra: [String: Int]
        var state: State

        struct Line: Codable, Equatable {
            var sku: String
            var price: Float
            var isGift: Bool
        }

        enum State: String, Codable { case open, closed }
    }

    private let order = Order(
        id: "a\"\\\n\u{1}é😀", amount: 12.25, count: -3, tags: ["x", "y"], note: nil,
        lines: [Order.Line(sku: "s", price: 0.1, isGift: true)], extra: ["k": 1], state: .closed)

    @Test func whatIsWrittenIsReadAgain() throws {
        let bytes = try order.jsonBytes()
        #expect(
            String(decoding: bytes, as: UTF8.self)
                == #"{"id":"a\"\\\n\u0001é😀","amount":12.25,"count":-3,"tags":["x","y"],"lines":[{"sku":"s","price":0.1,"isGift":true}],"extra":{"k":1},"state":"closed"}"#
        )
        #expect(try JSONDocument(parsing: bytes).decode(Order.self) == order)
    }

    @Test(arguments: [
        (#"{"id":1}"#, "/id: expected a string, found the number 1"), (#"{}"#, #""id" is missing"#),
        (#"[]"#, "expected an object, found an array"),
        (
            #"{"id":"a","amount":1,"count":1.5}"#,
            "/count: expected a whole number from \(Int.min) to \(Int.max), found the number 1.5"
        ),
        (#"{"id":"a","amount":1,"count":1,"tags":["x",null]}"#, "/tags/1: expected a string, found null"),
        (
            #"{"id":"a","amount":1,"count":1,"tags":[],"lines":[{"sku":"s","price":1}]}"#,
            #"/lines/0: "isGift" is missing"#
        ),
    ])
    func faultsSayWhereAndWhat(_ text: String, _ expected: String) throws {
        let document = try JSONDocument(parsing: text)
        let fault = #expect(throws: JSONFault.self) { try document.decode(Order.self) }
        #expect(fault?.kind == .mismatch)
        #expect(fault?.description == expected)
    }

    @Test func numbersKeepTheirRange() throws {
        #expect(try JSONDocument(parsing: "[255,0]").decode([UInt8].self) == [255, 0])
        #expect(try JSONDocument(parsing: "[1e3,2.0]").decode([Int].self) == [1000, 2])
        #expect(try JSONDocument(parsing: "18446744073709551615").decode(UInt64.self) == .max)
        for text in ["[256]", "[-1]", "[1.5]", "[1e300]", "[\"1\"]"] {
            #expect(throws: JSONFault.self) { try JSONDocument(parsing: text).decode([UInt8].self) }
        }
        #expect(throws: (any Error).self) { try [Double.nan].jsonBytes() }
    }

    @Test func containersWithinContainers() throws {
        struct Nested: Encodable {
            enum Keys: String, CodingKey { case list, map }
            enum Inner: String, CodingKey { case one, two }
            func encode(to encoder: any Encoder) throws {
                var outer = encoder.container(keyedBy: Keys.self)
                var list = outer.nestedUnkeyedContainer(forKey: .list)
                var map = outer.nestedContainer(keyedBy: Inner.self, forKey: .map)
                try list.encode(1)
                try map.encode("x", forKey: .two)
                var within = list.nestedContainer(keyedBy: Inner.self)
                try within.encodeNil(forKey: .one)
                try list.encode([true])
                var again = outer.nestedContainer(keyedBy: Inner.self, forKey: .map)
                try again.encode(2.5, forKey: .one)
            }
        }
        let text = String(decoding: try Nested().jsonBytes(), as: UTF8.self)
        #expect(text == #"{"list":[1,{"one":null},[true]],"map":{"two":"x","one":2.5}}"#)
    }

    @Test func theWriterPutsCommasAndEscapes() throws {
        var json = JSONWriter()
        json.object { json in
            json.member("a", "\u{7f}\u{1f}\"")
            json.member("b", 5)
            json.array("c") { json in
                json.append(1.5)
                json.append(Double.infinity)
                json.appendNull()
                json.object { _ in }
                json.append(-1_500_000, fractionDigits: 6)
                json.append(1, fractionDigits: 6)
                json.append(Int64.min, fractionDigits: 0)
                json.append(3_000_000, fractionDigits: 6)
            }
            json.object("d") { $0.member("e", false) }
        }
        #expect(
            json.text
                == #"{"a":"\#u{7f}\u001f\"","b":5,"c":[1.5,null,null,{},-1.5,0.000001,-9223372036854775808,3],"d":{"e":false}}"#
        )
        let read = try JSONDocument(parsing: json.bytes)
        #expect(read.root["a"]?.string == "\u{7f}\u{1f}\"")
        var copy = JSONWriter()
        copy.array { copy in read.root.members.forEach { copy.append($0.value) } }
        #expect(try JSONDocument(parsing: copy.bytes).root[2] == read.root["c"])
    }

    @Test(arguments: [
        0, -0.0, 1, 1e16, 1e-7, Double.leastNonzeroMagnitude, Double.greatestFiniteMagnitude, 0.1, 123456789.125,
    ])
    func doublesComeBackAsTheyWere(_ number: Double) throws {
        var json = JSONWriter()
        json.append(number)
        #expect(try JSONDocument(parsing: json.bytes).root.double == number)
    }
}
