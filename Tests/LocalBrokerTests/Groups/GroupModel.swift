// Clients that behave as real ones do, and worse, around one coordinator; and what must hold after every step.
//
// A client here knows only what it was answered. It joins, fetches, beats, commits, and obeys each fault as the clients
// of the field do; a random hand breaks its connection, silences it, restarts it, makes it leave, lets the broker die.

import TestSupport
import Testing

@testable import LocalBroker

struct GroupModel {
    typealias C = GroupCoordinator

    struct Client {
        enum Step { case start, joining(ReplyToken), joined, syncing(ReplyToken), working }

        let number: Int
        let group: String
        /// What a static member is known by.
        let instance: String?
        let twoStep: Bool
        var protocols: [String]
        var session: Int32
        var step = Step.start
        var memberID = ""
        var generation: Int32 = -1
        /// Whom it has to serve, when it is the leader.
        var list: [String] = []
        /// A silent one keeps its connection and says nothing.
        var isSilent = false

        var token: ReplyToken? {
            switch step {
            case .joining(let token), .syncing(let token): token
            case .start, .joined, .working: nil
            }
        }
    }

    /// What the members of one generation were told.
    struct Told {
        var protocolName: String?
        var leaders: Set<String> = []
        var owners: Set<String> = []
    }

    struct Generation: Hashable {
        var group: String
        var number: Int32
    }

    static let groups = ["g0", "g1", "g2"]

    var world: GroupWorld
    let seed: UInt64
    var random: TestDice
    var clients: [Int: Client] = [:]
    private var nextClient = 0
    private var read = 0
    private var open: Set<ReplyToken> = []
    /// Who a member id stands for: the instance of a static member, which may have had several, else the id itself.
    private var identities: [String: String] = [:]
    private var told: [Generation: Told] = [:]
    private var lastBegun: [String: Int32] = [:]
    /// When a member was last heard of or spoken to, and how long its session is.
    private var heard: [String: (at: Int64, session: Int64)] = [:]
    /// Members whose request was held when last looked at.
    private var held: Set<String> = []
    private(set) var agreements = 0
    private(set) var restarts = 0

    init(seed: UInt64) {
        self.seed = seed
        random = TestDice(seed: seed)
        var settings = C.Settings()
        // Generations are compared over the whole run.
        settings.emptyGroupRetention = .max / 4
        world = GroupWorld(settings, seed: seed)
    }

    // MARK: The random hand

    mutating func step() {
        switch Int.random(in: 0..<100, using: &random) {
        case 0..<50: withAnyClient { $0.act($1) }
        case 50..<75:
            pass(Int64.random(in: 0..<[40, 400, 4_000].randomElement(using: &random)!, using: &random))
        case 75..<83: if clients.count < 24 { addClient() }
        case 83..<87: withAnyClient { $0.breakConnection(of: $1) }
        case 87..<89: withAnyClient { $0.clients[$1]?.isSilent.toggle() }
        case 89..<91: withAnyClient { $0.restartClient($1) }
        case 91..<93: withAnyClient { $0.leave($1) }
        case 93..<95: withAnyClient { $0.changeSubscription(of: $1) }
        case 95..<98: babble()
        default: if Int.random(in: 0..<6, using: &random) == 0 { restartBroker() }
        }
        check()
    }

    /// As `GroupWorld.pass`, looking at what every tick has done.
    private mutating func pass(_ milliseconds: Int64) {
        let end = world.now + milliseconds
        while let next = world.coordinator.nextDeadline, next <= end {
            world.pass(next - world.now)
            check()
        }
        world.pass(end - world.now)
        if let next = world.coordinator.nextDeadline {
            #expect(next > world.now, "seed \(seed): something due was left undone")
        }
    }

    private mutating func withAnyClient(_ body: (inout GroupModel, Int) -> Void) {
        guard let number = clients.keys.sorted().randomElement(using: &random) else { return }
        body(&self, number)
    }

