import Contracts
import Testing

@Suite struct TopicFaultTests {
    /// Of one file `a.yaml`: what is in it, and what is said about it.
    @Test(arguments: [
        ("", "a.yaml:1:1: the file is empty"), ("- a\n", "a.yaml:1:1: expected a map of name, about"),
        (
            "name: b\n",
            "a.yaml:1:7: name must be lower-case letters, digits, dots and dashes, as the file's: a, is \"b\""
        ),
        ("about: x\n", "a.yaml:1:1: name is missing: write name: a"),
        ("name: a\npartitons: 3\n", "a.yaml:2:1: partitons is not known; did you mean partitions?"),
        ("name: a\npartitions: 0\n", "a.yaml:2:13: partitions must be a whole number from 1 to 1000, is \"0\""),
        ("name: a\npartitions: \"3\"\n", "a.yaml:2:13: partitions must be a whole number"),
        ("name: a\npartitions: [3]\n", "partitions must be a whole number from 1 to 1000, is a list"),
        ("name: a\npartitions: 99999999999999999999\n", "partitions must be a whole number"),
        ("name: a\nretention:\n", "retention has no value: give it one, or take it out"),
        ("name: a\nretention: 5 days\n", "retention must be a time of at least 1m, as 12h or 7d, or infinite"),
        ("name: a\nretention: 10s\n", "retention must be a time of at least 1m"),
        ("name: a\nmaxMessageBytes: 64MiB\n", "maxMessageBytes must be a size from 1KiB to 15MiB"),
        ("name: a\nreplication: none\n", "replication must be a whole number from 1 to 32"),
        ("name: a\npublish: yes\n", "publish must be true, false or {validate: true}"),
        ("name: a\npublish: {valid: true}\n", "publish.valid is not known; did you mean validate?"),
        ("name: a\npublish: {validate: true}\n", "a.yaml:2:11: publish.validate needs a schema"),
        ("name: a\npii: [user]\n", "a.yaml:2:7: pii must be a list of JSON pointers, as /user_id, and has \"user\""),
        ("name: a\npii: /user\n", "pii must be a list, is \"/user\""),
        ("name: a\nschema: ../x.json\n", "schema must be a path below the folder"),
        ("name: a\nschema: schemas/x.json\n", "a.yaml:2:1: schema: open "),
        ("name: a\nconsumers: [{}]\n", "consumers[0].handler is missing"),
        ("name: a\nconsumers: [{handler: A_b}]\n", "consumers[0].handler must be a name of lower-case letters"),
        ("name: a\nconsumers: [{handler: h}, {handler: h}]\n", "a.yaml:2:28: h consumes a twice"),
        (
            "name: a\nconsumers: [{handler: h, ordering: key}]\n",
            "consumers[0].ordering must be none or partition, is \"key\""
        ),
        (
            "name: a\nconsumers: [{handler: h, ordering: partition, concurrency: 2}]\n",
            "consumers[0].concurrency must be 1 with ordering: partition"
        ),
        (
            "name: a\nconsumers: [{handler: h, ordering: partition, retry: {tiers: [1s]}}]\n",
            "consumers[0].retry.tiers must be empty with ordering: partition"
        ),
        (
            "name: a\nconsumers: [{handler: h, retry: {tiers: [1m, 60s]}}]\n",
            "retry.tiers must grow from one to the next"
        ),
        (
            "name: a\nconsumers: [{handler: h, retry: {tiers: [500ms]}}]\n",
            "tiers must be a list of times in whole seconds"
        ),
        (
            "name: a\nconsumers: [{handler: h, retry: {tiers: [8d]}}]\n",
            "tiers must be a list of times in whole seconds"
        ),
        (
            "name: a\nconsumers: [{handler: h, once: {ttl: 1m}}]\n",
            "once.ttl is 1m, less than the longest way through the retries"
        ),
        ("name: a\nconsumers: [{handler: h, once: {onStoreDown: skip}}]\n", "onStoreDown must be pause or proceed"),
        ("name: a\nconsumers: [{handler: h, deadline: 1h}]\n", "deadline must be a time from 100ms to 10m"),
        ("name: a\nconsumers: [{handler: h, produces: [b]}]\n", "a.yaml:2:26: h produces b, which has no file; "),
        (
            "name: a\nconsumers: [{handler: deadletters, once: false}]\n",
            "once is not for deadletters, which has no settings"
        ),
        ("name: a\nname: a\n", "a.yaml:2:1: name is there twice, first in line 1"),
        ("name: &x a\n", "a.yaml:1:7: an anchor"), ("name: *x\n", "a.yaml:1:7: an alias"),
        ("name: !!str a\n", "a.yaml:1:7: a tag"), ("name: a\n<<: {about: x}\n", "a.yaml:2:1: a merge key"),
        ("name: a\n---\nname: b\n", "a.yaml:2:1: a second document"), ("name: [a\n", "a.yaml:2:1: did not find"),
        ("name: a\n\tabout: x\n", "a.yaml:2:1: "), ("? [a]\n: b\n", "a.yaml:1:3: a key that is a list"),
    ])
    func faultsSayWhereWhatAndWhatToDo(_ text: String, _ expected: String) {
        let faults = TopicFolder(["a.yaml": text]).faults
        #expect(faults.contains { $0.contains(expected) }, "\(faults)")
    }

