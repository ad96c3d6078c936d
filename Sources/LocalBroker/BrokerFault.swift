/// Why a broker cannot start, in words for whoever started it.
public struct BrokerFault: Error, Hashable, Sendable, CustomStringConvertible {
    public let description: String

    init(_ description: String) { self.description = description }
}
