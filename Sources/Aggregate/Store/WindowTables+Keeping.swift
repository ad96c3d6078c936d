internal import Postgres

// `windows_keep` as it is now: of what lies in no table of its own a piece goes at a time, not all at once.
extension Migration {
    static let keeping = Migration(
        "3 windows kept in pieces",
        """
        -- Makes the tables for the windows of this time and of those to come, and drops those whose windows all ended before
        -- `keep_from` (null: none), unless it made some; what it did, in words. One at a time: whoever finds another at it
        -- does nothing. It waits 200 ms for others to let go of a table, and leaves it for the next time otherwise.
        CREATE OR REPLACE FUNCTION windows_keep(of_step text, at timestamptz, keep_from timestamptz) RETURNS text
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
                -- A piece at a time: whoever calls comes again while there is more.
                EXECUTE format(
                    'DELETE FROM %I WHERE ctid = ANY(ARRAY(SELECT ctid FROM %I WHERE window_end <= $1 LIMIT 10000))',
                    rest, rest) USING drop_to;
                GET DIAGNOSTICS gone = ROW_COUNT;
                IF gone > 0 THEN did := did || ' deleted ' || gone || ' windows of ' || rest; END IF;
            END IF;
            PERFORM set_config('lock_timeout', patience, true);
            RETURN ltrim(did);
        EXCEPTION WHEN lock_not_available OR deadlock_detected OR check_violation THEN
            RETURN 'nothing, because others use the tables: ' || SQLERRM;
        END $$;
        """)
}
