// swift-tools-version: 6.3
import PackageDescription

/// The same strictness everywhere: a warning is a defect, and what is unsafe says so where it stands.
let strict: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .strictMemorySafety(),
    .treatAllWarnings(as: .error),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
]

/// For targets that lend out spans: a view that may not outlive what it looks into.
let lending: [SwiftSetting] = strict + [.enableExperimentalFeature("Lifetimes")]

// Bottom-up: a target may depend only on targets above it in this list.
let package = Package(
    name: "flotilla",
    products: [
        .executable(name: "flotilla", targets: ["flotilla"]),
        .library(name: "Kafka", targets: ["Kafka"]),
        .library(name: "LocalBroker", targets: ["LocalBroker"]),
    ],
    targets: [
        // C libraries. Nothing of them leaves the one Swift target that wraps each.
        .systemLibrary(name: "CRdKafka", pkgConfig: "rdkafka", providers: [.apt(["librdkafka-dev"])]),
        .systemLibrary(name: "CIsal", pkgConfig: "libisal", providers: [.apt(["libisal-dev"])]),
        .systemLibrary(
            name: "CCompression",
            providers: [.apt(["zlib1g-dev", "libsnappy-dev", "liblz4-dev", "libzstd-dev"])]
        ),
        .target(name: "CLinux"),

        // Values, no I/O.
        .target(name: "Model", swiftSettings: lending),

        // Threads, clocks, signals, logs.
        .target(name: "Platform", dependencies: ["CLinux"], swiftSettings: strict),

        // librdkafka in Swift.
        .target(name: "Kafka", dependencies: ["Model", "Platform", "CRdKafka"], swiftSettings: strict),

        // The embedded log that speaks Kafka's protocol.
        .target(
            name: "LocalBroker",
            dependencies: ["Platform", "CLinux", "CIsal", "CCompression"],
            swiftSettings: strict
        ),

        // The command line: the only place where ports meet adapters.
        .executableTarget(
            name: "flotilla",
            dependencies: ["Platform", "LocalBroker"],
            swiftSettings: strict
        ),

        // The shortest loops that librdkafka allows, in C: what everything else is measured against.
        .executableTarget(
            name: "RawClient",
            dependencies: ["CRdKafka"],
            path: "Benchmarks/RawClient",
            linkerSettings: [.linkedLibrary("rdkafka")]
        ),

        // The same loops through the Swift client.
        .executableTarget(
            name: "SwiftClient",
            dependencies: ["Kafka", "Model", "Platform"],
            path: "Benchmarks/SwiftClient",
            swiftSettings: strict
        ),

        // Tests mirror Sources.
        .testTarget(name: "ModelTests", dependencies: ["Model"], swiftSettings: strict),
        .testTarget(name: "PlatformTests", dependencies: ["Platform"], swiftSettings: strict),
        .testTarget(
            name: "LocalBrokerTests",
            dependencies: ["LocalBroker", "Platform"],
            exclude: ["Wire/golden.py", "Wire/golden.txt"],
            swiftSettings: strict
        ),
        .target(
            name: "MockCluster",
            dependencies: ["CRdKafka"],
            path: "Tests/MockCluster",
            swiftSettings: strict
        ),
        .testTarget(
            name: "KafkaTests",
            dependencies: ["Kafka", "LocalBroker", "Model", "Platform", "MockCluster"],
            swiftSettings: strict
        ),
        .testTarget(name: "flotillaTests", dependencies: ["flotilla"], swiftSettings: strict),
        // Kills the broker as a process.
        .testTarget(
            name: "FaultTests",
            dependencies: ["Kafka", "Model", "Platform"],
            path: "Tests/Faults",
            swiftSettings: strict
        ),

        // What the conformance suite drives the Swift client with.
        .executableTarget(
            name: "KafkaDriver",
            dependencies: ["Kafka", "Model"],
            path: "Tests/Live/KafkaDriver",
            swiftSettings: strict
        ),
    ]
)
