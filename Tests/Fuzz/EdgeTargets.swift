import Contracts
import Glibc
import Kafka
import LocalBroker
import Model
import Platform
import Synchronization
import TestSupport

@testable import Edge
@testable import JSON

/// What a client may send to the edge.
let edgeTargets = [
    // With an end, so that the edge need not find out that nothing more comes, which takes it a while.
    Target(name: "http") {
        Site.shared.converse($0 + Array("\r\n\r\nGET /readyz HTTP/1.1\r\nconnection: close\r\n\r\n".utf8))
    },
    Target(name: "body") { require(!Site.shared.converse(request($0)).isEmpty, "no answer") },
    Target(name: "headers") { Site.shared.converse(event($0)) },
    Target(name: "lines") { gather($0) },
]

/// A request whose body is the input, but for its first byte, which says what kind of body.
private func request(_ input: [UInt8]) -> [UInt8] {
    let types = [
        "application/json", "application/x-ndjson", "application/cloudevents+json",
        "application/cloudevents-batch+json", "application/json\r\nprefer: handling=lenient",
        "application/json\r\ncontent-encoding: gzip", "application/x-ndjson\r\ncontent-encoding: gzip",
        "application/octet-stream\r\nce-id: 1\r\nce-source: /s\r\nce-type: t\r\nce-specversion: 1.0",
    ]
    let kind = Int(input.first ?? 0)
    let body = Array(input.dropFirst())
    let topic = kind & 8 == 0 ? "open" : "orders"
    let head =
        "POST /v1/topics/\(topic)/events HTTP/1.1\r\nhost: fuzz\r\nconnection: close\r\ncontent-type: \(types[kind % 8])\r\n"
    return Array("\(head)content-length: \(body.count)\r\n\r\n".utf8) + body
}

/// A CloudEvent whose attributes are the input's lines up to an empty one, and whose data is the rest.
private func event(_ input: [UInt8]) -> [UInt8] {
    var head = Array(
        "POST /v1/topics/open/events HTTP/1.1\r\nhost: fuzz\r\nconnection: close\r\nce-specversion: 1.0\r\n".utf8)
    var rest = input[...]
    while let end = rest.firstIndex(of: 10) {
        let line = rest[..<end]
        rest = rest[(end + 1)...]
        if line.isEmpty { break }
        head += Array("ce-".utf8) + line + [13, 10]
    }
    return head + Array("content-length: \(rest.count)\r\n\r\n".utf8) + rest
}

/// Lines that are parsed together are what they are one by one.
private func gather(_ text: [UInt8]) {
    var block = LineBlock()
    let lines = text.split(separator: 10, omittingEmptySubsequences: false).map(Array.init)
    for (number, line) in lines.enumerated() { unsafe block.append(line.span.bytes, number) }
    guard let document = block.parsed else { return }
    for (place, (value, range)) in zip(document.root.elements, document.root.elementRanges).enumerated() {
        guard place < block.count, block.holds(range, place) else { break }
        let alone = try? JSONDocument(parsing: lines[place])
        require(alone?.root == value, "line \(place) is another value by itself")
    }
}

/// An edge with a broker, both in this process, and one connection after the other to it.
private final class Site: Sendable {
    static let shared = Site()

    private let port: UInt16
    private let folder = TemporaryFolder()
    // Both stay as long as the process.
    private let broker: Broker
    private let edge: EdgeServer

    private init() {
        var configuration = BrokerConfiguration(dataFolder: folder.path)
        configuration.listen.port = 0
        configuration.durability = .never
        let log = Log(level: .error, format: .text) { _ in }
        var (open, orders) = (Topic("open"), Topic("orders"))
        (open.publish, orders.publish) = (.yes, .validated)
        guard let broker = try? Broker.start(configuration, log: log),
            let schema = try? Schema(Array(Self.orderSchema.utf8), file: "order.json"), let bell = try? Doorbell()
        else { fatalError("no broker in \(folder.path)") }
        orders.schema = schema
        let client = ClientConfiguration(brokers: ["127.0.0.1:\(broker.endpoint.port)"])
        let edge = EdgeConfiguration(TopicCatalog(topics: [open, orders]))
        let started = Box()
        Task.detached {
            do {
                let admin = try Admin(client)
                // What is published is let go soon: this may run for long.
                let settings = ["retention.bytes": "20000000", "segment.bytes": "10000000"]
                _ = try await admin.create(
                    ["open", "orders"].map { NewTopic(TopicName($0), partitions: 2, settings: settings) })
                await admin.close()
                let edge = try await EdgeServer(edge, client: client, log: log)
                started.edge.withLock { $0 = edge }
            } catch { print("no edge: \(error)") }
            bell.ring()
        }
        var ring = pollfd(fd: bell.fileDescriptor, events: Int16(POLLIN), revents: 0)
        while unsafe poll(&ring, 1, -1) < 1 {}
        guard let edge = started.edge.withLock({ $0 }) else { fatalError("no edge") }
        (port, self.edge, self.broker) = (edge.port, edge, broker)
    }

    private final class Box: Sendable {
        let edge = Mutex<EdgeServer?>(nil)
    }

    private static let orderSchema = """
        {"type":"object","required":["value"],"properties":{"value":{"type":"number","minimum":0},"tags":{"type":"array",
        "items":{"enum":["a","b",1]},"uniqueItems":true},"note":{"type":"string","pattern":"^[a-z]{1,8}$"}}}
        """

    /// Sends all, says that it was all, and reads until the edge hangs up. One that never does is a hang.
    @discardableResult func converse(_ bytes: [UInt8]) -> [UInt8] {
        let socket = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(socket) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        let code = unsafe withUnsafePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                let address = unsafe $0
                return uninterrupted {
                    Int(unsafe connect(socket, address, socklen_t(MemoryLayout<sockaddr_in>.size)))
                }
            }
        }
        // A connection that came while a signal was seen to is there when it is asked for again.
        require(code == 0 || errno == EISCONN, "nobody listens: \(errno)")
        // What is over is forgotten at once: there are not ports enough for those that linger.
        var option = linger(l_onoff: 1, l_linger: 0)
        unsafe setsockopt(socket, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<linger>.size))
        var sent = 0
        while sent < bytes.count {
            let count = unsafe bytes.withUnsafeBytes {
                let rest = unsafe $0
                return uninterrupted {
                    unsafe send(
                        socket, rest.baseAddress.map { unsafe $0 + sent }, bytes.count - sent, Int32(MSG_NOSIGNAL))
                }
            }
            guard count > 0 else { break }
            sent += count
        }
        shutdown(socket, Int32(SHUT_WR))
        var answer: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = uninterrupted { unsafe recv(socket, &buffer, buffer.count, 0) }
            guard count > 0 else { break }
            answer += buffer.prefix(count)
        }
        require(answer.isEmpty || answer.starts(with: Array("HTTP/1.".utf8)), "no answer in HTTP")
        // A fault of the client's is never one of ours; 503 is what a broker's pause may bring.
        require(!answer.starts(with: Array("HTTP/1.1 500".utf8)), "an answer 500")
        return answer
    }
}

/// libFuzzer looks at the time by a signal, again and again.
private func uninterrupted(_ call: () -> Int) -> Int {
    while true {
        let result = call()
        if result >= 0 || errno != EINTR && errno != EALREADY { return result }
    }
}
