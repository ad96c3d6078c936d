"""The handlers that come with Flotilla, as `flotilla work` runs them on the repository's own topics."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "readme"))

from fleet import Fleet  # noqa: E402
from processes import header, until  # noqa: E402

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
