internal import CCurl
internal import Platform
internal import Synchronization

/// Many requests and mails at once, each with a time of its own, none in the way of another.
///
/// One thread has libcurl's multi handle and does all the I/O; whoever asks awaits. A transfer that hangs costs its own
/// time and nothing else: look-ups have threads of libcurl's, and their end is not waited for.
///
/// Important: `close()` before the last reference goes.
@safe package final class Transfers: Sendable {
    // The handle belongs to the thread; from others only `curl_multi_wakeup` is called, which is made for that.
    private nonisolated(unsafe) let multi: UnsafeMutableRawPointer
    private let state = Mutex(State())
    /// Files of certificates to believe, instead of the machine's.
    private let authorities: String?
    /// Names that are known without looking them up, `HOST:PORT:ADDRESS,ADDRESS` each.
    private let names: [String]

    private struct State {
        var submitted: [(ticket: UInt64, order: Order)] = []
        var waiting: [UInt64: CheckedContinuation<Result<Answer, TransferFault>, Never>] = [:]
        var givenUp: Set<UInt64> = []
        var lastTicket: UInt64 = 0
        var isClosed = false
        var thread: OSThread?
    }

    private enum Order: Sendable {
        case post(Post)
        case mail(Mail)
    }

    /// A request with a body.
    package struct Post: Sendable {
        package var url: WebAddress
        package var headers: [(name: String, value: String)]
        package var body: [UInt8]
        package var limit: Duration
        /// Whether it may go to addresses that only a network of our own has.
        package var mayBePrivate: Bool

        package init(
            _ url: WebAddress, headers: [(name: String, value: String)], body: [UInt8], within limit: Duration,
            mayBePrivate: Bool
        ) {
            self.url = url
            self.headers = headers
            self.body = body
            self.limit = limit
            self.mayBePrivate = mayBePrivate
        }
    }

    /// A message to one recipient.
    package struct Mail: Sendable {
        package var server: MailServer
        package var from: MailAddress
        package var to: MailAddress
        /// Headers and body, with CRLF at the ends of lines.
        package var message: [UInt8]
        package var limit: Duration

        package init(
            _ server: MailServer, from: MailAddress, to: MailAddress, message: [UInt8], within limit: Duration
        ) {
            self.server = server
            self.from = from
            self.to = to
            self.message = message
            self.limit = limit
        }
    }

    /// What the other side answered: of HTTP any status, of SMTP the last one, when the mail was taken.
    package struct Answer: Hashable, Sendable {
        package let status: Int
        /// Seconds.
        package let retryAfter: Int
        /// The beginning of the body.
        package let bytes: [UInt8]

        package var beginning: String { String(decoding: bytes, as: UTF8.self) }
    }

    package init(authorities: String? = nil, names: [String] = []) throws(TransferFault) {
        guard let multi = unsafe curl_multi_init() else { throw TransferFault(.broken, "libcurl cannot be used") }
        unsafe self.multi = multi
        self.authorities = authorities
        self.names = names
        do throws(SystemError) {
            let thread = try OSThread(name: "transfers") { self.work() }
            state.withLock { $0.thread = thread }
        } catch {
            unsafe curl_multi_cleanup(multi)
            throw TransferFault(.broken, "\(error)")
        }
    }

    /// Ends what is under way, and the thread.
    package func close() {
        let thread = state.withLock { state in
            state.isClosed = true
            defer { state.thread = nil }
            return state.thread
        }
        guard let thread else { return }
        unsafe _ = curl_multi_wakeup(multi)
        thread.join()
        unsafe _ = curl_multi_cleanup(multi)
    }

    package func post(_ post: Post) async throws(TransferFault) -> Answer { try await submit(.post(post)) }

    package func send(_ mail: Mail) async throws(TransferFault) -> Answer { try await submit(.mail(mail)) }

    /// Hands an order to the thread and waits; a cancelled task has the transfer ended.
    private func submit(_ order: Order) async throws(TransferFault) -> Answer {
        let ticket = state.withLock { state in
            state.lastTicket += 1
            return state.lastTicket
        }
        let result = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isTaken = state.withLock { state in
                    guard !state.isClosed else { return false }
                    state.waiting[ticket] = continuation
                    state.submitted.append((ticket, order))
                    // Under the lock, as always: once it is closed the handle is gone.
                    unsafe _ = curl_multi_wakeup(multi)
                    return true
                }
                guard isTaken else { return continuation.resume(returning: .failure(.closed)) }
                if Task.isCancelled { giveUp(ticket) }
            }
        } onCancel: {
            giveUp(ticket)
        }
        return try result.get()
    }

    private func giveUp(_ ticket: UInt64) {
        state.withLock { state in
            guard state.waiting[ticket] != nil, !state.isClosed else { return }
            state.givenUp.insert(ticket)
            unsafe _ = curl_multi_wakeup(multi)
        }
    }

    private func finish(_ ticket: UInt64, _ result: Result<Answer, TransferFault>) {
        state.withLock { state in
            state.givenUp.remove(ticket)
            return state.waiting.removeValue(forKey: ticket)
        }?.resume(returning: result)
    }

    // MARK: The thread

    private func work() {
        var running: [UInt64: UnsafeMutablePointer<flotilla_transfer>] = unsafe [:]
        while true {
            let (submitted, givenUp, isClosed) = state.withLock { state in
                defer { state.submitted = [] }
                return (state.submitted, state.givenUp, state.isClosed)
            }
            if isClosed {
                for unsafe(ticket, transfer) in unsafe running {
                    unsafe end(transfer)
                    finish(ticket, .failure(.closed))
                }
                for one in submitted { finish(one.ticket, .failure(.closed)) }
                return
            }
            for one in submitted where !givenUp.contains(one.ticket) {
                if let transfer = unsafe begin(one.order, one.ticket) {
                    unsafe running[one.ticket] = transfer
                } else {
                    finish(one.ticket, .failure(TransferFault(.broken, "no memory for a transfer")))
                }
            }
            for ticket in givenUp {
                if let transfer = unsafe running.removeValue(forKey: ticket) { unsafe end(transfer) }
                finish(ticket, .failure(.cancelled))
            }
            var active: Int32 = 0
            unsafe _ = curl_multi_perform(multi, &active)
            var code: Int32 = 0
            while let transfer = unsafe flotilla_transfer_next_ended(multi, &code) {
                let ticket = unsafe transfer.pointee.ticket
                let result = unsafe Self.result(of: transfer, code)
                unsafe running[ticket] = nil
                unsafe end(transfer)
                finish(ticket, result)
            }
            // Woken by whoever submits; curl itself looks at its own times.
            unsafe _ = curl_multi_poll(multi, nil, 0, 10_000, nil)
        }
    }

    private func begin(_ order: Order, _ ticket: UInt64) -> UnsafeMutablePointer<flotilla_transfer>? {
        let transfer: UnsafeMutablePointer<flotilla_transfer>
        switch order {
        case .post(let post):
            let admits: flotilla_admits? =
                post.mayBePrivate ? nil : { address in unsafe NetworkAddress(address)?.isPublic == true ? 1 : 0 }
            guard
                let made = unsafe flotilla_transfer_new(
                    ticket, post.url.text, Int(post.limit.patience), post.body, post.body.count, admits, authorities)
            else { return nil }
            unsafe transfer = made
            let isMade =
                post.headers.allSatisfy {
                    unsafe flotilla_transfer_add_header(transfer, "\($0.name): \($0.value)") == 1
                } && names.allSatisfy { unsafe flotilla_transfer_add_name(transfer, $0) == 1 }
            guard isMade else {
                unsafe flotilla_transfer_free(transfer)
                return nil
            }
            unsafe flotilla_transfer_be_post(transfer)
        case .mail(let mail):
            guard
                let made = unsafe flotilla_transfer_new(
                    ticket, mail.server.url, Int(mail.limit.patience), mail.message, mail.message.count, nil,
                    authorities)
            else { return nil }
            unsafe transfer = made
            let isMade = unsafe flotilla_transfer_be_mail(
                transfer, "<\(mail.from.text)>", "<\(mail.to.text)>", mail.server.user, mail.server.password ?? "",
                mail.server.needsTLS ? 1 : 0)
            guard isMade == 1 else {
                unsafe flotilla_transfer_free(transfer)
                return nil
            }
        }
        unsafe _ = curl_multi_add_handle(multi, transfer.pointee.curl)
        return unsafe transfer
    }

    private func end(_ transfer: UnsafeMutablePointer<flotilla_transfer>) {
        unsafe _ = curl_multi_remove_handle(multi, transfer.pointee.curl)
        unsafe flotilla_transfer_free(transfer)
    }

    private static func result(
        of transfer: UnsafeMutablePointer<flotilla_transfer>, _ code: Int32
    ) -> Result<Answer, TransferFault> {
        let status = unsafe flotilla_transfer_status(transfer)
        let beginning = unsafe withUnsafeBytes(of: &transfer.pointee.reply) { bytes in
            unsafe Array(bytes.prefix(transfer.pointee.reply_count))
        }
        let answer = Answer(
            status: status, retryAfter: Int(clamping: unsafe flotilla_transfer_retry_after(transfer)),
            bytes: beginning)
        // What was answered stands in the headers; a body without end, or one that never comes, changes nothing of it.
        let isAnswered = unsafe transfer.pointee.has_headers == 1
        if code == 0 || isAnswered && status >= 200 { return .success(answer) }
        // Of several addresses one that may be asked was tried as well, and what it did may be another time.
        if unsafe transfer.pointee.is_refused == 1, unsafe transfer.pointee.is_admitted == 0 {
            return .failure(.privateAddress)
        }
        let text = unsafe String(cString: flotilla_transfer_error(transfer, code))
        return .failure(TransferFault(code: code, status: status, text))
    }
}