    private mutating func addClient() {
        let instance = Int.random(in: 0..<3, using: &random) == 0 ? "i\(nextClient)" : nil
        let choices = [["range"], ["range", "sticky"], ["sticky", "range"], ["range", "x"]]
        clients[nextClient] = Client(
            number: nextClient, group: Self.groups.randomElement(using: &random)!, instance: instance,
            twoStep: Bool.random(using: &random), protocols: choices.randomElement(using: &random)!,
            session: [2_000, 6_000, 10_000].randomElement(using: &random)!)
        nextClient += 1
    }

    private mutating func breakConnection(of number: Int) {
        guard let token = clients[number]?.token else { return }
        open.remove(token)
        if let id = clients[number]?.memberID { touch(id) }
        world.coordinator.disconnected(token, now: world.now)
        guard var client = clients[number] else { return }
        switch client.step {
        case .joining: client.step = .start
        case .syncing: client.step = .joined
        case .start, .joined, .working: break
        }
        clients[number] = client
    }

    /// A new process: it remembers nothing. A dynamic one is another client from now on.
    private mutating func restartClient(_ number: Int) {
        breakConnection(of: number)
        guard let old = clients.removeValue(forKey: number) else { return }
        clients[nextClient] = Client(
            number: nextClient, group: old.group, instance: old.instance, twoStep: old.twoStep,
            protocols: old.protocols, session: old.session)
        nextClient += 1
    }

    private mutating func leave(_ number: Int) {
        guard let client = clients.removeValue(forKey: number) else { return }
        if client.instance != nil, Bool.random(using: &random) {
            world.leave([C.LeavingMember(memberID: "", instanceID: client.instance)], group: client.group)
        } else {
            world.leave(
                [C.LeavingMember(memberID: client.memberID, instanceID: client.instance)], group: client.group)
        }
        if let token = client.token {
            collect()
            if open.remove(token) != nil { world.coordinator.disconnected(token, now: world.now) }
            touch(client.memberID)
        }
    }

    private mutating func changeSubscription(of number: Int) {
        guard case .working = clients[number]?.step else { return }
        clients[number]?.protocols = ["range"] + (Bool.random(using: &random) ? ["y"] : [])
        clients[number]?.step = .start
    }

    /// Requests of nobody, which must change nothing.
    private mutating func babble() {
        let group = Self.groups.randomElement(using: &random)!
        let generation = Int32.random(in: -2...40, using: &random)
        let before = world.coordinator.describe(group: group)
        let join = world.join(GroupWorld.joinRequest(group, member: "nobody"))
        let sync = world.sync("nobody", generation, group: group)
        #expect(world.joined[join]?.fault == .unknownMemberID)
        #expect(world.synced[sync]?.fault == .unknownMemberID)
        #expect(world.heartbeat("nobody", generation, group: group) == .unknownMemberID)
        #expect(world.leave("nobody", group: group) == .unknownMemberID)
        #expect(world.commit("nobody", 1, group: group) != [GroupFault.none])
        #expect(world.coordinator.describe(group: group) == before, "seed \(seed)")
        open.formUnion([join, sync])
    }

    private mutating func restartBroker() {
        restarts += 1
        collect()
        let snapshot = world.coordinator.snapshot()
        world.restart(fromSnapshot: Bool.random(using: &random))
        #expect(world.coordinator.snapshot() == snapshot, "seed \(seed): the journal says other than the snapshot")
        open.removeAll()
        for number in clients.keys {
            switch clients[number]?.step {
            case .joining: clients[number]?.step = .start
            case .syncing: clients[number]?.step = .joined
            case .start, .joined, .working, nil: break
            }
        }
        for group in world.coordinator.groups.values {
            for member in group.members.values { heard[member.memberID] = (world.now, Int64(member.sessionTimeout)) }
        }
    }

    // MARK: What a client does next

    mutating func act(_ number: Int) {
        guard let client = clients[number], !client.isSilent else { return }
        switch client.step {
        case .joining, .syncing: break
        case .start: join(client)
        case .joined: sync(client)
        case .working: beat(client)
        }
        collect()
    }

