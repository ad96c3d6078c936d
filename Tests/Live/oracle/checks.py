"""What a fleet has made of events, held against what the oracle reckons of them.

The fleet is whatever has `run`, which runs a command of `flotilla` there, `broker`, where its log is, and `said`, the
last lines of its processes.
"""

from __future__ import annotations

import json
import os
import time
from collections import Counter, defaultdict
from decimal import Decimal

from confluent_kafka import Consumer, Message, TopicPartition

from events import NOISE, Expected
from fleet import Fleet
from notifications import of_campaigns, of_events, of_windows
from rollups import DIMENSIONS, OTHER, STEPS, Key, end_of, faults, is_rough, key_of, text, windows

# An hour is enough for any; a hang is told by how long nothing moves.
PATIENCE = int(os.environ.get("FLOTILLA_PATIENCE", "120"))
PARTITIONS = 6
# Fewer than NOISE has.
KEPT_VALUES = 20


def worked_off(fleet: Fleet, metrics: Counter[str], otherwise: int) -> int:
    """How many points are in the windows, by the product's own answer; as before while it has none."""
    found = 0
    for metric in metrics:
        answer = fleet.run("query", "--metric", metric, "--step", "1d", "--since", "3d", "--json")
        if answer.returncode != 0:
            return otherwise
        found += sum(json.loads(line)["count"] for line in answer.stdout.splitlines())
    return found


# MARK: What comes out


def check_answers(fleet: Fleet, expected: Expected) -> dict[Key, dict]:
    """All that `query` says is as the oracle reckons, and nothing that the oracle reckons is missing."""
    answers: dict[Key, dict] = {}
    for metric in {point.metric for point in expected.points}:
        for step in STEPS:
            for dimension in ["", *DIMENSIONS]:
                words = ["--by", dimension] if dimension else []
                answer = fleet.run("query", "--metric", metric, "--step", step, "--since", "3d", "--json", *words)
                assert answer.returncode == 0, answer.stderr
                for line in answer.stdout.splitlines():
                    row = json.loads(line, parse_float=Decimal)
                    assert key_of(row) not in answers, f"twice: {line}"
                    answers[key_of(row)] = row
    # Which of too many values came first is not the oracle's to say; that there are so many, and who is the rest, is.
    kept = {("noisy", "country"): {key[5] for key in answers if key[0] == "noisy" and key[4] == "country"} - {OTHER}}
    noise = {point.dimensions["country"] for point in expected.points
             if point.campaign == "noisy" and "country" in point.dimensions}
    assert len(kept["noisy", "country"]) == min(KEPT_VALUES, len(noise)) and len(NOISE) > KEPT_VALUES
    reckoned = windows(expected.points, kept)
    wrong = {key: faults(window, answers[key]) for key, window in reckoned.items() if key in answers}
    assert_none({key: found for key, found in wrong.items() if found}, "are not as reckoned")
    assert_none({key: str(window.count) for key, window in reckoned.items() if key not in answers}, "are missing")
    assert_none({key: str(row) for key, row in answers.items() if key not in reckoned}, "should not be there")
    large = [key for key, window in reckoned.items() if len(window.users) > 1000]
    rough = [key for key in large if is_rough(reckoned[key], answers[key])]
    assert len(rough) <= max(1, len(large) / 50), f"{len(rough)} of {len(large)} windows are off by more than 2 %"
    print(f"{len(answers)} windows are as reckoned, {len(large)} of them of more than 1000 users")
    return answers


def check_told(fleet: Fleet, answers: dict[Key, dict], until_time: int, unsure: str | None = None) -> None:
    """Each window that had ended is in `metrics.windows`: every revision of it, the last as `query` answers. Of the
    metric that is `unsure` nothing was reckoned."""
    topic = Topic(fleet, "metrics.windows")
    told: dict[Key, dict[int, dict]] = defaultdict(dict)
    due = {key for key in answers if end_of(key) <= until_time}

    def is_told(key: Key) -> bool:
        if key not in told:
            return False
        last = told[key][max(told[key])]
        return {**answers[key], "revision": 0} == {**last, "revision": 0}

    missing, moved = set(due), time.monotonic()
    while missing:
        touched = set()
        for message in topic.read():
            row = json.loads(message.value(), parse_float=Decimal)
            if row["metric"] == unsure:
                continue
            key = key_of(row)
            before = told[key].setdefault(row["revision"], row)
            assert before == row, f"told twice, and otherwise: {before} {row}"
            touched.add(key)
        # Amendments come after what they amend, and whoever reads keeps the highest.
        left = {key for key in missing if key not in touched} | {key for key in touched & due if not is_told(key)}
        if left != missing:
            missing, moved = left, time.monotonic()
        if time.monotonic() - moved > PATIENCE:
            key = next(iter(missing))
            raise AssertionError(f"{len(missing)} windows are not told as they are, as {key}: {answers[key]} {told[key]}")
    for key, revisions in told.items():
        assert sorted(revisions) == list(range(1, max(revisions) + 1)), f"{key} was told as {sorted(revisions)}"
        assert key in answers, f"{key} was told and is not there"
    later = [key for key in told if key not in due]
    print(f"{len(due)} windows were told when they had ended, in {sum(len(row) for row in told.values())} revisions; "
          f"{len(later)} ended since")


