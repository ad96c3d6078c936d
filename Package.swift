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

/// Memory goes from thread to thread, which costs the C library's allocator more than this one. Tests keep that one: the
/// sanitizers have their own.
let asShipped: [LinkerSetting] = [.linkedLibrary("jemalloc", .when(configuration: .release))]

// Bottom-up: a target may depend only on targets above it in this list.
let package = Package(
    name: "flotilla",
    products: [
        .executable(name: "flotilla", targets: ["flotilla"]),
        .library(name: "Flotilla", targets: ["Flotilla"]),
        .library(name: "FlotillaTesting", targets: ["FlotillaTesting"]),
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
        .systemLibrary(name: "CHiredis", providers: [.apt(["libhiredis-dev"])]),
        .systemLibrary(name: "COpenSSL", pkgConfig: "openssl", providers: [.apt(["libssl-dev"])]),
        .systemLibrary(name: "CYaml", pkgConfig: "yaml-0.1", providers: [.apt(["libyaml-dev"])]),
        .systemLibrary(name: "CPCRE2", pkgConfig: "libpcre2-8", providers: [.apt(["libpcre2-dev"])]),
        .systemLibrary(name: "CPostgres", pkgConfig: "libpq", providers: [.apt(["libpq-dev"])]),
        // No pkgConfig: its .pc asks for the one of jansson, which its package does not bring.
        .systemLibrary(name: "CCjose", providers: [.apt(["libcjose-dev"])]),
        .systemLibrary(name: "CCurl", pkgConfig: "libcurl", providers: [.apt(["libcurl4-openssl-dev"])]),
        .systemLibrary(name: "CMicrohttpd", pkgConfig: "libmicrohttpd", providers: [.apt(["libmicrohttpd-dev"])]),
        .target(name: "CSimdjson", linkerSettings: [.linkedLibrary("simdjson")]),
        .target(name: "CLinux"),

        // Values, no I/O.
        .target(name: "Model", swiftSettings: lending),

        // Threads, clocks, signals, logs, digests.
        .target(name: "Platform", dependencies: ["CLinux", "COpenSSL"], swiftSettings: lending),

        // simdjson in Swift.
        .target(name: "JSON", dependencies: ["CSimdjson"], swiftSettings: lending),

        // What every command line of ours has in common.
        .target(name: "Commands", dependencies: ["JSON", "Platform"], swiftSettings: strict),

        // librdkafka in Swift.
        .target(name: "Kafka", dependencies: ["Model", "Platform", "JSON", "CRdKafka"], swiftSettings: strict),

        // hiredis in Swift, on a socket of ours.
        .target(name: "Redis", dependencies: ["Platform", "CLinux", "CHiredis", "COpenSSL"], swiftSettings: strict),

        // libpq in Swift.
        .target(name: "Postgres", dependencies: ["Platform", "CPostgres"], swiftSettings: strict),

        // libcurl in Swift: requests that wait, and many transfers at once, mails among them.
        .target(name: "Transfers", dependencies: ["Platform", "CCurl"], swiftSettings: strict),

        // Spans, and their way to a collector.
        .target(name: "Tracing", dependencies: ["Model", "Platform", "Transfers"], swiftSettings: strict),

        // libmicrohttpd in Swift.
        .target(name: "HTTP", dependencies: ["Platform", "CLinux", "CMicrohttpd"], swiftSettings: lending),

        // What our HTTP APIs have in common: a table of routes, their description, problems.
        .target(name: "WebAPI", dependencies: ["HTTP", "JSON"], swiftSettings: strict),

        // The port for those who watch over a process: health and metrics.
        .target(
            name: "AdminPort", dependencies: ["HTTP", "JSON", "Kafka", "Platform", "Tracing"], swiftSettings: strict
        ),

        // What topics/ says: topics, schemas, policies; and how it gets to a broker.
        .target(
            name: "Contracts",
            dependencies: ["Model", "Platform", "JSON", "Kafka", "CYaml", "CPCRE2"],
            swiftSettings: strict
        ),

        // The product: handlers, and the worker that runs them.
        .target(
            name: "Flotilla",
            dependencies: [
                "AdminPort", "Commands", "Model", "Platform", "JSON", "Kafka", "Redis", "Postgres", "Contracts",
                "Tracing",
            ],
            swiftSettings: lending
        ),

        // Handlers under test: the worker on a log in memory, and a clock that a test moves.
        .target(
            name: "FlotillaTesting",
            dependencies: ["Flotilla", "Contracts", "JSON", "Kafka", "Model", "Platform", "Postgres"],
            swiftSettings: strict
        ),

        // The handlers that Flotilla ships with. None imports another.
        .target(
            name: "Ingest", dependencies: ["Flotilla", "Contracts", "JSON", "Model", "Platform"], swiftSettings: strict
        ),

        .target(
            name: "Process", dependencies: ["Flotilla", "Contracts", "JSON", "Model", "Platform", "Postgres"],
            swiftSettings: strict
        ),
        .target(
            name: "Aggregate", dependencies: ["Flotilla", "JSON", "Model", "Platform", "Postgres"],
            swiftSettings: strict
        ),
        .target(
            name: "Notify",
            dependencies: ["Flotilla", "Contracts", "JSON", "Model", "Platform", "Postgres", "Tracing", "Transfers"],
            swiftSettings: strict
        ),

        // What became of events that nobody could handle: an index of dead letters, and their replay. It reads topics that
        // no handler reads, and so has the client.
        .target(
            name: "DeadLetters",
            dependencies: [
                "AdminPort", "Flotilla", "Contracts", "JSON", "Kafka", "Model", "Platform", "Postgres", "Redis",
                "Tracing",
            ],
            swiftSettings: strict
        ),

        // The embedded log that speaks Kafka's protocol.
        .target(
            name: "LocalBroker",
            dependencies: ["Platform", "CLinux", "CIsal", "CCompression"],
            swiftSettings: strict
        ),

        // libcjose in Swift.
        .target(name: "JOSE", dependencies: ["CCjose"], swiftSettings: strict),

        // HTTP to Kafka.
        .target(
            name: "Edge",
            dependencies: [
                "AdminPort", "CCompression", "Contracts", "HTTP", "JOSE", "JSON", "Kafka", "Model", "Platform", "Redis",
                "Tracing", "Transfers", "WebAPI",
            ],
            swiftSettings: lending
        ),

        // What sends events to an edge: lines of JSON.
        .target(name: "EdgeClient", dependencies: ["JSON", "Platform", "Transfers"], swiftSettings: strict),

        // What a fleet looks like now, wherever it runs: handlers, workers, lag, and what is in its topics.
        .target(
            name: "Fleet", dependencies: ["Contracts", "Flotilla", "JSON", "Kafka", "Model", "Platform"],
            swiftSettings: strict
        ),

        // The page for whoever looks after a fleet, and the API that it asks.
        .target(
            name: "Console",
            dependencies: [
                "AdminPort", "Aggregate", "Contracts", "DeadLetters", "Fleet", "Flotilla", "HTTP", "JSON", "Kafka",
                "Model", "Platform", "Postgres", "Redis", "WebAPI",
            ],
            resources: [.embedInCode("Page")],
            swiftSettings: strict
        ),

        // `up`: starts, watches, scales and ends the processes of one machine.
        .target(
            name: "Stack",
            dependencies: [
                "AdminPort", "CLinux", "Contracts", "Flotilla", "HTTP", "JSON", "Kafka", "Model", "Platform",
                "Postgres",
                "Redis",
                "Transfers",
            ],
            swiftSettings: strict
        ),

        // The command line: the only place where ports meet adapters.
        .executableTarget(
            name: "flotilla",
            dependencies: [
                "Commands", "Platform", "Model", "JSON", "Kafka", "Redis", "Postgres", "HTTP", "LocalBroker",
                "Contracts",
                "Flotilla", "Edge", "EdgeClient", "Ingest", "Process", "Aggregate", "Notify", "DeadLetters", "Fleet",
                "Console", "Stack", "Tracing", "Transfers", "WebAPI",
            ],
            swiftSettings: strict,
            linkerSettings: asShipped
        ),

        // The shortest loops that librdkafka allows, in C: what everything else is measured against.
        .executableTarget(
            name: "RawClient",
            dependencies: ["CRdKafka"],
            path: "Benchmarks/RawClient",
            linkerSettings: [.linkedLibrary("rdkafka")]
        ),

        // The shortest edge that libmicrohttpd and librdkafka allow, in C.
        .executableTarget(
            name: "RawEdge",
            dependencies: ["CRdKafka", "CMicrohttpd"],
            path: "Benchmarks/RawEdge",
            linkerSettings: [.linkedLibrary("rdkafka"), .linkedLibrary("microhttpd")]
        ),

        // The same loops through the Swift client.
        .executableTarget(
            name: "SwiftClient",
            dependencies: ["Kafka", "Model", "Platform"],
            path: "Benchmarks/SwiftClient",
            swiftSettings: strict
        ),

        // A worker with handlers that do little, so that what is measured is the runtime.
        .executableTarget(
            name: "WorkerBench",
            dependencies: ["Contracts", "Flotilla", "Kafka", "Model", "Platform", "Redis", "Tracing"],
            path: "Benchmarks/WorkerBench",
            swiftSettings: strict,
            linkerSettings: asShipped
        ),

        // What one member, one value and one merge of a sketch cost.
        .executableTarget(
            name: "SketchBench",
            dependencies: ["Aggregate"],
            path: "Benchmarks/SketchBench",
            swiftSettings: strict
        ),

        // What `aggregate` makes of points, against a COPY of them.
        .executableTarget(
            name: "AggregateBench",
            dependencies: [
                "Aggregate", "Flotilla", "FlotillaTesting", "JSON", "Model", "Platform", "Postgres",
            ],
            path: "Benchmarks/AggregateBench",
            swiftSettings: strict,
            linkerSettings: asShipped
        ),

        // Tests mirror Sources. What several of them need: folders that go, dice that a seed repeats.
        .target(name: "TestSupport", path: "Tests/Support", swiftSettings: strict),
        .testTarget(name: "ModelTests", dependencies: ["Model", "TestSupport"], swiftSettings: strict),
        .testTarget(name: "PlatformTests", dependencies: ["Platform", "TestSupport"], swiftSettings: strict),
        .testTarget(
            name: "LocalBrokerTests",
            dependencies: ["LocalBroker", "Platform", "TestSupport"],
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
            dependencies: ["Kafka", "LocalBroker", "Model", "Platform", "MockCluster", "TestSupport"],
            swiftSettings: strict
        ),
        .testTarget(
            name: "TracingTests", dependencies: ["Model", "Platform", "Tracing", "Transfers"],
            swiftSettings: strict),
        // Real servers for tests, each private and on a socket of its own.
        .target(name: "TestServers", dependencies: ["TestSupport"], path: "Tests/Servers", swiftSettings: strict),
        .testTarget(name: "JSONTests", dependencies: ["JSON"], swiftSettings: strict),
        .testTarget(
            name: "RedisTests", dependencies: ["Redis", "Platform", "TestServers", "TestSupport"], swiftSettings: strict
        ),
        .testTarget(
            name: "PostgresTests", dependencies: ["Postgres", "Platform", "TestServers", "TestSupport"],
            swiftSettings: strict
        ),
        .testTarget(
            name: "ContractsTests",
            dependencies: ["Contracts", "JSON", "Kafka", "LocalBroker", "Model", "Platform", "TestSupport"],
            exclude: ["Schema/golden.py", "Schema/golden.txt"],
            swiftSettings: strict
        ),
        .testTarget(
            name: "FlotillaTests",
            dependencies: [
                "Flotilla", "FlotillaTesting", "AdminPort", "Contracts", "HTTP", "JSON", "Kafka", "LocalBroker",
                "MockCluster", "Model", "Platform", "Postgres", "Redis", "TestServers", "TestSupport",
            ],
            swiftSettings: strict
        ),
        .testTarget(
            name: "IngestTests",
            dependencies: ["Ingest", "Contracts", "Flotilla", "FlotillaTesting", "JSON", "Model", "Platform"],
            swiftSettings: strict
        ),
        .testTarget(
            name: "ProcessTests",
            dependencies: [
                "Process", "Contracts", "Flotilla", "FlotillaTesting", "JSON", "Model", "Platform", "Postgres",
                "TestServers", "TestSupport",
            ],
            swiftSettings: strict
        ),
        .testTarget(
            name: "AggregateTests",
            dependencies: [
                "Aggregate", "Flotilla", "FlotillaTesting", "JSON", "Model", "Platform", "Postgres", "TestServers",
                "TestSupport",
            ],
            swiftSettings: strict
        ),
        .testTarget(
            name: "TransfersTests", dependencies: ["Transfers", "Platform", "TestSupport"], swiftSettings: strict
        ),
        .testTarget(
            name: "NotifyTests",
            dependencies: [
                "Notify", "Contracts", "Flotilla", "FlotillaTesting", "JSON", "Model", "Platform", "Postgres",
                "TestServers", "TestSupport", "Transfers",
            ],
            swiftSettings: strict
        ),
        .testTarget(
            name: "DeadLettersTests",
            dependencies: [
                "DeadLetters", "Contracts", "Flotilla", "FlotillaTesting", "JSON", "Kafka", "LocalBroker",
                "MockCluster", "Model", "Platform", "Postgres", "TestServers", "TestSupport",
            ],
            swiftSettings: strict
        ),
        .testTarget(name: "HTTPTests", dependencies: ["HTTP", "Platform", "TestSupport"], swiftSettings: strict),
        .testTarget(
            name: "EdgeTests",
            dependencies: [
                "Contracts", "Edge", "EdgeClient", "HTTP", "JSON", "Kafka", "LocalBroker", "Model", "Platform",
                "Redis", "TestServers", "TestSupport",
            ],
            swiftSettings: strict
        ),
        .testTarget(
            name: "ConsoleTests",
            dependencies: ["Console", "DeadLetters", "HTTP", "JSON", "Platform", "WebAPI"],
            swiftSettings: strict
        ),
        .testTarget(name: "FleetTests", dependencies: ["Fleet"], swiftSettings: strict),
        .testTarget(name: "CommandsTests", dependencies: ["Commands"], swiftSettings: strict),
        .testTarget(
            name: "StackTests", dependencies: ["Contracts", "Flotilla", "Model", "Platform", "Stack", "TestSupport"],
            swiftSettings: strict
        ),
        // Kills things as processes: the broker, workers and what they need.
        .executableTarget(
            name: "FaultSink", dependencies: ["Flotilla"], path: "Tests/Faults/Sink", swiftSettings: strict
        ),
        .testTarget(
            name: "FaultTests",
            dependencies: [
                "Contracts", "Flotilla", "Kafka", "Model", "Platform", "Postgres", "TestServers",
                "TestSupport",
            ],
            path: "Tests/Faults",
            exclude: ["Sink"],
            swiftSettings: strict
        ),

        // Handlers that fail for as long as a file is there: what the tests of dead letters run.
        .executableTarget(
            name: "FailingWorker", dependencies: ["Flotilla"], path: "Tests/Live/deadletters/FailingWorker",
            swiftSettings: strict
        ),

        // What the conformance suite drives the Swift client with.
        .executableTarget(
            name: "KafkaDriver",
            dependencies: ["Kafka", "Model"],
            path: "Tests/Live/KafkaDriver",
            swiftSettings: strict
        ),
    ],
    cxxLanguageStandard: .cxx17
)

// The fuzzer brings a `main` of its own, so this one is built by itself: `make fuzz`.
if Context.environment["FLOTILLA_FUZZ"] != nil {
    package.targets.append(
        .executableTarget(
            name: "Fuzz",
            dependencies: [
                "Aggregate", "Contracts", "Edge", "Flotilla", "JSON", "Kafka", "LocalBroker", "Model", "Platform",
                "TestSupport",
            ],
            path: "Tests/Fuzz",
            exclude: ["fuzz.py"],
            swiftSettings: strict
        ))
}
