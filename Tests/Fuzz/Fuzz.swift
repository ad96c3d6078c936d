import Glibc

/// What is fed with whatever libFuzzer thinks of. A target must not trap, hang, or hold more memory than its input can be
/// worth; some check what came out as well.
///
/// This is built only for `make fuzz` (Package.swift says when): the fuzzer brings its own `main` and calls the function at
/// the end. FLOTILLA_FUZZ is the target's name.
struct Target: Sendable {
    let name: String
    let run: @Sendable ([UInt8]) -> Void

    static let all = brokerTargets + edgeTargets + fileTargets + storedTargets

    /// The one that this process is for. What it needs is started when its first input comes.
    static let chosen: Target = {
        let name = unsafe getenv("FLOTILLA_FUZZ").map { unsafe String(cString: $0) } ?? ""
        guard let target = all.first(where: { $0.name == name }) else {
            print("FLOTILLA_FUZZ is to be one of \(all.map(\.name).joined(separator: ", "))")
            exit(2)
        }
        return target
    }()
}

/// What must hold and does not: libFuzzer keeps the input.
func require(_ isSo: Bool, _ what: @autoclosure () -> String, line: UInt = #line) {
    guard !isSo else { return }
    fatalError("\(what()) (line \(line))")
}

@_cdecl("LLVMFuzzerTestOneInput")
public func testOneInput(_ start: UnsafeRawPointer?, _ count: Int) -> Int32 {
    Target.chosen.run(unsafe Array(UnsafeRawBufferPointer(start: start, count: count)))
    return 0
}
