package import Commands
package import Contracts
internal import JSON
internal import Kafka
internal import Model
internal import Platform

extension Command {
    private static let files = """
        Topic files are read from FLOTILLA_TOPICS (./topics). FLOTILLA_NAMESPACE is put before every name.
        """
    private static let brokers = """
        The broker is KAFKA_BROKERS; LIBRDKAFKA_<OPTION> sets what else librdkafka needs to reach it.
        """
    private static let json = Option(name: "json", help: "print JSON")

    package static let topicsPlan = Command(
        name: "topics plan",
        summary: "what the broker lacks of what the topic files say",
        details: """
            \(files) \(brokers)
            Changes nothing. Ends with 0 when there is nothing to do, 3 when there is, 1 when something cannot be done.
            """,
        options: [json],
        run: { arguments in
            let place = try TopicsPlace()
            return try finish {
                let plan = try await place.withAdmin { try await place.catalog.plan(with: $0) }
                print(arguments.has("json") ? plan.json : plan.text)
                return plan.refusals.isEmpty ? plan.isEmpty ? .ok : .changes : .failed
            }
        })

    package static let topicsApply = Command(
        name: "topics apply",
        summary: "make the broker's topics what the topic files say",
        details: """
            \(files) \(brokers)
            Creates topics, adds partitions and changes settings. Never deletes anything: a topic that is to keep its records
            for a shorter time than now is left as it is, unless --shorten-retention says that older ones may go. Harmless to
            repeat. Ends with 1 when not all of it is done.
            """,
        options: [
            json, Option(name: shorten, help: "also where records that are there are deleted by it"),
        ],
        run: { arguments in
            let place = try TopicsPlace()
            return try finish {
                try await apply(place, losing: arguments.has(shorten), asJSON: arguments.has("json"))
            }
        })

    private static let shorten = "shorten-retention"

    private static func apply(_ place: TopicsPlace, losing: Bool, asJSON: Bool) async throws -> ExitCode {
        try await place.withAdmin { admin in
            let plan = try await place.catalog.plan(with: admin)
            var done: [TopicPlan.Change] = []
            var faults: [String] = []
            let warnings = plan.warnings + (losing ? plan.losses : [])
            if !asJSON { warnings.forEach { Program.complain("warning: \($0)") } }
            do throws(PlanFault) {
                try await plan.apply(with: admin, losing: losing) { change in
                    done.append(change)
                    if !asJSON { print(change.text) }
                }
            } catch { faults = error.reasons }
            if !losing, plan.refusals.isEmpty {
                faults += plan.losses.map { "left as it is: \($0): apply --\(shorten) does it" }
            }
            if asJSON {
                print(TopicPlan.json(done: done, warnings: warnings, faults: faults))
            } else {
                print(plan.isEmpty ? "nothing to do" : "\(done.count) of \(plan.changes.count) done")
                if !plan.refusals.isEmpty { Program.complain("nothing was done, because this cannot be done:") }
                faults.forEach { Program.complain("\(Program.name): \($0)") }
            }
            return faults.isEmpty ? .ok : .failed
        }
    }

    package static let topicsCheck = topicsCheck { _, _ in [] }

    /// The same with what stands beside the topic files and `faults` knows to read.
    package static func topicsCheck(
        and faults: @escaping @Sendable (_ folder: String, _ catalog: TopicCatalog) -> [TopicFault]
    ) -> Command {
        Command(
            name: "topics check",
            summary: "whether the topic files are right, and what they break",
            details: """
                \(files)
                Asks no broker. With --against it compares with an older version of the files, and ends with 1 when the
                new one breaks what the old one allowed.
                """,
            options: [
                Option(name: "against", value: "DIR", help: "an older version of the topic files"), json,
            ],
            run: { try check($0, faults) }
        )
    }

    private static func check(
        _ arguments: Arguments, _ others: (_ folder: String, _ catalog: TopicCatalog) -> [TopicFault]
    ) throws -> ExitCode {
        var settings = Settings.fromEnvironment()
        let (folder, namespace) = TopicsPlace.files(&settings)
        try settings.check()
        let isJSON = arguments.has("json")
        do throws(TopicFaults) {
            let new = try TopicCatalog(folder: folder, namespace: namespace)
            let faults = others(folder, new)
            guard faults.isEmpty else { throw TopicFaults(faults: faults) }
            var changes: [ContractChange] = []
            if let against = arguments["against"] {
                changes = new.changes(since: try TopicCatalog(folder: against, namespace: namespace))
            }
            print(isJSON ? new.json(changes: changes, faults: []) : new.summary(changes, against: arguments["against"]))
            return changes.contains(where: \.isBreaking) ? .failed : .ok
        } catch {
            if isJSON {
                print(TopicCatalog(topics: []).json(changes: [], faults: error.faults))
            } else {
                Program.complain("\(error)")
                Program.complain("\(Program.name): \(error.faults.count) wrong in \(folder)")
            }
            return .failed
        }
    }
}

/// The topic files and the broker that the settings name.
package struct TopicsPlace: Sendable {
    let catalog: TopicCatalog
    private let client: ClientConfiguration

    /// Throws every wrong setting, or else everything that is wrong with the files.
    init() throws {
        var settings = Settings.fromEnvironment()
        let (folder, namespace) = Self.files(&settings)
        let client = ClientConfiguration.from(&settings)
        try settings.check()
        // Without a client there was a fault.
        guard let client else { throw SettingFault(name: "KAFKA_BROKERS", problem: "is not set") }
        self.client = client
        catalog = try TopicCatalog(folder: folder, namespace: namespace)
    }

    init(_ catalog: TopicCatalog, _ client: ClientConfiguration) {
        self.catalog = catalog
        self.client = client
    }

    package static func files(_ settings: inout Settings) -> (folder: String, namespace: Namespace) {
        TopicCatalog.place(&settings)
    }

    /// Runs `body` with a client that is closed after it, whatever happens.
    func withAdmin<Result: Sendable>(_ body: (Admin) async throws -> Result) async throws -> Result {
        do { return try await Admin.use(client, body) } catch {
            if let fault = error as? KafkaFault, fault.kind == .unreachable || fault.kind == .timedOut {
                throw BrokerAway(brokers: client.brokers, fault: fault)
            }
            throw error
        }
    }
}

/// A broker that does not answer, told with where it was looked for.
struct BrokerAway: Error, CustomStringConvertible {
    let brokers: [String]
    let fault: KafkaFault

    var description: String {
        "no broker answers at \(brokers.joined(separator: ",")): start one there, or set KAFKA_BROKERS (\(fault))"
    }
}
