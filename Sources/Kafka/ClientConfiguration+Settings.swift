public import Platform

extension ClientConfiguration {
    /// The client that the settings ask for: `KAFKA_BROKERS` (or `KAFKA_BOOTSTRAP_SERVERS`) and `LIBRDKAFKA_<OPTION>`.
    ///
    /// What is wrong is noted there, and nil comes back without brokers. Every option is tried here, so that one start
    /// tells all that are wrong.
    public static func from(_ settings: inout Settings) -> ClientConfiguration? {
        let both = ["KAFKA_BROKERS", "KAFKA_BOOTSTRAP_SERVERS"].filter {
            settings.all[$0] != nil || settings.all[$0 + "_FILE"] != nil
        }
        if both.count == 2 { settings.refuse(both[1], "is set, and \(both[0]) too: unset one of them") }
        let name = both.first ?? "KAFKA_BROKERS"
        let brokers = settings.required(name, "HOST:PORT,HOST:PORT") == nil ? nil : settings.list(name)
        let compression = settings.value(compressionName, expected: "none, gzip, snappy, lz4 or zstd") { text in
            ProducerConfiguration.Compression.all.first { $0.name == text }
        }
        let interval = settings.integer(intervalName, in: 0...86_400_000)
        let extra = options(&settings)
        guard let brokers else { return nil }
        if brokers.isEmpty || !brokers.allSatisfy(isAddress) {
            settings.refuse(name, "is \(brokers.joined(separator: ",")): expected HOST:PORT,HOST:PORT")
            return nil
        }
        var configuration = ClientConfiguration(brokers: brokers)
        configuration.extra = extra
        if let compression { configuration.compression = compression }
        if let interval { configuration.statisticsInterval = .milliseconds(interval) }
        return configuration
    }

    private static func isAddress(_ text: String) -> Bool {
        // An address of version 6 has colons of its own, and brackets. A scheme may stand before it: PLAINTEXT://.
        guard let colon = text.lastIndex(of: ":"), colon != text.startIndex else { return false }
        return UInt16(text[text.index(after: colon)...]).map { $0 > 0 } ?? false
    }

    /// The producers' alone: another client would only be warned of it.
    private static let compressionName = "LIBRDKAFKA_COMPRESSION_TYPE"
    /// Of those clients whose figures somebody takes.
    private static let intervalName = "LIBRDKAFKA_STATISTICS_INTERVAL_MS"

    /// `LIBRDKAFKA_SOCKET_TIMEOUT_MS` is `socket.timeout.ms`.
    private static func options(_ settings: inout Settings) -> [String: String] {
        let prefix = "LIBRDKAFKA_"
        var extra: [String: String] = [:]
        let names = settings.all.keys.filter { $0.hasPrefix(prefix) }
        for name in Set(names.map { $0.hasSuffix("_FILE") ? String($0.dropLast(5)) : $0 }).sorted()
        where name != compressionName && name != intervalName {
            guard let value = settings.text(name) else { continue }
            let option = String(name.dropFirst(prefix.count).lowercased().map { $0 == "_" ? "." : $0 })
            var probe = ClientConfiguration(brokers: ["localhost:9092"])
            probe.extra = [option: value]
            // It may be a password, so the fault may name it and nothing more.
            for fault in NativeConfiguration(probe).faults {
                settings.refuse(name, "cannot be used: \(fault.replacing("=\(value)", with: ""))")
            }
            extra[option] = value
        }
        return extra
    }
}
