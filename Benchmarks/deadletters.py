"""How long `flotilla dlq` takes to answer from an index of a million dead letters, each with the start of the process."""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ENTRIES = int(os.environ.get("BENCH_LETTERS", "1000000"))
CHUNK = 50_000

# Written without the triggers, which are not what is measured here, and counted as they would have.
FILL = """
SET search_path = deadletters;
SET session_replication_role = replica;
INSERT INTO entries (id, topic, handler, partition, dlq_offset, src_partition, src_offset, reason, fingerprint, error_type,
    error_message, stage, ce_type, event_id, event_source, key, attempts, first_failed, at, copied_at, copy_replays, is_shed,
    replays, state)
SELECT gen_random_uuid(), 'topic' || n % 4, 'handler' || n % 8, n % 6, n / 6, n % 6, n / 6,
    (ARRAY['permanent', 'exhausted', 'timeout'])[1 + n % 3], md5((n % 200)::text), 'Refusal', 'what went wrong with ' || n, 'handle',
    'type' || n % 16, 'event-' || n, '/shop', 'key-' || n % 50000, 3, t, t, t, 0, false, 0,
    CASE WHEN n % 5 = 0 THEN 'resolved' ELSE 'open' END
FROM (SELECT n, now() - (1000000 - n) * interval '0.6 second' AS t FROM generate_series({first}, {last}) n) s;
"""

COUNT = """
SET search_path = deadletters;
INSERT INTO tallies SELECT fingerprint, state, topic, handler, reason, ce_type, count(*) FROM entries GROUP BY 1, 2, 3, 4, 5, 6;
INSERT INTO hourly SELECT date_trunc('hour', at, 'UTC'), fingerprint, state, topic, handler, reason, ce_type, count(*)
FROM entries GROUP BY 1, 2, 3, 4, 5, 6, 7;
INSERT INTO groups SELECT fingerprint, min(handler), min(error_type), min(error_message), min(at), max(at), (array_agg(id))[1]
FROM entries GROUP BY 1;
INSERT INTO trend SELECT fingerprint, date_trunc('hour', at, 'UTC'), count(*) FROM entries GROUP BY 1, 2;
ANALYZE;
"""

CASES: dict[str, list[str]] = {
    "(a process that starts and ends)": ["--version"],
    "dlq list": ["dlq", "list"],
    "dlq list, the last page": ["dlq", "list", "--after", "{oldest}"],
    "dlq list --state open --handler handler3": ["dlq", "list", "--state", "open", "--handler", "handler3"],
    "dlq list --key key-77": ["dlq", "list", "--key", "key-77"],
    "dlq list --fingerprint … --type type3": ["dlq", "list", "--fingerprint", "{fingerprint}", "--type", "type3"],
    "dlq groups": ["dlq", "groups"],
    "dlq groups --handler handler3": ["dlq", "groups", "--handler", "handler3"],
    "dlq groups --since 12h": ["dlq", "groups", "--since", "12h"],
    "dlq groups --since 72h --type type3": ["dlq", "groups", "--since", "72h", "--type", "type3"],
    "dlq show, of which the body is gone": ["dlq", "show", "{id}"],
}


def deadletters() -> None:
    sys.path.insert(0, str(ROOT / "Tests/Live/deadletters"))
    os.environ.setdefault("FLOTILLA_BIN", str(ROOT / ".build/release/flotilla"))
    from site_of_letters import Site, until  # noqa: PLC0415

    with tempfile.TemporaryDirectory(prefix="flotilla-bench-") as folder:
        # Root's Postgres runs as another user, who has to get there.
        Path(folder).chmod(0o711)
        site = Site(Path(folder) / "site")
        try:
            site.follow()
            until(lambda: site.run("dlq", "groups").stderr == "", "the tables")
            site.parts["deadletters"].end()
            began = time.monotonic()
            for first in range(0, ENTRIES, CHUNK):
                site.psql(FILL.format(first=first, last=min(ENTRIES, first + CHUNK) - 1))
            took = time.monotonic() - began
            site.psql(COUNT)
            oldest = site.psql(
                "SELECT (extract(epoch FROM date_trunc('milliseconds', at)) * 1000)::bigint || '.' || id "
                "FROM deadletters.entries ORDER BY at, id OFFSET 60 LIMIT 1")
            one = site.psql("SELECT id FROM deadletters.entries LIMIT 1")
            values = {"oldest": oldest, "fingerprint": site.psql("SELECT md5('7')"), "id": one}
            print(f"\n## dead letters: an index of {ENTRIES}, written in {took:.0f} s\n")
            print("| command | ms, median of 9 | slowest |\n|---|---|---|")
            for name, words in CASES.items():
                times = []
                for _ in range(9):
                    began = time.monotonic()
                    told = site.run(*[word.format(**values) for word in words])
                    times.append((time.monotonic() - began) * 1000)
                    assert told.returncode == 0 and not told.stderr, told.stderr
                print(f"| `{name}` | {statistics.median(times):.0f} | {max(times):.0f} |", flush=True)
        finally:
            site.end()


if __name__ == "__main__":
    deadletters()
