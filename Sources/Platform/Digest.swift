internal import COpenSSL

/// Digests of OpenSSL: SHA-256 for what nobody may aim at, SHA-1 because UUIDs of version 5 are made with it.
///
/// Not a thing to share: a context is kept between calls, because making one costs more than a short digest.
@safe public final class Digest {
    public enum Algorithm: Sendable { case sha1, sha256 }

    /// An algorithm, looked up once: that takes OpenSSL's locks and longer than a short digest.
    @safe private struct Kind: @unchecked Sendable {
        // Unchecked: OpenSSL never changes it, and it is never given back.
        let handle: OpaquePointer

        init(_ name: String) {
            // Both are in the default provider of every OpenSSL.
            guard let handle = unsafe EVP_MD_fetch(nil, name, nil) else { fatalError("OpenSSL has no \(name)") }
            unsafe self.handle = handle
        }

        static let sha1 = Kind("SHA1")
        static let sha256 = Kind("SHA256")
    }

    private let kind: Kind
    private let context: OpaquePointer

    public init(_ algorithm: Algorithm) {
        kind = algorithm == .sha1 ? Kind.sha1 : Kind.sha256
        // A few bytes of memory.
        guard let context = unsafe EVP_MD_CTX_new() else { fatalError("no memory for a digest") }
        unsafe self.context = context
    }

    deinit { unsafe EVP_MD_CTX_free(context) }

    public func start() { unsafe EVP_DigestInit_ex2(context, kind.handle, nil) }

    public func add(_ bytes: RawSpan) {
        unsafe bytes.withUnsafeBytes { unsafe _ = EVP_DigestUpdate(context, $0.baseAddress, $0.count) }
    }

    public func add(_ bytes: [UInt8]) { unsafe add(bytes.span.bytes) }

    /// The digest's first 16 bytes, as two numbers.
    public func finish() -> (high: UInt64, low: UInt64) {
        let bytes = finishBytes()
        var (high, low): (UInt64, UInt64) = (0, 0)
        for index in 0..<8 {
            high = high << 8 | UInt64(bytes[index])
            low = low << 8 | UInt64(bytes[index + 8])
        }
        return (high, low)
    }

    /// The whole digest; of SHA-1 the last 12 bytes are zero.
    public func finishBytes() -> InlineArray<32, UInt8> {
        var bytes = InlineArray<32, UInt8>(repeating: 0)
        var span = bytes.mutableSpan
        unsafe span.withUnsafeMutableBufferPointer { unsafe _ = EVP_DigestFinal_ex(context, $0.baseAddress, nil) }
        return bytes
    }

    /// SHA-256 of some bytes in one go.
    public static func sha256(_ bytes: RawSpan) -> InlineArray<32, UInt8> {
        let digest = Digest(.sha256)
        digest.start()
        digest.add(bytes)
        return digest.finishBytes()
    }
}

/// HMAC of RFC 2104 with SHA-256: proof that whoever made it knows the key.
public enum HMAC {
    public static func sha256(_ message: [UInt8], key: [UInt8]) -> [UInt8] {
        var code = [UInt8](repeating: 0, count: 32)
        var count = 0
        // An empty array has no address, and OpenSSL takes a key without one for none at all.
        let made = unsafe (key.isEmpty ? [0] : key).withUnsafeBufferPointer { secret in
            unsafe message.withUnsafeBufferPointer { text in
                unsafe EVP_Q_mac(
                    nil, "HMAC", nil, "SHA256", nil, secret.baseAddress, key.count, text.baseAddress, text.count, &code,
                    code.count, &count)
            }
        }
        // In the default provider of every OpenSSL.
        guard unsafe made != nil, count == code.count else { fatalError("OpenSSL has no HMAC with SHA-256") }
        return code
    }
}

extension InlineArray where Element == UInt8 {
    /// In lower-case hexadecimal digits, the first `count` bytes of it.
    public func hex(first count: Int = Self.count) -> String {
        var text = ""
        for index in 0..<Swift.min(count, self.count) {
            if self[index] < 16 { text += "0" }
            text += String(self[index], radix: 16)
        }
        return text
    }
}
