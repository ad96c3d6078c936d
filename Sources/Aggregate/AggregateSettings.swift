internal import Platform

/// What the topic file says of `aggregate`, read and checked.
struct AggregateSettings: Sendable {
    /// Names that windows are kept for, in their order.
    private(set) var dimensions: [String] = []
    private(set) var values = CardinalityGuard.Limits()
    private(set) var watermark = Watermark.Limits()
    /// How long what has been counted may be in the journal before it is in the windows.
    private(set) var writeEvery: Int64 = 200
    /// How long windows are kept behind their end, for each step; nil for ever.
    private(set) var keep: [Step: Int64] = [:]

    init(_ settings: [String: String]) throws(SettingFault) {
        var rest = settings
        dimensions = (rest.removeValue(forKey: "dimensions") ?? "").split(separator: ",")
            .map { $0.drop { $0 == " " } }.map { String($0.reversed().drop { $0 == " " }.reversed()) }
        guard dimensions.count <= 16 else {
            throw SettingFault(name: "dimensions", problem: "has more than 16 names: each multiplies the windows")
        }
        guard dimensions.allSatisfy({ (1...64).contains($0.utf8.count) }), Set(dimensions).count == dimensions.count
        else { throw SettingFault(name: "dimensions", problem: "takes different names of 1 to 64 bytes, with commas") }
        if let text = rest.removeValue(forKey: "values") {
            guard let number = Int(text), (1...100_000).contains(number) else {
                throw SettingFault(name: "values", value: text, expected: "a number from 1 to 100000")
            }
            values.values = number
        }
        func time(_ name: String, _ range: ClosedRange<Duration>, _ expected: String) throws(SettingFault) -> Duration?
        {
            guard let text = rest.removeValue(forKey: name) else { return nil }
            guard let time = Duration(text: text), range.contains(time) else {
                throw SettingFault(name: name, value: text, expected: expected)
            }
            return time
        }
        let day: ClosedRange<Duration> = .zero ... .seconds(86_400)
        watermark.lateness = try time("lateness", day, "a time to 1d, as 10s") ?? watermark.lateness
        watermark.idleAfter = try time("idleAfter", day, "a time to 1d, as 10s") ?? watermark.idleAfter
        if let time = try time("writeEvery", .zero ... .seconds(10), "a time to 10s, as 200ms") {
            writeEvery = time.milliseconds
        }
        let names = [(Step.minute, "keepMinutes"), (.hour, "keepHours"), (.day, "keepDays")]
        for (step, name) in names {
            let years: ClosedRange<Duration> = .seconds(2 * 86_400) ... .seconds(36_500 * 86_400)
            keep[step] = try time(name, years, "a time from 2d to 36500d, as 30d")?.milliseconds
        }
        if let name = rest.keys.min() { throw SettingFault(name: name, problem: "is no setting of aggregate") }
    }

    /// Whether a window is still kept at this time.
    func keeps(_ window: Window, at now: Int64) -> Bool {
        keep[window.step].map { window.end > now - $0 } ?? true
    }
}
