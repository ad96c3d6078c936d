import Glibc
import Platform
import Redis
import Synchronization
import TestSupport
import Testing

@Suite(.inTurns) struct HangingUpTests {
    /// Takes connections and closes them at once, as a proxy does whose server is away.
    private final class Proxy: Sendable {
        let port: UInt16
        private let socket: Int32
        private let times = Mutex<[Int64]>([])
        private let isOver = Atomic<Bool>(false)
        private let thread = Mutex<OSThread?>(nil)

        init() throws {
            let listening = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
            var length = socklen_t(MemoryLayout<sockaddr_in>.size)
            unsafe withUnsafeMutablePointer(to: &address) { address in
                unsafe address.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    _ = unsafe bind(listening, $0, length)
                    _ = unsafe getsockname(listening, $0, &length)
                }
            }
            listen(listening, 100)
            socket = listening
            port = UInt16(bigEndian: address.sin_port)
            thread.withLock { $0 = try? OSThread(name: "proxy") { [self] in serve() } }
        }

        /// When each connection was taken.
        var taken: [Int64] { times.withLock { $0 } }

        private func serve() {
            while !isOver.load(ordering: .relaxed) {
                var ready = pollfd(fd: socket, events: Int16(POLLIN), revents: 0)
                guard unsafe poll(&ready, 1, 50) > 0 else { continue }
                let connection = accept(socket, nil, nil)
                times.withLock { $0.append(Time.monotonicMilliseconds) }
                close(connection)
            }
        }

        func end() {
            isOver.store(true, ordering: .relaxed)
            thread.withLock { $0.take() }?.join()
            close(socket)
        }
    }

    @Test func whoeverHangsUpIsNotCalledAllTheTime() async throws {
        let proxy = try Proxy()
        let client = try RedisClient(try RedisConfiguration(url: "redis://127.0.0.1:\(proxy.port)"))
        try await eventually { proxy.taken.count >= 5 }
        // Pauses of 50, 100, 200 and 400 ms at least lie between five calls, each after the other was hung up on.
        let taken = proxy.taken
        #expect(taken[4] - taken[0] >= 700)
        client.close()
        proxy.end()
    }
}