    private mutating func join(_ client: Client) {
        let token = world.token()
        open.insert(token)
        clients[client.number]?.step = .joining(token)
        let request = GroupWorld.joinRequest(
            client.group, member: client.memberID, instance: client.instance,
            protocols: GroupWorld.protocols(client.protocols), session: client.session, rebalance: 15_000,
            twoStep: client.twoStep, canSkip: client.number.isMultiple(of: 2))
        if !client.memberID.isEmpty { heard[client.memberID] = (world.now, Int64(client.session)) }
        world.take(world.coordinator.join(request, token, now: world.now))
    }

    private mutating func sync(_ client: Client) {
        let token = world.token()
        open.insert(token)
        clients[client.number]?.step = .syncing(token)
        touch(client.memberID)
        let assignments = client.list.map {
            C.SyncRequest.Assignment(
                memberID: $0, assignment: Array("\(client.generation):\(identities[$0] ?? "?")".utf8))
        }
        let request = C.SyncRequest(
            group: client.group, generation: client.generation, memberID: client.memberID,
            instanceID: client.instance, protocolType: nil, protocolName: nil, assignments: assignments)
        world.take(world.coordinator.sync(request, token, now: world.now))
    }

    private mutating func beat(_ client: Client) {
        let fault =
            Int.random(in: 0..<3, using: &random) == 0
            ? world.commit(client.memberID, client.generation, group: client.group, instance: client.instance)[0]
            : world.heartbeat(client.memberID, client.generation, group: client.group, instance: client.instance)
        if fault == .none || fault == .rebalanceInProgress { touch(client.memberID) }
        obey(fault, client.number)
    }

    private mutating func obey(_ fault: GroupFault, _ number: Int) {
        switch fault {
        case .none: break
        case .unknownMemberID:
            clients[number]?.memberID = ""
            clients[number]?.step = .start
        // Another took its place: it ends.
        case .fencedInstanceID: clients[number] = nil
        default: clients[number]?.step = .start
        }
    }

    private mutating func touch(_ memberID: String) {
        if let session = heard[memberID]?.session { heard[memberID] = (world.now, session) }
    }

    // MARK: Answers

    /// Hands what was answered since the last time to the clients, and checks that it fits what others were told.
    mutating func collect() {
        while read < world.log.count {
            let effect = world.log[read]
            read += 1
            switch effect {
            case .persist(.generation(let group, let generation)):
                #expect(generation > lastBegun[group] ?? 0, "seed \(seed): generation \(generation) of \(group) again")
                lastBegun[group] = generation
            case .persist(.group(let agreement)):
                agreements += 1
                if agreement.members.isEmpty {
                    #expect(agreement.generation > lastBegun[agreement.group] ?? 0, "seed \(seed)")
                    lastBegun[agreement.group] = agreement.generation
                }
            case .joined(let token, let answer):
                #expect(open.remove(token) != nil, "seed \(seed): \(token) was not open")
                take(answer, token)
            case .synced(let token, let answer):
                #expect(open.remove(token) != nil, "seed \(seed): \(token) was not open")
                take(answer, token)
            default: break
            }
        }
    }

    private mutating func take(_ answer: C.JoinAnswer, _ token: ReplyToken) {
        guard let client = clients.values.first(where: { $0.token == token }) else { return }
        switch answer.fault {
        case .memberIDRequired:
            clients[client.number]?.memberID = answer.memberID
            clients[client.number]?.step = .start
            identities[answer.memberID] = answer.memberID
        case .none:
            let identity = client.instance ?? answer.memberID
            identities[answer.memberID] = identity
            heard[answer.memberID] = (world.now, Int64(client.session))
            clients[client.number]?.memberID = answer.memberID
            clients[client.number]?.generation = answer.generation
            clients[client.number]?.step = .joined
            let leads = answer.leader == answer.memberID
            clients[client.number]?.list = leads && !answer.skipAssignment ? answer.members.map(\.memberID) : []
            #expect(leads == !answer.members.isEmpty, "seed \(seed)")
            for member in answer.members { identities[member.memberID] = member.instanceID ?? member.memberID }
            let key = Generation(group: client.group, number: answer.generation)
            var entry = told[key] ?? Told(protocolName: answer.protocolName)
            #expect(entry.protocolName == answer.protocolName, "seed \(seed): two protocols in \(key)")
            if leads { entry.owners.insert(identity) }
            entry.leaders.insert(answer.leader)
            told[key] = entry
            #expect(entry.owners.count <= 1, "seed \(seed): two leaders in \(key)")
        default: obey(answer.fault, client.number)
        }
    }

