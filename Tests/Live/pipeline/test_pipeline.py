"""The handlers that come with Flotilla, as `flotilla work` runs them on the repository's own topics."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from handlers import Fleet
from outside import ROOT  # noqa: F401
from processes import free_port, header, until

@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    fleet = Fleet(tmp_path)
    yield fleet
    fleet.end()


def test_events_become_points_and_commands_change_campaigns(fleet: Fleet) -> None:
    assert fleet.run("topics", "check").returncode == 0
    assert fleet.run("topics", "apply").returncode == 0
    fleet.start(fleet.worker, "work", "ingest", "process", "aggregate")
    now = int(time.time() * 1000)
    events: list[tuple[str, object]] = [
        (f"e{n}", {"event_type": "Click", "timestamp": now, "campaign_id": f"c{n % 3}", "user_id": f"u{n}"})
        for n in range(300)
    ]
    events.append(("order", {"event_type": "order.created", "timestamp": now, "campaign_id": "c1", "value": 12.5}))
    plan = {"budget": 10, "start": now - 1000}
    events.append(("make", {"event_type": "campaign.create", "timestamp": now, "campaign_id": "c1", "data": plan}))
    events.append(("late", {"event_type": "click", "timestamp": 5}))
    fleet.publish(events, again=2, topic="events.raw")

    points = fleet.read("metrics.points", lambda found: len(found) >= 302)
    values = [json.loads(message.value()) for message in points]
    assert len(values) == 302, fleet.log()
    assert sum(point["metric"] == "clicks" for point in values) == 300
    assert [point["value"] for point in values if point["metric"] == "revenue"] == [12.5]
    changes = fleet.read("campaigns.changed", lambda found: len(found) >= 1)
    assert [json.loads(change.value())["state"] for change in changes] == ["draft"], fleet.log()
    letters = fleet.read("events.raw.ingest.dlq", lambda found: len(found) >= 1)
    assert [header(letter, "dlq-reason") for letter in letters] == ["late"], (str([dict(letter.headers()) for letter in letters]) + fleet.log())

    # All that came counts, once, as soon as it is there.
    def series(*words: str) -> list[dict]:
        return [json.loads(line) for line in fleet.run("query", "--step", "1d", *words).stdout.splitlines()]

    until(lambda: sum(window["count"] for window in series("--metric", "clicks")) == 300, "the sums")
    assert sum(window["uniques"] for window in series("--metric", "clicks")) == 300
    (revenue,) = series("--metric", "revenue", "--campaign", "c1")
    assert (revenue["count"], revenue["sum"], revenue["dimensions"]) == (1, 12.5, {})
    assert abs(revenue["p50"] - 12.5) <= 0.125
    assert series("--metric", "nothing") == []
    assert fleet.run("query").returncode == 2
    well = fleet.run("doctor")
    assert well.returncode == 0, well.stdout


def test_state_needs_a_database(fleet: Fleet) -> None:
    del fleet.environment["DATABASE_URL"]
    refused = fleet.run("work", "process")
    assert refused.returncode == 1
    assert "DATABASE_URL is not set, and process keeps state" in refused.stderr


def ask(port: int, path: str) -> tuple[int, str]:
    """The status and body of an admin page; 0 when nobody answers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    except OSError:
        return 0, ""
    finally:
        connection.close()


def test_the_admin_port_tells_what_a_worker_does_and_what_it_waits_for(fleet: Fleet) -> None:
    assert fleet.run("topics", "apply").returncode == 0
    port = free_port()
    fleet.start(fleet.worker, "work", "ingest", "process", "--admin", port)
    until(lambda: ask(port, "/readyz") == (200, "ready\n"), "readiness")
    status, health = ask(port, "/healthz")
    told = json.loads(health)
    assert (status, told["status"]) == (200, "ok")
    assert {name: part["status"] for name, part in told["dependencies"].items()} == {
        "kafka": "ok", "redis": "ok", "postgres.process": "ok", "lag": "ok"}
    assert all(part["latency_ms"] >= 0 for part in told["dependencies"].values())

    now = int(time.time() * 1000)
    event = {"event_type": "click", "timestamp": now, "campaign_id": "c", "user_id": "u"}
    fleet.publish([(f"e{n}", event) for n in range(100)], topic="events.raw")
    for handler in ("ingest", "process"):
        topic = "events.raw" if handler == "ingest" else "events.accepted"
        line = f'flotilla_outcomes_total{{handler="{handler}",topic="{topic}",outcome="done"}} 100\n'
        until(lambda: line in ask(port, "/metrics")[1], line)
    for page in ("process_resident_memory_bytes", "process_cpu_seconds_total", "process_open_fds"):
        assert f"\n{page} " in ask(port, "/metrics")[1]
    beats = [json.loads(line) for line in fleet.run("workers").stdout.splitlines()]
    assert [beat["admin"] for beat in beats] == [f"127.0.0.1:{port}"]

    _, redis, postgres = fleet.processes[:3]
    for process, name in ((redis, "redis"), (postgres, "postgres.process")):
        # All of the server's processes hang; connections are taken and nobody answers.
        stop_tree(process.pid, signal.SIGSTOP)
        until(lambda: ask(port, "/readyz")[0] == 503 and name in ask(port, "/readyz")[1], f"{name} to be missed")
        status, health = ask(port, "/healthz")
        assert status == 503 and json.loads(health)["dependencies"][name]["status"] == "failed", health
        assert ask(port, "/livez") == (200, "ok\n")
        stop_tree(process.pid, signal.SIGCONT)
        until(lambda: ask(port, "/readyz")[0] == 200, f"{name} to be back")
    assert ask(port, "/nothing")[0] == 404


def stop_tree(pid: int, number: int) -> None:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    for one in (pid, *map(int, children)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(one, number)
