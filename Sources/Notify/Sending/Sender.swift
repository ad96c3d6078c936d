internal import Flotilla
internal import Model
internal import Platform
internal import Postgres
internal import Synchronization
internal import Tracing
internal import Transfers

/// Works off deliveries, beside the events and in every worker: takes what is due, sends it, writes down how it ended.
///
/// Each channel has places of its own for what is under way, so one that hangs fills its own and nobody else's; and no
/// connection to Postgres is held while something is sent. A try that its worker did not live to see the end of is made
/// again when its lease is over, under the same id.
final class Sender: Sendable {
    private let rules: Rules
    private let secrets: NotifySecrets
    private let service: HandlerService
    private let store: SenderStore
    /// How many tries of each channel are under way.
    private let underWay = Mutex<[String: Int]>([:])
    /// Channels that said here that they are gone, while others know another address of theirs: those go on with them.
    private let moved = Mutex<Set<String>>([])

    private static let placesOfChannel = 4
    private static let lookInterval: Duration = .milliseconds(200)

    init(_ rules: Rules, _ secrets: NotifySecrets, _ service: HandlerService) {
        self.rules = rules
        self.secrets = secrets
        self.service = service
        store = SenderStore(pool: service.database, worker: service.worker)
    }

    /// Until the end of the process; what is under way then is finished.
    func run() async throws {
        let transfers = try Transfers(authorities: secrets.authorities)
        defer { transfers.close() }
        try await store.register(rules.channels)
        await withDiscardingTaskGroup { group in
            group.addTask { await self.tidy() }
            while !service.isEnding, !Task.isCancelled {
                if service.isPaused {
                    await service.nap(Self.lookInterval)
                    continue
                }
                var begun = 0
                await self.patiently {
                    for (channel, leased) in try await self.take() {
                        begun += 1
                        group.addTask { await self.workOff(leased, channel, transfers) }
                    }
                }
                if begun == 0 { await service.nap(Self.lookInterval) }
            }
        }
    }

    /// What is due, of every channel that has places.
    private func take() async throws -> [(Channel, SenderStore.Leased)] {
        let free = rules.channels.filter { places(of: $0) > 0 }
        guard !free.isEmpty else { return [] }
        let due = try await store.due(free.map(\.name))
        var taken: [(Channel, SenderStore.Leased)] = []
        for channel in free where due.contains(channel.name) {
            // What was taken of one channel is sent even if Postgres goes away before the next.
            guard let leased = try? await store.lease(channel, atMost: places(of: channel)) else { break }
            underWay.withLock { $0[channel.name, default: 0] += leased.count }
            taken += leased.map { (channel, $0) }
        }
        return taken
    }

    private func places(of channel: Channel) -> Int {
        moved.withLock { $0.contains(channel.name) }
            ? 0 : Self.placesOfChannel - underWay.withLock { $0[channel.name] ?? 0 }
    }

    /// Tries one, and goes on with the next of its channel while there is one: a place is not idle while others wait.
    private func workOff(_ leased: SenderStore.Leased, _ channel: Channel, _ transfers: Transfers) async {
        var next: SenderStore.Leased? = leased
        while let current = next {
            await attempt(current, channel, transfers)
            guard !service.isEnding, !service.isPaused, !moved.withLock({ $0.contains(channel.name) }) else { break }
            next = try? await store.lease(channel, atMost: 1).first
        }
        underWay.withLock { $0[channel.name, default: 1] -= 1 }
    }

    /// Ends what nobody will try any more.
    private func tidy() async {
        while !service.isEnding, !Task.isCancelled {
            await patiently { while try await self.store.giveUp() {} }
            await service.nap(.seconds(1))
        }
    }

    /// What Postgres does not answer now is done later: everything waits in its tables.
    private func patiently(_ body: () async throws -> Void) async {
        do { try await body() } catch {
            guard !service.isEnding else { return }
            service.log.warning("the sender has to wait", [("error", "\(error)")])
            await service.nap(.seconds(1))
        }
    }

    // MARK: One try

    private func attempt(_ leased: SenderStore.Leased, _ channel: Channel, _ transfers: Transfers) async {
        guard let attempt = await send(leased, channel, transfers) else { return }
        if attempt.verdict != .sent {
            var fields: [Log.Field] = [
                ("delivery", leased.id), ("channel", channel.name), ("attempt", leased.attempt),
                ("reason", attempt.reason ?? ""),
            ]
            if let trace = leased.trace.flatMap({ TraceParent($0) }) { fields.append(("trace", trace.trace)) }
            service.log.warning("a notification did not get through", fields)
        }
        // Within the lease's grace; after it another try begins, under the same id.
        let random = Double.random(in: 0...1)
        let news = await persistently("the end of a notification could not be written down", leased) {
            try await store.end(leased, channel, attempt, random: random)
        }
        switch news {
        case .toNote:
            // Somebody else may be at it for a moment. Whoever is for longer keeps nobody from sending.
            await persistently("what an endpoint said could not be written down", leased) {
                try await store.note(channel, attempt.verdict) ? () : nil
            }
        case .moved: moved.withLock { _ = $0.insert(channel.name) }
        case .some(.none), nil: break
        }
    }

    /// Does something a few times over, until it does not fail; nil is a no that may pass too.
    @discardableResult private func persistently<Value>(
        _ failure: StaticString, _ leased: SenderStore.Leased, _ body: () async throws -> Value?
    ) async -> Value? {
        for pause in [0, 100, 500, 2000, 5000] {
            if pause > 0 { try? await Task.sleep(for: .milliseconds(pause)) }
            do { if let value = try await body() { return value } } catch {
                service.log.warning(failure, [("delivery", leased.id), ("error", "\(error)")])
            }
        }
        return nil
    }