    private mutating func take(_ answer: C.SyncAnswer, _ token: ReplyToken) {
        guard let client = clients.values.first(where: { $0.token == token }) else { return }
        guard answer.fault == .none else { return obey(answer.fault, client.number) }
        touch(client.memberID)
        clients[client.number]?.step = .working
        let text = String(decoding: answer.assignment, as: UTF8.self)
        let own = "\(client.generation):\(client.instance ?? client.memberID)"
        #expect(text.isEmpty || text == own, "seed \(seed): \(own) was given \(text)")
    }

    // MARK: What must hold

    mutating func check() {
        collect()
        world.coordinator.groups.expectCountedRight("seed \(seed)")
        let now = world.now
        let alarms = world.coordinator.context.alarms
        var stillHeld: Set<String> = []
        var earliest = Int64.max
        func expectSet(_ alarm: GroupAlarm) {
            let due = alarms[alarm]
            #expect(due != nil, "seed \(seed): \(alarm) is not set")
            earliest = min(earliest, due ?? .max)
        }
        for group in world.coordinator.groups.values {
            let members = group.members.values
            #expect(group.awaitingJoin == members.count(where: \.awaitsJoin), "seed \(seed)")
            #expect((group.phase == .empty) == members.isEmpty || group.state == .preparingRebalance, "seed \(seed)")
            #expect(group.generation <= group.lastGeneration, "seed \(seed)")
            for member in members {
                let isHeld = member.waiting.token.map { open.contains($0) } ?? false
                #expect(isHeld == (member.waiting.token != nil), "seed \(seed): \(member.memberID) holds a lost reply")
                if isHeld || held.contains(member.memberID) || heard[member.memberID] == nil {
                    heard[member.memberID] = (now, Int64(member.sessionTimeout))
                }
                guard !isHeld, let last = heard[member.memberID] else {
                    stillHeld.insert(member.memberID)
                    continue
                }
                #expect(now < last.at + last.session, "seed \(seed): \(member.memberID) outlived its session")
                expectSet(group.alarm(.session(memberID: member.memberID)))
            }
            for id in group.pending {
                expectSet(group.alarm(.session(memberID: id)))
            }
            for (instance, id) in group.instances { #expect(group.members[id]?.instanceID == instance, "seed \(seed)") }
            if case .preparing(let round) = group.phase {
                expectSet(group.alarm(.join))
                #expect(round.isInitial || !group.hasEverybodyJoined, "seed \(seed): a round that waits for nobody")
            }
            if !group.unsynced.isEmpty { expectSet(group.alarm(.sync)) }
        }
        held = stillHeld
        #expect(world.coordinator.nextDeadline ?? .max <= earliest, "seed \(seed): the loop would sleep too long")
        #expect(world.coordinator.context.seats.count == open.count(where: { isSeated($0) }), "seed \(seed)")
    }

    private func isSeated(_ token: ReplyToken) -> Bool { world.coordinator.context.seats[token] != nil }

    /// With nothing in the way any more every group must come to agree, with all its clients in it.
    mutating func settle() {
        for number in clients.keys { clients[number]?.isSilent = false }
        for _ in 0..<100 {
            for number in clients.keys.sorted() { act(number) }
            pass(500)
            check()
        }
        for client in clients.values {
            guard case .working = client.step else {
                Issue.record("seed \(seed): \(client) does not work")
                continue
            }
            #expect(world.state(client.group) == .stable, "seed \(seed)")
            #expect(
                world.coordinator.groups[client.group]?.generation == client.generation,
                "seed \(seed): \(client) works in another generation")
        }
        #expect(open.isEmpty, "seed \(seed): \(open) were never answered")
        #expect(world.coordinator.context.seats.isEmpty, "seed \(seed)")
    }
}
