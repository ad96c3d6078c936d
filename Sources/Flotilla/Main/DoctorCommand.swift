package import Commands
package import Contracts
internal import Glibc
internal import Kafka
internal import Model
internal import Platform
internal import Postgres
internal import Redis

extension Command {
    /// `doctor`: asks everything that work depends on, and says what to do next.
    package static func doctor(_ handlers: [AnyHandler]) -> Command { doctor(handlers) { _, _ in [] } }

    /// The same for handlers that others run: those of them that keep state, and what stands beside the topic files and
    /// `others` knows to read.
    package static func doctor(
        _ handlers: [AnyHandler], keeping stateful: [HandlerName] = [],
        and others: @escaping @Sendable (_ folder: String, _ catalog: TopicCatalog) async -> [Finding]
    ) -> Command {
        Command(
            name: "doctor", summary: "ask everything that work depends on, and say what to do",
            details: """
                Looks at settings, topic files and rules, the broker, the topics, each handler's group and lag, Redis, the databases
                of handlers with state, and the clocks. Of a handler that no topic file here names, a worker's with files of
                its own, it looks at the group alone: whether somebody works and what waits, and not at its topics'
                settings, its rules or its database. Changes nothing. Ends with 1 when something keeps work from going on.
                """,
            options: [Option(name: "json", help: "print JSON")],
            run: { arguments in
                let asJSON = arguments.has("json")
                return try finish {
                    let findings = await Doctor(handlers, stateful, others).examine()
                    print(asJSON ? Finding.json(findings) : Finding.text(findings, colours: isatty(1) == 1))
                    return findings.contains { $0.state == .failed } ? .failed : .ok
                }
            })
    }
}

/// Asks one thing after the other. What one answers is needed to ask the next, so it stops where nothing more can be
/// known.
private struct Doctor: Sendable {
    private let handlers: [AnyHandler]
    private let stateful: [HandlerName]
    private let others: @Sendable (_ folder: String, _ catalog: TopicCatalog) async -> [Finding]

    init(
        _ handlers: [AnyHandler], _ stateful: [HandlerName],
        _ others: @escaping @Sendable (_ folder: String, _ catalog: TopicCatalog) async -> [Finding]
    ) {
        (self.handlers, self.stateful, self.others) = (handlers, stateful, others)
    }

    func examine() async -> [Finding] {
        var settings = Settings.fromEnvironment()
        let (folder, namespace) = TopicsPlace.files(&settings)
        let redis = settings.text("REDIS_URL")
        var databases = WorkSettings.databases(handlers, &settings)
        // Who only looks at handlers need not say where they keep what they keep.
        let isTold = settings.text("DATABASE_URL") != nil
        for name in stateful where isTold || settings.text(WorkSettings.databaseName(of: name)) != nil {
            databases[name] = WorkSettings.database(of: name, &settings)
        }
        let client = ClientConfiguration.from(&settings)
        var findings: [Finding] = []
        do {
            try settings.check()
            findings.append(Finding(subject: "settings", state: .ok, detail: "understood"))
        } catch {
            let list = error.faults.map(\.description).joined(separator: "\n")
            let advice = RunningStack.advice() ?? "set them as it says"
            findings.append(Finding(subject: "settings", state: .failed, detail: list, advice: advice))
        }
        let catalog = topicFiles(folder, namespace, &findings)
        if let catalog { findings += await others(folder, catalog) }
        if let client { findings += await broker(client, catalog, redis) }
        findings += await memory(redis)
        if databases.isEmpty, !stateful.isEmpty {
            let list = stateful.map(\.rawValue).joined(separator: ", ")
            findings.append(
                Finding(
                    subject: "databases", state: .warning, detail: "DATABASE_URL is not set",
                    advice: "where \(list) work it has to be: postgresql://USER@HOST/DATABASE"))
        }
        for (name, place) in databases.sorted(by: { $0.key < $1.key }) {
            findings.append(await database(name, place, namespace))
        }
        return findings
    }

