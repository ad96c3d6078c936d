internal import Postgres

// The runtime's own tables in a handler's schema, beside the handler's.
//
// flotilla_positions: how far each partition has been applied, and under which generation. Whoever gets a partition
//   raises its generation, and every transaction begins with `flotilla_hold`, which locks the row and lets nobody pass
//   whose generation is not the last. So a worker that was thought dead and wakes up again changes nothing, and two
//   transactions of one partition never run side by side.
// flotilla_outbox: outputs that are committed and not yet known to be published, in the order of their transactions.
// flotilla_replayed: replayed records that were applied, by where they were first. A replay may come in any order, so no
//   position can tell.
extension Migration {
    static let flotilla = [
        Migration(
            "1 positions, outbox, replayed",
            """
            CREATE TABLE flotilla_positions (
                topic text NOT NULL,
                partition int NOT NULL,
                -- The offset that is applied next.
                next_offset bigint NOT NULL DEFAULT 0,
                generation bigint NOT NULL DEFAULT 1,
                worker text NOT NULL,
                changed_at timestamptz NOT NULL DEFAULT now(),
                PRIMARY KEY (topic, partition)
            );
            CREATE TABLE flotilla_outbox (
                topic text NOT NULL,
                partition int NOT NULL,
                seq bigint GENERATED ALWAYS AS IDENTITY,
                records bytea NOT NULL,
                made_at timestamptz NOT NULL DEFAULT now(),
                PRIMARY KEY (topic, partition, seq)
            );
            CREATE TABLE flotilla_replayed (
                topic text NOT NULL,
                partition int NOT NULL,
                src_offset bigint NOT NULL,
                applied_at timestamptz NOT NULL DEFAULT now(),
                PRIMARY KEY (topic, partition, src_offset)
            );
            CREATE FUNCTION flotilla_hold(place_topic text, place_partition int, mine bigint, expected bigint)
            RETURNS void LANGUAGE plpgsql AS $$
            DECLARE held flotilla_positions;
            BEGIN
                SELECT * INTO held FROM flotilla_positions
                    WHERE topic = place_topic AND partition = place_partition FOR UPDATE;
                IF NOT FOUND OR held.generation <> mine OR held.next_offset <> expected THEN
                    RAISE EXCEPTION 'the partition was taken over: generation % at offset %, not % at %',
                        held.generation, held.next_offset, mine, expected USING ERRCODE = 'FL001';
                END IF;
            END $$;
            """)
    ]
}
