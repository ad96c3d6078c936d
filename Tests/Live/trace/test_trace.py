"""`flotilla trace`: where an event went, told from topics and state."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from fleet import Fleet, until


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    fleet = Fleet(tmp_path, {"lateness": "1s", "idleAfter": "2s"})
    yield fleet
    fleet.end()


def trace(fleet: Fleet, *words: str, code: int = 0) -> dict:
    told = fleet.run("trace", "--json", *words)
    assert told.returncode == code, told.stdout + told.stderr
    return json.loads(told.stdout)


def test_an_event_is_followed_to_its_windows_its_dead_letter_and_its_retry(fleet: Fleet) -> None:
    now = int(time.time() * 1000)
    lines = [
        {"event_id": "order-1", "event_type": "order.created", "timestamp": now - 120_000, "campaign_id": "spring", "value": 12.5},
        {"event_id": "bad-1", "event_type": "order created", "timestamp": now},
        {"event_id": "make", "event_type": "campaign.create", "timestamp": now, "campaign_id": "spring"},
        {"event_id": "make-again", "event_type": "campaign.create", "timestamp": now, "campaign_id": "spring"},
        {"event_type": "click", "campaign_id": "spring"},
        {"event_id": "large", "event_type": "order.created", "timestamp": now, "campaign_id": "autumn", "value": 5000},
    ]
    file = fleet.folder / "lines.ndjson"
    file.write_text("\n".join(json.dumps(line) for line in [*lines, lines[0]]))
    assert fleet.run("publish", "--file", str(file)).returncode == 0

    # Nobody works yet.
    told = trace(fleet, "order-1")
    assert [(record["topic"], record["handlers"]) for record in told["records"]] == [
        ("events.raw", [{"handler": "ingest", "state": "not begun", "known_by": "commit", "behind": record["offset"] + 1}])
        for record in told["records"]]
    assert len(told["records"]) == 2

    for handler in ("ingest", "process", "aggregate", "notify"):
        fleet.work(handler, handler)

    def windows() -> list[dict]:
        return [found for found in trace(fleet, "order-1")["state"] if found["what"] == "window"]

    until(lambda: any(window["revision"] == "1" for window in windows()), "the minute to be told")
    until(
        lambda: all(step["state"] == "done" for record in trace(fleet, "order-1")["records"] for step in record["handlers"]),
        "all handlers")
    told = trace(fleet, "order-1")
    assert [(record["topic"], record["from"] and (record["from"]["handler"], record["from"]["output"])) for record in told["records"]] == [
        ("events.raw", None), ("events.raw", None), ("events.accepted", ("ingest", 0)),
        ("metrics.points", ("process", 0)), ("metrics.points", ("process", 1))]
    assert {(step["state"], step["known_by"]) for record in told["records"] for step in record["handlers"]
            if step["handler"] != "ingest"} == {("done", "state")}
    assert {(window["metric"], window["step"], window["count"]) for window in windows()} == {
        (metric, step, "1") for metric in ("orders", "revenue") for step in ("1m", "1h", "1d")}
    assert told["notes"] == []

    # A rule of the repository's own has something to say about a large order, and about no other.
    def deliveries(event: str) -> list[dict]:
        return [found for found in trace(fleet, event)["state"] if found["what"] == "delivery"]

    until(lambda: [found["outcome"] for found in deliveries("large")] == ["sent"], "the notification")
    (delivery,) = deliveries("large")
    assert (delivery["rule"], delivery["channel"], delivery["attempts"]) == ("large-order", "journal", "1")
    assert deliveries("order-1") == []

    letter = trace(fleet, "bad-1")["records"][-1]
    assert (letter["topic"], letter["kind"], letter["headers"]["dlq-reason"]) == (
        "events.raw.ingest.dlq", "dead letter", "schema-invalid")
    assert [record["topic"] for record in trace(fleet, "make")["records"]] == [
        "events.raw", "events.accepted", "campaigns.changed"]
    assert trace(fleet, "make-again")["records"][-1]["topic"] == "events.accepted.process.dlq"
    (campaign,) = [found for found in trace(fleet, "make")["state"] if found["what"] == "campaign"]
    assert (campaign["campaign_id"], campaign["state"], campaign["version"]) == ("spring", "draft", "1")

    # Who came without an id got one from the edge; what follows from it is found all the same.
    tail = [json.loads(line) for line in fleet.run("tail", "--json", "events.raw").stdout.splitlines()]
    (made,) = [record["headers"]["ce_id"] for record in tail if record["headers"]["ce_type"] == "click"]
    until(lambda: trace(fleet, made)["records"][-1]["topic"] == "metrics.points", "the point")

    # A copy that waits, as the runtime writes them.
    fleet.parts["ingest"].end()
    producer = Producer({"bootstrap.servers": fleet.broker})
    producer.produce("events.raw.ingest.retry.10m", b"{}", headers={
        "ce_id": "order-1", "ce_source": "/flotilla/anonymous", "ce_type": "order.created", "retry-tier": "10m",
        "retry-due": "2999-01-01T00:00:00.000Z", "retry-error-message": "not \x1b[31mtoday"})
    assert producer.flush(30) == 0
    (waiting,) = [record for record in trace(fleet, "order-1")["records"] if record["kind"] == "retry"]
    assert waiting["headers"]["retry-due"] == "2999-01-01T00:00:00.000Z"

    text = fleet.run("trace", "order-1").stdout
    assert "order.created, by /flotilla/anonymous" in text and "waits 10m" in text and "2. of process" in text
    assert "\x1b" not in text
    assert "looked at" in text


def test_what_was_not_found_and_not_looked_at_is_said(fleet: Fleet) -> None:
    told = trace(fleet, "nobody", code=1)
    assert told["records"] == []
    assert "no record with this id was found since" in told["notes"][0]
    assert told["notes"][1].startswith(f"only topics with a topic file in {fleet.topics} are looked at")
    assert "events.raw" in told["notes"][1] and "dlq" not in told["notes"][1] and "parcels" not in told["notes"][1]
    admin = AdminClient({"bootstrap.servers": fleet.broker})
    admin.create_topics([NewTopic("parcels", 1, 1)])["parcels"].result(30)
    until(lambda: "of what else is on the broker nothing was read: " in (note := trace(fleet, "nobody", code=1)["notes"][1])
          and "parcels" in note, "the topic to be named")
    assert {looked["topic"] for looked in told["looked_at"]} >= {"events.raw", "events.raw.ingest.dlq", "metrics.windows"}
    file = fleet.folder / "lines.ndjson"
    file.write_text('{"event_id":"e","event_type":"click"}')
    assert fleet.run("publish", "--file", str(file)).returncode == 0
    assert len(trace(fleet, "e")["records"]) == 1
    assert trace(fleet, "e", "--source", "/somebody/else", code=1)["records"] == []
    # The time of an id of version 7 is where reading begins.
    assert trace(fleet, "018f0000-0000-7000-8000-000000000000", code=1)["since"] == "2024-04-21T09:27:31.104Z"
    assert trace(fleet, "e", "--since", "2h", "--until", "1h", code=1)["records"] == []
    assert fleet.run("trace", "e", "--since", "1h", "--until", "2h").returncode == 2
    assert fleet.run("trace", "e", "--since", "soon").returncode == 2
    assert fleet.run("trace").returncode == 2
    fleet.parts["postgres"].end()
    notes = trace(fleet, "e")["notes"]
    assert any("the state of process was not looked at" in note for note in notes), notes
    del fleet.environment["DATABASE_URL"]
    assert "state was not looked at: DATABASE_URL is not set" in trace(fleet, "e")["notes"]
    fleet.parts["broker"].end()
    assert fleet.run("trace", "e").returncode == 1