    @Test func everyFaultOfEveryFileIsTold() {
        let folder = TopicFolder([
            "b.yaml": "name: b\npartitions: x\nretention: y\n", "a.yaml": "nmae: a\n", "c.yml": "name: c\n",
            "schemas/s.json": #"{"type":"txt","requird":[]}"#, "d.yaml": "name: d\nschema: schemas/s.json\n",
            "e.yaml": "name: e\nschema: schemas/s.json\n",
        ])
        #expect(
            folder.faults.map { String($0.prefix { $0 != ";" }) } == [
                "a.yaml:1:1: nmae is not known", "a.yaml:1:1: name is missing: write name: a",
                "b.yaml:2:13: partitions must be a whole number from 1 to 1000, is \"x\"",
                "b.yaml:3:12: retention must be a time of at least 1m, as 12h or 7d, or infinite, is \"y\"",
                "c.yml: is not read: call it .yaml", "schemas/s.json /requird: is not supported",
                "schemas/s.json /type: must be one or a list of null, boolean, object, array, string, number, integer",
            ])
    }

    @Test func namesThatKafkaCannotHaveAreFound() {
        let long = String(repeating: "x", count: 240)
        let faults = TopicFolder(["\(long).yaml": "name: \(long)\nconsumers: [{handler: h}]\n"]).faults
        #expect(faults.count == 3)
        #expect(faults.allSatisfy { $0.contains("longer than the 249 characters that Kafka takes") })
        let taken = TopicFolder(["a.yaml": "name: a\nconsumers: [{handler: h}]\n", "a.h.dlq.yaml": "name: a.h.dlq\n"])
            .faults
        #expect(taken == ["a.h.dlq.yaml:1:1: is also the name that is derived for a: choose another"])
    }

    @Test func schemasHaveIdsOfTheirOwn() {
        let faults = TopicFolder([
            "a.yaml": "name: a\nschema: schemas/a.json\n", "b.yaml": "name: b\nschema: schemas/b.json\n",
            "schemas/a.json": #"{"$id":"urn:x"}"#, "schemas/b.json": #"{"$id":"urn:x"}"#,
        ]).faults
        #expect(faults == ["schemas/b.json /$id: urn:x is the $id of schemas/a.json too: each schema has its own"])
    }

    @Test func foldersThatCannotBeReadAreFaults() {
        #expect(TopicFolder().faults == [".: has no topic files: one NAME.yaml a topic"])
        #expect(throws: TopicFaults.self) { try TopicCatalog(folder: "/nowhere") }
    }

    /// A small file that would become a huge one, a deep one, one with bytes that are no text.
    @Test func hostileFilesAreRefused() {
        var laughs = "a: &a [x, x]\n"
        for (name, last) in zip("bcdefghij", "abcdefghi") { laughs += "\(name): &\(name) [*\(last), *\(last)]\n" }
        #expect(TopicFolder(["a.yaml": laughs]).faults == ["a.yaml:1:4: an anchor: anchors and aliases are not read"])
        let deep = TopicFolder(["a.yaml": "name: " + String(repeating: "[", count: 5000)]).faults
        #expect(deep.first?.contains("nested too deep") == true)
        let wide = TopicFolder(["a.yaml": "name: [" + String(repeating: "x,", count: 30_000) + "]"]).faults
        #expect(wide.first?.contains("more than 20000 values") == true)
        let large = TopicFolder(["a.yaml": "name: a\nabout: " + String(repeating: "x", count: 300_000)]).faults
        #expect(large == ["a.yaml: is larger than 256KiB"])
        #expect(TopicFolder(["a.yaml": "name: a\u{0}b\n"]).faults.isEmpty == false)
    }
}
