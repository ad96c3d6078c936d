internal import CCjose
internal import Synchronization

/// A public key that signatures of tokens are verified with: libcjose in Swift.
@safe package final class SignatureKey: @unchecked Sendable {
    // Unchecked: the key is used under the lock alone, because the library counts references without one.
    private let key: OpaquePointer
    private let lock = Mutex(())

    /// RFC 7518, 3.3.
    private static let leastBitsOfRSA = 2048

    /// Reads a JSON Web Key; nil when it is none that the library knows, or too short a one.
    package init?(_ json: [UInt8]) {
        let read = unsafe json.withUnsafeBytes { bytes in
            unsafe cjose_jwk_import(bytes.baseAddress?.assumingMemoryBound(to: CChar.self), bytes.count, nil)
        }
        guard let read = unsafe read else { return nil }
        if unsafe cjose_jwk_get_kty(read, nil) == CJOSE_JWK_KTY_RSA,
            unsafe cjose_jwk_get_keysize(read, nil) < Self.leastBitsOfRSA
        {
            unsafe cjose_jwk_release(read)
            return nil
        }
        unsafe key = read
    }

    deinit { unsafe cjose_jwk_release(key) }

    /// What a token in compact form says, when this key's owner has signed it; nil otherwise. Which algorithms may be is
    /// for the caller to have looked at.
    package func verified(_ token: [UInt8]) -> [UInt8]? {
        lock.withLock { _ in
            let message = unsafe token.withUnsafeBytes { bytes in
                unsafe cjose_jws_import(bytes.baseAddress?.assumingMemoryBound(to: CChar.self), bytes.count, nil)
            }
            guard let message = unsafe message else { return nil }
            defer { unsafe cjose_jws_release(message) }
            var (start, count): (UnsafeMutablePointer<UInt8>?, Int) = (nil, 0)
            guard unsafe cjose_jws_verify(message, key, nil),
                unsafe cjose_jws_get_plaintext(message, &start, &count, nil)
            else { return nil }
            return unsafe Array(UnsafeBufferPointer(start: start, count: count))
        }
    }
}
