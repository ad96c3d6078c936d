import JSON
import Model

@testable import Contracts

/// What an author may write into files.
let fileTargets = [
    Target(name: "topics") { input in
        let file = TopicFile(input, file: "orders.yaml", stem: "orders")
        let catalog = TopicCatalog(topics: [file.topic])
        if file.faults.isEmpty { _ = (catalog.brokenRules(), catalog.wanted(for: Set(catalog.handlers))) }
        for fault in file.faults { require(!fault.reason.isEmpty, "a fault without a reason") }
    },
    Target(name: "schema") { input in
        // A schema, and behind an empty line a value.
        let end = zip(input.indices, input.indices.dropFirst()).first { input[$0] == 10 && input[$1] == 10 }?.0
        guard let schema = try? Schema(Array(input[..<(end ?? input.count)]), file: "schema.json"), let end,
            let value = try? JSONDocument(parsing: Array(input[end...]))
        else { return }
        require(schema.validate(value.root).isEmpty == schema.accepts(value.root), "refused and accepted")
    },
]
