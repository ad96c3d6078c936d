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
        private let count = Atomic<Int>(0)
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

        var taken: Int { count.load(ordering: .relaxed) }

        private func serve() {
            while !isOver.load(ordering: .relaxed) {
                var ready = pollfd(fd: socket, events: Int16(POLLIN), revents: 0)
                guard unsafe poll(&ready, 1, 50) > 0 else { continue }
                close(accept(socket, nil, nil))
                count.add(1, ordering: .relaxed)
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
        let began = Time.monotonicMilliseconds
        try await eventually { proxy.taken >= 5 }
        let taken = proxy.taken
        // Pauses of 50, 100, 200 and 400 ms at least lie between five calls; without them there are thousands.
        #expect(Time.monotonicMilliseconds - began >= 700)
        #expect(taken < 10)
        client.close()
        proxy.end()
    }
}
