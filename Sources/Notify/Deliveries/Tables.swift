internal import Postgres

// alarms: what rules remember, a row for each rule, campaign and value of a dimension. Two partitions may meet in one (an
//   event's campaign does not decide where it lies), so rows are locked in the order of their keys.
// deliveries: what is to be sent, and what became of it. `due_at` is when to try next, and while somebody tries, when to
//   take it for lost: so whoever dies in the middle leaves it to the next, under the same id. `attempts` is the fence:
//   the end of a try counts only while no other has begun.
// endpoints: how each channel fares, for all workers together.
extension Migration {
    static let notifications = [tables, traces]

    /// The trace that a delivery belongs to: W3C's `traceparent`.
    private static let traces = Migration("2 traces", "ALTER TABLE deliveries ADD COLUMN trace_parent text")

    private static let tables = Migration(
        "1 alarms, deliveries, endpoints",
        """
        CREATE TABLE alarms (
            rule text NOT NULL,
            campaign text NOT NULL,
            value text NOT NULL,
            -- Of what the rule said: another text begins anew.
            digest text NOT NULL,
            phase text NOT NULL,
            state text NOT NULL,
            partition int NOT NULL,
            -- When the next window is missed, if that matters.
            due_at timestamptz,
            heard_at timestamptz NOT NULL,
            PRIMARY KEY (rule, campaign, value)
        );
        CREATE INDEX alarms_due ON alarms (partition, due_at) WHERE due_at IS NOT NULL;
        CREATE INDEX alarms_heard ON alarms (heard_at);
        CREATE TABLE endpoints (
            channel text PRIMARY KEY,
            target text NOT NULL,
            tokens double precision NOT NULL,
            counted_at bigint NOT NULL,
            failures int NOT NULL DEFAULT 0,
            blocked_until bigint NOT NULL DEFAULT 0,
            -- It said that it is gone; a new address in the rules makes it another one.
            disabled_at timestamptz
        );
        CREATE TABLE deliveries (
            id uuid PRIMARY KEY,
            rule text NOT NULL,
            channel text NOT NULL,
            kind text NOT NULL,
            campaign text,
            recipient text NOT NULL,
            subject text NOT NULL,
            body text NOT NULL,
            made_at timestamptz NOT NULL DEFAULT now(),
            expires_at timestamptz NOT NULL,
            due_at timestamptz NOT NULL DEFAULT now(),
            attempts int NOT NULL DEFAULT 0,
            worker text,
            -- What the last try said.
            status int,
            reason text,
            outcome text CHECK (outcome IN ('sent', 'failed', 'expired')),
            ended_at timestamptz,
            told_at timestamptz,
            -- What it follows from; none where it is that nothing came.
            event_source text,
            event_id text
        );
        CREATE INDEX deliveries_of_event ON deliveries (event_id) WHERE event_id IS NOT NULL;
        CREATE INDEX deliveries_due ON deliveries (channel, due_at) WHERE ended_at IS NULL;
        CREATE INDEX deliveries_expiring ON deliveries (expires_at) WHERE ended_at IS NULL;
        CREATE INDEX deliveries_to_tell ON deliveries (ended_at) WHERE ended_at IS NOT NULL AND told_at IS NULL;
        CREATE INDEX deliveries_told ON deliveries (told_at) WHERE told_at IS NOT NULL;
        """)
}
