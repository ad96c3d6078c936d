import DeadLetters
import HTTP
import JSON
import Platform
import Testing
import WebAPI

@testable import Console

@Suite struct AskingTests {
    @Test(arguments: [
        #"{"filter":1}"#, #"{"filter":{"nobody":"x"}}"#, #"{"filter":{"key":1}}"#, #"{"confirm":"1"}"#,
        #"{"confirm":0}"#,
        #"{"confirm":1.5}"#, #"{"confirm":99999999999999999999}"#, #"{"other":1}"#, "[]", "1",
        #"{"confirm":1,"confirm":2}"#,
        #"{"note":"\#(String(repeating: "x", count: 2001))"}"#, #"{"note":"a\u0000b"}"#, #"{"to_source":"yes"}"#,
    ]) func ordersThatMakeNoSense(body: String) {
        #expect(throws: Problem.self) {
            let order = try Order(Array(body.utf8), of: ["filter", "confirm", "note", "to_source"])
            _ = try order.texts("filter", of: DeadLetterFilter.names)
            _ = try order.number("confirm", in: 1...1000)
            _ = try order.text("note")
            _ = try order.flag("to_source")
        }
    }

    @Test func anOrder() throws {
        let body = #"{"filter":{"key":"a","topic":""},"confirm":7,"to_source":true}"#
        let order = try Order(Array(body.utf8), of: ["filter", "confirm", "note", "to_source"])
        #expect(try order.texts("filter", of: DeadLetterFilter.names) == ["key": "a"])
        #expect(try order.number("confirm", in: 1...1000) == 7)
        #expect(try order.text("note") == nil)
        #expect(try order.flag("to_source"))
        #expect(try Order([], of: []).number("confirm", in: 1...2) == nil)
    }

    @Test func everyRouteIsDescribedOnce() throws {
        let root = try JSONDocument(parsing: Description.document()).root
        #expect(root["openapi"]?.string == "3.1.0")
        var described = 0
        for path in root["paths"].map({ Array($0.members) }) ?? [] {
            for operation in path.value.members {
                described += 1
                #expect(operation.value["responses"]?["200"] != nil, "\(operation.name) \(path.name)")
                let names = operation.value["parameters"].map { $0.elements.compactMap { $0["name"]?.string } } ?? []
                #expect(Set(names).count == names.count)
                let changes = operation.name == "post"
                #expect(names.contains("X-Flotilla-Console") == changes)
            }
        }
        #expect(described == Route.allCases.count)
    }

    @Test func everyFileOfThePageIsThere() {
        for path in Page.paths { #expect(Page.file(path)?.body.isEmpty == false, "\(path)") }
        #expect(Page.file("/nothing") == nil)
        let html = String(decoding: Page.file("/")?.body ?? [], as: UTF8.self)
        #expect(!html.contains("https://") && !html.contains("style=") && !html.contains("onclick"))
    }

    @Test func aBodyIsCut() throws {
        var json = JSONWriter()
        json.object { ShownBody(.text(String(repeating: "é", count: 100)), bytes: 200, limit: 11).write(to: &$0) }
        let body = try JSONDocument(parsing: json.text).root["body"]
        #expect(body?["cut"]?.bool == true && body?["bytes"]?.int64 == 200)
        #expect(body?["text"]?.string?.hasPrefix("ééééé") == true)
    }
}
