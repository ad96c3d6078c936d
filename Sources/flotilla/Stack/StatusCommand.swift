internal import Commands
internal import Contracts
internal import Fleet
internal import Flotilla
internal import Glibc
internal import JSON
internal import Kafka
internal import Model
internal import Platform
internal import Redis
internal import Stack

extension Command {
    static let status = Command(
        name: "status", summary: "what runs, how fast, how far behind, and what would help",
        details: """
            Asks the workers' heartbeats in Redis and the broker, wherever they run. Lag is what is committed against what is
            there, in records and in the age of the oldest that waits. Where more workers would help it says how many, and
            where they would not, why.
            """,
        options: [
            data, Option(name: "watch", help: "go on, every second, until Ctrl-C"),
            Option(name: "json", help: "print JSON, one line a look"),
        ],
        run: { arguments in
            var settings = Settings.fromEnvironment()
            let (folder, namespace) = TopicsPlace.files(&settings)
            let client = ClientConfiguration.from(&settings)
            let redis = settings.text("REDIS_URL")
            try settings.check()
            guard let client else { throw SettingFault(name: "KAFKA_BROKERS", problem: "is not set") }
            var catalogs = [try TopicCatalog(folder: folder, namespace: namespace)]
            let stack = (try? StackFolder(existing: RunningStack.folder(arguments))).flatMap {
                RunningFile.read($0.file)
            }
            let running = stack?.process.isRunning == true ? stack : nil
            for topics in running?.guests ?? [] {
                catalogs.append(try TopicCatalog(folder: topics, namespace: namespace))
            }
            let watch = StatusWatch(
                catalogs: catalogs, client: client, redis: try redis.map { try RedisConfiguration(url: $0) },
                namespace: namespace, stack: running, asJSON: arguments.has("json"), goesOn: arguments.has("watch"))
            return try finish {
                try await watch.run()
                return .ok
            }
        })
}

private struct StatusWatch: Sendable {
    let catalogs: [TopicCatalog]
    let client: ClientConfiguration
    let redis: RedisConfiguration?
    let namespace: Namespace
    let stack: RunningFile?
    let asJSON: Bool
    let goesOn: Bool

    func run() async throws {
        let redis = try redis.map { try RedisClient($0) }
        defer { redis?.close() }
        let board = redis.map { ControlBoard($0, namespace) }
        let admin = try Admin(client, patience: .seconds(10))
        let lags = LagProbe(client, admin)
        let result: Result<Void, any Error>
        do { result = .success(try await read(board, lags)) } catch { result = .failure(error) }
        await lags.close()
        await admin.close()
        try result.get()
    }

    private func read(_ board: ControlBoard?, _ lags: LagProbe) async throws {
        var before = try await FleetReading(catalogs, board, lags)
        var (at, load) = (Time.monotonicMilliseconds, MachineLoad())
        repeat {
            try await Task.sleep(for: .seconds(1))
            var now = try await FleetReading(catalogs, board, lags)
            let (time, loadNow) = (Time.monotonicMilliseconds, MachineLoad())
            now.compare(with: before, after: Double(time - at) / 1000)
            show(now, load.flatMap { loadNow?.since($0) })
            (before, at, load) = (now, time, loadNow)
        } while goesOn
    }

    // MARK: Output

    /// The processes of the stack, and workers that run elsewhere.
    private func processes(_ reading: FleetReading) -> [(role: String, handler: String, pid: Int32, admin: String?)] {
        // It may have changed since the last time.
        let own = stack.flatMap { RunningFile.read($0.path) }?.processes ?? stack?.processes ?? []
        let known = Set(own.map(\.id.number))
        return own.map { ($0.role, $0.handler ?? "", $0.id.number, $0.admin) }
            + reading.workers.filter { !known.contains($0.pid) }.map {
                ("worker", $0.handlers.joined(separator: ","), $0.pid, $0.admin)
            }
    }

    /// `machine`: how busy this one is. It says nothing of workers that run elsewhere.
    private func show(_ reading: FleetReading, _ machine: (cores: Int, used: Double)?) {
        let advice = reading.handlers.map { Advice.about($0, machine: stack == nil ? nil : machine) }
        guard asJSON else {
            put(beginning + text(reading, advice))
            return
        }
        var writer = JSONWriter()
        writer.object { json in
            json.array("processes") { list in
                for process in processes(reading) {
                    list.object { json in
                        json.member("role", process.role)
                        json.member("handler", process.handler)
                        json.member("pid", Int64(process.pid))
                        json.member("admin", process.admin ?? "")
                    }
                }
            }
            json.array("handlers") { list in
                for (figures, advice) in zip(reading.handlers, advice) {
                    list.object { figures.write(to: &$0, advice: advice) }
                }
            }
        }
        put(writer.text + "\n")
    }

    /// What stands before each look, where there are several: on a terminal it takes the last one's place, elsewhere the time
    /// tells them apart.
    private var beginning: String {
        guard goesOn else { return "" }
        return isatty(1) == 1 ? "\u{1b}[H\u{1b}[J" : "\n\(Timestamp(milliseconds: Time.wallMilliseconds))\n"
    }

    private func text(_ reading: FleetReading, _ advice: [String?]) -> String {
        var rows = [["HANDLER", "WORKERS", "PARTITIONS", "EVENTS/S", "LAG", "BEHIND"]]
        for figures in reading.handlers {
            let workers = [figures.handler, "\(figures.workers)"]
            // What follows no topic of its own choice has no partitions to be behind in.
            guard figures.partitions > 0 else {
                rows.append(workers + ["-", "-", "-", "-"])
                continue
            }
            rows.append(
                workers + [
                    "\(figures.partitions)", "\(Int(figures.rate.rounded()))", "\(figures.lag)",
                    figures.behind.map { "\(Int($0.rounded())) s" } ?? "?",
                ])
        }
        let widths = rows[0].indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
        var lines = rows.map { row in
            row.indices.map { column in
                let space = String(repeating: " ", count: widths[column] - row[column].count)
                return column == 0 ? row[column] + space : space + row[column]
            }.joined(separator: "  ")
        }
        let said = zip(reading.handlers, advice).compactMap { figures, advice in
            advice.map { "\(figures.handler): \($0)" }
        }
        if !said.isEmpty { lines += [""] + said }
        return lines.joined(separator: "\n") + "\n"
    }

    /// Written through, so that a reader of a pipe sees it now.
    private func put(_ text: String) {
        var text = text
        text.withUTF8 { unsafe _ = Glibc.write(1, $0.baseAddress, $0.count) }
    }
}
