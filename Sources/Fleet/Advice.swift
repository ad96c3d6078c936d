/// What to do about a handler that is behind: whether more workers can help, how many, and if not, why not.
package enum Advice {
    /// Below this nobody has to do anything: a restart, or a commit that has not come yet.
    private static let patience = 5.0
    private static let few: Int64 = 100
    /// A partition with so much of what waits has a key that is hotter than the others.
    private static let hot = 0.8
    /// Workers that use less of a core wait for something.
    private static let idle = 0.3
    /// What waits is to be gone after so many seconds.
    private static let catchUp = 60.0

    /// `machine`: how many cores there are where the workers run, and how many of them are busy; nil when they run in
    /// several places.
    package static func about(_ figures: HandlerFigures, machine: (cores: Int, used: Double)? = nil) -> String? {
        let name = figures.handler
        if let standing = figures.standing.first { return "\(standing): flotilla resume \(name)" }
        if !figures.missing.isEmpty {
            return "it waits for \(figures.missing.sorted().joined(separator: " and ")): more workers cannot help"
        }
        if figures.workers == 0 {
            return figures.lag > 0
                ? "nobody works and \(figures.lag) records wait: \(start(1, of: figures))" : "nobody works"
        }
        if figures.workers > figures.partitions, figures.partitions > 0 {
            return "\(figures.workers - figures.partitions) of its workers have no partition: "
                + "\(figures.partitions) are as many as can help"
        }
        guard figures.lag > few, figures.behind ?? patience >= patience else { return nil }
        if let (partition, count) = figures.waiting.max(by: { ($0.value, $1.key) < ($1.value, $0.key) }),
            figures.partitions > 1, Double(count) >= hot * Double(figures.lag)
        {
            return "partition \(partition) has \(count * 100 / figures.lag) % of what waits: one key is hot, "
                + "and more workers cannot help"
        }
        if figures.workers >= figures.partitions {
            return "every partition has a worker, so more cannot help: more partitions, or a faster handler"
        }
        if let cores = figures.cores, cores < idle {
            return "its workers use \(Int((cores * 100).rounded())) % of a core each, so they wait for what they call: "
                + "a slow dependency, and more workers help only when it has room"
        }
        if let machine, machine.used >= Double(machine.cores) * 0.9 {
            return "the \(machine.cores) cores of this machine are busy: more workers help on another one only"
        }
        let wanted = needed(figures)
        return
            "\(start(wanted, of: figures)): so many would keep up (\(figures.partitions) are the most that can help)"
    }

    /// Of a handler that no topic file here names nobody here knows the program.
    private static func start(_ count: Int, of figures: HandlerFigures) -> String {
        figures.isNamed
            ? "flotilla scale \(figures.handler)=\(count)"
            : "no topic file here names it; have \(count) of its workers run where its topic files are"
    }

    /// How many workers would take what comes, and in a minute what waits.
    static func needed(_ figures: HandlerFigures) -> Int {
        let each = figures.rate / Double(max(1, figures.workers))
        guard each > 0 else { return min(figures.workers + 1, figures.partitions) }
        let load = (figures.incoming ?? figures.rate) + Double(figures.lag) / catchUp
        let count = (load / each).rounded(.up)
        // A rate that is close to nothing would ask for more workers than there are numbers.
        guard count < Double(figures.partitions) else { return figures.partitions }
        return max(figures.workers + 1, Int(count))
    }
}
