/// Something in the topic files that cannot be, and what to do.
public struct TopicFault: Error, Hashable, Sendable, CustomStringConvertible {
    public let file: String
    /// Nil when it is about the file as a whole.
    public let place: FilePlace?
    public let reason: String

    public init(file: String, place: FilePlace? = nil, reason: String) {
        self.file = file
        self.place = place
        self.reason = reason
    }

    /// `topics/orders.yaml:3:13: …`, as editors and build logs know it.
    public var description: String {
        guard let place else { return "\(file): \(reason)" }
        return "\(file):\(place.line):\(place.column): \(reason)"
    }
}

/// All that is wrong with a folder of topic files.
public struct TopicFaults: Error, Hashable, Sendable, CustomStringConvertible {
    public let faults: [TopicFault]

    public init(faults: [TopicFault]) { self.faults = faults }

    public var description: String { faults.map(\.description).joined(separator: "\n") }
}
