internal import Commands
internal import DeadLetters
internal import Glibc
internal import Platform

/// A replay while it goes on: a bar on a terminal, elsewhere a line when something has changed.
struct ReplayView: Sendable {
    let index: DeadLetterIndex
    let id: String
    let isJSON: Bool

    /// Shows it until it is over or stands. Fails unless all were resolved, or published where nobody tells more.
    func follow() async throws -> ExitCode {
        let isTerminal = !isJSON && isatty(1) == 1
        var shown = ""
        var hasWarned = false
        while true {
            guard let job = try await index.job(id) else { throw Refused("there is no job \(id)") }
            if isTerminal {
                put("\r\u{1b}[2K" + Self.bar(job))
            } else if !isJSON, shown != job.state.rawValue + job.reason, !job.state.isOver, !job.state.stands {
                shown = job.state.rawValue + job.reason
                print(Self.line(job))
                fflush(nil)
            }
            if job.state.isOver || job.state.stands {
                if isTerminal { put("\n") }
                if !isTerminal || !job.reason.isEmpty || job.failed > 0 || job.skipped > 0 { show(job) }
                if !isJSON { try await showTroubles() }
                if job.state.stands {
                    Program.complain(
                        "\(Program.name): what it has chosen and not published waits in it: mend the cause, then "
                            + "`\(Program.name) dlq jobs resume \(id)` goes on, and cancel has it open again")
                }
                // What a rewind leaves to dlq replay is no failure of it.
                return job.state == .done && job.failed == 0 && (job.isRewind || job.skipped == 0) ? .ok : .failed
            }
            if job.state == .waiting, !hasWarned, try await !WorkLease.isHeld(index) {
                hasWarned = true
                Program.complain(
                    "\(Program.name): job \(id) waits for a worker: start \(Program.name) work deadletters")
            }
            try await Task.sleep(for: .milliseconds(200))
        }
    }

    func show(_ job: ReplayJob) { print(isJSON ? job.json : Self.line(job)) }

    /// Why some of it failed.
    func showTroubles() async throws {
        if let job = try await index.job(id), job.isRewind, job.repeats > 0 {
            print("  \(job.repeats)  passed over: what they do to the handler's state is in")
        }
        for (outcome, count) in try await index.troubles(of: id) { print("  \(count)  \(Harmless.line(outcome))") }
    }

    static func line(_ job: ReplayJob) -> String {
        var parts = ["\(job.published) of \(job.total) published"]
        if job.isRewind {
            parts.append("\(job.resolved) done, \(job.failed) failed")
        } else if !job.toSource {
            parts.append("\(job.resolved) resolved, \(job.failed) failed again")
        }
        if job.skipped > 0 { parts.append("\(job.skipped) skipped") }
        let reason = job.reason.isEmpty ? "" : " (\(Harmless.line(job.reason)))"
        let state = job.state == .canary ? "canary of \(min(job.canary, job.total))" : job.state.rawValue
        return "job \(job.id) \(state)\(reason): " + parts.joined(separator: ", ")
    }

    /// What ended, and what is published beyond that.
    static func bar(_ job: ReplayJob, width: Int = 30) -> String {
        let total = max(1, job.total)
        let ended = min(job.total, job.toSource ? job.published : job.resolved + job.failed + job.skipped)
        let full = ended * width / total
        let half = max(full, min(job.total, job.published + job.skipped) * width / total)
        let cells =
            String(repeating: "█", count: full) + String(repeating: "▒", count: half - full)
            + String(repeating: "░", count: width - half)
        return "\(cells) \(line(job))"
    }

    private func put(_ text: String) {
        var text = text
        text.withUTF8 { unsafe _ = Glibc.write(1, $0.baseAddress, $0.count) }
    }
}
