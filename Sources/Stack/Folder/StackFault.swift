/// Why there is no stack, or no answer from it, in words that say what to do.
package struct StackFault: Error, Sendable, CustomStringConvertible {
    package let description: String

    package init(_ description: String) { self.description = description }
}
