internal import Glibc

/// A system call that failed: which one, on what, and the errno it left.
public struct SystemError: Error, Hashable, Sendable, CustomStringConvertible {
    public let code: Int32
    public let call: String
    public let subject: String

    public init(code: Int32, call: String, subject: String = "") {
        self.code = code
        self.call = call
        self.subject = subject
    }

    /// The failure that the calling thread's errno describes; to be made before any other call.
    public static func last(_ call: String, _ subject: String = "") -> SystemError {
        SystemError(code: errno, call: call, subject: subject)
    }

    public var isOutOfSpace: Bool { code == ENOSPC || code == EDQUOT || code == EFBIG }

    public var description: String {
        let reason = unsafe strerror(code).map { unsafe String(cString: $0) } ?? "errno \(code)"
        return subject.isEmpty ? "\(call): \(reason)" : "\(call) \(subject): \(reason)"
    }
}
