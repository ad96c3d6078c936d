internal import Aggregate
internal import Contracts
internal import Flotilla
internal import Ingest
internal import Model
internal import Process

/// The handlers that come with Flotilla, made of what the topic files say.
enum FleetHandlers {
    static let names: [HandlerName] = ["ingest", "process", "aggregate"]

    @Sendable static func make(_ name: HandlerName, _ catalog: TopicCatalog) throws -> AnyHandler? {
        switch name {
        case "ingest":
            .events(
                Ingest(raw: try schema(of: "events.raw", catalog), accepted: try schema(of: "events.accepted", catalog))
            )
        case "process":
            .stateful(try Process(settings: catalog["events.accepted"]?.settings(of: name) ?? [:]))
        case "aggregate":
            .stateful(try Aggregate(settings: catalog["metrics.points"]?.settings(of: name) ?? [:]))
        case _: nil
        }
    }

    private static func schema(of topic: TopicName, _ catalog: TopicCatalog) throws -> Schema {
        guard let schema = catalog[topic]?.schema else {
            throw Missing(
                description: "\(topic) needs a topic file with a schema: the one that comes with Flotilla has it")
        }
        return schema
    }

    fileprivate struct Missing: Error, CustomStringConvertible {
        let description: String
    }
}

extension Topic {
    fileprivate func settings(of handler: HandlerName) -> [String: String] {
        consumers.first { $0.handler == handler }?.settings ?? [:]
    }
}
