internal import CYaml

/// Reads the YAML that topic files are written in: maps, lists and texts.
///
/// What YAML has beyond that is refused where it stands: anchors and aliases, by which a small file becomes a huge one;
/// tags, merge keys and further documents, which nobody expects in a settings file.
@safe package struct YamlParser: ~Copyable {
    package struct Fault: Error {
        package let place: FilePlace
        package let reason: String
    }

    private static let depthLimit = 16
    private static let nodeLimit = 20_000

    private let parser: UnsafeMutablePointer<yaml_parser_t>
    private var event = unsafe yaml_event_t()
    private var nodes = 0

    /// The value of a whole file.
    package static func parse(_ text: [UInt8]) throws(Fault) -> YamlNode {
        guard String(validating: text, as: UTF8.self) != nil else {
            throw Fault(place: FilePlace(line: 1, column: 1), reason: "the file is not UTF-8 text")
        }
        let result = unsafe text.withUnsafeBufferPointer { bytes -> Result<YamlNode, Fault> in
            do throws(Fault) {
                var parser = YamlParser()
                // The parser keeps the pointer; it is gone before the bytes are.
                unsafe yaml_parser_set_input_string(parser.parser, bytes.baseAddress, bytes.count)
                unsafe yaml_parser_set_encoding(parser.parser, YAML_UTF8_ENCODING)
                return .success(try parser.file())
            } catch { return .failure(error) }
        }
        return try result.get()
    }

    private init() {
        unsafe parser = UnsafeMutablePointer<yaml_parser_t>.allocate(capacity: 1)
        unsafe yaml_parser_initialize(parser)
    }

    deinit {
        var event = unsafe event
        unsafe yaml_event_delete(&event)
        unsafe yaml_parser_delete(parser)
        unsafe parser.deallocate()
    }

    /// Goes on to the next event.
    private mutating func next() throws(Fault) {
        unsafe yaml_event_delete(&event)
        guard unsafe yaml_parser_parse(parser, &event) == 0 else { return }
        let problem = unsafe parser.pointee.problem.map { unsafe String(cString: $0) } ?? "not YAML"
        let mark = unsafe parser.pointee.problem_mark
        throw Fault(place: Self.place(mark), reason: problem)
    }

    private static func place(_ mark: yaml_mark_t) -> FilePlace {
        FilePlace(line: Int(clamping: mark.line) + 1, column: Int(clamping: mark.column) + 1)
    }

    private var here: FilePlace { unsafe Self.place(event.start_mark) }

    private mutating func file() throws(Fault) -> YamlNode {
        try next()  // The stream begins.
        try next()
        guard unsafe event.type == YAML_DOCUMENT_START_EVENT else {
            throw Fault(place: FilePlace(line: 1, column: 1), reason: "the file is empty")
        }
        try next()
        let node = try node(depth: 0)
        try next()  // The document ends.
        try next()
        guard unsafe event.type == YAML_STREAM_END_EVENT else {
            throw Fault(place: here, reason: "a second document: a file has one")
        }
        return node
    }

    /// The value that the current event begins.
    private mutating func node(depth: Int) throws(Fault) -> YamlNode {
        let place = here
        nodes += 1
        guard nodes <= Self.nodeLimit else { throw Fault(place: place, reason: "more than \(Self.nodeLimit) values") }
        guard depth <= Self.depthLimit else { throw Fault(place: place, reason: "nested too deep") }
        switch unsafe event.type {
        case YAML_SCALAR_EVENT: return YamlNode(place: place, content: try scalar())
        case YAML_SEQUENCE_START_EVENT:
            let start = unsafe event.data.sequence_start
            try unsafe refuse(start.anchor, start.tag)
            var elements: [YamlNode] = []
            try next()
            while unsafe event.type != YAML_SEQUENCE_END_EVENT {
                elements.append(try node(depth: depth + 1))
                try next()
            }
            return YamlNode(place: place, content: .list(elements))
        case YAML_MAPPING_START_EVENT:
            let start = unsafe event.data.mapping_start
            try unsafe refuse(start.anchor, start.tag)
            return YamlNode(place: place, content: .map(try members(depth: depth)))
        case YAML_ALIAS_EVENT:
            throw Fault(place: place, reason: "an alias: write the value out, aliases are not read")
        case _: throw Fault(place: place, reason: "a value is missing")
        }
    }

    private mutating func members(depth: Int) throws(Fault) -> [YamlNode.Member] {
        var members: [YamlNode.Member] = []
        try next()
        while unsafe event.type != YAML_MAPPING_END_EVENT {
            let key = try node(depth: depth + 1)
            guard case .scalar(let name, _) = key.content else {
                throw Fault(place: key.place, reason: "a key that is \(key.kind): keys are names")
            }
            guard name != "<<" else {
                throw Fault(place: key.place, reason: "a merge key: write the members out, merging is not read")
            }
            if let first = members.first(where: { $0.name == name }) {
                throw Fault(place: key.place, reason: "\(name) is there twice, first in line \(first.place.line)")
            }
            try next()
            members.append(YamlNode.Member(name: name, place: key.place, value: try node(depth: depth + 1)))
            try next()
        }
        return members
    }

    private func scalar() throws(Fault) -> YamlNode.Content {
        let scalar = unsafe event.data.scalar
        try unsafe refuse(scalar.anchor, scalar.tag)
        let bytes = unsafe UnsafeBufferPointer(start: scalar.value, count: scalar.length)
        return unsafe .scalar(String(decoding: bytes, as: UTF8.self), isPlain: scalar.style == YAML_PLAIN_SCALAR_STYLE)
    }

    @safe private func refuse(
        _ anchor: UnsafeMutablePointer<yaml_char_t>?, _ tag: UnsafeMutablePointer<yaml_char_t>?
    ) throws(Fault) {
        if unsafe anchor != nil { throw Fault(place: here, reason: "an anchor: anchors and aliases are not read") }
        if unsafe tag != nil { throw Fault(place: here, reason: "a tag: types come from where a value stands") }
    }
}
