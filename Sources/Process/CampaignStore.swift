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
            """),
        Migration(
            "2 campaign_list",
            """
            -- For analysts: campaigns in plain numbers.
            CREATE VIEW campaign_list AS
                SELECT id, name, state, trim_scale(budget_micros::numeric / 1000000) AS budget, starts_at, ends_at,
                    (SELECT jsonb_object_agg(key, trim_scale(value::numeric / 1000000)) FROM jsonb_each_text(goals)) AS goals,
                    version, changed_at
                FROM campaigns;
            """),
    ]

    func find(_ id: String) async throws -> Campaign? {
        // Locked, because its commands may come by two partitions: somebody published them past the key.
        try await transaction.query(
            "SELECT *, goals::text AS goals_text FROM campaigns WHERE id = \(id) FOR UPDATE"
        ).first.map(Campaign.init)
    }

    /// Which of these there are.
    func known(_ ids: Set<ByteText>) async throws -> Set<ByteText> {
        let texts = BinaryArray(texts: ids.map(\.text))
        let rows = try await transaction.query("SELECT id FROM campaigns WHERE id = ANY(\(texts)::text[])")
        return Set(try rows.map { ByteText(try $0.value("id")) })
    }

    /// Those of a partition that time changes now, some thousand at most. One that cannot be read is set aside, with why:
    /// the others' time goes on.
    func due(
        _ now: Timestamp, _ partition: Partition
    ) async throws -> (campaigns: [Campaign], unreadable: [(id: String, reason: String)]) {
        var campaigns: [Campaign] = []
        var unreadable: [(id: String, reason: String)] = []
        var last = ""
        while true {
            let rows = try await transaction.query(
                """
                SELECT *, goals::text AS goals_text FROM campaigns
                WHERE partition = \(partition.rawValue) AND state IN ('scheduled', 'active', 'paused')
                AND least(CASE WHEN state = 'scheduled' THEN starts_at END, ends_at) <= \(now)
                AND id COLLATE "C" > \(last)
                ORDER BY id COLLATE "C" LIMIT \(Self.page)::int FOR UPDATE
                """)
            for row in rows {
                last = try row.value("id")
                do { campaigns.append(try Campaign(row)) } catch { unreadable.append((last, "\(error)")) }
            }
            // A page of nothing but those must not hide what is behind it.
            if rows.count < Self.page || !campaigns.isEmpty { return (campaigns, unreadable) }
        }
    }

    private static let page = 1000

    /// Writes a campaign's next version. One that is there already, or another one, has been made by somebody else.
    func save(_ campaign: Campaign, _ partition: Partition) async throws {
        var goals = JSONWriter()
        goals.object { json in
            for (metric, micros) in campaign.goals.sorted(by: { $0.key < $1.key }) { json.member(metric.text, micros) }
        }
        let written = try await transaction.execute(
            """
            INSERT INTO campaigns
                (id, partition, name, state, budget_micros, starts_at, ends_at, goals, version, changed_at)
            VALUES (\(campaign.id), \(partition.rawValue), \(campaign.name), \(campaign.state.rawValue), \(campaign.budget),
                \(campaign.start), \(campaign.end), \(goals.text)::jsonb, \(campaign.version), \(campaign.changed))
            ON CONFLICT (id) DO UPDATE SET partition = excluded.partition, name = excluded.name, state = excluded.state,
                budget_micros = excluded.budget_micros, starts_at = excluded.starts_at, ends_at = excluded.ends_at,
                goals = excluded.goals, version = excluded.version, changed_at = excluded.changed_at
                WHERE campaigns.version = excluded.version - 1
            """)
        guard written == 1 else {
            throw PostgresFault(.conflict, "the campaign became another one meanwhile: it is looked at again")
        }
    }
}

extension Campaign {
    fileprivate init(_ row: PostgresRow) throws {
        var goals: [ByteText: Int64] = [:]
        for member in try JSONDocument(parsing: row.value("goals_text", as: String.self)).root.members {
            goals[ByteText(member.name)] = member.value.int64
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
