internal import Commands
internal import Contracts
internal import Flotilla

/// `flotilla`, the command line: the only place where ports meet adapters.
@main
enum Main {
    static let version = "0.1.0"

    static func main() {
        Program(
            about: "a fleet of Kafka workers", version: version,
            commands: [
                .up, .down, .status, .scale, .logs, .reset, .healthcheck, .demo, .broker, .edge, .console,
                .consoleToken,
                .fleetWork(.work(FleetHandlers.names, build: version, make: FleetHandlers.make), build: version),
                .topicsPlan, .topicsApply, .topicsCheck(and: FleetHandlers.faults), .publish, .tail, .trace, .query,
                .pause(noting: notePause), .resume(noting: notePause), .skip, .rewind, .workers, .keysCreate, .keysList,
                .keysRevoke, .endpointsList, .endpointsEnable, .new,
                .doctor(
                    [], keeping: FleetHandlers.stateful.union([.deadLetters]).sorted(), and: FleetHandlers.findings),
            ] + Command.dlq
        ).main()
    }
}
