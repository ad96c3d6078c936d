internal import CLinux
internal import COpenSSL
internal import Glibc
internal import Platform

/// A connected socket, with TLS over it or without. Never blocks: the owner polls.
@safe final class Transport {
    let fileDescriptor: Int32
    private var tls: OpaquePointer?
    private var context: OpaquePointer?

    enum Step {
        case moved(Int)
        case wantsRead, wantsWrite
        case over(String)
    }

    /// Connects, with the handshake, before `deadline` (monotonic milliseconds).
    init(_ configuration: RedisConfiguration, by deadline: Int64) throws(RedisFault) {
        fileDescriptor = try Self.connect(configuration.place, by: deadline)
        guard let settings = configuration.tls, case .tcp(let host, _) = configuration.place else { return }
        do {
            try startTLS(settings, host: host)
            try shakeHands(by: deadline)
        } catch {
            shut()
            throw error
        }
    }

    /// Ends the connection. To be called once.
    func shut() {
        if let tls = unsafe tls { unsafe SSL_free(tls) }
        if let context = unsafe context { unsafe SSL_CTX_free(context) }
        unsafe tls = nil
        unsafe context = nil
        close(fileDescriptor)
    }

    func read(into buffer: UnsafeMutableRawBufferPointer) -> Step {
        if let tls = unsafe tls {
            ERR_clear_error()
            let count = unsafe SSL_read(tls, buffer.baseAddress, Int32(clamping: buffer.count))
            return count > 0 ? .moved(Int(count)) : failed(count)
        }
        let count = unsafe Glibc.read(fileDescriptor, buffer.baseAddress, buffer.count)
        if count > 0 { return .moved(count) }
        if count == 0 { return .over("the server closed the connection") }
        return errno == EAGAIN || errno == EINTR ? .wantsRead : .over("\(SystemError.last("read", "redis"))")
    }

    func write(_ buffer: UnsafeRawBufferPointer) -> Step {
        if let tls = unsafe tls {
            ERR_clear_error()
            let count = unsafe SSL_write(tls, buffer.baseAddress, Int32(clamping: buffer.count))
            return count > 0 ? .moved(Int(count)) : failed(count)
        }
        let count = unsafe send(fileDescriptor, buffer.baseAddress, buffer.count, Int32(MSG_NOSIGNAL))
        if count >= 0 { return .moved(count) }
        return errno == EAGAIN || errno == EINTR ? .wantsWrite : .over("\(SystemError.last("send", "redis"))")
    }

    // MARK: Connecting

