// Settings: of topics, and the few that the broker itself has.

internal import Platform

extension BrokerCore {
    func describeConfigs(_ request: DescribeConfigsRequest) -> DescribeConfigsResponse {
        var seen = Set<ConfigResource>()
        return DescribeConfigsResponse(
            resources: request.resources.filter { seen.insert($0.resource).inserted }.map { asked in
                var answer = DescribeConfigsResponse.Resource(resource: asked.resource)
                do throws(TopicRefusal) {
                    answer.configs = try configs(of: asked.resource)
                        .filter { asked.names?.contains($0.name) ?? true }
                        .map { config in
                            var config = config
                            if !request.wantsSynonyms { config.synonyms = [] }
                            if !request.wantsDocumentation { config.documentation = nil }
                            return config
                        }
                } catch {
                    answer.error = error.code
                    answer.message = error.message
                }
                return answer
            })
    }

    private func configs(of resource: ConfigResource) throws(TopicRefusal) -> [DescribeConfigsResponse.Config] {
        if resource.isBroker {
            try checkNode(resource)
            return catalog.settings.descriptions.map {
                DescribeConfigsResponse.Config(
                    name: $0.name, value: $0.value, source: $0.isDefault ? .defaultConfig : .staticBrokerConfig,
                    type: $0.kind.rawValue, documentation: $0.documentation)
            }
        }
        let defaults = TopicConfig()
        return try topic(of: resource).entry.config.descriptions.map { setting in
            var synonyms = [
                DescribeConfigsResponse.Synonym(
                    name: setting.name, value: defaults.value(of: setting.name), source: .defaultConfig)
            ]
            if !setting.isDefault {
                synonyms.insert(
                    DescribeConfigsResponse.Synonym(
                        name: setting.name, value: setting.value, source: .topicConfig), at: 0)
            }
            return DescribeConfigsResponse.Config(
                name: setting.name, value: setting.value, source: setting.source, synonyms: synonyms,
                type: setting.kind.rawValue, documentation: setting.documentation)
        }
    }

    private func topic(of resource: ConfigResource) throws(TopicRefusal) -> Topic {
        guard resource.isTopic else {
            throw TopicRefusal(
                code: .invalidRequest, message: "only topics and brokers have settings here, not type \(resource.type)")
        }
        guard let topic = topics[resource.name] else {
            throw TopicRefusal(code: .unknownTopicOrPartition, message: "there is no topic \(resource.name)")
        }
        return topic
    }

    private func checkNode(_ resource: ConfigResource) throws(TopicRefusal) {
        guard resource.name.isEmpty || resource.name == "\(Self.nodeID)" else {
            throw TopicRefusal(code: .invalidRequest, message: "the only broker here is \(Self.nodeID)")
        }
    }

    // MARK: Changing

    /// One setting to be changed; nil for its default.
    private typealias Change = (name: String, value: String?)

    /// Replaces all that was set: what is not named returns to its default.
    func alterConfigs(_ request: AlterConfigsRequest) -> AlterConfigsResponse {
        var seen = Set<ConfigResource>()
        return AlterConfigsResponse(
            resources: request.resources.map { asked in
                answer(asked.resource, &seen) { () throws(TopicRefusal) in
                    let changes: [Change] = asked.configs.map { ($0.name, $0.value) }
                    try alter(asked.resource, changes, startingOver: true, validateOnly: request.validateOnly)
                }
            })
    }

    func incrementalAlterConfigs(_ request: IncrementalAlterConfigsRequest) -> AlterConfigsResponse {
        var seen = Set<ConfigResource>()
        return AlterConfigsResponse(
            resources: request.resources.map { asked in
                answer(asked.resource, &seen) { () throws(TopicRefusal) in
                    var changes: [Change] = []
                    for config in asked.configs {
                        switch config.operation {
                        case .set: changes.append((config.name, config.value))
                        case .delete: changes.append((config.name, nil))
                        case .append, .subtract, .other:
                            throw TopicRefusal(
                                code: .invalidRequest,
                                message: "\(config.name) can be set or deleted: no setting here is a list")
                        }
                    }
                    try alter(asked.resource, changes, startingOver: false, validateOnly: request.validateOnly)
                }
            })
    }

    /// What was changed of a resource, or why not. `seen` holds those that the request has named already.
    private func answer(
        _ resource: ConfigResource, _ seen: inout Set<ConfigResource>, _ change: () throws(TopicRefusal) -> Void
    ) -> AlterConfigsResponse.Resource {
        do throws(TopicRefusal) {
            guard seen.insert(resource).inserted else {
                throw TopicRefusal(code: .invalidRequest, message: "\(resource.name) is named twice in the request")
            }
            try change()
            return AlterConfigsResponse.Resource(resource: resource)
        } catch {
            return AlterConfigsResponse.Resource(error: error.code, message: error.message, resource: resource)
        }
    }

    private func alter(
        _ resource: ConfigResource, _ changes: [Change], startingOver: Bool, validateOnly: Bool
    ) throws(TopicRefusal) {
        if resource.isBroker {
            try checkNode(resource)
            var settings = startingOver ? BrokerSettings() : catalog.settings
            for (name, value) in changes {
                guard settings.set(name, to: value) else {
                    throw TopicRefusal(
                        code: .invalidConfig,
                        message: "\(name)=\(value ?? "") is not a setting of this broker, or not a value of it")
                }
            }
            if !validateOnly { try commit(.settings(settings)) }
            return
        }
        let topic = try topic(of: resource)
        var entry = topic.entry
        if startingOver { entry.config = TopicConfig() }
        do throws(TopicConfig.Fault) {
            for (name, value) in changes { try entry.config.set(name, to: value) }
        } catch {
            throw TopicRefusal(code: .invalidConfig, message: error.reason)
        }
        guard !validateOnly else { return }
        try commit(.topic(entry))
        topic.entry = entry
        for partition in topic.partitions { partition.log.settings = LogSettings(entry.config) }
    }
}
