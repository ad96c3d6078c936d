internal import Flotilla
internal import JSON
internal import Model
internal import Platform
internal import Postgres

/// Campaigns in Postgres. Each belongs to the partition that its commands come by; no other transaction has it.
struct CampaignStore: Sendable {
    let transaction: PostgresTransaction

    static let migrations = [
        Migration(
            "1 campaigns",
            """
            CREATE TABLE campaigns (
                id text PRIMARY KEY,
                -- Where its commands come from: who owns the partition watches over its dates.
                partition int NOT NULL,
                name text,
                state text NOT NULL CHECK (state IN ('draft', 'scheduled', 'active', 'paused', 'completed')),
                budget_micros bigint CHECK (budget_micros >= 0),
                starts_at timestamptz,
                ends_at timestamptz CHECK (ends_at > starts_at),
                goals jsonb NOT NULL DEFAULT '{}',
                version bigint NOT NULL,
                changed_at timestamptz NOT NULL
            );
            -- What time may change, by when.
            CREATE INDEX campaigns_due ON campaigns (partition, least(
                CASE WHEN state = 'scheduled' THEN starts_at END, ends_at))
                WHERE state IN ('scheduled', 'active', 'paused');
            """)
    ]

    func find(_ id: String) async throws -> Campaign? {
        try await transaction.query("SELECT *, goals::text AS goals_text FROM campaigns WHERE id = \(id)").first.map(
            Campaign.init)
    }

    /// Which of these there are.
    func known(_ ids: [String]) async throws -> Set<[UInt8]> {
        let rows = try await transaction.query("SELECT id FROM campaigns WHERE id = ANY(\(ids)::text[])")
        return Set(try rows.map { Array(try $0.value("id", as: String.self).utf8) })
    }

    /// Those of a partition that time changes now, the first thousand.
    func due(_ now: Timestamp, _ partition: Partition) async throws -> [Campaign] {
        try await transaction.query(
            """
            SELECT *, goals::text AS goals_text FROM campaigns
            WHERE partition = \(partition.rawValue) AND state IN ('scheduled', 'active', 'paused')
            AND least(CASE WHEN state = 'scheduled' THEN starts_at END, ends_at) <= \(now)
            ORDER BY id LIMIT 1000
            """
        ).map(Campaign.init)
    }

    func save(_ campaign: Campaign, _ partition: Partition) {
        var goals = JSONWriter()
        goals.object { json in
            for (metric, micros) in campaign.goals.sorted(by: { $0.key < $1.key }) { json.member(metric, micros) }
        }
        transaction.later(
            """
            INSERT INTO campaigns
                (id, partition, name, state, budget_micros, starts_at, ends_at, goals, version, changed_at)
            VALUES (\(campaign.id), \(partition.rawValue), \(campaign.name), \(campaign.state.rawValue), \(campaign.budget),
                \(campaign.start), \(campaign.end), \(goals.text)::jsonb, \(campaign.version), \(campaign.changed))
            ON CONFLICT (id) DO UPDATE SET partition = excluded.partition, name = excluded.name, state = excluded.state,
                budget_micros = excluded.budget_micros, starts_at = excluded.starts_at, ends_at = excluded.ends_at,
                goals = excluded.goals, version = excluded.version, changed_at = excluded.changed_at
            """)
    }
}

extension Campaign {
    fileprivate init(_ row: PostgresRow) throws {
        var goals: [String: Int64] = [:]
        for member in try JSONDocument(parsing: row.value("goals_text", as: String.self)).root.members {
            goals[member.name] = member.value.int64
        }
        let state: String = try row.value("state")
        guard let known = State(rawValue: state) else {
            throw Refusal.unavailable("postgres", "a campaign has the unknown state \(state)")
        }
        self.init(
            id: try row.value("id"), name: try row.optional("name"), state: known,
            budget: try row.optional("budget_micros"), start: try row.optional("starts_at"),
            end: try row.optional("ends_at"), goals: goals, version: try row.value("version"),
            changed: try row.value("changed_at"))
    }
}
