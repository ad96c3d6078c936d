package enum Words {
    /// `1 worker`, `2 workers`.
    package static func count(_ number: Int, _ thing: String) -> String {
        "\(number) \(thing)\(number == 1 ? "" : "s")"
    }

    package static func count(_ number: Int64, _ thing: String) -> String { count(Int(clamping: number), thing) }
}
