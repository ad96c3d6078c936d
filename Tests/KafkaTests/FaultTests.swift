import Kafka
import Testing

@Suite struct FaultTests {
    private func fault(_ code: Int32, isFatal: Bool = false) -> KafkaFault {
        KafkaFault(KafkaFault.Code(rawValue: code), "because", at: KafkaFault.Site("test"), isFatal: isFatal)
    }

    @Test(arguments: [
        (-184, KafkaFault.Kind.queueFull, true), (-192, .timedOut, true), (7, .timedOut, true), (10, .tooLarge, false),
        (-195, .unreachable, true), (3, .unknownTopic, true), (-188, .unknownTopic, true),
        (-190, .unknownPartition, false), (29, .denied, false), (27, .rebalancing, true), (22, .rebalancing, true),
        (-144, .fenced, false), (36, .exists, false), (-152, .purged, true), (-186, .invalid, false),
        (-1001, .configuration, false), (-1002, .closed, false), (-1003, .cancelled, false), (19, .other, true),
        (6, .other, true), (45, .other, false), (31_999, .other, false),
    ])
    func theCodeDecidesKindAndRetry(code: Int32, kind: KafkaFault.Kind, isRetriable: Bool) {
        #expect(fault(code).kind == kind)
        #expect(fault(code).isRetriable == isRetriable)
        #expect(!fault(code, isFatal: true).isRetriable)
    }

    @Test func aFaultSaysWhatAndWhere() {
        let fault = KafkaFault(
            KafkaFault.Code(rawValue: -184), "no room", at: KafkaFault.Site("produce", TopicPartition("orders", 3)))
        #expect(fault.description == "produce orders/3: no room (_QUEUE_FULL, retriable)")
    }
}
