internal import Model

extension TopicCatalog {
    /// What is wrong between the topics, each of them being right by itself.
    func brokenRules() -> [TopicFault] {
        handlersThatAreThereTwice() + topicsThatAreMissing() + namesThatCannotBe() + idsOfSeveralSchemas()
    }

    private func fault(_ topic: Topic, _ key: String, _ reason: String) -> TopicFault {
        TopicFault(file: topic.source?.file ?? "\(topic.name)", place: topic.source?.place(key), reason: reason)
    }

    private func handlersThatAreThereTwice() -> [TopicFault] {
        topics.flatMap { topic in
            var seen: Set<HandlerName> = []
            return topic.consumers.enumerated().compactMap { position, policy -> TopicFault? in
                guard !seen.insert(policy.handler).inserted else { return nil }
                return fault(
                    topic, "consumers[\(position)].handler",
                    "\(policy.handler) consumes \(topic.name) twice: a handler has one entry a topic")
            }
        }
    }

    private func topicsThatAreMissing() -> [TopicFault] {
        let names = topics.map(\.name.rawValue)
        return topics.flatMap { topic in
            topic.consumers.enumerated().flatMap { position, policy in
                policy.produces.filter { self[$0] == nil }.map { missing in
                    fault(
                        topic, "consumers[\(position)].produces",
                        "\(policy.handler) produces \(missing), which has no file; \(Nearest.hint(missing.rawValue, names))"
                    )
                }
            }
        }
    }

    /// Kafka takes 249 characters; a derived name may not be that of another topic.
    private func namesThatCannotBe() -> [TopicFault] {
        var owners: [TopicName: Topic] = [:]
        var faults: [TopicFault] = []
        for topic in topics { owners[namespace.topic(topic.name)] = topic }
        for topic in topics {
            let derived = topic.consumers.flatMap { topic.derived(for: $0, namespace) }
            for wanted in [WantedTopic(topic, namespace)] + derived where !wanted.name.isValid {
                faults.append(
                    fault(
                        topic, "name", "needs a topic \(wanted.name), longer than the 249 characters that Kafka takes"))
            }
            for wanted in derived {
                if let owner = owners[wanted.name] {
                    faults.append(
                        fault(owner, "name", "is also the name that is derived for \(topic.name): choose another"))
                }
            }
        }
        return faults
    }

    /// Events carry the `$id` of their schema, and a reader must know by it what they are.
    private func idsOfSeveralSchemas() -> [TopicFault] {
        var files: [String: String] = [:]
        return topics.compactMap { topic in
            guard let schema = topic.schema, let id = schema.id else { return nil }
            guard let first = files[id] else {
                files[id] = schema.file
                return nil
            }
            guard first != schema.file else { return nil }
            return TopicFault(
                file: "\(schema.file) /$id", reason: "\(id) is the $id of \(first) too: each schema has its own")
        }
    }
}
