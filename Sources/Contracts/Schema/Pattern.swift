internal import CPCRE2
internal import Synchronization

/// A regular expression that gives up rather than look for ever.
///
/// PCRE2, set to behave as JSON Schema's ECMAScript does where the two differ in what people write: `$` is the very end,
/// `\d` and `\w` are ASCII, `\uXXXX` is a character. Compiled to machine code where the machine allows it.
@safe final class Pattern: @unchecked Sendable {
    // Unchecked: compiled code and the context are read only once made; a match block belongs to who took it.
    let text: String
    private let code: OpaquePointer
    private let context: OpaquePointer
    private let idle = Mutex<UInt?>(nil)

    struct Fault: Error {
        let reason: String
    }

    enum Answer { case matches, differs, gaveUp }

    /// Steps of one match: a few milliseconds. A pattern that is not pathological needs about as many as the text has
    /// characters.
    private static let stepLimit: UInt32 = 200_000
    private static let depthLimit: UInt32 = 10_000
    private static let heapLimitKiB: UInt32 = 4096

    init(_ text: String) throws(Fault) {
        self.text = text
        let options =
            UInt32(PCRE2_UTF) | UInt32(PCRE2_DOLLAR_ENDONLY) | UInt32(PCRE2_ALT_BSUX)
            | UInt32(PCRE2_ALLOW_EMPTY_CLASS) | UInt32(PCRE2_MATCH_UNSET_BACKREF) | UInt32(PCRE2_NEVER_BACKSLASH_C)
        var (error, position): (Int32, Int) = (0, 0)
        let bytes = Array(text.utf8)
        let compiled = unsafe bytes.withUnsafeBufferPointer { bytes in
            unsafe pcre2_compile_8(bytes.baseAddress, bytes.count, options, &error, &position, nil)
        }
        guard let compiled = unsafe compiled, let context = unsafe pcre2_match_context_create_8(nil) else {
            let reason = Self.message(error)
            throw Fault(reason: "\(reason), at character \(position)")
        }
        unsafe pcre2_set_match_limit_8(context, Self.stepLimit)
        unsafe pcre2_set_depth_limit_8(context, Self.depthLimit)
        unsafe pcre2_set_heap_limit_8(context, Self.heapLimitKiB)
        // Without it matching is slower, and no different.
        _ = unsafe pcre2_jit_compile_8(compiled, UInt32(PCRE2_JIT_COMPLETE))
        unsafe code = compiled
        unsafe self.context = context
    }

    deinit {
        if let block = idle.withLock({ $0 }) { unsafe pcre2_match_data_free_8(OpaquePointer(bitPattern: block)) }
        unsafe pcre2_match_context_free_8(context)
        unsafe pcre2_code_free_8(code)
    }

    /// Whether the pattern is somewhere in the text, which is UTF-8 for sure.
    func find(in text: borrowing Span<UInt8>) -> Answer {
        let kept = idle.withLock { $0.take() }
        let fresh = kept == nil ? unsafe UInt(bitPattern: pcre2_match_data_create_8(1, nil)) : 0
        let address = kept ?? fresh
        guard let block = unsafe OpaquePointer(bitPattern: address) else { return .gaveUp }
        defer {
            let surplus: UInt? = idle.withLock { idle in
                guard idle == nil else { return address }
                idle = address
                return nil
            }
            if surplus != nil { unsafe pcre2_match_data_free_8(block) }
        }
        let answer = unsafe text.withUnsafeBufferPointer { bytes -> Int32 in
            var empty: UInt8 = 0
            return unsafe withUnsafePointer(to: &empty) { nothing in
                let start = unsafe bytes.baseAddress ?? nothing
                let options = UInt32(PCRE2_NO_UTF_CHECK)
                let answer = unsafe pcre2_match_8(code, start, bytes.count, 0, options, block, context)
                // Machine code has 32 KiB of stack; the interpreter takes what it needs from the heap, within limits.
                guard answer == PCRE2_ERROR_JIT_STACKLIMIT else { return answer }
                return unsafe pcre2_match_8(
                    code, start, bytes.count, 0, options | UInt32(PCRE2_NO_JIT), block, context)
            }
        }
        // Zero: it matches, and the block has no room for groups, which nobody asks for.
        return answer >= 0 ? .matches : answer == PCRE2_ERROR_NOMATCH ? .differs : .gaveUp
    }

    private static func message(_ code: Int32) -> String {
        let bytes = unsafe [UInt8](unsafeUninitializedCapacity: 256) { buffer, count in
            count = max(0, Int(unsafe pcre2_get_error_message_8(code, buffer.baseAddress, buffer.count)))
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
