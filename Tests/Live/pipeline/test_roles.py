"""A role for each handler, made by the statements of docs/databases.md as they stand there."""

from __future__ import annotations

import json
import re
import subprocess
import time

from test_pipeline import ROOT, Fleet, fleet, until  # noqa: F401

PSQL = "/usr/lib/postgresql/15/bin/psql"


def statements(mention: str) -> str:
    """The page's block of SQL that has this in it."""
    blocks = re.findall(r"```sql\n(.*?)```", (ROOT / "docs/databases.md").read_text(), re.DOTALL)
    (found,) = [block for block in blocks if mention in block]
    return found


def psql(fleet: Fleet, role: str, sql: str) -> subprocess.CompletedProcess[str]:
    host = re.search(r"host=([^&]*)", fleet.environment.get("DATABASE_URL") or fleet.environment["AGGREGATE_DATABASE_URL"]).group(1)
    words = [PSQL, "-XAtq", "-v", "ON_ERROR_STOP=1", "-h", host, "-U", role, "-d", "postgres", "-c", sql]
    return subprocess.run(words, capture_output=True, text=True)


def test_each_handler_has_its_own_role_and_is_refused_the_others(fleet: Fleet) -> None:
    made = psql(fleet, "postgres", statements("CREATE ROLE flotilla_process"))
    assert made.returncode == 0, made.stderr
    url = fleet.environment.pop("DATABASE_URL")
    for handler in ("process", "aggregate", "notify", "deadletters"):
        fleet.environment[f"{handler.upper()}_DATABASE_URL"] = url.replace("user=postgres", f"user=flotilla_{handler}")
    assert fleet.run("topics", "apply").returncode == 0
    fleet.start(fleet.worker, "work", "ingest", "process", "aggregate", "notify")
    fleet.start(fleet.worker, "work", "deadletters")
    now = int(time.time() * 1000)
    events: list[tuple[str, object]] = [
        (f"e{n}", {"event_type": "click", "timestamp": now, "campaign_id": "c"}) for n in range(100)
    ]
    events.append(("make", {"event_type": "campaign.create", "timestamp": now, "campaign_id": "c"}))
    fleet.publish(events, topic="events.raw")

    def counted() -> int:
        lines = fleet.run("query", "--step", "1d", "--metric", "clicks").stdout.splitlines()
        return sum(json.loads(line)["count"] for line in lines)

    until(lambda: counted() == 100, "the clicks")
    until(lambda: fleet.run("dlq", "audit").returncode == 0, "the index of dead letters")
    owners = psql(
        fleet, "postgres",
        "SELECT DISTINCT schemaname || ' ' || tableowner FROM pg_tables WHERE schemaname IN ('process', 'aggregate', 'notify', 'deadletters')")
    assert sorted(owners.stdout.split("\n")[:-1]) == [
        "aggregate flotilla_aggregate", "deadletters flotilla_deadletters", "notify flotilla_notify", "process flotilla_process"]

    # What is another's is refused, for reading and for writing, and nobody makes a schema or a table elsewhere.
    for role, sql in [
        ("flotilla_process", "SELECT * FROM aggregate.windows"),
        ("flotilla_process", "DELETE FROM aggregate.journal"),
        ("flotilla_process", "CREATE TABLE aggregate.mine (n int)"),
        ("flotilla_aggregate", "SELECT * FROM process.campaigns"),
        ("flotilla_aggregate", "UPDATE process.flotilla_positions SET next_offset = 0"),
        ("flotilla_aggregate", "SELECT * FROM notify.deliveries"),
        ("flotilla_notify", "SELECT * FROM aggregate.windows"),
        ("flotilla_notify", "SELECT * FROM deadletters.entries"),
        ("flotilla_deadletters", "SELECT * FROM notify.deliveries"),
    ]:
        refused = psql(fleet, role, sql)
        assert refused.returncode != 0
        assert re.search("permission denied for schema (aggregate|process|notify|deadletters)", refused.stderr), refused.stderr
    for role in ("flotilla_process", "flotilla_aggregate", "flotilla_notify", "flotilla_deadletters"):
        assert "permission denied" in psql(fleet, role, "CREATE SCHEMA mine").stderr
        assert "permission denied" in psql(fleet, role, "CREATE TABLE public.mine (n int)").stderr

    # A handler that is given another's role does not start on its tables: it says what it may not.
    stray = dict(fleet.environment)
    fleet.environment["PROCESS_DATABASE_URL"] = fleet.environment["AGGREGATE_DATABASE_URL"]
    refused = fleet.run("work", "process")
    assert refused.returncode == 1
    assert "permission denied for schema process" in refused.stderr, refused.stderr
    fleet.environment = stray

    # An analyst reads the views, and nothing else.
    granted = psql(fleet, "postgres", statements("flotilla_analyst"))
    assert granted.returncode == 0, granted.stderr
    seen = psql(fleet, "flotilla_analyst", "SELECT sum(count) FROM aggregate.series WHERE step = '1d' AND metric = 'clicks' AND dimension = ''")
    assert seen.stdout.strip() == "100", seen.stderr
    until(
        lambda: psql(fleet, "flotilla_analyst", "SELECT id, state FROM process.campaign_list").stdout.strip() == "c|draft",
        "the campaign")
    assert "permission denied" in psql(fleet, "flotilla_analyst", "SELECT * FROM aggregate.journal").stderr
    assert "permission denied" in psql(fleet, "flotilla_analyst", "DELETE FROM aggregate.windows").stderr
