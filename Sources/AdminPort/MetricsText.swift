internal import Glibc
internal import Platform

/// What /metrics answers: the text format that Prometheus reads.
package struct MetricsText: Sendable {
    package private(set) var text = ""

    package init() {}

    package enum Kind: String, Sendable { case counter, gauge }

    /// One name with a value for each set of labels; none without values.
    package mutating func add(
        _ name: String, _ kind: Kind, _ help: String,
        _ values: [(labels: [(name: String, value: String)], value: Double)]
    ) {
        guard !values.isEmpty else { return }
        text += "# HELP \(name) \(help)\n# TYPE \(name) \(kind.rawValue)\n"
        for (labels, value) in values {
            text += name
            if !labels.isEmpty {
                text += "{" + labels.map { "\($0.name)=\"\(Self.escaped($0.value))\"" }.joined(separator: ",") + "}"
            }
            text += " \(Self.number(value))\n"
        }
    }

    package mutating func add(_ name: String, _ kind: Kind, _ help: String, _ value: Double) {
        add(name, kind, help, [([], value)])
    }

    /// How often something took how long. `counts` has one place more than `bounds`, in seconds, for what took longer.
    package mutating func addHistogram(
        _ name: String, _ help: String, bounds: [Double], counts: [Int], sum: Double
    ) {
        text += "# HELP \(name) \(help)\n# TYPE \(name) histogram\n"
        var total = 0
        for (bound, count) in zip(bounds.map { "\($0)" } + ["+Inf"], counts) {
            total += count
            text += "\(name)_bucket{le=\"\(bound)\"} \(total)\n"
        }
        text += "\(name)_sum \(Self.number(sum))\n\(name)_count \(total)\n"
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
        if let count = Self.openFiles { add("process_open_fds", .gauge, "Open files and sockets.", Double(count)) }
    }

    private static func words(_ path: String) -> [Substring] {
        guard let bytes = try? Files.read(path, limit: 4096) else { return [] }
        return String(decoding: bytes, as: UTF8.self).split(whereSeparator: \.isWhitespace)
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
        text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"").replacing("\n", with: "\\n")
    }
}
