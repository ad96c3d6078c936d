package import Contracts
package import Flotilla
package import JSON
internal import Model
internal import Platform

/// What the fleet looks like now: asked of the workers' heartbeats in Redis and of the broker.
package struct FleetReading: Sendable {
    package private(set) var handlers: [HandlerFigures] = []
    package private(set) var workers: [Worker] = []

    /// A process that works for handlers, as it said itself.
    package struct Worker: Hashable, Sendable {
        package let id: String
        package let build: String
        package let pid: Int32
        package let admin: String?
        package let handlers: [String]
        /// Works only when another one is gone.
        package let standsBy: Bool
        /// As `orders/2`.
        package let partitions: [String]
        package let cores: Double
        package let memoryBytes: Int64
    }

    /// `board`: nil when there is no Redis; then only the broker tells.
    package init(_ catalogs: [TopicCatalog], _ board: ControlBoard?, _ lags: LagProbe) async throws {
        var figures: [String: HandlerFigures] = [:]
        for catalog in catalogs {
            for handler in catalog.handlers where figures["\(handler)"] == nil {
                let topics = Set(catalog.subscriptions(of: handler).map { catalog.namespace.topic($0.topic.name) })
                figures["\(handler)"] = try await lags.figures(of: handler, catalog.namespace, on: topics)
            }
        }
        if let namespace = catalogs.first?.namespace {
            let others = await lags.unnamed(namespace, besides: Set(figures.keys.map { HandlerName($0) }))
            for (handler, topics) in others {
                // A group that is nobody's here spoils nobody's figures.
                guard var found = try? await lags.figures(of: handler, namespace, on: topics) else { continue }
                found.isNamed = false
                figures["\(handler)"] = found
            }
        }
        for text in try await board?.workers() ?? [] { take(text, &figures) }
        for pause in await board?.pauses() ?? [] {
            let who = [pause.by, pause.reason].filter { !$0.isEmpty }.joined(separator: ": ")
            let place = pause.partition.map { ", partition \($0)" } ?? ""
            // Also of one that nobody works for: who looks finds out why.
            let name = pause.handler.rawValue
            figures[name, default: Self.heard(name)].standing.append(
                "paused\(place)\(who.isEmpty ? "" : " (\(who))")")
            figures[name]?.standingPartitions.append(pause.partition?.rawValue)
        }
        // What no topic file names and nobody works for is of the past, unless something waits.
        handlers = figures.values.filter { $0.isNamed || $0.workers > 0 || $0.lag > 0 || !$0.standing.isEmpty }
            .sorted { $0.handler < $1.handler }
    }

    /// Of a handler that neither a topic file nor a group names, its workers or an operator do.
    private static func heard(_ name: String) -> HandlerFigures {
        var figures = HandlerFigures(name)
        // Every fleet has the program of this one.
        figures.isNamed = HandlerName(name) == .deadLetters
        return figures
    }

    /// Notes how fast records came since an earlier reading.
    package mutating func compare(with earlier: FleetReading, after seconds: Double) {
        let before = Dictionary(earlier.handlers.map { ($0.handler, $0) }) { first, _ in first }
        for index in handlers.indices {
            if let old = before[handlers[index].handler] { handlers[index].compare(with: old, after: seconds) }
        }
    }

    // MARK: Heartbeats

    private mutating func take(_ text: String, _ figures: inout [String: HandlerFigures]) {
        guard let root = try? JSONDocument(parsing: text).root, let handlers = root["handlers"] else { return }
        let cores = root["cores"]?.double ?? 0
        var (names, partitions): ([String], [String]) = ([], [])
        var standsBy = false
        for one in handlers.elements {
            guard let name = one["handler"]?.string else { continue }
            names.append(name)
            let own = one["partitions"].map { $0.elements.compactMap(\.string) } ?? []
            partitions += own
            var found = figures[name] ?? Self.heard(name)
            // Of a group that is new the broker has not told yet.
            let numbers = own.compactMap { $0.split(separator: "/").last.flatMap { Int($0) } }
            found.partitions = max(found.partitions, (numbers.max() ?? -1) + 1)
            // Of so many workers that are known already, each uses so much.
            found.cores = ((found.cores ?? 0) * Double(found.workers) + cores) / Double(found.workers + 1)
            found.workers += 1
            if one["stands_by"]?.bool == true {
                found.standbys += 1
                standsBy = true
            }
            found.rate += one["rate"]?.double ?? 0
            for missing in one["missing"].map({ Array($0.elements) }) ?? [] {
                if let name = missing.string { found.missing.insert(name) }
            }
            let paused = one["paused"].map { Array($0.members) } ?? []
            for place in paused { found.paused.append("\(place.name): \(place.value.string ?? "")") }
            figures[name] = found
        }
        workers.append(
            Worker(
                id: root["id"]?.string ?? "", build: root["build"]?.string ?? "",
                pid: Int32(clamping: root["pid"]?.int64 ?? 0), admin: root["admin"]?.string, handlers: names,
                standsBy: standsBy,
                partitions: partitions, cores: cores, memoryBytes: root["memory_bytes"]?.int64 ?? 0))
    }
}

extension FleetReading.Worker {
    package func write(to json: inout JSONWriter) {
        json.member("id", id)
        json.member("build", build)
        json.member("pid", Int64(pid))
        if let admin { json.member("admin", admin) }
        json.array("handlers") { list in for name in handlers { list.append(name) } }
        if standsBy { json.member("stands_by", true) }
        json.array("partitions") { list in for place in partitions { list.append(place) } }
        json.member("cores", cores)
        json.member("memory_bytes", memoryBytes)
    }
}