def check_campaigns(fleet: Fleet, expected: Expected) -> None:
    """Every version of every campaign is in `campaigns.changed`, once, and in the order of the versions."""
    topic = Topic(fleet, "campaigns.changed")
    versions: dict[str, dict[int, str]] = defaultdict(dict)
    end = time.monotonic() + PATIENCE
    total = sum(len(states) for states in expected.campaigns.values())
    while sum(len(found) for found in versions.values()) < total and time.monotonic() < end:
        for message in topic.read():
            row = json.loads(message.value())
            assert versions[row["campaign_id"]].setdefault(row["version"], row["state"]) == row["state"]
    found = {name: [states[version] for version in sorted(states)] for name, states in versions.items()}
    names = sorted(found.keys() | expected.campaigns.keys())
    wrong = {
        name: f"{found.get(name)}, not {expected.campaigns.get(name)}" for name in names
        if found.get(name) != expected.campaigns.get(name)}
    assert_none(wrong, "campaigns did not go through what they had to")
    assert all(sorted(states) == list(range(1, len(states) + 1)) for states in versions.values())


def check_notifications(fleet: Fleet, expected: Expected) -> None:
    """What the rules demand is in `notifications.sent`, each under its one id, and nothing else."""
    windows, sent = Topic(fleet, "metrics.windows"), Topic(fleet, "notifications.sent")
    # By the id of the event: what was published twice after a kill is one.
    told: dict[str, dict] = {}
    ends: dict[str, dict] = {}
    wanted, moved = of_events(expected) | of_campaigns(expected), time.monotonic()
    fixed, missing = set(wanted), set(wanted)
    while time.monotonic() - moved < PATIENCE:
        new = 0
        for message in windows.read():
            new += told.setdefault(identity(message), json.loads(message.value())) is not None
        for message in sent.read():
            end = json.loads(message.value())
            before = ends.setdefault(identity(message), end)
            assert before == end, f"told twice, and otherwise: {before} {end}"
        # Windows go on being told, by the clock; what they demand has to follow.
        wanted = fixed | of_windows(told.values())
        found = {end["delivery_id"] for end in ends.values()}
        left = wanted - found
        if new or left != missing:
            missing, moved = left, time.monotonic()
        if not left and not new:
            break
    assert len(found) == len(ends), "two events tell the end of one delivery"
    by_rule = {end["delivery_id"]: f"{end['rule']} {end['kind']} {end.get('campaign_id')}" for end in ends.values()}
    assert_none({name: "" for name in sorted(wanted - found)}, "notifications are missing")
    assert_none({name: by_rule[name] for name in sorted(found - wanted)}, "notifications that no rule demands")
    assert {end["outcome"] for end in ends.values()} <= {"sent"}
    kinds = Counter(f"{end['rule']} {end['kind']}" for end in ends.values())
    print(f"{len(ends)} notifications are those that the rules demand: {dict(sorted(kinds.items()))}")
    assert {"orders event", "moves campaign", "clicks firing", "countries firing"} <= kinds.keys()


def identity(message: Message) -> str:
    headers = dict(message.headers())
    return f"{headers['ce_source'].decode()} {headers['ce_id'].decode()}"


def check_dead_letters(fleet: Fleet, expected: Expected) -> None:
    """Those that have to be there with their reason, and no other; each known by one id however often it was written."""

    def mark(headers: dict[str, str]) -> str:
        # What came through the edge has it as an attribute of CloudEvents.
        return headers.get("oracle") or headers["ce_oracle"]

    def identity(headers: dict[str, str]) -> str:
        return headers["ce_id"]

    for topic, wanted, name in (
        ("events.raw.ingest.dlq", expected.refused, mark),
        ("events.accepted.process.dlq", expected.refused_by_process, identity),
        ("metrics.points.aggregate.dlq", {}, identity),
    ):
        reader = Topic(fleet, topic)
        reasons: dict[str, set[str]] = defaultdict(set)
        moved = time.monotonic()
        while reasons.keys() != wanted.keys() and time.monotonic() - moved < 60:
            for message in reader.read():
                # Two headers of one name: the first is the event's.
                headers: dict[str, str] = {}
                for header, value in message.headers():
                    headers.setdefault(header, (value or b"").decode())
                reasons[name(headers)].add(headers["dlq-reason"])
                moved = time.monotonic()
        found = {key: "/".join(sorted(each)) for key, each in reasons.items()}
        assert_none({key: reason for key, reason in found.items() if wanted.get(key) != reason}, f"too much in {topic}")
        assert_none({key: reason for key, reason in wanted.items() if key not in found}, f"missing in {topic}")
        print(f"{len(found)} dead letters in {topic}: {dict(Counter(found.values()))}")


class Topic:
    """A topic from its start; each look brings what has come since."""

    def __init__(self, fleet: Fleet, name: str) -> None:
        self.consumer = Consumer({"bootstrap.servers": fleet.broker, "group.id": "oracle", "enable.auto.commit": False})
        self.consumer.assign([TopicPartition(name, number, 0) for number in range(PARTITIONS)])

    def read(self) -> list:
        found = self.consumer.consume(10_000, 0.5)
        return [message for message in found if message.error() is None]


def assert_none(found: dict, what: str) -> None:
    shown = "\n".join(
        f"  {(*key[:3], text(key[3]), *key[4:]) if isinstance(key, tuple) else key}: {fault}"
        for key, fault in list(found.items())[:10])
    assert not found, f"{len(found)} {what}:\n{shown}"
