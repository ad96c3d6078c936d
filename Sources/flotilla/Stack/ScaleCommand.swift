internal import Commands
internal import Contracts
internal import Flotilla
internal import Model
internal import Platform
internal import Stack

extension Command {
    static let scale = Command(
        name: "scale", summary: "how many workers a handler has",
        details: """
            process=4 is four workers for the handler process, events.accepted=4 four for each handler that reads that topic;
            0 is none. In a running stack it is done at once, and lasts until the stack ends. Elsewhere it prints the lines
            for docker compose and Kubernetes, and ends with 1.
            """,
        operands: [Operand(name: "HANDLER=N", count: .oneOrMore, help: "or TOPIC=N")],
        options: [data],
        run: { arguments in
            let targets: [String: Int]
            do throws(StackFault) { targets = try ScaleTarget.parse(arguments.operands) } catch {
                throw arguments.fault("\(error)")
            }
            if let folder = try? StackFolder(existing: RunningStack.folder(arguments)), folder.isTaken {
                switch try folder.ask(.scale(targets)) {
                case .scaled(let counts):
                    for (handler, count) in counts.sorted(by: { $0.key < $1.key }) {
                        print("\(handler): \(Words.count(count, "worker"))")
                    }
                    return .ok
                case .refused(let reason): throw StackFault(reason)
                }
            }
            var settings = Settings.fromEnvironment()
            let (files, namespace) = TopicsPlace.files(&settings)
            try settings.check()
            let catalog = try TopicCatalog(folder: files, namespace: namespace)
            let counts = try ScaleTarget.handlers(of: targets, among: Set(catalog.handlers), [catalog])
                .sorted { $0.key < $1.key }
            Program.complain(
                "no stack runs in \(RunningStack.folder(arguments)); where the fleet runs, this would do it:")
            print("docker compose up -d --no-recreate " + counts.map { "--scale \($0)=\($1)" }.joined(separator: " "))
            for (handler, count) in counts { print("kubectl scale deployment/flotilla-\(handler) --replicas=\(count)") }
            return .failed
        })
}
