internal import CCurl
internal import Glibc
internal import Platform

/// Asks over HTTP and waits. One connection that is kept; to be used by one thread.
@safe package final class WebClient {
    private let curl: UnsafeMutableRawPointer

    package struct Answer: Sendable {
        package let status: Int
        /// Seconds.
        package let retryAfter: Int
        package let body: [UInt8]
    }

    /// No answer: nobody is there, or something is not as it should be on the way.
    package struct Fault: Error, Sendable, CustomStringConvertible {
        package let description: String
        /// Whether it can help to ask again.
        package let isRetriable: Bool

        package init(description: String, isRetriable: Bool = false) {
            self.description = description
            self.isRetriable = isRetriable
        }
    }

    private static let answerLimit = 16 << 20

    package init() throws(Fault) {
        guard let curl = unsafe curl_easy_init() else {
            throw Fault(description: "libcurl cannot be used", isRetriable: false)
        }
        unsafe self.curl = curl
    }

    deinit { unsafe curl_easy_cleanup(curl) }

    /// What is at a URL, of `limit` bytes at most. What it points to elsewhere is not followed. `direct` asks past the
    /// proxy that the environment may name.
    package func get(
        _ url: String, direct: Bool = false, limit: Int, within time: Duration
    ) throws(Fault) -> Answer {
        var answer = unsafe flotilla_curl_answer()
        unsafe answer.limit = limit
        defer { unsafe free(answer.body) }
        let code = unsafe flotilla_curl_get(curl, url, direct ? 1 : 0, Int(clamping: time.milliseconds), &answer)
        guard code == 0 else { throw Self.fault(code, &answer) }
        let bytes = unsafe Array(UnsafeRawBufferPointer(start: answer.body, count: answer.count))
        return unsafe Answer(status: answer.status, retryAfter: 0, body: bytes)
    }

    package func post(
        _ url: String, headers: [String], body: ArraySlice<UInt8>, within limit: Duration
    ) throws(Fault) -> Answer {
        var list: UnsafeMutablePointer<curl_slist>?
        for header in headers { unsafe list = curl_slist_append(list, header) }
        defer { unsafe curl_slist_free_all(list) }
        var answer = unsafe flotilla_curl_answer()
        unsafe answer.limit = Self.answerLimit
        defer { unsafe free(answer.body) }
        let milliseconds = Int(limit.components.seconds * 1000)
        let code = unsafe body.withUnsafeBytes { bytes in
            // Null would be a body that is read from elsewhere.
            let start = unsafe bytes.baseAddress ?? UnsafeRawPointer(curl)
            return unsafe flotilla_curl_post(curl, url, list, start, bytes.count, milliseconds, &answer)
        }
        guard code == 0 else { throw Self.fault(code, &answer) }
        let bytes = unsafe Array(UnsafeRawBufferPointer(start: answer.body, count: answer.count))
        return unsafe Answer(status: answer.status, retryAfter: answer.retry_after, body: bytes)
    }

    @safe private static func fault(_ code: Int32, _ answer: inout flotilla_curl_answer) -> Fault {
        let text = unsafe withUnsafePointer(to: &answer.error) { text in
            unsafe text.withMemoryRebound(to: CChar.self, capacity: Int(CURL_ERROR_SIZE)) { unsafe String(cString: $0) }
        }
        let fatal = [CURLE_URL_MALFORMAT, CURLE_UNSUPPORTED_PROTOCOL, CURLE_PEER_FAILED_VERIFICATION]
        return Fault(description: text, isRetriable: !fatal.contains { $0.rawValue == UInt32(code) })
    }
}
