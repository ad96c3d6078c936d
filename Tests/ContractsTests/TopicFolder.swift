import Contracts
import Glibc
import Model
import TestSupport

/// A folder of topic files for one test.
struct TopicFolder {
    private let folder = TemporaryFolder()

    var path: String { folder.path }

    init(_ files: [String: String] = [:]) {
        unsafe mkdir("\(path)/schemas", 0o755)
        for (name, text) in files { write(name, text) }
    }

    func write(_ name: String, _ text: String) {
        let file = unsafe open("\(path)/\(name)", O_WRONLY | O_CREAT | O_TRUNC, 0o644)
        precondition(file >= 0, "cannot write \(path)/\(name)")
        defer { close(file) }
        var text = text
        text.withUTF8 { bytes in
            let written = unsafe Glibc.write(file, bytes.baseAddress, bytes.count)
            precondition(written == bytes.count)
        }
    }

    func catalog(_ namespace: Namespace = Namespace()) throws(TopicFaults) -> TopicCatalog {
        try TopicCatalog(folder: path, namespace: namespace)
    }

    /// The topic files that come with Flotilla.
    static let fleet = "/" + #filePath.split(separator: "/").dropLast(3).joined(separator: "/") + "/topics"

    /// What is wrong with the files, with the folder's path taken off.
    var faults: [String] {
        do throws(TopicFaults) {
            _ = try catalog()
            return []
        } catch {
            return error.faults.map { $0.description.replacing(path + "/", with: "").replacing(path, with: ".") }
        }
    }

    static let orders = """
        name: orders
        about: what customers ordered
        partitions: 3
        retention: 14d
        maxMessageBytes: 512KiB
        key: customer_id
        schema: schemas/order.json
        pii: [/customer_id, "/address/a~1b"]
        publish: {validate: true}
        consumers:
          - handler: billing
            concurrency: 8
            deadline: 10s
            retry: {inProcess: 2, tiers: [10s, 300s]}
            once: {ttl: 1h, onStoreDown: proceed}
            breaker: {failures: 5, window: 10s, cooldown: 500ms}
            produces: [invoices]
          - handler: stock
            ordering: partition
            once: false
        """

    static let order = #"{"$id":"https://shop.example/order/1","type":"object","required":["id"]}"#

    /// A shop: orders with two consumers, invoices with none.
    static func shop() -> TopicFolder {
        TopicFolder(["orders.yaml": orders, "invoices.yaml": "name: invoices\n", "schemas/order.json": order])
    }
}
