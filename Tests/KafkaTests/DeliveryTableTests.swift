import Synchronization
import Testing

@testable import Kafka

@Suite struct DeliveryTableTests {
    private typealias Outcome = DeliveryTable.Outcome

    @Test func aBatchIsFinishedByItsLastVerdict() {
        var table = DeliveryTable()
        let slot = table.open(2) { _, _ in } ?? -1
        #expect(table.submitted(slot, refused: []) == nil)
        #expect(table.resolve(DeliveryTable.number(slot: slot, index: 1), Outcome(offset: 8, partition: 0)) == nil)
        #expect(!table.isEmpty)
        let finished = table.resolve(DeliveryTable.number(slot: slot, index: 0), Outcome(offset: 7, partition: 0))
        #expect(finished?.outcomes.map(\.offset) == [7, 8])
        #expect(table.isEmpty)
    }

    @Test func verdictsMayComeBeforeTheSubmitterIsDone() {
        var table = DeliveryTable()
        let slot = table.open(1) { _, _ in } ?? -1
        #expect(table.resolve(DeliveryTable.number(slot: slot, index: 0), Outcome(offset: 7)) == nil)
        #expect(!table.isEmpty)
        #expect(table.submitted(slot, refused: [])?.outcomes.map(\.offset) == [7])
    }

    @Test func whatWasRefusedCountsAsAVerdict() {
        var table = DeliveryTable()
        let slot = table.open(3) { _, _ in } ?? -1
        #expect(table.resolve(DeliveryTable.number(slot: slot, index: 0), Outcome(offset: 7)) == nil)
        let finished = table.submitted(slot, refused: [(1, -184), (2, -184)])
        #expect(finished?.outcomes.map(\.code) == [0, -184, -184])
    }

    @Test func aSlotIsUsedAgain() {
        var table = DeliveryTable()
        let first = table.open(1) { _, _ in } ?? -1
        let second = table.open(1) { _, _ in } ?? -1
        #expect(first != second)
        _ = table.submitted(first, refused: [(0, -184)])
        #expect(table.open(5) { _, _ in } == first)
    }

    @Test func nothingIsOpenedAfterClose() {
        var table = DeliveryTable()
        table.close()
        #expect(table.open(1) { _, _ in } == nil)
    }
}

extension DeliveryTable.Finished? {
    static func == (left: Self, right: _OptionalNilComparisonType) -> Bool {
        if case .none = left { true } else { false }
    }
}
