/// The topics that a consumer's metadata names.
///
/// Every assignor's metadata begins alike, whatever its version: the version (int16), then the topics (an array with
/// an int32 count, of strings with int16 lengths), all big-endian. What follows is the assignor's own and not read.
enum ConsumerSubscription {
    /// The protocol type of consumers; other types' metadata mean other things.
    static let protocolType = "consumer"

    /// How many topics the bytes say that they name; `nil` when they are not such metadata.
    static func claimedCount(in metadata: [UInt8]) -> Int? {
        var rest = metadata.prefix(6)
        return integer(2, from: &rest) == nil ? nil : integer(4, from: &rest)
    }

    /// `nil` when the bytes are not such metadata.
    static func topics(in metadata: [UInt8]) -> Set<String>? {
        var rest = metadata[...]
        guard integer(2, from: &rest) != nil, let count = integer(4, from: &rest) else { return nil }
        var topics = Set<String>()
        for _ in 0..<count {
            guard let length = integer(2, from: &rest), length <= rest.count,
                let topic = String(validating: rest.prefix(length), as: UTF8.self)
            else { return nil }
            topics.insert(topic)
            rest = rest.dropFirst(length)
        }
        return topics
    }

    /// A big-endian number that is not negative.
    private static func integer(_ size: Int, from rest: inout ArraySlice<UInt8>) -> Int? {
        guard rest.count >= size, let first = rest.first, first < 0x80 else { return nil }
        let value = rest.prefix(size).reduce(0) { $0 << 8 | Int($1) }
        rest = rest.dropFirst(size)
        return value
    }
}
