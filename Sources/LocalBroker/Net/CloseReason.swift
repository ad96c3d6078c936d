/// Why a connection was closed.
enum CloseReason: CustomStringConvertible {
    case byPeer
    case cutOff
    case notAFrame(firstBytes: UInt32)
    case malformed(String)
    case tooManyConnections
    case tooMuchMemory
    case answerTooLarge
    case stalled
    case idle
    case stopping
    case noTrueAnswer

    /// Whether it is the ordinary end of a connection rather than something that a line in the log should tell.
    var isOrdinary: Bool {
        switch self {
        case .byPeer, .idle, .stopping: true
        case .cutOff, .notAFrame, .malformed, .tooManyConnections, .tooMuchMemory, .answerTooLarge, .noTrueAnswer,
            .stalled:
            false
        }
    }

    var description: String {
        switch self {
        case .byPeer: "closed by the client"
        case .cutOff: "the client hung up in the middle of a request"
        case .notAFrame(let bytes):
            switch bytes >> 16 {
            case 0x1603: "this is TLS, and this broker speaks plain text: set security.protocol=PLAINTEXT"
            case 0x4745, 0x504f, 0x4845, 0x5055: "this is HTTP, and this port speaks Kafka's protocol"
            default: "not a request of Kafka's protocol, or one that is too large: its length reads \(bytes)"
            }
        case .malformed(let what): what
        case .tooManyConnections: "too many connections"
        case .tooMuchMemory: "too many unfinished requests at once"
        case .answerTooLarge: "the answer to its request does not fit into one frame: ask for less at a time"
        case .stalled: "the client neither finished its request nor took its answers"
        case .idle: "idle"
        case .stopping: "the broker is stopping"
        case .noTrueAnswer: "what it asked for was not written for good: the disk failed"
        }
    }
}
