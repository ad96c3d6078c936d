import Foundation
import Kafka

// What admin clients are asked to do.
extension Driver {
    func administer(_ op: String, _ command: Arguments, _ admin: Admin) async throws -> Any {
        switch op {
        case "admin_close": await admin.close()
        case "create_topics":
            try check(
                await admin.create(
                    command.objects("topics").map { wish in
                        NewTopic(
                            TopicName(try wish.get("name", String.self)), partitions: try wish.get("partitions"),
                            replication: wish.optional("replication"), settings: wish.optional("config") ?? [:])
                    }))
        case "delete_topics": try check(await admin.delete(command.topics("topics")))
        case "describe_topics":
            let names = try command.fields["topics"] == nil ? nil : Set(command.topics("topics"))
            return ["topics": try await admin.topics(names).values.map(json)]
        case "create_partitions":
            let topic = TopicName(try command.get("topic", String.self))
            try check(await admin.grow([topic: command.get("total")]))
        case "describe_configs":
            let settings = try await admin.settings(of: TopicName(command.get("topic", String.self)))
            return ["config": settings.mapValues { $0.value.map { $0 as Any } ?? NSNull() }]
        case "alter_configs":
            let changes = try command.get("config", [String: Any].self).mapValues { $0 as? String }
            try await admin.change(changes, of: TopicName(command.get("topic", String.self)))
        case "list_groups":
            return [
                "groups": try await admin.groups().map { ["group": $0.key.rawValue, "state": $0.value.rawValue] }
            ]
        case "describe_groups":
            var groups: [[String: Any]] = []
            for name in try command.get("groups", [String].self) {
                groups.append(json(try await admin.describe(GroupID(name))))
            }
            return ["groups": groups]
        case "delete_groups":
            try check(await admin.delete(groups: command.get("groups", [String].self).map { GroupID($0) }))
        case "list_offsets":
            let query: Admin.OffsetQuery =
                switch try command.get("timestamp", Int.self) {
                case -2: .earliest
                case -1: .latest
                case let timestamp: .time(Int64(timestamp))
                }
            let offset = try await admin.offset(of: command.place(), at: query)
            return ["offset": offset.map { Int($0.rawValue) as Any } ?? NSNull()]
        case "committed":
            let committed = try await admin.committed(by: GroupID(command.get("group", String.self)))
            return ["offsets": committed.values.map(\.json)]
        case "set_offsets":
            let offsets = try command.rows("offsets").map { place, rest in
                PartitionOffset(place, Offset(Int64(rest.first as? Int ?? 0)))
            }
            try await admin.commit(offsets, for: GroupID(command.get("group", String.self)))
        case "delete_offsets":
            try await admin.forget(command.places("partitions"), of: GroupID(command.get("group", String.self)))
        case "delete_records":
            let place = try command.place()
            let left = try await admin.deleteRecords(below: [place: Offset(Int64(command.get("before", Int.self)))])
            return ["low": left[place].map { Int($0.rawValue) as Any } ?? NSNull()]
        case "lag":
            let lag = try await admin.lag(of: GroupID(command.get("group", String.self)))
            return ["lag": lag.told.map { $0.key.json + [Int($0.value.records)] }]
        case _: throw Arguments.Malformed(description: "\(op): nothing an admin client does")
        }
        return [String: Any]()
    }

    private func check<Subject>(_ faults: [Subject: KafkaFault]) throws {
        if let fault = faults.values.first { throw fault }
    }

    private func json(_ topic: TopicDescription) -> [String: Any] {
        [
            "name": topic.name.rawValue,
            "partitions": topic.partitions.map { partition in
                [
                    "partition": Int(partition.partition.rawValue),
                    "leader": partition.leader.map { Int($0) as Any } ?? NSNull(),
                    "replicas": partition.replicas.map { Int($0) },
                ] as [String: Any]
            },
        ]
    }

    private func json(_ group: GroupDescription) -> [String: Any] {
        [
            "group": group.group.rawValue, "state": group.state.rawValue, "strategy": group.strategy,
            "members": group.members.map { member in
                [
                    "member": member.id, "client_id": member.clientID, "host": member.host,
                    "partitions": member.partitions.map(\.json),
                ] as [String: Any]
            },
        ]
    }
}
