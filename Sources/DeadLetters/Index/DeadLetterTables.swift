package import Postgres

/// The tables of the index.
///
/// - entries: one row a dead letter, by its name; a later round writes over where the copy lies and what it died of.
/// - positions: for each partition that is followed, how far, and which record was the last. They move in the transaction that writes entries, and only
///   from where it thought they were, so that nothing is counted twice and nothing is left out, whoever follows.
/// - leases: who follows and replays. Others stand by.
/// - tallies, hourly, groups, trend: what a list of a million would have to be read for. Triggers keep them, a statement at a
///   time, so that they are right whoever changes entries, and by the same transaction.
/// - jobs, items: replays, and what each is to replay, in which order; what became of each.
/// - ranges: what rewinds read again. Their items are made when their turn comes.
/// - audit: who changed what.
package enum DeadLetterTables {
    package static let migrations = [
        Migration(
            "1 entries, positions, counters",
            """
            CREATE TABLE entries (
                id uuid PRIMARY KEY,
                topic text NOT NULL, handler text NOT NULL,
                partition int NOT NULL, dlq_offset bigint NOT NULL,
                src_partition int NOT NULL, src_offset bigint NOT NULL, src_timestamp bigint,
                reason text NOT NULL, fingerprint text NOT NULL,
                error_type text NOT NULL, error_message text NOT NULL, stage text NOT NULL,
                ce_type text NOT NULL, event_id text NOT NULL, event_source text NOT NULL, key text,
                attempts int NOT NULL, first_failed timestamptz NOT NULL, at timestamptz NOT NULL,
                copied_at timestamptz NOT NULL, copy_replays bigint NOT NULL, is_shed boolean NOT NULL,
                replays bigint NOT NULL, state text NOT NULL, state_at timestamptz NOT NULL DEFAULT now(),
                job text, note text NOT NULL DEFAULT '',
                CHECK (state IN ('open', 'replaying', 'replayed', 'resolved', 'discarded', 'expired')));
            CREATE INDEX entries_by_time ON entries (at, id);
            CREATE INDEX entries_by_state ON entries (state, at, id);
            CREATE INDEX entries_by_fingerprint ON entries (fingerprint, at, id);
            CREATE INDEX entries_by_handler ON entries (handler, at, id);
            CREATE INDEX entries_by_topic ON entries (topic, at, id);
            CREATE INDEX entries_by_type ON entries (ce_type, at, id);
            CREATE INDEX entries_by_reason ON entries (reason, at, id);
            CREATE INDEX entries_by_key ON entries (key, at, id);
            CREATE INDEX entries_by_place ON entries (topic, handler, partition, dlq_offset) WHERE state = 'open';
            CREATE INDEX entries_by_copy ON entries (topic, handler, copied_at) WHERE state = 'open';
            CREATE INDEX entries_that_ended ON entries (state_at) WHERE state IN ('resolved', 'discarded', 'expired');

            CREATE TABLE positions (
                topic text NOT NULL, partition int NOT NULL, next_offset bigint NOT NULL,
                PRIMARY KEY (topic, partition));
            CREATE TABLE leases (
                name text PRIMARY KEY, holder text NOT NULL, generation bigint NOT NULL, until timestamptz NOT NULL);
            CREATE TABLE retentions (
                topic text NOT NULL, handler text NOT NULL, milliseconds bigint NOT NULL, PRIMARY KEY (topic, handler));

            CREATE TABLE tallies (
                fingerprint text NOT NULL, state text NOT NULL, topic text NOT NULL, handler text NOT NULL,
                reason text NOT NULL, ce_type text NOT NULL, count bigint NOT NULL,
                PRIMARY KEY (fingerprint, state, topic, handler, reason, ce_type)) WITH (fillfactor = 70);
            CREATE TABLE groups (
                fingerprint text PRIMARY KEY, handler text NOT NULL, error_type text NOT NULL, error_message text NOT NULL,
                first_at timestamptz NOT NULL, last_at timestamptz NOT NULL, sample uuid NOT NULL)
                WITH (fillfactor = 70);
            CREATE TABLE trend (
                fingerprint text NOT NULL, hour timestamptz NOT NULL, count bigint NOT NULL,
                PRIMARY KEY (fingerprint, hour)) WITH (fillfactor = 70);

            CREATE FUNCTION tell_groups(came uuid[]) RETURNS void LANGUAGE sql SET search_path FROM CURRENT AS $$
                INSERT INTO groups
                SELECT DISTINCT ON (fingerprint) fingerprint, handler, error_type, error_message,
                    min(at) OVER (PARTITION BY fingerprint), at, id
                FROM entries WHERE id = ANY(came) ORDER BY fingerprint, at DESC, id
                ON CONFLICT (fingerprint) DO UPDATE SET
                    first_at = least(groups.first_at, excluded.first_at),
                    last_at = greatest(groups.last_at, excluded.last_at),
                    sample = CASE WHEN excluded.last_at >= groups.last_at THEN excluded.sample ELSE groups.sample END;
                INSERT INTO trend
                SELECT fingerprint, date_trunc('hour', at, 'UTC'), count(*) FROM entries WHERE id = ANY(came)
                GROUP BY 1, 2 ORDER BY 1, 2
                ON CONFLICT (fingerprint, hour) DO UPDATE SET count = trend.count + excluded.count;
            $$;

            CREATE FUNCTION entries_came() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
            BEGIN
                INSERT INTO tallies
                SELECT fingerprint, state, topic, handler, reason, ce_type, count(*) FROM new_rows
                GROUP BY 1, 2, 3, 4, 5, 6 ORDER BY 1, 2, 3, 4, 5, 6
                ON CONFLICT (fingerprint, state, topic, handler, reason, ce_type)
                    DO UPDATE SET count = tallies.count + excluded.count;
                PERFORM tell_groups((SELECT array_agg(id) FROM new_rows));
                RETURN NULL;
            END $$;
            CREATE FUNCTION entries_changed() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
            DECLARE came uuid[];
            BEGIN
                INSERT INTO tallies
                SELECT fingerprint, state, topic, handler, reason, ce_type, sum(n) FROM (
                    SELECT fingerprint, state, topic, handler, reason, ce_type, 1 AS n FROM new_rows
                    UNION ALL SELECT fingerprint, state, topic, handler, reason, ce_type, -1 FROM old_rows) changes
                GROUP BY 1, 2, 3, 4, 5, 6 HAVING sum(n) <> 0 ORDER BY 1, 2, 3, 4, 5, 6
                ON CONFLICT (fingerprint, state, topic, handler, reason, ce_type)
                    DO UPDATE SET count = tallies.count + excluded.count;
                SELECT array_agg(n.id) INTO came FROM new_rows n JOIN old_rows o USING (id) WHERE n.at > o.at;
                IF came IS NOT NULL THEN PERFORM tell_groups(came); END IF;
                RETURN NULL;
            END $$;
            CREATE FUNCTION entries_went() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
            BEGIN
                INSERT INTO tallies
                SELECT fingerprint, state, topic, handler, reason, ce_type, -count(*) FROM old_rows
                GROUP BY 1, 2, 3, 4, 5, 6 ORDER BY 1, 2, 3, 4, 5, 6
                ON CONFLICT (fingerprint, state, topic, handler, reason, ce_type)
                    DO UPDATE SET count = tallies.count + excluded.count;
                RETURN NULL;
            END $$;
            CREATE TRIGGER entries_came AFTER INSERT ON entries REFERENCING NEW TABLE AS new_rows
                FOR EACH STATEMENT EXECUTE FUNCTION entries_came();
            CREATE TRIGGER entries_changed AFTER UPDATE ON entries
                REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
                FOR EACH STATEMENT EXECUTE FUNCTION entries_changed();
            CREATE TRIGGER entries_went AFTER DELETE ON entries REFERENCING OLD TABLE AS old_rows
                FOR EACH STATEMENT EXECUTE FUNCTION entries_went();
            """),
        Migration(
            "2 jobs, audit",
            """
            CREATE TABLE jobs (
                id text PRIMARY KEY, made_at timestamptz NOT NULL DEFAULT now(), made_by text NOT NULL,
                filter text NOT NULL, to_source boolean NOT NULL, rate int NOT NULL, canary int NOT NULL,
                state text NOT NULL, reason text NOT NULL DEFAULT '', total bigint NOT NULL,
                published bigint NOT NULL DEFAULT 0, resolved bigint NOT NULL DEFAULT 0,
                failed bigint NOT NULL DEFAULT 0, skipped bigint NOT NULL DEFAULT 0,
                canary_passed boolean NOT NULL DEFAULT false, judged_from timestamptz,
                changed_at timestamptz NOT NULL DEFAULT now(), ended_at timestamptz,
                CHECK (state IN ('waiting', 'running', 'canary', 'finishing', 'paused', 'stopped', 'cancelled', 'done')));
            CREATE INDEX jobs_under_way ON jobs (made_at) WHERE state IN ('waiting', 'running', 'canary', 'finishing');
            CREATE TABLE items (
                job text NOT NULL REFERENCES jobs ON DELETE CASCADE, number bigint NOT NULL, entry uuid NOT NULL,
                replays bigint NOT NULL, sent_at timestamptz, published_at timestamptz, outcome text, outcome_at timestamptz,
                PRIMARY KEY (job, number));
            CREATE UNIQUE INDEX items_by_entry ON items (entry, job);
            CREATE INDEX items_by_outcome ON items (job, outcome_at) WHERE outcome_at IS NOT NULL;
            CREATE INDEX items_waiting ON items (job, number) WHERE sent_at IS NULL AND outcome IS NULL;
            CREATE INDEX items_under_way ON items (job, number)
                WHERE sent_at IS NOT NULL AND published_at IS NULL AND outcome IS NULL;
            CREATE TABLE audit (
                id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, at timestamptz NOT NULL DEFAULT now(),
                who text NOT NULL, verb text NOT NULL, filter text NOT NULL, count bigint NOT NULL, job text,
                result text NOT NULL);
            """),
        Migration(
            "3 rewinds, and where the log ended before an item was sent",
            """
            ALTER TABLE jobs ADD COLUMN is_rewind boolean NOT NULL DEFAULT false;
            -- What a rewind reads again, partition by partition: from next_offset on, which moves. An item's number is its
            -- offset and the shift.
            CREATE TABLE ranges (
                job text NOT NULL REFERENCES jobs ON DELETE CASCADE, topic text NOT NULL, handler text NOT NULL,
                partition int NOT NULL, next_offset bigint NOT NULL, until_offset bigint NOT NULL, shift bigint NOT NULL,
                round bigint NOT NULL, PRIMARY KEY (job, topic, partition));
            CREATE INDEX ranges_by_round ON ranges (handler, round);
            -- An item of a rewind says itself where it lies.
            ALTER TABLE items ADD COLUMN topic text, ADD COLUMN handler text, ADD COLUMN partition int,
                ADD COLUMN record_offset bigint, ADD COLUMN sent_from bigint;
            UPDATE items SET sent_from = 0 WHERE sent_at IS NOT NULL AND published_at IS NULL;
            """),
        Migration(
            "4 tallies by the hour",
            """
            CREATE TABLE hourly (
                hour timestamptz NOT NULL, fingerprint text NOT NULL, state text NOT NULL, topic text NOT NULL,
                handler text NOT NULL, reason text NOT NULL, ce_type text NOT NULL, count bigint NOT NULL,
                PRIMARY KEY (hour, fingerprint, state, topic, handler, reason, ce_type)) WITH (fillfactor = 70);
            INSERT INTO hourly
            SELECT date_trunc('hour', at, 'UTC'), fingerprint, state, topic, handler, reason, ce_type, count(*) FROM entries
            GROUP BY 1, 2, 3, 4, 5, 6, 7;

            CREATE FUNCTION hours_came() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
            BEGIN
                INSERT INTO hourly
                SELECT date_trunc('hour', at, 'UTC'), fingerprint, state, topic, handler, reason, ce_type, count(*)
                FROM new_rows GROUP BY 1, 2, 3, 4, 5, 6, 7 ORDER BY 1, 2, 3, 4, 5, 6, 7
                ON CONFLICT (hour, fingerprint, state, topic, handler, reason, ce_type)
                    DO UPDATE SET count = hourly.count + excluded.count;
                RETURN NULL;
            END $$;
            CREATE FUNCTION hours_changed() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
            BEGIN
                INSERT INTO hourly
                SELECT hour, fingerprint, state, topic, handler, reason, ce_type, sum(n) FROM (
                    SELECT date_trunc('hour', at, 'UTC') AS hour, fingerprint, state, topic, handler, reason, ce_type, 1 AS n
                    FROM new_rows
                    UNION ALL
                    SELECT date_trunc('hour', at, 'UTC'), fingerprint, state, topic, handler, reason, ce_type, -1
                    FROM old_rows) changes
                GROUP BY 1, 2, 3, 4, 5, 6, 7 HAVING sum(n) <> 0 ORDER BY 1, 2, 3, 4, 5, 6, 7
                ON CONFLICT (hour, fingerprint, state, topic, handler, reason, ce_type)
                    DO UPDATE SET count = hourly.count + excluded.count;
                RETURN NULL;
            END $$;
            CREATE FUNCTION hours_went() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
            BEGIN
                INSERT INTO hourly
                SELECT date_trunc('hour', at, 'UTC'), fingerprint, state, topic, handler, reason, ce_type, -count(*)
                FROM old_rows GROUP BY 1, 2, 3, 4, 5, 6, 7 ORDER BY 1, 2, 3, 4, 5, 6, 7
                ON CONFLICT (hour, fingerprint, state, topic, handler, reason, ce_type)
                    DO UPDATE SET count = hourly.count + excluded.count;
                RETURN NULL;
            END $$;
            CREATE TRIGGER hours_came AFTER INSERT ON entries REFERENCING NEW TABLE AS new_rows
                FOR EACH STATEMENT EXECUTE FUNCTION hours_came();
            CREATE TRIGGER hours_changed AFTER UPDATE ON entries
                REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
                FOR EACH STATEMENT EXECUTE FUNCTION hours_changed();
            CREATE TRIGGER hours_went AFTER DELETE ON entries REFERENCING OLD TABLE AS old_rows
                FOR EACH STATEMENT EXECUTE FUNCTION hours_went();
            """),
        Migration(
            "5 letters that do not say where they were first",
            """
            -- Of which topic src_partition and src_offset are; empty for the source of the family.
            ALTER TABLE entries ADD COLUMN src_topic text NOT NULL DEFAULT '';
            -- They were known by names that nothing else could find out.
            UPDATE entries SET src_topic = topic || '.' || handler || '.dlq', src_partition = partition,
                src_offset = dlq_offset WHERE src_offset < 0;
            """),
        Migration(
            "6 ends that nobody tells, and what replays have chosen is watched",
            """
            -- Where an item is in its replay topic: when that has let go of it, nobody reads it any more.
            ALTER TABLE items ADD COLUMN published_offset bigint;
            -- A rewind's item is a dead letter whose copy is gone, and not a repeat.
            ALTER TABLE items ADD COLUMN died boolean NOT NULL DEFAULT false;
            ALTER TABLE jobs ADD COLUMN repeats bigint NOT NULL DEFAULT 0;
            UPDATE jobs j SET repeats = n FROM (
                SELECT job, count(*) AS n FROM items WHERE outcome = 'repeat' GROUP BY job) r WHERE r.job = j.id;
            CREATE INDEX items_in_trouble ON items (job, outcome) WHERE outcome NOT IN ('done', 'repeat');
            CREATE INDEX items_told ON items (job) WHERE sent_at IS NOT NULL AND published_at IS NULL
                AND outcome IS NOT NULL AND outcome NOT LIKE 'skipped:%';
            CREATE INDEX items_untold ON items (published_offset) WHERE published_offset IS NOT NULL AND outcome IS NULL;
            DROP INDEX entries_by_place, entries_by_copy;
            CREATE INDEX entries_by_place ON entries (topic, handler, partition, dlq_offset)
                WHERE state IN ('open', 'replaying');
            CREATE INDEX entries_by_copy ON entries (topic, handler, copied_at) WHERE state IN ('open', 'replaying');
            CREATE INDEX entries_replayed ON entries (state_at) WHERE state = 'replayed';
            """),
        Migration(
            "7 what was read last, and where lies what went to its source",
            """
            -- Where an item that went to its source lies there: while its handler has not come to it, it is not given up.
            ALTER TABLE items ADD COLUMN source_offset bigint;
            -- Which dead letter the record before next_offset was, and when it was written: a topic that was made anew has
            -- another one there.
            ALTER TABLE positions ADD COLUMN last_id uuid, ADD COLUMN last_at timestamptz;
            UPDATE positions p SET last_id = e.id, last_at = e.copied_at FROM entries e
            WHERE e.partition = p.partition AND e.dlq_offset = p.next_offset - 1 AND e.src_topic = ''
                AND right('.' || p.topic, length(e.topic) + length(e.handler) + 6) = '.' || e.topic || '.' || e.handler || '.dlq';
            """),
    ]
}
