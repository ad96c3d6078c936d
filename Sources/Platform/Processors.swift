internal import CLinux

/// How many processors this process may use.
public enum Processors {
    /// Those that it may run on, or as many as the share of time makes that a container has with control groups of version 2;
    /// at least one.
    public static var available: Int {
        // Where it cannot be read there is no such share, and no reason to tell anybody.
        let quota = try? Files.read("/sys/fs/cgroup/cpu.max", limit: 100)
        return max(1, min(Int(flotilla_processors()), quota.flatMap(share) ?? .max))
    }

    /// What cpu.max of a control group says, microseconds of work in so many: whole processors, of which a part counts as
    /// one. Nil for no limit.
    static func share(_ text: [UInt8]) -> Int? {
        let words = text.split { $0 <= 32 }.map { String(decoding: $0, as: UTF8.self) }
        guard words.count == 2, let work = Int(words[0]), let period = Int(words[1]), work > 0, period > 0 else {
            return nil
        }
        return work / period + (work % period > 0 ? 1 : 0)
    }
}
