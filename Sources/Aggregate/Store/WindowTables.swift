internal import Postgres

// Windows are rows that are merged into, and told when they have ended: `changed` says that there is something to tell,
// `revision` how often it was told. Who may write a row is who has locked the row of its partition in `partitions`.
//
// Windows of a minute lie in tables of a day, those of an hour in tables of a month, those of a day in tables of a year,
// so that what is too old goes as a whole table, which costs nothing. What no table is made for (a point of 1970, or of
// next year) lies in `windows_…_rest`, and moves when its table is made. Tables are made and dropped by `windows_keep`.
extension Migration {
    static let windows = [whole, byTime, keeping]

    private static let whole = Migration(
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
    private static let byTime = Migration(
        "2 windows by time, journal",
        """
        DROP VIEW series;
        ALTER TABLE windows RENAME TO windows_before;
        -- Text is compared by bytes, as the handler does, whatever language the database has.
        CREATE TABLE windows (
            campaign text COLLATE "C" NOT NULL,
            metric text COLLATE "C" NOT NULL,
            step text COLLATE "C" NOT NULL CHECK (step IN ('1m', '1h', '1d')),
            window_start timestamptz NOT NULL,
            -- One dimension and its value; empty for the series over everything.
            dimension text COLLATE "C" NOT NULL DEFAULT '',
            value text COLLATE "C" NOT NULL DEFAULT '',
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
            CONSTRAINT windows_key PRIMARY KEY (campaign, metric, step, window_start, dimension, value)
        ) PARTITION BY LIST (step);
        -- Hashes do not shrink, so trying costs and brings nothing.
        ALTER TABLE windows ALTER unique_sketch SET STORAGE EXTERNAL, ALTER quantile_sketch SET STORAGE EXTERNAL;
        CREATE INDEX windows_due ON windows (partition, window_end) WHERE changed;
        -- Not over all windows: without statistics the planner would look for single windows there.
        CREATE INDEX windows_whole ON windows (metric, window_start) WHERE dimension = '';
        CREATE TABLE windows_1m PARTITION OF windows FOR VALUES IN ('1m') PARTITION BY RANGE (window_start);
        CREATE TABLE windows_1h PARTITION OF windows FOR VALUES IN ('1h') PARTITION BY RANGE (window_start);
        CREATE TABLE windows_1d PARTITION OF windows FOR VALUES IN ('1d') PARTITION BY RANGE (window_start);
        CREATE TABLE windows_1m_rest PARTITION OF windows_1m DEFAULT WITH (fillfactor = 60);
        CREATE TABLE windows_1h_rest PARTITION OF windows_1h DEFAULT WITH (fillfactor = 60);
        CREATE TABLE windows_1d_rest PARTITION OF windows_1d DEFAULT WITH (fillfactor = 60);
        INSERT INTO windows SELECT * FROM windows_before;
        DROP TABLE windows_before;

        -- Another name than before, so that a build that knows nothing of the journal stops here.
        CREATE TABLE partitions (
            partition int PRIMARY KEY,
            -- All windows that end here or before are closed.
            closed_to timestamptz,
            -- When the partition last brought something.
            seen_at timestamptz NOT NULL,
            -- A new random number with each transaction that counts something: who remembers the last one has missed none.
            stamp bigint NOT NULL,
            -- Pieces of the journal up to here are in the windows; those behind, up to `last`, are not yet.
            folded bigint NOT NULL DEFAULT 0,
            last bigint NOT NULL DEFAULT 0
        ) WITH (fillfactor = 20);
        INSERT INTO partitions (partition, closed_to, seen_at, stamp) SELECT partition, closed_to, seen_at, 0 FROM watermarks;
        DROP TABLE watermarks;
        -- A ring of places for each partition. A piece shares its page with nobody, so that the next one at its place is
        -- written within the page, and the one before it is cleaned up there.
        CREATE TABLE journal (
            partition int NOT NULL,
            place int NOT NULL,
            piece bigint NOT NULL,
            -- How many further pieces the entry has.
            more bigint NOT NULL,
            body bytea NOT NULL,
            PRIMARY KEY (partition, place)
        ) WITH (fillfactor = 35);
        ALTER TABLE journal ALTER body SET STORAGE PLAIN;

        -- Makes the tables for the windows of this time and of those to come, and drops those whose windows all ended before
        -- `keep_from` (null: none), unless it made some; what it did, in words. One at a time: whoever finds another at it
        -- does nothing. It waits 200 ms for others to let go of a table, and leaves it for the next time otherwise.
        CREATE FUNCTION windows_keep(of_step text, at timestamptz, keep_from timestamptz) RETURNS text
        LANGUAGE plpgsql AS $$
        DECLARE
            unit text := CASE of_step WHEN '1m' THEN 'day' WHEN '1h' THEN 'month' ELSE 'year' END;
            whole text := 'windows_' || of_step;
            rest text := whole || '_rest';
            -- A day more than asked for: clocks of two workers differ.
            drop_to timestamptz := keep_from - interval '1 day';
            name text;
            low timestamptz;
            high timestamptz;
            gone bigint;
            did text := '';
            patience text := current_setting('lock_timeout');
        BEGIN
            IF NOT pg_try_advisory_xact_lock(hashtextextended('flotilla windows ' || current_schema(), 0)) THEN
                RETURN '';
            END IF;
            PERFORM set_config('lock_timeout', '200ms', true);
            FOR n IN -1..2 LOOP
                low := (date_trunc(unit, at AT TIME ZONE 'UTC') + n * ('1 ' || unit)::interval) AT TIME ZONE 'UTC';
                high := (low AT TIME ZONE 'UTC' + ('1 ' || unit)::interval) AT TIME ZONE 'UTC';
                name := whole || '_' || to_char(low AT TIME ZONE 'UTC', 'YYYYMMDD');
                CONTINUE WHEN to_regclass(quote_ident(name)) IS NOT NULL OR high <= drop_to;
                -- Nobody puts anything there from here on, so what belongs into the new table can be moved.
                EXECUTE format('LOCK TABLE %I IN ACCESS EXCLUSIVE MODE', rest);
                EXECUTE format(
                    'CREATE TABLE %I (LIKE %I INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING STORAGE)
                     WITH (fillfactor = 60)', name, whole);
                EXECUTE format(
                    'WITH moved AS (DELETE FROM %I WHERE window_start >= $1 AND window_start < $2 RETURNING *)
                     INSERT INTO %I SELECT * FROM moved', rest, name) USING low, high;
                EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', whole, name, low, high);
                did := did || ' made ' || name;
            END LOOP;
            -- Never two strong locks in one transaction, so that whoever writes windows cannot be in the way of the second.
            IF did = '' AND keep_from IS NOT NULL THEN
                FOR name IN
                    SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
                    WHERE i.inhparent = to_regclass(quote_ident(whole)) AND c.relname ~ '_[0-9]{8}$' ORDER BY 1
                LOOP
                    low := to_timestamp(right(name, 8), 'YYYYMMDD')::timestamp AT TIME ZONE 'UTC';
                    high := (low AT TIME ZONE 'UTC' + ('1 ' || unit)::interval) AT TIME ZONE 'UTC';
                    IF high <= drop_to THEN
                        EXECUTE format('DROP TABLE %I', name);
                        did := did || ' dropped ' || name;
                    END IF;
                END LOOP;
                EXECUTE format('DELETE FROM %I WHERE window_end <= $1', rest) USING drop_to;
                GET DIAGNOSTICS gone = ROW_COUNT;
                IF gone > 0 THEN did := did || ' deleted ' || gone || ' windows of ' || rest; END IF;
            END IF;
            PERFORM set_config('lock_timeout', patience, true);
            RETURN ltrim(did);
        EXCEPTION WHEN lock_not_available OR deadlock_detected OR check_violation THEN
            RETURN 'nothing, because others use the tables: ' || SQLERRM;
        END $$;

        SELECT windows_keep(step, now(), NULL) FROM unnest(ARRAY['1m', '1h', '1d']) AS k (step);
        -- For analysts: what windows hold, in plain numbers. `is_told`: it has ended and was told as it is here.
        CREATE VIEW series AS
            SELECT campaign, metric, step, window_start, window_end, dimension, value, count,
                trim_scale(sum_micros / 1000000) AS sum, uniques, trim_scale(p50_micros::numeric / 1000000) AS p50,
                trim_scale(p95_micros::numeric / 1000000) AS p95, trim_scale(p99_micros::numeric / 1000000) AS p99, revision,
                revision > 0 AND NOT changed AS is_told
            FROM windows;
        """)
}