    /// Nil when it was broken off, and nobody knows.
    private func send(
        _ leased: SenderStore.Leased, _ channel: Channel, _ transfers: Transfers
    ) async -> SenderStore.Attempt? {
        do throws(TransferFault) {
            switch channel.way {
            case .log:
                service.log.info(
                    "notification",
                    [
                        ("delivery", leased.id), ("rule", leased.rule), ("kind", leased.kind),
                        ("subject", leased.subject), ("text", leased.body),
                    ])
                return SenderStore.Attempt(verdict: .sent)
            case .webhook(let webhook):
                return try await send(leased, webhook, channel, transfers)
            case .mail(let from, _):
                guard let server = secrets.mailServer, let to = MailAddress(leased.recipient) else {
                    return SenderStore.Attempt(verdict: .never, reason: "there is no mail server, or no such address")
                }
                let message = MailMessage.bytes(
                    from: from, to: to, id: leased.id, subject: leased.subject, text: leased.body, at: leased.madeAt)
                let answer = try await transfers.send(
                    Transfers.Mail(server, from: from, to: to, message: message, within: channel.timeout))
                return SenderStore.Attempt(verdict: .sent, status: answer.status)
            }
        } catch { return Self.verdict(error) }
    }

    /// The receiver gets to see the trace: it goes on there. Where nothing is traced it is that of the event.
    private func send(
        _ leased: SenderStore.Leased, _ webhook: Channel.Webhook, _ channel: Channel, _ transfers: Transfers
    ) async throws(TransferFault) -> SenderStore.Attempt {
        let result = await service.withSpan("POST", .client, in: leased.trace) {
            span -> Result<SenderStore.Attempt, TransferFault> in
            // No path: of a hook it is as good as a password.
            span.set("http.request.method", "POST")
            span.set("server.address", .text(webhook.url.host))
            span.set("flotilla.delivery", .text(leased.id))
            span.set("flotilla.channel", .text(channel.name))
            if leased.attempt > 1 { span.set("http.request.resend_count", .integer(Int64(leased.attempt - 1))) }
            let trace = span.isRecording ? span.place : leased.trace.flatMap { TraceParent($0) }
            do throws(TransferFault) {
                let answer = try await transfers.post(post(leased, webhook, channel.timeout, trace))
                span.set("http.response.status_code", .integer(Int64(answer.status)))
                if answer.status >= 300 { span.fail("HTTP \(answer.status)", type: "\(answer.status)") }
                return .success(verdict(answer))
            } catch {
                span.fail(error.reason, type: "\(error.kind)")
                return .failure(error)
            }
        }
        return try result.get()
    }

    private func post(
        _ leased: SenderStore.Leased, _ webhook: Channel.Webhook, _ timeout: Duration, _ trace: TraceParent?
    ) -> Transfers.Post {
        let body = Array(leased.body.utf8)
        let seconds = Time.wallMilliseconds / 1000
        let signatures = secrets.signing.map { $0.signature(id: leased.id, seconds: seconds, body: body) }
        return Transfers.Post(
            webhook.url,
            headers: [
                ("Content-Type", "application/json"), ("User-Agent", "flotilla"), ("webhook-id", leased.id),
                ("webhook-timestamp", "\(seconds)"), ("webhook-signature", signatures.joined(separator: " ")),
                ("Expect", ""),
            ] + (trace.map { [("traceparent", "\($0)")] } ?? []), body: body, within: timeout,
            mayBePrivate: webhook.mayBePrivate)
    }

    /// What an answer means. What is not 2xx is tried again, also what looks final: a receiver that is being deployed says
    /// 404 too. A redirect is an answer like others, because the address was checked and where it leads was not.
    private func verdict(_ answer: Transfers.Answer) -> SenderStore.Attempt {
        let said = answer.beginning.isEmpty ? "" : ": \(Notification.line(Template.cut(answer.beginning, 100)))"
        var attempt = SenderStore.Attempt(verdict: .sent, status: answer.status)
        switch answer.status {
        case 200...299: return attempt
        case 410:
            attempt.verdict = .gone
            attempt.reason = "the endpoint says that it is gone (410)"
        case 300...399:
            attempt.verdict = .later(retryAfter: 0)
            attempt.reason = "answered \(answer.status): redirects are not followed"
        case _:
            attempt.verdict = .later(retryAfter: Int64(max(0, min(answer.retryAfter, 86_400))) * 1000)
            attempt.reason = "answered \(answer.status)\(said)"
        }
        return attempt
    }

    static func verdict(_ fault: TransferFault) -> SenderStore.Attempt? {
        let status = fault.status > 0 ? fault.status : nil
        let verdict: SenderStore.Attempt.Verdict
        switch fault.kind {
        case .cancelled, .closed: return nil
        case .privateAddress: verdict = .never
        // A mailbox that is not there will not be there later; who may not log in may have mistyped.
        case .refused: verdict = (550...559).contains(fault.status) ? .never : .later(retryAfter: 0)
        // Broken is something here: memory, mostly. That may pass.
        case .unreachable, .timedOut, .insecure, .broken: verdict = .later(retryAfter: 0)
        }
        return SenderStore.Attempt(verdict: verdict, status: status, reason: Template.cut(fault.reason, 200))
    }
}
