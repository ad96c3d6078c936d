internal import Glibc

/// memcmp(3): below zero, zero, or above.
@inline(__always)
func compare(_ one: UnsafePointer<UInt8>, _ other: UnsafePointer<UInt8>, _ count: Int) -> Int32 {
    unsafe memcmp(one, other, count)
}

/// By their bytes, a prefix first.
func compareBytes(_ one: UnsafeBufferPointer<UInt8>, _ other: UnsafeBufferPointer<UInt8>) -> Int {
    let shared = min(one.count, other.count)
    if shared > 0, let left = one.baseAddress, let right = other.baseAddress {
        let order = unsafe compare(left, right, shared)
        if order != 0 { return Int(order) }
    }
    return one.count - other.count
}
