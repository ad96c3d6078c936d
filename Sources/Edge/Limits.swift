/// What the edge takes, as documented.
enum Limits {
    static let event = 256 << 10
    static let list = 1 << 20
    static let listCount = 500
    static let id = 255
    static let dimensions = 64
    /// How many refused lines are told of a stream.
    static let toldRefusals = 1000
    static let toldRefusalBytes = 256 << 10
    /// Names of CloudEvents' extensions; the specification recommends 20.
    static let extensionName = 64
    static let extensions = 64
    /// Names and values of a CloudEvent's attributes: they become the record's headers, for which there is so much room.
    static let attributeBytes = 14 << 10
}
