internal import Glibc
internal import Platform

/// What goes over one connection, from its beginning to its end. Belongs to the connection's thread.
struct Session {
    private let transport: Transport
    private let reader: ReplyReader
    private let bell: Doorbell

    init(_ transport: Transport, reader: ReplyReader, bell: Doorbell) {
        self.transport = transport
        self.reader = reader
        self.bell = bell
    }

    /// A question whose answers come now.
    private struct Open {
        let question: RedisConnection.Question
        var answers: [RedisValue] = []
    }

    /// Sends and receives until the connection breaks or the client closes; says why it ended.
    func run(take: () -> [RedisConnection.Question], isClosed: () -> Bool) -> RedisFault {
        var output: [UInt8] = []
        var sent = 0
        var open: [Open] = []
        var first = 0
        func end(_ fault: RedisFault) -> RedisFault {
            for left in open[first...] { left.question.reply(.failure(fault)) }
            return fault
        }
        while !isClosed() {
            for question in take() {
                output.append(contentsOf: question.bytes)
                open.append(Open(question: question))
            }
            var needsWriting = false
            do throws(RedisFault) {
                if sent < output.count { needsWriting = try !write(&output, &sent) }
                let now = Time.monotonicMilliseconds
                if first < open.count, open[first].question.deadline <= now {
                    throw RedisFault(.unreachable, "no answer in time", mayHaveHappened: true)
                }
                let wait = first < open.count ? open[first].question.deadline - now : 60_000
                sleep(milliseconds: wait, needsWriting: needsWriting)
                try read { answer in
                    guard first < open.count else { return false }
                    open[first].answers.append(answer)
                    if open[first].answers.count == open[first].question.answers {
                        open[first].question.reply(.success(open[first].answers))
                        first += 1
                    }
                    return true
                }
            } catch { return end(error) }
            if first == open.count || first > 1024 {
                open.removeFirst(first)
                first = 0
            }
        }
        return end(RedisFault(.closed, "the client is closed", mayHaveHappened: true))
    }

    /// Asks and waits, for the first words on a connection.
    func ask(_ commands: [RedisCommand], by deadline: Int64) throws(RedisFault) -> [RedisValue] {
        var output: [UInt8] = []
        for command in commands { command.append(to: &output) }
        var sent = 0
        var answers: [RedisValue] = []
        while answers.count < commands.count {
            let needsWriting = try !write(&output, &sent)
            let left = deadline - Time.monotonicMilliseconds
            guard left > 0 else { throw RedisFault(.unreachable, "no answer in time") }
            sleep(milliseconds: left, needsWriting: needsWriting)
            try read { answer in
                answers.append(answer)
                return true
            }
        }
        return answers
    }

    /// Writes what the socket takes; true when that was all.
    private func write(_ output: inout [UInt8], _ sent: inout Int) throws(RedisFault) -> Bool {
        while sent < output.count {
            let step = unsafe output.withUnsafeBytes {
                unsafe transport.write(UnsafeRawBufferPointer(rebasing: $0[sent...]))
            }
            switch step {
            case .moved(let count): sent += count
            case .wantsRead, .wantsWrite: return false
            case .over(let reason): throw RedisFault(.unreachable, reason, mayHaveHappened: true)
            }
        }
        output.removeAll(keepingCapacity: output.capacity <= 1 << 20)
        sent = 0
        return true
    }

    /// Reads what there is; `hear` says whether the answer was expected.
    private func read(_ hear: (RedisValue) -> Bool) throws(RedisFault) {
        while true {
            let step = unsafe withUnsafeTemporaryAllocation(byteCount: 65_536, alignment: 1) { buffer in
                let step = unsafe transport.read(into: buffer)
                if case .moved(let count) = step {
                    unsafe reader.feed(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
                }
                return step
            }
            switch step {
            case .wantsRead, .wantsWrite: return
            case .over(let reason): throw RedisFault(.unreachable, reason, mayHaveHappened: true)
            case .moved:
                while let answer = try reader.next() {
                    guard hear(answer) else {
                        throw RedisFault(.garbled, "an answer came that nobody asked for", mayHaveHappened: true)
                    }
                }
            }
        }
    }

    private func sleep(milliseconds: Int64, needsWriting: Bool) {
        var files = [
            pollfd(fd: transport.fileDescriptor, events: Int16(POLLIN | (needsWriting ? POLLOUT : 0)), revents: 0),
            pollfd(fd: bell.fileDescriptor, events: Int16(POLLIN), revents: 0),
        ]
        unsafe _ = poll(&files, 2, Int32(clamping: max(0, milliseconds)))
        if files[1].revents != 0 { bell.silence() }
    }
}
