import Testing

@testable import LocalBroker

@Suite struct TopicConfigTests {
    @Test(
        arguments: [
            ("retention.ms", ["-1", "0", "1", "604800000", "9223372036854775807"]),
            ("retention.bytes", ["-1", "0", "9223372036854775807"]),
            ("segment.bytes", ["1048576", "1073741824"]),
            ("segment.ms", ["1000", "9223372036854775807"]),
            ("max.message.bytes", ["64", "1048588", "16777216"]),
            ("cleanup.policy", ["delete"]), ("compression.type", ["producer"]),
            ("message.timestamp.type", ["CreateTime"]), ("min.insync.replicas", ["1"]),
        ])
    func takes(name: String, values: [String]) throws {
        for value in values {
            let config = try TopicConfig([name: value])
            #expect(config.value(of: name) == value)
            #expect(config.overrides == [name: value])
            let told = try #require(config.descriptions.first { $0.name == name })
            #expect(told.value == value && !told.isDefault)
            #expect(config.descriptions.count(where: { !$0.isDefault }) == 1)
        }
    }

    @Test(
        arguments: [
            ("retention.ms", ["", "-2", "9223372036854775808", "1d", " 1", "1 ", "1.0", "0x10", "ß"]),
            ("retention.bytes", ["-2", "many"]),
            ("segment.bytes", ["1048575", "1073741825", "-1"]),
            ("segment.ms", ["999", "-1"]),
            ("max.message.bytes", ["63", "16777217", "-1"]),
            ("cleanup.policy", ["compact", "compact,delete", "delete,compact", "DELETE", ""]),
            ("compression.type", ["gzip", "uncompressed"]),
            ("message.timestamp.type", ["LogAppendTime"]), ("min.insync.replicas", ["2", "0"]),
        ])
    func refuses(name: String, values: [String]) {
        for value in values {
            let fault = #expect(throws: TopicConfig.Fault.self, "\(name)=\(value)") { try TopicConfig([name: value]) }
            #expect(fault?.reason.hasPrefix("\(name)=") == true)
        }
    }

    @Test(arguments: ["", "retention", "Retention.ms", "unclean.leader.election.enable", "\u{0}"])
    func refusesWhatItHasNotAndNamesWhatItHas(name: String) {
        let fault = #expect(throws: TopicConfig.Fault.self) { try TopicConfig([name: "1"]) }
        for known in TopicConfig().descriptions { #expect(fault?.reason.contains(known.name) == true) }
    }

    @Test func aRefusedSettingChangesNothing() throws {
        var config = try TopicConfig(["retention.ms": "5"])
        let before = config
        #expect(throws: TopicConfig.Fault.self) { try config.set("retention.ms", to: "never") }
        #expect(throws: TopicConfig.Fault.self) { try config.set("nothing", to: nil) }
        #expect(config == before)
    }

    @Test func whatIsUnsetIsTheDefaultAgain() throws {
        var config = try TopicConfig(["retention.ms": "5", "segment.bytes": "2000000"])
        for name in ["retention.ms", "segment.bytes", "cleanup.policy"] { try config.set(name, to: nil) }
        #expect(config == TopicConfig())
        #expect(config.descriptions.allSatisfy { $0.isDefault })
        // Set to what is the default anyway, it is set all the same.
        try config.set("retention.ms", to: "604800000")
        #expect(config.descriptions.first { $0.name == "retention.ms" }?.isDefault == false)
    }

    @Test func theLogGetsWhatIsSet() throws {
        let set = LogSettings(
            try TopicConfig([
                "retention.ms": "5", "retention.bytes": "6", "segment.bytes": "2000000", "segment.ms": "7000",
                "max.message.bytes": "900",
            ]))
        #expect(set.retentionMilliseconds == 5 && set.retentionBytes == 6 && set.segmentBytes == 2_000_000)
        #expect(set.segmentMilliseconds == 7_000 && set.largestBatch == 900)
        let unlimited = LogSettings(try TopicConfig(["retention.ms": "-1", "retention.bytes": "-1"]))
        #expect(unlimited.retentionMilliseconds == nil && unlimited.retentionBytes == nil)
    }
}

@Suite struct BrokerSettingsTests {
    /// What settings become; nil when that is refused, and then they must stay as they are.
    private func after(_ name: String, _ value: String?, from before: BrokerSettings = BrokerSettings())
        -> BrokerSettings?
    {
        var settings = before
        let isTaken = settings.set(name, to: value)
        if !isTaken { #expect(settings == before) }
        return isTaken ? settings : nil
    }

    @Test func refusesWhatCannotBe() {
        for (name, value) in [
            ("auto.create.topics.enable", "yes"), ("auto.create.topics.enable", "FALSE"),
            ("auto.create.topics.enable", ""), ("num.partitions", "0"), ("num.partitions", "1001"),
            ("num.partitions", "-1"), ("num.partitions", "99999999999"), ("num.partitions", ""), ("log.dirs", "/"),
        ] {
            #expect(after(name, value) == nil, "\(name)=\(value)")
        }
        #expect(after("log.dirs", nil) == nil)
    }

    @Test func takesWhatCanAndReturnsToTheDefault() throws {
        #expect(BrokerSettings().autoCreateTopics && BrokerSettings().defaultPartitions == 1)
        let one = try #require(after("auto.create.topics.enable", "false"))
        let both = try #require(after("num.partitions", "1000", from: one))
        #expect(!both.autoCreateTopics && both.defaultPartitions == 1_000)
        #expect(both.descriptions.map(\.value) == ["false", "1000"])
        #expect(both.descriptions.allSatisfy { !$0.isDefault })
        #expect(after("num.partitions", nil, from: both) == one)
        #expect(after("auto.create.topics.enable", nil, from: one) == BrokerSettings())
    }
}
