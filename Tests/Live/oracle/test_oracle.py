"""The whole pipeline against an oracle, which reckons what has to come out from what was drawn to go in.

Events with repeats, late ones, early ones, faulty ones, in no order; commands to campaigns; a part through the edge, the
others straight into `events.raw`. The fleet works them off, and then `flotilla query` has to say what the oracle says, to
the unit; each event that is none is a dead letter with its reason, and no other; each window that ended was told, each
change of a campaign as well, and nothing told is missing or contradicts itself; and each notification that the rules demand
of all this was sent, once by its id, and no other.

    FLOTILLA_ORACLE_EVENTS=300000 FLOTILLA_KILLS=40 FLOTILLA_SEED=7 pytest Tests/Live/oracle
"""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Producer

from checks import (
    KEPT_VALUES, PATIENCE, check_answers, check_campaigns, check_dead_letters, check_notifications, check_told, worked_off)
from events import Generator
from fleet import Background, Fleet
from notifications import text as rules

EVENTS = int(os.environ.get("FLOTILLA_ORACLE_EVENTS", "6000"))
KILLS = int(os.environ.get("FLOTILLA_KILLS", "4"))
SEED = int(os.environ.get("FLOTILLA_SEED", "0")) or random.randrange(1, 1 << 32)
KILLED = ["ingest", "process", "redis", "aggregate", "notify", "broker", "postgres", "edge"]


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    fleet = Fleet(tmp_path, {"values": str(KEPT_VALUES), "lateness": "1s", "idleAfter": "2s"}, rules=rules())
    for handler in ("ingest", "process", "aggregate", "notify"):
        fleet.work(handler, handler)
    yield fleet
    fleet.end()


@pytest.mark.long
def test_the_fleet_answers_what_the_oracle_reckons(fleet: Fleet) -> None:
    print(f"FLOTILLA_SEED={SEED} FLOTILLA_ORACLE_EVENTS={EVENTS} FLOTILLA_KILLS={KILLS}")
    base = int(time.time() * 1000)
    drawn = Generator(SEED, EVENTS, base)
    expected = drawn.expected
    counts = Counter(point.metric for point in expected.points)
    publishing = Background(lambda: publish(fleet, drawn))
    sending = Background(lambda: send(fleet, drawn.lines))
    trouble = Background(lambda: make_trouble(fleet, counts))

    began = moved = time.monotonic()
    done = 0
    while not (done >= sum(counts.values()) and publishing.is_done and sending.is_done and trouble.is_done):
        now_done = worked_off(fleet, counts, done)
        if now_done != done:
            done, moved = now_done, time.monotonic()
        for task in (publishing, sending, trouble):
            task.check()
        if time.monotonic() - moved > PATIENCE:
            # Which windows it is says more than how many events.
            check_answers(fleet, expected)
            raise AssertionError(f"stuck at {done} of {sum(counts.values())}: {fleet.said()}")
        time.sleep(0.3)
    took = time.monotonic() - began
    print(f"{len(drawn.records) + len(drawn.lines)} records worked off in {took:.0f} s, with "
          + ", ".join(f"{part.kills} kills of {part.name}" for part in fleet.parts.values() if part.kills))
    fleet.check_alive()

    published = int(time.time() * 1000)
    check_dead_letters(fleet, expected)
    check_campaigns(fleet, expected)
    answers = check_answers(fleet, expected)
    check_told(fleet, answers, published)
    check_notifications(fleet, expected)
    # Nothing came twice meanwhile.
    check_answers(fleet, expected)


# MARK: What goes in


def publish(fleet: Fleet, drawn: Generator) -> None:
    """In the order in which they were drawn, by a producer that goes on until all are acknowledged."""
    producer = Producer({
        "bootstrap.servers": fleet.broker, "enable.idempotence": True, "linger.ms": 5, "message.timeout.ms": 600_000,
        "reconnect.backoff.max.ms": 500, "queue.buffering.max.messages": 1_000_000,
    })
    refused: list[str] = []
    for number, sent in enumerate(drawn.records):
        producer.produce("events.raw", key=sent.key, value=sent.value, headers=sent.headers,
                         on_delivery=lambda fault, _: refused.append(str(fault)) if fault else None)
        producer.poll(0)
        if number % 5000 == 4999:
            producer.flush(300)
    assert producer.flush(600) == 0
    assert refused == []


def send(fleet: Fleet, lines: list[str]) -> None:
    file = fleet.folder / "lines.ndjson"
    file.write_text("\n".join(lines))
    sent = fleet.run("publish", "--file", str(file), timeout=1800)
    assert sent.returncode == 0, sent.stderr[-2000:]


def make_trouble(fleet: Fleet, counts: Counter[str]) -> None:
    """Kills something each time so much more is worked off, at places and in an order that the seed says."""
    # One metric tells how far it is.
    (metric, total), = counts.most_common(1)
    dice = random.Random(SEED + 1)
    victims: list[str] = []
    while len(victims) < KILLS:
        round_of_all = KILLED.copy()
        dice.shuffle(round_of_all)
        victims += round_of_all
    done = 0
    for number, victim in enumerate(victims[:KILLS]):
        due = total * (number + dice.random()) / (KILLS + 1)
        while done < due:
            time.sleep(0.1)
            done = worked_off(fleet, Counter({metric: total}), done)
        fleet.parts[victim].kill()
