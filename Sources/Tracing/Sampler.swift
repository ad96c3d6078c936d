internal import Model

/// Which traces are kept: of those that begin here a part, and those of others as they say.
public struct Sampler: Sendable, Hashable {
    /// The part of our own traces that is kept, from 0 to 1.
    public let ratio: Double
    /// Whether what others decided counts; else each trace is judged by its number, wherever it began.
    public let isParentBased: Bool
    /// How many traces are begun, or taken over from somebody outside, in a second at most, so that their cost does not
    /// grow with the load.
    public let perSecond: Int
    private let threshold: UInt64

    public init(ratio: Double = 1, isParentBased: Bool = true, perSecond: Int = 100) {
        // Not a number is none.
        self.ratio = ratio > 0 ? min(ratio, 1) : 0
        self.isParentBased = isParentBased
        self.perSecond = max(0, perSecond)
        threshold = self.ratio >= 1 ? .max : UInt64(self.ratio * 0x1p63) << 1
    }

    /// By the trace's own number, so that everybody with the same ratio keeps the same ones.
    func keeps(_ trace: TraceID) -> Bool { trace.low <= threshold && threshold > 0 }

    func keeps(below parent: TraceParent) -> Bool { isParentBased ? parent.isSampled : keeps(parent.trace) }
}