    private static func connect(_ place: RedisConfiguration.Place, by deadline: Int64) throws(RedisFault) -> Int32 {
        switch place {
        case .unix(let path):
            var address = sockaddr_un()
            address.sun_family = sa_family_t(AF_UNIX)
            let room = MemoryLayout.size(ofValue: address.sun_path)
            guard path.utf8.count < room else {
                throw RedisFault(.refused, "the socket's path has more than \(room - 1) bytes")
            }
            unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: path.utf8) }
            return try unsafe withUnsafeBytes(of: &address) { bytes throws(RedisFault) in
                try unsafe connect(AF_UNIX, bytes, by: deadline, name: path)
            }
        case .tcp(let host, let port):
            var hints = unsafe addrinfo()
            unsafe hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
            var found: UnsafeMutablePointer<addrinfo>?
            let code = unsafe getaddrinfo(HostName.resolvable(host), "\(port)", &hints, &found)
            guard code == 0 else {
                throw RedisFault(.unreachable, "\(host): \(unsafe String(cString: gai_strerror(code)))")
            }
            defer { unsafe freeaddrinfo(found) }
            var fault = RedisFault(.unreachable, "\(host) has no address")
            var next = unsafe found
            while let candidate = unsafe next {
                unsafe next = candidate.pointee.ai_next
                let bytes = unsafe UnsafeRawBufferPointer(
                    start: candidate.pointee.ai_addr, count: Int(candidate.pointee.ai_addrlen))
                do {
                    return try unsafe connect(candidate.pointee.ai_family, bytes, by: deadline, name: "\(host):\(port)")
                } catch { fault = error }
            }
            throw fault
        }
    }

    private static func connect(
        _ family: Int32, _ address: UnsafeRawBufferPointer, by deadline: Int64, name: String
    ) throws(RedisFault) -> Int32 {
        let file = socket(family, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard file >= 0 else { throw RedisFault(.unreachable, "\(SystemError.last("socket", name))") }
        _ = flotilla_set_nonblocking(file)
        var one: Int32 = 1
        if family != AF_UNIX {
            unsafe _ = setsockopt(file, Int32(IPPROTO_TCP), TCP_NODELAY, &one, socklen_t(MemoryLayout<Int32>.size))
        }
        let start = unsafe address.baseAddress?.assumingMemoryBound(to: sockaddr.self)
        if unsafe Glibc.connect(file, start, socklen_t(address.count)) == 0 { return file }
        guard errno == EINPROGRESS || errno == EAGAIN else {
            let fault = RedisFault(.unreachable, "\(SystemError.last("connect", name))")
            close(file)
            throw fault
        }
        var waiting = pollfd(fd: file, events: Int16(POLLOUT), revents: 0)
        var code: Int32 = ETIMEDOUT
        if unsafe poll(&waiting, 1, Int32(clamping: max(0, deadline - Time.monotonicMilliseconds))) > 0 {
            var size = socklen_t(MemoryLayout<Int32>.size)
            unsafe _ = getsockopt(file, SOL_SOCKET, SO_ERROR, &code, &size)
        }
        guard code == 0 else {
            close(file)
            throw RedisFault(.unreachable, "\(SystemError(code: code, call: "connect", subject: name))")
        }
        return file
    }

    // MARK: TLS

    private func startTLS(_ settings: RedisConfiguration.TLS, host: String) throws(RedisFault) {
        guard let context = unsafe SSL_CTX_new(TLS_client_method()) else {
            throw RedisFault(.refused, "TLS: \(Self.reason)")
        }
        unsafe self.context = context
        unsafe SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nil)
        unsafe _ = SSL_CTX_ctrl(context, SSL_CTRL_SET_MIN_PROTO_VERSION, Int(TLS1_2_VERSION), nil)
        if let file = settings.authorities {
            guard unsafe SSL_CTX_load_verify_locations(context, file, nil) == 1 else {
                throw RedisFault(.refused, "TLS: \(file) holds no certificates: \(Self.reason)")
            }
        } else {
            unsafe _ = SSL_CTX_set_default_verify_paths(context)
        }
        if let file = settings.certificate {
            guard unsafe SSL_CTX_use_certificate_chain_file(context, file) == 1,
                unsafe SSL_CTX_use_PrivateKey_file(context, settings.key ?? file, SSL_FILETYPE_PEM) == 1
            else { throw RedisFault(.refused, "TLS: \(file) and its key cannot be used: \(Self.reason)") }
        }
        guard let tls = unsafe SSL_new(context) else { throw RedisFault(.refused, "TLS: \(Self.reason)") }
        unsafe self.tls = tls
        // A name is told to the server and looked for in its certificate; so is an address, in its own field.
        if unsafe X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(tls), host) != 1 {
            unsafe _ = SSL_set1_host(tls, host)
            var name = Array(host.utf8CString)
            unsafe _ = SSL_ctrl(tls, SSL_CTRL_SET_TLSEXT_HOSTNAME, Int(TLSEXT_NAMETYPE_host_name), &name)
        }
        unsafe _ = SSL_set_fd(tls, fileDescriptor)
        // What is not written yet may lie elsewhere when it is tried again, and parts may go.
        unsafe _ = SSL_ctrl(
            tls, SSL_CTRL_MODE, Int(SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_ENABLE_PARTIAL_WRITE), nil)
    }

    private func shakeHands(by deadline: Int64) throws(RedisFault) {
        while let tls = unsafe tls {
            ERR_clear_error()
            let code = unsafe SSL_connect(tls)
            if code == 1 { return }
            let events: Int32
            switch failed(code) {
            case .wantsRead, .moved: events = POLLIN
            case .wantsWrite: events = POLLOUT
            case .over(let reason): throw RedisFault(.unreachable, "TLS: \(reason)")
            }
            var waiting = pollfd(fd: fileDescriptor, events: Int16(events), revents: 0)
            let left = deadline - Time.monotonicMilliseconds
            guard left > 0, unsafe poll(&waiting, 1, Int32(clamping: left)) > 0 else {
                throw RedisFault(.unreachable, "TLS: the handshake took too long")
            }
        }
    }

    private func failed(_ code: Int32) -> Step {
        switch unsafe SSL_get_error(tls, code) {
        case SSL_ERROR_WANT_READ: .wantsRead
        case SSL_ERROR_WANT_WRITE: .wantsWrite
        case SSL_ERROR_ZERO_RETURN: .over("the server closed the connection")
        case _: .over(Self.reason)
        }
    }

    private static var reason: String {
        let code = ERR_get_error()
        guard code != 0 else { return "the connection broke" }
        let text = unsafe [CChar](unsafeUninitializedCapacity: 256) { buffer, count in
            unsafe ERR_error_string_n(code, buffer.baseAddress, buffer.count)
            count = unsafe strlen(buffer.baseAddress ?? UnsafeMutablePointer(bitPattern: 1)!)
        }
        return String(decoding: text.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
