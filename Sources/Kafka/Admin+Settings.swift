internal import CRdKafka

/// One setting of a topic.
public struct TopicSetting: Hashable, Sendable {
    public let name: String
    /// Nil when the broker keeps it secret.
    public let value: String?
    /// Whether it was set for this topic, rather than being the cluster's default.
    public let isOwn: Bool
    public let isReadOnly: Bool
}

extension Admin {
    /// The settings of a topic, by name.
    public func settings(of topic: TopicName) async throws(KafkaFault) -> [String: TopicSetting] {
        let site = KafkaFault.Site("describe settings", topic: topic)
        try topic.check(at: site)
        return try await core.call(
            site.operation,
            start: { client, options, queue throws(KafkaFault) in
                try withNatives([topic], Self.resource, free: { unsafe rd_kafka_ConfigResource_destroy($0) }) {
                    unsafe rd_kafka_DescribeConfigs(client, $0, $1, options, queue)
                }
            },
            read: { event throws(KafkaFault) in
                let result = unsafe rd_kafka_event_DescribeConfigs_result(event)
                let described = readNatives({ unsafe rd_kafka_DescribeConfigs_result_resources(result, $0) }) {
                    (Self.fault(of: $0, at: site), Self.settings(of: $0))
                }
                guard let (fault, settings) = described.first else { return [:] }
                if let fault { throw fault }
                return Dictionary(settings.map { ($0.name, $0) }) { first, _ in first }
            })
    }

    /// Changes some settings of a topic; a nil value goes back to the cluster's default, the others stay as they are.
    ///
    /// Warning: reads and writes, because the call that all versions have replaces all of a topic's settings. Two who
    /// do it at once may undo each other.
    public func change(_ changes: [String: String?], of topic: TopicName) async throws(KafkaFault) {
        let site = KafkaFault.Site("change settings", topic: topic)
        for (name, value) in changes { try checkText(name, value ?? "", at: site) }
        var wanted = try await settings(of: topic).values.reduce(into: [String: String]()) { wanted, setting in
            if setting.isOwn { wanted[setting.name] = setting.value }
        }
        for (name, value) in changes { wanted[name] = value }
        let settings = wanted
        try await core.call(
            site.operation,
            start: { client, options, queue throws(KafkaFault) in
                try withNatives([topic], Self.resource, free: { unsafe rd_kafka_ConfigResource_destroy($0) }) {
                    for (name, value) in settings {
                        unsafe rd_kafka_ConfigResource_set_config($0?.pointee, name, value)
                    }
                    unsafe rd_kafka_AlterConfigs(client, $0, $1, options, queue)
                }
            },
            read: { event throws(KafkaFault) in
                let result = unsafe rd_kafka_event_AlterConfigs_result(event)
                let faults = readNatives({ unsafe rd_kafka_AlterConfigs_result_resources(result, $0) }) {
                    Self.fault(of: $0, at: site)
                }
                if let fault = faults.first ?? nil { throw fault }
            })
    }

    @safe private static func resource(_ topic: TopicName) -> OpaquePointer? {
        unsafe rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic.rawValue)
    }

    @safe private static func fault(of resource: OpaquePointer, at site: KafkaFault.Site) -> KafkaFault? {
        let code = unsafe rd_kafka_ConfigResource_error(resource)
        guard code != RD_KAFKA_RESP_ERR_NO_ERROR else { return nil }
        return unsafe KafkaFault(code, string(rd_kafka_ConfigResource_error_string(resource)), at: site)
    }

    @safe private static func settings(of resource: OpaquePointer) -> [TopicSetting] {
        readNatives({ unsafe rd_kafka_ConfigResource_configs(resource, $0) }) { entry in
            unsafe TopicSetting(
                name: string(rd_kafka_ConfigEntry_name(entry)) ?? "",
                value: string(rd_kafka_ConfigEntry_value(entry)),
                isOwn: rd_kafka_ConfigEntry_source(entry) == RD_KAFKA_CONFIG_SOURCE_DYNAMIC_TOPIC_CONFIG,
                isReadOnly: rd_kafka_ConfigEntry_is_read_only(entry) == 1)
        }
    }
}
