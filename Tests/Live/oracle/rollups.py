"""What windows have to hold, reckoned in the plainest way: all values of a window in a list, all users in a set."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timezone
from decimal import Decimal

from events import DAY, HOUR, MINUTE, Point

STEPS = {"1m": MINUTE, "1h": HOUR, "1d": DAY}
DIMENSIONS = ["country", "device"]
OTHER = "other"


@dataclass
class Window:
    count: int = 0
    values: list[Decimal] = field(default_factory=list)
    users: set[str] = field(default_factory=set)

    def add(self, point: Point) -> None:
        self.count += 1
        if point.value is not None:
            self.values.append(point.value)
        if point.user is not None:
            self.users.add(point.user)


# campaign, metric, step, start, dimension, value
Key = tuple[str, str, str, int, str, str]


def windows(points: Iterable[Point], kept: dict[tuple[str, str], set[str]]) -> dict[Key, Window]:
    """`kept`: for campaigns with too many values of a dimension, those that have windows of their own."""
    found: dict[Key, Window] = {}
    for point in points:
        series = [("", "")]
        for name in DIMENSIONS:
            if name in point.dimensions:
                value = point.dimensions[name]
                series.append((name, value if value in kept.get((point.campaign, name), {value}) else OTHER))
        for step, length in STEPS.items():
            start = point.time - point.time % length
            for dimension, value in series:
                key = (point.campaign, point.metric, step, start, dimension, value)
                found.setdefault(key, Window()).add(point)
    return found


def key_of(answer: dict) -> Key:
    start = int(datetime.fromisoformat(answer["window_start"].replace("Z", "+00:00")).timestamp() * 1000)
    ((dimension, value),) = answer["dimensions"].items() or [("", "")]
    return answer["campaign_id"], answer["metric"], answer["step"], start, dimension, value


def end_of(key: Key) -> int:
    return key[3] + STEPS[key[2]]


def faults(window: Window, answer: dict) -> list[str]:
    """What is wrong with an answer. Counts and sums are exact; uniques to a thousand too, and within 4 % beyond."""
    found = []
    if answer["count"] != window.count:
        found.append(f"count {answer['count']}, not {window.count}")
    if Decimal(answer["sum"]) != sum(window.values, Decimal(0)):
        found.append(f"sum {answer['sum']}, not {sum(window.values, Decimal(0))}")
    users = len(window.users)
    if abs(answer["uniques"] - users) > (0 if users <= 1000 else 0.04 * users):
        found.append(f"uniques {answer['uniques']}, not {users}")
    values = sorted(window.values)
    for percent in (50, 95, 99):
        told = answer[f"p{percent}"]
        if not values:
            if told is not None:
                found.append(f"p{percent} {told} of nothing")
            continue
        exact = values[max(1, math.ceil(len(values) * percent / 100)) - 1]
        if told is None or abs(Decimal(told) - exact) > abs(exact) / 100 + Decimal("0.000001"):
            found.append(f"p{percent} {told}, not {exact}")
    return found


def is_rough(window: Window, answer: dict) -> bool:
    """Whether uniques are off by more than 2 %, which no more than one window in fifty may be."""
    return abs(answer["uniques"] - len(window.users)) > 0.02 * len(window.users)


def text(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, timezone.utc).isoformat()
