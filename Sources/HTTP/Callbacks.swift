internal import CMicrohttpd
internal import Synchronization

/// What libmicrohttpd calls. Its `context` is the `ServingThread`, which outlives it; a connection's context is a retained
/// `Connection`, a request's a retained `Exchange`.
enum Callbacks {
    static let connection: MHD_NotifyConnectionCallback = { context, native, place, what in
        guard let context = unsafe context, let native = unsafe native, let place = unsafe place else { return }
        let thread = unsafe Unmanaged<ServingThread>.fromOpaque(context).takeUnretainedValue()
        if what == .CONNECTION_NOTIFY_STARTED {
            unsafe place.pointee = Unmanaged.passRetained(thread.core.opened(native, thread)).toOpaque()
        } else if let kept = unsafe place.pointee {
            unsafe place.pointee = nil
            thread.core.closed(unsafe Unmanaged<Connection>.fromOpaque(kept).takeRetainedValue())
        }
    }

    static let access: MHD_AccessHandlerCallback = { context, native, url, method, version, data, size, place in
        guard let context = unsafe context, let native = unsafe native, let place = unsafe place,
            let size = unsafe size
        else { return .NO }
        let core = unsafe Unmanaged<ServingThread>.fromOpaque(context).takeUnretainedValue().core
        guard let kept = unsafe place.pointee else {
            guard let about = unsafe flotilla_http_context(native) else { return .NO }
            let connection = unsafe Unmanaged<Connection>.fromOpaque(about).takeUnretainedValue()
            let peer = core.configuration.tls?.clientAuthority == nil ? nil : unsafe peer(native)
            let request = unsafe RequestReader.request(native, url: url, method: method, version: version, peer)
            let exchange = unsafe core.begin(native, request, connection)
            unsafe place.pointee = Unmanaged.passRetained(exchange).toOpaque()
            return exchange.begin(core) ? .YES : .NO
        }
        let exchange = unsafe Unmanaged<Exchange>.fromOpaque(kept).takeUnretainedValue()
        guard unsafe size.pointee > 0, let data = unsafe data else {
            return exchange.proceed(core) ? .YES : .NO
        }
        let count = unsafe size.pointee
        let piece = unsafe RawSpan(_unsafeStart: data, byteCount: count)
        guard let taken = exchange.take(piece, core) else { return .NO }
        // What is left, which it is only when the connection is suspended, comes again when that is over.
        unsafe size.pointee = count - taken
        return .YES
    }

    /// Whom the client's certificate names; nil without one that holds.
    private static func peer(_ native: OpaquePointer) -> String? {
        let bytes = unsafe [CChar](unsafeUninitializedCapacity: 256) { buffer, count in
            let length = unsafe flotilla_http_peer(native, buffer.baseAddress, buffer.count)
            count = max(0, Int(length))
        }
        return bytes.isEmpty ? nil : String(validating: bytes.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    static let completed: MHD_RequestCompletedCallback = { context, _, place, code in
        guard let context = unsafe context, let place = unsafe place, let kept = unsafe place.pointee else { return }
        unsafe place.pointee = nil
        let core = unsafe Unmanaged<ServingThread>.fromOpaque(context).takeUnretainedValue().core
        let exchange = unsafe Unmanaged<Exchange>.fromOpaque(kept).takeRetainedValue()
        core.end(exchange, isDone: code == .REQUEST_TERMINATED_COMPLETED_OK)
    }
}

/// Copies a request's headers out of the library.
@safe struct RequestReader {
    private var headers = HeaderBlock()
    private var query: [HTTPRequest.Field] = []
    private var illegible: String?

    static func request(
        _ native: OpaquePointer, url: UnsafePointer<CChar>?, method: UnsafePointer<CChar>?,
        version: UnsafePointer<CChar>?, _ peer: String?
    ) -> HTTPRequest {
        var reader = RequestReader()
        unsafe withUnsafeMutablePointer(to: &reader) { reader in
            for kind in [MHD_ValueKind.HEADER_KIND, .GET_ARGUMENT_KIND] {
                unsafe MHD_get_connection_values_n(native, kind, each, reader)
            }
        }
        let path = pathOf(target: unsafe reader.text(cString: url, "the path"))
        let verb = unsafe reader.text(cString: method, "the method")
        let old = unsafe reader.text(cString: version, "the version") == "HTTP/1.0"
        return HTTPRequest(
            method: verb, path: path, block: reader.headers, query: reader.query, isOld: old, peer: peer,
            illegible: reader.illegible)
    }

    /// A proxy may name the whole address, which RFC 9112 has every server take.
    private static func pathOf(target: String) -> String {
        if target.hasPrefix("/") { return target }
        guard let scheme = ["http://", "https://"].first(where: { target.lowercased().hasPrefix($0) }) else {
            return target
        }
        return target.dropFirst(scheme.count).firstIndex(of: "/").map { String(target[$0...]) } ?? "/"
    }

    private static let each: MHD_KeyValueIteratorN = { context, kind, name, nameCount, value, valueCount in
        guard let reader = unsafe context?.assumingMemoryBound(to: RequestReader.self) else { return .NO }
        let name = unsafe UnsafeRawBufferPointer(start: name, count: name == nil ? 0 : nameCount)
        let value = unsafe UnsafeRawBufferPointer(start: value, count: value == nil ? 0 : valueCount)
        unsafe reader.pointee.add(kind, name, value)
        return .YES
    }

    private mutating func text(cString: UnsafePointer<CChar>?, _ what: String) -> String {
        guard let cString = unsafe cString else { return "" }
        if let text = unsafe String(validatingCString: cString) { return text }
        illegible = illegible ?? what
        return ""
    }

    private mutating func add(_ kind: MHD_ValueKind, _ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) {
        if kind == .HEADER_KIND { return unsafe headers.add(name, value) }
        guard let name = unsafe String(validating: name, as: UTF8.self),
            let value = unsafe String(validating: value, as: UTF8.self)
        else { return illegible = illegible ?? "the query" }
        query.append(HTTPRequest.Field(name, value))
    }
}
