internal import CCurl

/// Why a transfer got no answer.
package struct TransferFault: Error, Hashable, Sendable, CustomStringConvertible {
    package enum Kind: Hashable, Sendable {
        /// Nobody is there, or the connection was lost.
        case unreachable
        case timedOut
        /// No agreement about encryption, or a certificate that nobody vouches for.
        case insecure
        /// The name leads to an address that only a network of our own has.
        case privateAddress
        /// A mail server that says no, with its status.
        case refused
        case cancelled
        case closed
        /// It could not even begin here: there was no memory, or no thread.
        case broken
    }

    package let kind: Kind
    package let reason: String
    /// What a mail server answered; 0 when nothing.
    package let status: Int

    package init(_ kind: Kind, _ reason: String, status: Int = 0) {
        self.kind = kind
        self.reason = reason
        self.status = status
    }

    static let closed = TransferFault(.closed, "the process is ending")
    static let cancelled = TransferFault(.cancelled, "given up")
    static let privateAddress = TransferFault(
        .privateAddress, "the address is private, loopback or link-local, and nothing allows that")

    /// What curl said. Its words name hosts, never paths or passwords.
    init(code: Int32, status: Int, _ text: String) {
        let kind: Kind =
            switch CURLcode(rawValue: UInt32(bitPattern: code)) {
            case CURLE_OPERATION_TIMEDOUT: .timedOut
            case CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_CONNECT_ERROR, CURLE_USE_SSL_FAILED,
                CURLE_SSL_CACERT_BADFILE:
                .insecure
            case CURLE_LOGIN_DENIED: .refused
            // An answer that is no HTTP is called an unsupported protocol, and is the peer's.
            case CURLE_FAILED_INIT, CURLE_OUT_OF_MEMORY: .broken
            case _: status >= 400 ? .refused : .unreachable
            }
        self.init(kind, text, status: status)
    }

    package var description: String { reason }
}