    private func topicFiles(_ folder: String, _ namespace: Namespace, _ findings: inout [Finding]) -> TopicCatalog? {
        do throws(TopicFaults) {
            let catalog = try TopicCatalog(folder: folder, namespace: namespace)
            let unknown = handlers.map(\.name).filter { !catalog.handlers.contains($0) }
            findings.append(
                unknown.isEmpty
                    ? Finding(
                        subject: "topic files", state: .ok,
                        detail: "\(Words.count(catalog.topics.count, "topic")) in \(folder)")
                    : Finding(
                        subject: "topic files", state: .failed,
                        detail: "no topic has the consumer \(unknown.map(\.rawValue).joined(separator: ", "))",
                        advice: "name it under `consumers` of what it reads, in \(folder)"))
            return catalog
        } catch {
            findings.append(
                Finding(
                    subject: "topic files", state: .failed, detail: "\(error)",
                    advice: "mend them: \(Program.name) topics check"))
            return nil
        }
    }

    // MARK: The broker

    private func broker(_ client: ClientConfiguration, _ catalog: TopicCatalog?, _ redis: String?) async -> [Finding] {
        let name = client.brokers.joined(separator: ",")
        do throws(KafkaFault) {
            let admin = try Admin(client, patience: .seconds(5))
            let findings = await asked(admin, name, catalog, redis)
            await admin.close()
            return findings
        } catch {
            return [Finding(subject: "broker", state: .failed, detail: "\(error)", advice: "see KAFKA_BROKERS")]
        }
    }

    private func asked(
        _ admin: Admin, _ name: String, _ catalog: TopicCatalog?, _ redis: String?
    ) async -> [Finding] {
        var findings: [Finding] = []
        do throws(KafkaFault) {
            let began = Time.monotonicMilliseconds
            let topics = try await admin.topics()
            let took = Time.monotonicMilliseconds - began
            findings.append(
                Finding(
                    subject: "broker", state: .ok,
                    detail: "\(name) has \(Words.count(topics.count, "topic")) (\(took) ms)"))
            guard let catalog else { return findings }
            let names = handlers.isEmpty ? catalog.handlers : handlers.map(\.name)
            let readiness = try await catalog.readiness(of: Set(names), with: admin)
            let apply = "\(Program.name) topics plan, then \(Program.name) topics apply"
            let list = (readiness.faults + readiness.drift).map { "\($0)" }.joined(separator: "\n")
            findings.append(
                readiness.isReady
                    ? Finding(
                        subject: "topics", state: readiness.drift.isEmpty ? .ok : .warning,
                        detail: list.isEmpty ? "as the files say" : list, advice: list.isEmpty ? nil : apply)
                    : Finding(subject: "topics", state: .failed, detail: list, advice: apply))
            guard readiness.isReady else { return findings }
            var groups = names.sorted().map { GroupTopics($0, catalog) }
            groups += await unnamed(catalog, topics, admin, &findings)
            findings += await GroupCheck.findings(of: groups, catalog.namespace, admin, redis)
        } catch {
            findings.append(
                Finding(
                    subject: "broker", state: .failed, detail: "\(name): \(error)",
                    advice: "is it running, and reachable from here? flotilla broker starts one on this machine"))
        }
        return findings
    }

    /// Handlers of workers that were started with topic files of their own. Who looks at its own handlers looks at no
    /// others.
    private func unnamed(
        _ catalog: TopicCatalog, _ topics: [TopicName: TopicDescription], _ admin: Admin, _ findings: inout [Finding]
    ) async -> [GroupTopics] {
        guard handlers.isEmpty else { return [] }
        do throws(KafkaFault) {
            let found = try await admin.unnamedHandlers(catalog.namespace, besides: Set(catalog.handlers))
            return found.sorted { $0.key < $1.key }.map { name, names in
                GroupTopics(name, catalog.namespace, names.compactMap { topics[$0] })
            }
        } catch {
            findings.append(
                Finding(
                    subject: "other handlers", state: .warning,
                    detail: "nobody said whether there are any that no topic file here names: \(error)",
                    advice: "see the brokers: one of them answers nothing"))
            return []
        }
    }

    // MARK: Redis

