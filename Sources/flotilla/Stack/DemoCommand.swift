internal import Commands
internal import EdgeClient
internal import Glibc
internal import JSON
internal import Platform

extension Command {
    static let demo = Command(
        name: "demo", summary: "send made-up events of campaigns to the edge, some of them faulty, until SIGTERM",
        details: """
            What `up --demo` runs. Impressions, clicks, conversions and orders of four campaigns; one in a hundred is not as
            it should be, and ends as a dead letter. FLOTILLA_EDGE_URL says where the edge is, FLOTILLA_TOKEN who you are.
            """,
        options: [Option(name: "rate", value: "N", fallback: "50", help: "events a second")],
        run: { arguments in
            guard let rate = arguments["rate"].flatMap({ Int($0) }), (1...10_000).contains(rate) else {
                throw arguments.fault("--rate is a number from 1 to 10000")
            }
            var settings = Settings.fromEnvironment()
            let base = settings.text("FLOTILLA_EDGE_URL") ?? "http://127.0.0.1:8080"
            let token = settings.text("FLOTILLA_TOKEN")
            let log = Log.from(&settings)
            try settings.check()
            let demo = Demo(
                url: (base.hasSuffix("/") ? String(base.dropLast()) : base) + "/v1/events", token: token, rate: rate,
                log: log)
            // It waits and sends on a thread of its own, which ends with the process.
            let thread = try OSThread(name: "demo") { demo.run() }
            _ = TerminationSignals.wait()
            withExtendedLifetime(thread) {}
            return .ok
        })
}

private struct Demo: Sendable {
    let url: String
    let token: String?
    let rate: Int
    let log: Log

    func run() {
        var dice = SystemRandomNumberGenerator()
        log.info("sending made-up events", [("rate", rate), ("to", url)])
        var lines = DemoEvents.beginning(now: Time.wallMilliseconds)
        while true {
            let began = Time.monotonicMilliseconds
            for _ in 0..<rate { lines.append(DemoEvents.event(now: Time.wallMilliseconds, &dice)) }
            send(lines)
            lines.removeAll()
            // A second each; when the edge was away for longer, it goes on without making up for it.
            let passed = Time.monotonicMilliseconds - began
            if passed < 1000 { usleep(UInt32(1000 - passed) * 1000) }
        }
    }

    private func send(_ lines: [String]) {
        var publisher = LinePublisher(url: url, token: token) { sleep(UInt32(max(1, min($0, 10)))) }
        publisher.waiting = { [log] in log.warning("waiting", [("for", $0)]) }
        var pieces = [Array((lines.joined(separator: "\n") + "\n").utf8)]
        do {
            _ = try publisher.publish { pieces.popLast() ?? [] }
        } catch {
            log.warning("not sent", [("error", "\(error)")])
            sleep(1)
        }
    }
}

/// Events as an advertiser's systems might send them.
enum DemoEvents {
    private static let campaigns = ["spring", "summer", "autumn", "winter"]
    private static let countries = ["de", "fr", "it", "es", "pl"]
    private static let devices = ["phone", "tablet", "desktop"]

    /// The campaigns themselves. Their ids are always the same, so that a second beginning makes none anew.
    static func beginning(now: Int64) -> [String] {
        campaigns.flatMap { campaign in
            [("campaign.create", "create"), ("campaign.activate", "activate")].map { type, word in
                line { json in
                    json.member("event_id", "demo-\(campaign)-\(word)")
                    json.member("event_type", type)
                    json.member("campaign_id", campaign)
                    json.member("timestamp", now)
                    if word == "create" {
                        json.object("data") { json in
                            json.member("name", "The \(campaign) campaign")
                            json.member("budget", 10_000)
                        }
                    }
                }
            }
        }
    }

    static func event(now: Int64, _ dice: inout some RandomNumberGenerator) -> String {
        // Spring runs best: half of everything.
        let campaign = Bool.random(using: &dice) ? campaigns[0] : campaigns.randomElement(using: &dice) ?? campaigns[0]
        let fault = Int.random(in: 0..<200, using: &dice)
        let number = Int.random(in: 0..<1000, using: &dice)
        let type = number < 800 ? "impression" : number < 950 ? "click" : number < 985 ? "conversion" : "order.created"
        return line { json in
            json.member("event_type", type)
            json.member("campaign_id", campaign)
            // Two days are too late for any window.
            json.member("timestamp", fault == 0 ? now - 2 * 86_400_000 : now)
            json.member("user_id", "user-\(Int.random(in: 0..<5000, using: &dice))")
            json.name("value")
            if fault == 1 {
                json.append("a lot")
            } else {
                json.append(
                    Int64(type == "order.created" ? Int.random(in: 500...20_000, using: &dice) : 100), fractionDigits: 2
                )
            }
            json.object("dimensions") { json in
                json.member("country", countries.randomElement(using: &dice) ?? "de")
                json.member("device", devices.randomElement(using: &dice) ?? "phone")
            }
        }
    }

    private static func line(_ body: (inout JSONWriter) -> Void) -> String {
        var writer = JSONWriter()
        writer.object { body(&$0) }
        return writer.text
    }
}
