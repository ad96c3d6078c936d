/// Why stored bytes are no sketch.
package enum SketchFault: Error, Hashable, Sendable, CustomStringConvertible {
    /// Written by a newer build.
    case version(UInt8)
    /// Cut short, changed, or never a sketch of this kind.
    case damaged

    package var description: String {
        switch self {
        case .version(let version):
            "the stored sketch has version \(version), which this build does not know: "
                + "run the build that wrote it, or a newer one"
        case .damaged: "the stored bytes are no sketch of this kind: they were cut short or changed"
        }
    }
}
