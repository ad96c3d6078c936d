import Model
import Platform
import Process
import TestSupport
import Testing

/// The rules of campaigns, with no database.
struct CampaignTests {
    private static let noon = Timestamp(milliseconds: 1_777_896_000_000)
    private func hours(_ number: Int64) -> Timestamp {
        Timestamp(milliseconds: Self.noon.milliseconds + number * 3_600_000)
    }

    private func draft(_ plan: Campaign.Plan = Campaign.Plan(budget: 1)) throws -> Campaign {
        try Campaign.create("c", plan, at: hours(0))
    }

    @Test func theWholeWay() throws {
        var campaign = try draft(Campaign.Plan(name: "spring", budget: 5, goals: ["clicks": 7]))
        #expect((campaign.state, campaign.version) == (.draft, 1))
        try campaign.schedule(Campaign.Plan(start: hours(2), end: hours(4)), at: hours(1))
        #expect((campaign.state, campaign.version) == (.scheduled, 2))
        var passed = campaign.pass(hours(1))
        #expect(!passed)
        passed = campaign.pass(hours(2))
        #expect(passed)
        #expect((campaign.state, campaign.version) == (.active, 3))
        try campaign.pause(at: hours(3))
        try campaign.activate(Campaign.Plan(), at: hours(3))
        #expect((campaign.state, campaign.version) == (.active, 5))
        passed = campaign.pass(hours(4))
        #expect(passed)
        #expect((campaign.state, campaign.version, campaign.changed) == (.completed, 6, hours(4)))
        passed = campaign.pass(hours(5))
        #expect(!passed)
        #expect((campaign.name, campaign.budget, campaign.goals) == ("spring", 5, ["clicks": 7]))
    }

    @Test func whatMayNotBeIsSaid() throws {
        func fault(_ body: () throws -> Void) -> String {
            #expect(throws: Campaign.Fault.self) { try body() }?.description ?? ""
        }
        #expect(fault { _ = try draft(Campaign.Plan(start: hours(2), end: hours(2))) }.contains("before it starts"))
        var campaign = try draft(Campaign.Plan())
        #expect(campaign.reasonNotToActivate(at: hours(0)) == "it has no budget")
        #expect(fault { try campaign.activate(Campaign.Plan(), at: hours(0)) }.contains("no budget"))
        #expect(fault { try campaign.schedule(Campaign.Plan(budget: 1), at: hours(0)) }.contains("without a start"))
        #expect(
            fault { try campaign.schedule(Campaign.Plan(start: hours(1)), at: hours(0)) }.contains("without a budget"))
        #expect(
            fault { try campaign.schedule(Campaign.Plan(budget: 1, start: hours(-3), end: hours(-1)), at: hours(0)) }
                .contains("would have ended"))
        #expect(
            fault { try campaign.activate(Campaign.Plan(budget: 1, start: hours(1)), at: hours(0)) }.contains(
                "schedule it"))
        #expect(fault { try campaign.pause(at: hours(0)) }.contains("it is draft"))
        #expect(fault { try campaign.complete(at: hours(0)) }.contains("it is draft"))
        // What was refused has changed nothing.
        let untouched = try draft(Campaign.Plan())
        #expect(campaign == untouched)
        try campaign.activate(Campaign.Plan(budget: 1), at: hours(0))
        #expect(campaign.start == hours(0))
        #expect(fault { try campaign.activate(Campaign.Plan(), at: hours(0)) }.contains("active already"))
        #expect(fault { try campaign.schedule(Campaign.Plan(), at: hours(0)) }.contains("it is active"))
        try campaign.complete(at: hours(1))
        #expect(fault { try campaign.activate(Campaign.Plan(), at: hours(1)) }.contains("it is completed"))
        #expect(!campaign.canActivate(at: hours(1)))
    }

    /// Whatever commands come in whatever order: only the arrows of the picture are gone along, the version counts the
    /// changes, and what is refused changes nothing.
    @Test(arguments: TestDice.seeds(50))
    func onlyTheArrowsAreGoneAlong(_ seed: UInt64) throws {
        let arrows: [Campaign.State: Set<Campaign.State>] = [
            .draft: [.scheduled, .active], .scheduled: [.scheduled, .active, .completed],
            .active: [.paused, .completed],
            .paused: [.active, .completed], .completed: [],
        ]
        var dice = TestDice(seed: seed)
        var campaign = try draft(Campaign.Plan())
        for hour in 0..<200 {
            let before = campaign
            let now = hours(Int64(hour))
            let plan = Campaign.Plan(
                budget: dice.chance(30) ? Int64.random(in: 0...2, using: &dice) : nil,
                start: dice.chance(30) ? hours(Int64(hour) + Int64.random(in: -3...3, using: &dice)) : nil,
                end: dice.chance(20) ? hours(Int64(hour) + Int64.random(in: -3...30, using: &dice)) : nil)
            do {
                switch Int.random(in: 0..<5, using: &dice) {
                case 0: try campaign.schedule(plan, at: now)
                case 1: try campaign.activate(plan, at: now)
                case 2: try campaign.pause(at: now)
                case 3 where dice.chance(10): try campaign.complete(at: now)
                case _: guard campaign.pass(now) else { continue }
                }
            } catch {
                #expect(campaign == before)
                continue
            }
            #expect(arrows[before.state]?.contains(campaign.state) == true, "\(before.state) → \(campaign.state)")
            #expect(campaign.version == before.version + 1)
            if campaign.state == .active { #expect((campaign.budget ?? 0) > 0 && (campaign.start ?? now) <= now) }
        }
    }
}
