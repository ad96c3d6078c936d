internal import JSON
internal import Platform
internal import Transfers

/// Publishes lines of JSON through an edge, in requests of some thousand lines.
///
/// Each request has an Idempotency-Key of its own, the run's and the number of its first line, and is sent again under the
/// same one, whole, until the edge takes it: ids follow from a key and a line's place behind the first, so its events have
/// the same ones however often it has to be sent. Nor does another run that goes on with the same lines under the same key
/// give any two of them the same id. What the edge refuses is told by the number of its line.
package struct LinePublisher {
    /// Where to: `http://127.0.0.1:8080/v1/events`.
    package var url: String
    /// Sent as a bearer token; nil for an edge that is open.
    package var token: String?
    /// What the requests' keys begin with.
    package var key = UUIDValue.version7().description
    /// The number of the line to begin with, from 1.
    package var firstLine = 1
    /// Called with the number of a line, from 1, and why it is refused.
    package var refused: (Int, String) -> Void = { _, _ in }
    /// Called when the edge cannot take anything now, with why; work goes on by itself.
    package var waiting: (String) -> Void = { _ in }
    /// Called after each request.
    package var progress: (Progress) -> Void = { _ in }
    /// How long to wait where the edge does not say; a test waits less.
    package var pause: (_ seconds: Int) -> Void

    package struct Progress: Sendable {
        /// Lines that were read, blank ones too, and those before the first.
        package var lines = 0
        /// The line to go on with: all before it are published or refused.
        package var next = 1
        package var bytes = 0
        package var published = 0
        package var refused = 0

        package init(next: Int = 1) { self.next = next }
    }

    /// Why publishing ended before its end.
    package struct Fault: Error, Sendable, CustomStringConvertible {
        package let description: String

        package init(description: String) { self.description = description }
    }

    private static let requestBytes = 1 << 20
    /// As many refusals as the edge tells of a request.
    private static let requestLines = 1000
    /// The edge takes events of 256 KiB; what is longer need not be sent to be refused.
    private static let lineBytes = 512 << 10

    package init(url: String, token: String? = nil, pause: @escaping (_ seconds: Int) -> Void) {
        self.url = url
        self.token = token
        self.pause = pause
    }

    /// Publishes all that `read` returns, until it returns nothing.
    package func publish(_ read: () throws -> [UInt8]) throws -> Progress {
        let client = try WebClient()
        var (progress, pending, numbers) = (Progress(next: firstLine), [UInt8](), [Int]())
        var line: [UInt8] = []
        var isTooLong = false
        func send() throws {
            guard let first = numbers.first else { return }
            try post(pending, numbers, key: "\(key)-\(first)", client, &progress)
            pending.removeAll(keepingCapacity: true)
            numbers.removeAll(keepingCapacity: true)
        }
        func finishLine() throws {
            progress.lines += 1
            defer {
                line.removeAll(keepingCapacity: true)
                isTooLong = false
            }
            guard progress.lines >= firstLine else { return }
            guard !isTooLong else {
                progress.refused += 1
                return refused(progress.lines, "the line has more than \(Self.lineBytes) bytes")
            }
            guard line.contains(where: { $0 != 32 && $0 != 9 && $0 != 13 }) else { return }
            pending += line
            pending.append(10)
            numbers.append(progress.lines)
            if pending.count >= Self.requestBytes || numbers.count >= Self.requestLines { try send() }
        }
        while true {
            let piece = try read()
            if piece.isEmpty { break }
            progress.bytes += piece.count
            var rest = piece[...]
            while let end = rest.firstIndex(of: 10) {
                if line.count + end - rest.startIndex > Self.lineBytes {
                    isTooLong = true
                } else {
                    line += rest[..<end]
                }
                try finishLine()
                rest = rest[(end + 1)...]
            }
            if line.count + rest.count > Self.lineBytes { isTooLong = true } else { line += rest }
        }
        if !line.isEmpty || isTooLong { try finishLine() }
        try send()
        return progress
    }

    /// Sends one request until it is taken.
    private func post(
        _ body: [UInt8], _ numbers: [Int], key: String, _ client: WebClient, _ progress: inout Progress
    ) throws {
        var headers = ["Content-Type: application/x-ndjson", "Idempotency-Key: \(key)", "Expect:"]
        if let token { headers.append("Authorization: Bearer \(token)") }
        // The same reason once a second helps nobody.
        var told: String?
        func wait(_ reason: String, seconds: Int) {
            if told != reason { waiting(reason) }
            told = reason
            pause(seconds)
        }
        while true {
            do throws(WebClient.Fault) {
                let answer = try client.post(url, headers: headers, body: body[...], within: .seconds(60))
                switch answer.status {
                case 202, 207, 422:
                    try note(answer, numbers, &progress)
                    progress.next = progress.lines + 1
                    return self.progress(progress)
                case 429, 502, 503, 504:
                    wait(Self.detail(answer), seconds: max(1, min(60, answer.retryAfter)))
                case _: throw WebClient.Fault(description: Self.detail(answer), isRetriable: false)
                }
            } catch {
                guard error.isRetriable else { throw Fault(description: "\(url): \(error)") }
                wait("\(error)", seconds: 1)
            }
        }
    }

    private func note(
        _ answer: WebClient.Answer, _ numbers: [Int], _ progress: inout Progress
    ) throws(WebClient.Fault) {
        guard let document = try? JSONDocument(parsing: answer.body), let accepted = document.root["accepted"]?.int64,
            let rejected = document.root["rejected"]?.int64, accepted >= 0, rejected >= 0,
            accepted <= numbers.count, rejected <= numbers.count
        else {
            throw WebClient.Fault(
                description: "the answer is not an edge's: \(Self.detail(answer))", isRetriable: false)
        }
        progress.published += Int(accepted)
        progress.refused += Int(rejected)
        var told = 0
        for result in document.root["results"]?.elements ?? document.root.elements {
            guard let index = result["index"]?.int64, let text = result["error"]?.string,
                let number = numbers.indices.contains(Int(index)) ? numbers[Int(index)] : nil
            else { continue }
            refused(number, text)
            told += 1
        }
        if told < rejected { refused(numbers.last ?? 0, "and \(Int(rejected) - told) more up to this line") }
    }

    private static func detail(_ answer: WebClient.Answer) -> String {
        let detail = (try? JSONDocument(parsing: answer.body))?.root["detail"]?.string
        return "\(answer.status) \(detail ?? String(decoding: answer.body.prefix(200), as: UTF8.self))"
    }
}
