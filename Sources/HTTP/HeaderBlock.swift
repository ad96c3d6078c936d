/// A request's headers as they came, in one piece of memory: most of them nobody asks for, so no text is made of them
/// before somebody does.
struct HeaderBlock: Sendable {
    private(set) var bytes: [UInt8] = []
    private(set) var places: [Place] = []
    /// What names and values have in all, as the message has them.
    private(set) var size = 0
    /// The first header whose value is not UTF-8.
    private(set) var illegible: String?
    /// What names begin with.
    private var firstBytes: UInt32 = 0

    /// A name and, behind it, a value.
    struct Place: Sendable {
        let start: Int
        let nameCount: Int
        let valueCount: Int
        /// Whether the value has a control character that is no tab.
        let hasControl: Bool
    }

    init() {
        bytes.reserveCapacity(512)
        places.reserveCapacity(12)
    }

    init(_ fields: [HTTPRequest.Field]) {
        for field in fields {
            var (name, value) = (field.name, field.value)
            name.withUTF8 { name in
                value.withUTF8 { unsafe add(UnsafeRawBufferPointer(name), UnsafeRawBufferPointer($0)) }
            }
        }
    }

    /// Adds one; its name in lower case.
    mutating func add(_ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) {
        let start = bytes.count
        bytes.append(addingCapacity: name.count + value.count) { output in
            unsafe output.withUnsafeMutableBufferPointer { room, count in
                for index in name.indices {
                    let byte = unsafe name[index]
                    unsafe room[index] = byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte
                }
                unsafe UnsafeMutableRawBufferPointer(rebasing: UnsafeMutableRawBufferPointer(room)[name.count...])
                    .copyMemory(from: value)
                count = name.count + value.count
            }
        }
        if name.count > 0 { firstBytes |= Self.mark(bytes[start]) }
        let (hasControl, isASCII) = unsafe Self.look(value)
        size += name.count + value.count + 4
        places.append(
            Place(start: start, nameCount: name.count, valueCount: value.count, hasControl: hasControl))
        if !isASCII, illegible == nil, unsafe String(validating: value, as: UTF8.self) == nil {
            illegible = self.name(places[places.count - 1])
        }
    }

    /// Whether a value has control characters that are no tab, and whether it is ASCII; eight bytes at a time.
    private static func look(_ value: UnsafeRawBufferPointer) -> (hasControl: Bool, isASCII: Bool) {
        let (ones, tops): (UInt64, UInt64) = (0x0101_0101_0101_0101, 0x8080_8080_8080_8080)
        var (all, suspicious, index): (UInt64, UInt64, Int) = (0, 0, 0)
        while index + 8 <= value.count {
            let word = unsafe value.loadUnaligned(fromByteOffset: index, as: UInt64.self)
            all |= word
            // What is below a space, and what is 0x7f. A tab, or what a neighbour has borrowed from, may be among them.
            suspicious |= (word &- ones &* 0x20) & ~word & tops
            suspicious |= ((word & ~tops) &+ ones) & ~word & tops
            index += 8
        }
        var rest: UInt8 = 0
        var hasControl = false
        while index < value.count {
            let byte = unsafe value[index]
            if isControl(byte) { hasControl = true }
            rest |= byte
            index += 1
        }
        if suspicious != 0, !hasControl { hasControl = unsafe value.contains(where: isControl) }
        return (hasControl, all & tops == 0 && rest < 0x80)
    }

    private static func isControl(_ byte: UInt8) -> Bool { byte < 0x20 && byte != 9 || byte == 0x7f }

    /// A bit for a name's first byte: nearly every name that is not there is told by it.
    private static func mark(_ byte: UInt8) -> UInt32 { 1 << UInt32(byte & 31) }

    private func mayHave(_ name: StaticString) -> Bool {
        unsafe name.utf8CodeUnitCount > 0 && firstBytes & Self.mark(name.utf8Start.pointee) != 0
    }

    func name(_ place: Place) -> String {
        String(decoding: bytes[place.start..<place.start + place.nameCount], as: UTF8.self)
    }

    func value(_ place: Place) -> String { String(decoding: bytes[valueRange(place)], as: UTF8.self) }

    func valueRange(_ place: Place) -> Range<Int> {
        let start = place.start + place.nameCount
        return start..<start + place.valueCount
    }

    /// Whether a name is this one, which is to be in lower case.
    @inline(__always) func isNamed(_ place: Place, _ name: StaticString) -> Bool {
        guard place.nameCount == name.utf8CodeUnitCount else { return false }
        return unsafe bytes.withUnsafeBufferPointer { bytes in
            for index in 0..<place.nameCount where unsafe bytes[place.start + index] != name.utf8Start[index] {
                return false
            }
            return true
        }
    }

    func first(_ name: StaticString) -> Place? {
        guard mayHave(name) else { return nil }
        for place in places where isNamed(place, name) { return place }
        return nil
    }

    func count(_ name: StaticString) -> Int { mayHave(name) ? places.count { isNamed($0, name) } : 0 }

    /// Lends the bytes of a value.
    func withValue<Result>(_ place: Place, _ body: (Span<UInt8>) -> Result) -> Result {
        body(bytes.span.extracting(valueRange(place)))
    }

    /// Whether a value is exactly this one.
    func isValue(_ place: Place, _ text: StaticString) -> Bool {
        guard place.valueCount == text.utf8CodeUnitCount else { return false }
        let start = place.start + place.nameCount
        return unsafe bytes.withUnsafeBufferPointer { bytes in
            for index in 0..<place.valueCount where unsafe bytes[start + index] != text.utf8Start[index] {
                return false
            }
            return true
        }
    }
}
