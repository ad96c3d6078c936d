internal import Postgres

// Windows are rows that are merged into, and told when they have ended: `changed` says that there is something to tell,
// `revision` how often it was told. Who may write a row is who owns the partition that its campaign's points come by.
extension Migration {
    static let windows = Migration(
        "1 windows",
        """
        CREATE TABLE windows (
            campaign text NOT NULL,
            metric text NOT NULL,
            step text NOT NULL CHECK (step IN ('1m', '1h', '1d')),
            window_start timestamptz NOT NULL,
            -- One dimension and its value; empty for the series over everything.
            dimension text NOT NULL DEFAULT '',
            value text NOT NULL DEFAULT '',
            window_end timestamptz NOT NULL,
            partition int NOT NULL,
            count bigint NOT NULL,
            sum_micros numeric(38, 0) NOT NULL,
            -- What the sketches say, for whoever asks in SQL.
            uniques bigint NOT NULL,
            p50_micros bigint,
            p95_micros bigint,
            p99_micros bigint,
            unique_sketch bytea NOT NULL,
            quantile_sketch bytea NOT NULL,
            changed boolean NOT NULL DEFAULT true,
            revision int NOT NULL DEFAULT 0,
            PRIMARY KEY (campaign, metric, step, window_start, dimension, value)
        );
        CREATE INDEX windows_to_tell ON windows (partition, window_end) WHERE changed;
        CREATE INDEX windows_by_time ON windows (metric, step, window_start);
        CREATE TABLE watermarks (
            partition int PRIMARY KEY,
            -- All windows that end here or before are closed.
            closed_to timestamptz,
            -- When the partition last brought something.
            seen_at timestamptz NOT NULL
        );
        CREATE TABLE dimension_guards (campaign text PRIMARY KEY, guard bytea NOT NULL);
        -- For analysts: what windows hold, in plain numbers.
        CREATE VIEW series AS
            SELECT campaign, metric, step, window_start, window_end, dimension, value, count, sum_micros / 1e6 AS sum, uniques,
                p50_micros / 1e6 AS p50, p95_micros / 1e6 AS p95, p99_micros / 1e6 AS p99, revision
            FROM windows;
        """)
}
