import Contracts
import DeadLetters
import HTTP
import JSON
import Model
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
            _ = try order.text("note", most: 2000)
            _ = try order.flag("to_source")
        }
    }

    @Test func anOrder() throws {
        let body = #"{"filter":{"key":"a","topic":""},"confirm":7,"to_source":true}"#
        let order = try Order(Array(body.utf8), of: ["filter", "confirm", "note", "to_source"])
        #expect(try order.texts("filter", of: DeadLetterFilter.names) == ["key": "a"])
        #expect(try order.number("confirm", in: 1...1000) == 7)
        #expect(try order.text("note", most: 2000) == nil)
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

    /// What the description says is as long as can be is taken, and one more is not.
    @Test func textsAreAsLongAsTheDescriptionSays() throws {
        let root = try JSONDocument(parsing: Description.document()).root
        func schema(_ path: String) -> JSONValue? {
            root["paths"]?[path]?["post"]?["requestBody"]?["content"]?["application/json"]?["schema"]?["properties"]
        }
        let reason = schema("/api/handlers/{handler}/pause")?["reason"]?["maxLength"]?.int64
        let note = schema("/api/dead-letters/{id}/note")?["note"]?["maxLength"]?.int64
        #expect(reason == Int64(Console.mostWords) && note == Int64(Console.mostWords))
        for (count, isTaken) in [(Console.mostWords, true), (Console.mostWords + 1, false)] {
            let order = try Order(Array(#"{"note":"\#(String(repeating: "é", count: count))"}"#.utf8), of: ["note"])
            #expect(((try? order.text("note", most: Console.mostWords)) != nil) == isTaken)
        }
        for member in root["components"]?["schemas"]?["Filter"]?["properties"].map({ Array($0.members) }) ?? [] {
            #expect(member.value["maxLength"]?.int64 == Int64(Order.mostText), "\(member.name)")
        }
        for (count, isTaken) in [(Order.mostText, true), (Order.mostText + 1, false)] {
            let order = try Order(
                Array(#"{"filter":{"key":"\#(String(repeating: "é", count: count))"}}"#.utf8), of: ["filter"])
            #expect(((try? order.texts("filter", of: ["key"])) != nil) == isTaken)
        }
    }

    @Test(arguments: ["0000-01-01T00:00:00Z", "1969-12-31T23:59:59Z"]) func timesBeforeAnythingDied(
        text: String
    ) {
        #expect(throws: DeadLetterFilter.Fault.self) {
            _ = try DeadLetterFilter(now: 1_700_000_000_000) { $0 == "since" ? text : nil }
        }
    }

    @Test func whatIsPersonalIsLookedUpAndNotGuessed() {
        func topic(_ name: TopicName, _ pii: [String], _ handlers: HandlerName...) -> Topic {
            var topic = Topic(name)
            topic.pii = pii
            topic.consumers = handlers.map { ConsumerPolicy(handler: $0) }
            return topic
        }
        // The second's names begin as those of the first's consumer do.
        let catalog = TopicCatalog(
            topics: [topic("orders", ["/card"], "shipped"), topic("orders.shipped", ["/mail"], "mailer")],
            namespace: Namespace("b"))
        for (name, personal) in [
            ("b.orders", ["/card"]), ("b.orders.shipped.dlq", ["/card"]), ("b.orders.shipped", ["/mail"]),
            ("b.orders.shipped.mailer.dlq", ["/mail"]), ("b.orders.shipped.mailer.replay", ["/mail"]),
        ] { #expect(catalog.personal(in: TopicName(name)) == personal, "\(name)") }
        for name in ["orders", "b.orders.shipped.x", "b.orders.shipped.mailer.other", "b.orders.x.dlq", "b.nobody"] {
            #expect(catalog.personal(in: TopicName(name)) == nil, "\(name)")
        }
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
