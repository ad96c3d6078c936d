internal import Glibc
internal import Kafka
package import Platform

/// What /metrics answers: OpenMetrics, or the older text format for who asks for that.
///
/// Names end as both want it: in `_total` what only grows, else in the unit. A family is told of in one piece.
package struct MetricsText: Sendable {
    package private(set) var text = ""
    private let format: Format

    package enum Format: Sendable {
        case plain, openMetrics

        package var contentType: String {
            switch self {
            case .plain: "text/plain; version=0.0.4; charset=utf-8"
            case .openMetrics: "application/openmetrics-text; version=1.0.0; charset=utf-8"
            }
        }
    }

    package typealias Labels = [(name: String, value: String)]

    package init(_ format: Format = .plain) { self.format = format }

    package enum Kind: String, Sendable { case counter, gauge, histogram }

    /// One name with a value for each set of labels; none without values.
    package mutating func add(
        _ name: String, _ kind: Kind, _ help: String, _ values: [(labels: Labels, value: Double)]
    ) {
        guard !values.isEmpty else { return }
        begin(name, kind, help)
        for (labels, value) in values { line(name, labels, value) }
    }

    package mutating func add(_ name: String, _ kind: Kind, _ help: String, _ value: Double) {
        add(name, kind, help, [([], value)])
    }

    /// How often something took how long, for each set of labels.
    package mutating func add(_ name: String, _ help: String, _ values: [(labels: Labels, value: Durations)]) {
        guard !values.isEmpty else { return }
        begin(name, .histogram, help)
        for (labels, durations) in values {
            var total = 0
            for (bound, count) in zip(Self.bounds, durations.all) {
                total += count
                line("\(name)_bucket", labels + [("le", bound)], Double(total))
            }
            line("\(name)_sum", labels, durations.seconds)
            line("\(name)_count", labels, Double(total))
        }
    }

    private static let bounds = Durations.bounds.map { "\(Double($0) / 1000)" } + ["+Inf"]

    /// What a scrape ends with.
    package mutating func end() { if format == .openMetrics { text += "# EOF\n" } }

    private mutating func begin(_ name: String, _ kind: Kind, _ help: String) {
        // OpenMetrics names a family without what its samples end in.
        let family =
            format == .openMetrics && kind == .counter && name.hasSuffix("_total") ? name.dropLast(6) : name[...]
        text += "# HELP \(family) \(help)\n# TYPE \(family) \(kind.rawValue)\n"
        guard format == .openMetrics, let unit = ["_seconds", "_bytes"].first(where: { family.hasSuffix($0) }) else {
            return
        }
        text += "# UNIT \(family) \(unit.dropFirst())\n"
    }

    private mutating func line(_ name: String, _ labels: Labels, _ value: Double) {
        text += name
        for (index, label) in labels.enumerated() {
            text += index == 0 ? "{" : ","
            text += label.name
            text += "=\""
            text += Self.escaped(label.value)
            text += "\""
        }
        text += labels.isEmpty ? " " : "} "
        text += Self.number(value)
        text += "\n"
    }

    /// What every process tells of itself, under the names that all of Prometheus' libraries use.
    package mutating func addProcess() {
        let page = Double(sysconf(Int32(_SC_PAGESIZE)))
        let pages = Self.words("/proc/self/statm")
        if pages.count > 1, let resident = Double(pages[1]) {
            add("process_resident_memory_bytes", .gauge, "What of the process is in memory.", resident * page)
        }
        var used = timespec()
        if unsafe clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used) == 0 {
            let seconds = Double(used.tv_sec) + Double(used.tv_nsec) / 1e9
            add("process_cpu_seconds_total", .counter, "Processor time of the process.", seconds)
        }
        add("process_start_time_seconds", .gauge, "When the process began, since 1970.", Self.began)
        if let count = Self.openFiles { add("process_open_fds", .gauge, "Open files and sockets.", Double(count)) }
        add(
            "flotilla_librdkafka_info", .gauge, "Which librdkafka the process runs with.",
            [([("version", KafkaLibrary.version)], 1)])
    }

    /// Found once: a clock that is set meanwhile must not look like another start.
    private static let began: Double = {
        let now = Double(Time.wallMilliseconds) / 1000
        // Behind the name, which may have spaces and brackets, the twentieth word: in ticks since the machine began.
        let fields = words("/proc/self/stat", from: ")")
        var upFor = timespec()
        guard fields.count > 20, let ticks = Double(fields[20]), unsafe clock_gettime(CLOCK_BOOTTIME, &upFor) == 0
        else {
            return now
        }
        let age =
            Double(upFor.tv_sec) + Double(upFor.tv_nsec) / 1e9 - ticks / Double(max(1, sysconf(Int32(_SC_CLK_TCK))))
        return ((now - max(0, age)) * 100).rounded() / 100
    }()

    /// The words of a small file, from the last `mark` on where one is asked for.
    private static func words(_ path: String, from mark: Character? = nil) -> [Substring] {
        guard let bytes = try? Files.read(path, limit: 4096) else { return [] }
        let text = String(decoding: bytes, as: UTF8.self)
        let start = mark.flatMap { text.lastIndex(of: $0) } ?? text.startIndex
        return text[start...].split(whereSeparator: \.isWhitespace)
    }

    private static var openFiles: Int? {
        guard let folder = unsafe opendir("/proc/self/fd") else { return nil }
        defer { unsafe closedir(folder) }
        var count = 0
        while unsafe readdir(folder) != nil { count += 1 }
        // Itself, and the folder above.
        return max(0, count - 3)
    }

    private static func number(_ value: Double) -> String {
        value == value.rounded() && abs(value) < 1e15 ? "\(Int64(value))" : "\(value)"
    }

    private static func escaped(_ text: String) -> String {
        // Most have nothing to escape, and a process tells hundreds of them at each look.
        guard text.utf8.contains(where: { "\\\"\n".utf8.contains($0) }) else { return text }
        return text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"").replacing("\n", with: "\\n")
    }
}
