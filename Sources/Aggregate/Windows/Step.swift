/// How long a window is. The raw value is its name in answers, tables and on the command line.
package enum Step: String, Hashable, Sendable, CaseIterable, Comparable {
    case minute = "1m"
    case hour = "1h"
    case day = "1d"

    package var milliseconds: Int64 {
        switch self {
        case .minute: 60_000
        case .hour: 3_600_000
        case .day: 86_400_000
        }
    }

    package static func < (left: Step, right: Step) -> Bool { left.milliseconds < right.milliseconds }
}
