public import JSON

/// A JSON Schema, compiled: what a value has to be like.
///
/// A documented part of 2020-12 (docs/topics.md). What it does not have is refused when a schema is read, because a
/// keyword that nobody checks is worse than none. Validating allocates nothing while the value is as it should be.
public final class Schema: Sendable {
    /// The `$id`: what events of this schema carry as their `dataschema`.
    public let id: String?
    /// The file that it was read from, for faults.
    public let file: String
    /// The schema as it was written; constants and enumerations are places in it.
    package let document: JSONDocument
    /// The root is the first.
    let nodes: [SchemaNode]

    /// Reads a schema. Throws everything that is wrong with it.
    public init(_ text: [UInt8], file: String) throws(SchemaFaults) {
        do throws(JSONFault) {
            document = try JSONDocument(parsing: text, limit: 1 << 20)
        } catch {
            throw SchemaFaults(faults: [SchemaFault(file: file, pointer: "", reason: "\(error)")])
        }
        var compiler = SchemaCompiler(document: document, file: file)
        compiler.compile()
        guard compiler.faults.isEmpty else { throw SchemaFaults(faults: compiler.faults) }
        nodes = compiler.nodes
        id = document.root["$id"]?.string
        self.file = file
    }

    /// What is wrong with a value, at most 20 things; empty when nothing is.
    public func validate(_ value: JSONValue) -> [SchemaViolation] {
        var validation = SchemaValidation(self, value)
        return validation.run()
    }

    /// As `validate`, without the reasons.
    public func accepts(_ value: JSONValue) -> Bool {
        var validation = SchemaValidation(self, value, isQuiet: true)
        return validation.run().isEmpty
    }
}

/// Something in a value that its schema does not allow.
public struct SchemaViolation: Hashable, Sendable, CustomStringConvertible {
    /// Where in the value: a JSON pointer, empty for the whole.
    public let pointer: String
    /// A sentence about what stands there: `must be a string, is a number`.
    public let reason: String

    public init(pointer: String, reason: String) {
        self.pointer = pointer
        self.reason = reason
    }

    public var description: String { pointer.isEmpty ? reason : "\(pointer): \(reason)" }
}

/// Something in a schema that cannot be.
public struct SchemaFault: Error, Hashable, Sendable, CustomStringConvertible {
    public let file: String
    /// Where in the schema: a JSON pointer.
    public let pointer: String
    public let reason: String

    public var description: String { pointer.isEmpty ? "\(file): \(reason)" : "\(file) \(pointer): \(reason)" }
}

/// All that is wrong with a schema.
public struct SchemaFaults: Error, Hashable, Sendable, CustomStringConvertible {
    public let faults: [SchemaFault]

    public var description: String { faults.map(\.description).joined(separator: "\n") }
}
