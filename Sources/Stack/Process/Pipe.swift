internal import CLinux
package import Platform

/// Both ends of a pipe. Whoever made it closes them.
package struct Pipe: Sendable {
    package let output: Int32
    package let input: Int32

    package init() throws(SystemError) {
        var (output, input): (Int32, Int32) = (-1, -1)
        let code = unsafe flotilla_pipe(&output, &input)
        guard code == 0 else { throw SystemError(code: code, call: "pipe") }
        (self.output, self.input) = (output, input)
    }
}
