internal import Platform

/// How busy this machine's cores are, from one look to the next.
package struct MachineLoad: Sendable {
    private let busy: UInt64
    private let all: UInt64
    private let cores: Int

    /// Nil where the kernel does not tell.
    package init?() {
        guard let bytes = try? Files.read("/proc/stat", limit: 1 << 20) else { return nil }
        self.init(String(decoding: bytes, as: UTF8.self))
    }

    init?(_ text: String) {
        let lines = text.split(whereSeparator: \.isNewline)
        // user nice system idle iowait irq softirq steal; guests' time is in user's.
        let times = (lines.first?.split(separator: " ") ?? []).dropFirst().prefix(8).compactMap { UInt64($0) }
        guard lines.first?.hasPrefix("cpu ") == true, times.count == 8 else { return nil }
        all = times.reduce(0, &+)
        busy = all &- times[3] &- times[4]
        cores = lines.count { $0.hasPrefix("cpu") } - 1
    }

    /// How many cores there are, and how many of them were busy since then.
    package func since(_ earlier: MachineLoad) -> (cores: Int, used: Double)? {
        guard all > earlier.all, busy >= earlier.busy else { return nil }
        return (cores, Double(busy - earlier.busy) / Double(all - earlier.all) * Double(cores))
    }
}
