import Synchronization
import TestSupport
import Testing

@testable import LocalBroker

/// A whole broker from its start to its end, and over it.
@Suite(.inTurns) struct BrokerLifeTests {
    private func fault(_ bed: BrokerBed) -> String {
        do throws(BrokerFault) {
            let broker = try Broker.start(bed.configuration, files: SystemFiles(), log: bed.lines.log)
            try broker.stop()
            return "started"
        } catch {
            return error.description
        }
    }

    private func batch(_ sequence: Int32, valueBytes: Int = 100) -> [UInt8] {
        TestBatch.bytes(BatchID(producer: 1, sequence: sequence), valueBytes: valueBytes)
    }

    /// Files of a topic's only partition that end so; none when the topic has no folder.
    private func files(_ bed: BrokerBed, _ topic: String, _ suffix: String) -> [String] {
        let topicFolder = bed.folder.path + "/topics/" + topic
        guard let id = try? SystemFiles().list(topicFolder).first,
            let names = try? SystemFiles().list("\(topicFolder)/\(id)/0")
        else { return [] }
        return names.filter { $0.hasSuffix(suffix) }
    }

    private func hasFolder(_ bed: BrokerBed, _ topic: String) -> Bool {
        (try? SystemFiles().list(bed.folder.path + "/topics"))?.contains(topic) == true
    }

    // MARK: Starting and stopping

    @Test func aFolderInUseIsRefused() throws {
        let bed = BrokerBed()
        try bed.run { broker in
            #expect(fault(bed).contains("is in use by another broker"))
            try broker.client().ping()
        }
        #expect(fault(bed) == "started")
    }

    @Test func anAddressThatOthersReachIsRefused() {
        var bed = BrokerBed()
        bed.configuration.listen.host = "0.0.0.0"
        #expect(fault(bed).contains("--insecure"))
        bed.configuration.insecure = true
        #expect(fault(bed) == "started")
    }

    @Test func aTakenPortIsRefused() throws {
        try BrokerBed().run { broker in
            var other = BrokerBed()
            other.configuration.listen.port = broker.port
            #expect(fault(other).contains("Another process has the port"))
        }
    }

    /// Under producers that never pause: whatever was written is answered before the connection goes.
    @Test func stoppingAnswersWhatIsUnderWay() throws {
        let bed = BrokerBed()
        let acknowledged = Mutex<[Int]>([0, 0, 0])
        let threads = TestThreads()
        try bed.run { broker in
            #expect(try broker.client().createTopic("t", partitions: 3) == 0)
            for partition in 0..<3 {
                try threads.start("producer") {
                    let client = try broker.client()
                    for sequence in Int32(0)... {
                        let id = BatchID(producer: Int64(partition), sequence: sequence)
                        let bytes = TestBatch.bytes(id, valueBytes: 10)
                        guard (try? client.produce("t", Int32(partition), bytes))?.error == 0 else { return }
                        acknowledged.withLock { $0[partition] += 1 }
                    }
                }
            }
            try eventually("they produce") { acknowledged.withLock { $0.allSatisfy { $0 > 50 } } }
        }
        #expect(threads.join() == [])
        try bed.run { broker in
            let client = try broker.client()
            for partition in 0..<3 {
                let count = try client.allBatches("t", Int32(partition)).count
                #expect(count == acknowledged.withLock { $0[partition] })
            }
        }
    }

    // MARK: What goes

    @Test func retentionBySizeDeletes() throws {
        var bed = BrokerBed()
        bed.configuration.housekeeping.everyMilliseconds = 20
        try bed.run { broker in
            let client = try broker.client()
            let configs = [("segment.bytes", "1048576"), ("retention.bytes", "1048576"), ("retention.ms", "-1")]
            #expect(try client.createTopic("t", configs: configs) == 0)
            for sequence in Int32(0)..<24 {
                #expect(try client.produce("t", 0, batch(sequence, valueBytes: 250_000)).error == 0)
            }
            try eventually("two segments are left") { files(bed, "t", ".log").count <= 2 }
            #expect(try client.offset("t", 0, at: -2) > 0)
            #expect(try client.offset("t", 0, at: -1) == 24)
            #expect(try client.fetch("t", [(0, 0)]).first?.error == 1)
            #expect(try client.allBatches("t", 0).last?.offset == 23)
        }
    }