    private func memory(_ url: String?) async -> [Finding] {
        guard let url else {
            return [
                Finding(
                    subject: "redis", state: .warning, detail: "REDIS_URL is not set",
                    advice: "without it events that are sent again are handled again, and pause does not reach workers")
            ]
        }
        do throws(RedisFault) {
            let configuration = try RedisConfiguration(url: url)
            let client = try RedisClient(configuration)
            defer { client.close() }
            let began = Time.monotonicMilliseconds
            let time = try await client.execute(RedisCommand("TIME")).array ?? []
            let took = Time.monotonicMilliseconds - began
            if let unfit = await RedisOnceMemory.unfitness(of: client) {
                return [
                    Finding(
                        subject: "redis", state: .failed, detail: unfit.reason,
                        advice: "redis-cli config set maxmemory-policy noeviction")
                ]
            }
            return [
                await fullness(of: client, "\(configuration) answers (\(took) ms)"),
                clock("redis' clock", time.first?.text.flatMap { Int64($0) }.map { $0 * 1000 }, within: 2000),
            ]
        } catch {
            return [
                Finding(
                    subject: "redis", state: .failed, detail: "\(error)",
                    advice: "is it running, and is REDIS_URL right? Handlers pause until it answers")
            ]
        }
    }

    private func fullness(of client: RedisClient, _ answers: String) async -> Finding {
        func number(_ name: String, in text: String) -> Int64 {
            text.split(whereSeparator: \.isNewline).first { $0.hasPrefix(name + ":") }
                .flatMap { Int64($0.dropFirst(name.count + 1)) } ?? 0
        }
        let info = (try? await client.execute(RedisCommand("INFO", "memory")).text) ?? ""
        let (used, limit) = (number("used_memory", in: info), number("maxmemory", in: info))
        let detail =
            "\(answers), \(used >> 20)\(limit > 0 ? " of \(limit >> 20)" : "") MiB used"
        guard limit > 0, used * 10 > limit * 9 else { return Finding(subject: "redis", state: .ok, detail: detail) }
        return Finding(
            subject: "redis", state: used >= limit ? .failed : .warning, detail: detail,
            advice:
                "nearly full, and then handlers pause: give it more maxmemory, or remember for a shorter time (once.ttl)"
        )
    }

    // MARK: Postgres

    private func database(_ name: HandlerName, _ place: PostgresConfiguration, _ namespace: Namespace) async -> Finding
    {
        let subject = "database of \(name)"
        var place = place
        place.connections = 1
        place.connectTimeout = .seconds(5)
        place.statementTimeout = .seconds(5)
        place.leaseTimeout = .seconds(10)
        do {
            let pool = try PostgresPool(place)
            defer { pool.close() }
            let began = Time.monotonicMilliseconds
            let row = try await pool.transaction {
                try await $0.query(
                    """
                    SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now,
                        to_regnamespace(\("\"\(namespace.schema(name))\""))::text IS NOT NULL AS made
                    """)[0]
            }
            let took = Time.monotonicMilliseconds - began
            let now = clock("", try row.value("now"), within: 2000)
            if now.state != .ok {
                return Finding(subject: subject, state: now.state, detail: now.detail, advice: now.advice)
            }
            let made: Bool = try row.value("made")
            return Finding(
                subject: subject, state: took > 1000 ? .warning : .ok,
                detail: "\(place) answers (\(took) ms)\(made ? "" : ", no tables yet: the first worker makes them")",
                advice: took > 1000 ? "it is slow: look into pg_stat_activity" : nil)
        } catch {
            return Finding(
                subject: subject, state: .failed, detail: "\(error)",
                advice: "is it running, and is DATABASE_URL right? The handler pauses until it answers")
        }
    }

    /// Leases and times are the servers', so a clock that is wrong shows as events that are early or late.
    private func clock(_ subject: String, _ there: Int64?, within limit: Int64) -> Finding {
        guard let there else {
            return Finding(subject: subject, state: .warning, detail: "it did not say what time it is")
        }
        let difference = Time.wallMilliseconds - there
        guard abs(difference) > limit else {
            return Finding(subject: subject, state: .ok, detail: "agrees with this machine's")
        }
        return Finding(
            subject: subject, state: .warning,
            detail: "this machine is \(abs(difference)) ms \(difference > 0 ? "ahead" : "behind")",
            advice: "see that both keep time: timedatectl")
    }
}
