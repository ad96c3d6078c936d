/// A request's headers as they came, in one piece of memory: most of them nobody asks for, so no text is made of them
/// before somebody does.
struct HeaderBlock: Sendable {
    private(set) var bytes: [UInt8] = []
    private(set) var places: [Place] = []
    /// What names and values have in all, as the message has them.
    private(set) var size = 0
    /// The first header whose value is not UTF-8.
    private(set) var illegible: String?

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
        unsafe bytes.append(contentsOf: name)
        unsafe bytes.withUnsafeMutableBufferPointer { bytes in
            for index in start..<start + name.count where unsafe bytes[index] >= 0x41 && bytes[index] <= 0x5a {
                unsafe bytes[index] |= 0x20
            }
        }
        unsafe bytes.append(contentsOf: value)
        var (hasControl, all): (Bool, UInt8) = (false, 0)
        for index in value.indices {
            let byte = unsafe value[index]
            if byte < 0x20 && byte != 9 || byte == 0x7f { hasControl = true }
            all |= byte
        }
        size += name.count + value.count + 4
        places.append(
            Place(start: start, nameCount: name.count, valueCount: value.count, hasControl: hasControl))
        if all >= 0x80, illegible == nil, unsafe String(validating: value, as: UTF8.self) == nil {
            illegible = self.name(places[places.count - 1])
        }
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

    func first(_ name: StaticString) -> Place? { places.first { isNamed($0, name) } }

    func count(_ name: StaticString) -> Int { places.count { isNamed($0, name) } }

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