    @Test func retentionByTimeDeletes() throws {
        var bed = BrokerBed()
        bed.configuration.housekeeping.everyMilliseconds = 20
        try bed.run { broker in
            let client = try broker.client()
            #expect(try client.createTopic("t", configs: [("retention.ms", "1")]) == 0)
            #expect(try client.createTopic("kept") == 0)
            for topic in ["t", "kept"] { #expect(try client.produce(topic, 0, batch(0)).error == 0) }
            try eventually("it is gone") { try client.offset("t", 0, at: -2) == 1 }
            #expect(try client.produce("t", 0, batch(1)).offset == 1)
            #expect(try client.offset("kept", 0, at: -2) == 0)
        }
    }

    @Test func aDeletedTopicsFolderGoes() throws {
        let bed = BrokerBed()
        try bed.run { broker in
            let client = try broker.client()
            #expect(try client.createTopic("t") == 0)
            #expect(try client.produce("t", 0, batch(0)).error == 0)
            #expect(hasFolder(bed, "t"))
            #expect(try client.deleteTopic("t") == 0)
            try eventually("it is gone") { !hasFolder(bed, "t") }
        }
    }

    /// The removal is cut off, by a disk that removes nothing, as by a kill; and the journal is rewritten in between.
    @Test(arguments: [false, true]) func aDeletedTopicsFolderGoesAtTheNextStart(_ compacts: Bool) throws {
        let files = ControlledFiles(SystemFiles())
        var bed = BrokerBed()
        bed.configuration.housekeeping.everyMilliseconds = 20
        bed.files = files
        try bed.run { broker in
            let client = try broker.client()
            for topic in ["t", "kept"] { #expect(try client.createTopic(topic) == 0) }
            #expect(try client.produce("t", 0, batch(0)).error == 0)
            files.fail { ["remove", "rmdir"].contains($0.name) && $0.path.contains("/topics/") ? 5 : nil }
            #expect(try client.deleteTopic("t") == 0)
            #expect(try client.createTopic("t") == 0)
            let metadata = String(repeating: "m", count: 4000)
            for offset in 0..<(compacts ? Int64(600) : 0) {
                #expect(try client.commitOffset("g", "kept", 0, offset, metadata: metadata) == 0)
            }
            if compacts {
                try eventually("the journal is rewritten") {
                    try SystemFile(bed.folder.path + "/journal", .existing).size() < 1 << 20
                }
            }
            #expect(try SystemFiles().list(bed.folder.path + "/topics/t").count == 2)
        }
        files.heal()
        try bed.run { broker in
            let client = try broker.client()
            #expect(try SystemFiles().list(bed.folder.path + "/topics/t").count == 1)
            #expect(try client.metadata(nil) == ["t": 0, "kept": 0])
            #expect(try client.allBatches("t", 0) == [])
        }
    }

    // MARK: What stays

    @Test func autoCreationCanBeSwitchedOff() throws {
        let bed = BrokerBed()
        try bed.run { broker in
            let client = try broker.client()
            #expect(try client.metadata(["a"], mayCreate: true) == ["a": 0])
            #expect(
                try client.alterConfigs(type: 4, name: "1", [(BrokerSettings.autoCreateName, "false")]) == 0)
            #expect(try client.metadata(["b"], mayCreate: true) == ["b": 3])
        }
        try bed.run { broker in
            let client = try broker.client()
            #expect(try client.metadata(["b"], mayCreate: true) == ["b": 3])
            #expect(try client.alterConfigs(type: 4, name: "", [(BrokerSettings.autoCreateName, "true")]) == 0)
            #expect(try client.metadata(["b"], mayCreate: true) == ["b": 0])
        }
    }

    @Test func aBatchSentTwiceIsStoredOnce() throws {
        let bed = BrokerBed()
        try bed.run { broker in
            let (one, other) = (try broker.client(), try broker.client())
            #expect(try one.createTopic("t", configs: [("segment.bytes", "1048576")]) == 0)
            // Both before either is answered.
            let sent = batch(0)
            try one.request(0, 3, RawClient.produceBody("t", 0, sent))
            try other.request(0, 3, RawClient.produceBody("t", 0, sent))
            for client in [one, other] {
                #expect(try RawClient.produced(try client.answer().body) == RawClient.Produced(error: 0, offset: 0))
            }
            for sequence in Int32(1)..<8 {
                let large = batch(sequence, valueBytes: 300_000)
                for client in [one, other] {
                    #expect(
                        try client.produce("t", 0, large) == RawClient.Produced(error: 0, offset: Int64(sequence)))
                }
            }
        }
        // Its state comes from a sealed segment's index and from the batches after it.
        try bed.run { broker in
            let client = try broker.client()
            for sequence in Int32(3)..<8 {
                let again = batch(sequence, valueBytes: 300_000)
                #expect(try client.produce("t", 0, again) == RawClient.Produced(error: 0, offset: Int64(sequence)))
            }
            #expect(try client.produce("t", 0, batch(9)).error == 45)
            #expect(try client.produce("t", 0, batch(8)) == RawClient.Produced(error: 0, offset: 8))
            #expect(try client.allBatches("t", 0).map(\.id.sequence) == Array(0..<9))
        }
    }

    @Test func producerIDsAreNeverGivenTwice() throws {
        let bed = BrokerBed()
        var given: [Int64] = []
        for _ in 0..<3 {
            try bed.run { broker in
                let client = try broker.client()
                for _ in 0..<5 { given.append(try client.initProducerID().id) }
            }
        }
        #expect(Set(given).count == 15)
    }

    @Test func aMemberCannotSayMoreThanAGroupCanPassOn() throws {
        try BrokerBed().run { broker in
            let client = try broker.client()
            let join = WireBody {
                $0.string("g")
                $0.int32(10_000)
                $0.string("")
                $0.string("consumer")
                $0.array(["range"]) { body, name in
                    body.string(name)
                    body.data([UInt8](repeating: 0, count: 2 << 20))
                }
            }
            // MESSAGE_TOO_LARGE: no room for it in any group.
            var answer = try client.call(11, 0, join)
            #expect(try answer.int16() == 10)
        }
    }
}
