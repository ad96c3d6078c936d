"""Which notifications the rules of the oracle's test demand, reckoned from what was drawn, and for windows from what was
told of them, in the order in which it stands in the log. The ids are those that the contract derives."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field

from events import HOUR, NAMESPACE, Expected, derived

# Above the first there is an alarm, until there is no more than the second.
FIRES_ABOVE, ENDS_AT = 1, 1
DEAR = 1000
STATES = ["active", "paused", "completed"]

# Nothing is too old, nothing cools down, and no window is so long overdue that the clock would judge it: what is demanded
# does not depend on when it is looked at.
RULES = {
    "maxAge": "30d", "silence": "1d",
    "channels": [{"name": "first", "log": True, "rate": 1000}, {"name": "second", "log": True, "rate": 1000}],
    "rules": [
        {"name": "orders", "event": {"type": "order.created", "above": DEAR}, "channels": ["first"], "coolDown": "0s",
         "template": "{{ event_id }}"},
        {"name": "moves", "campaign": {"states": STATES}, "channels": ["first", "second"], "coolDown": "0s",
         "template": "{{ campaign_id }}"},
        {"name": "clicks", "channels": ["second"], "coolDown": "0s", "template": "{{ value }}",
         "window": {"metric": "clicks", "step": "1h", "above": FIRES_ABOVE, "until": ENDS_AT}},
        {"name": "countries", "channels": ["first"], "coolDown": "0s", "template": "{{ value }}",
         "window": {"metric": "impressions", "step": "1h", "above": FIRES_ABOVE, "until": ENDS_AT, "by": "country"}},
    ],
}


def delivery(rule: str, kind: str, name: str, channel: str) -> str:
    return str(uuid.uuid5(NAMESPACE, f"delivery\0{rule}\0{kind}\0{name}\0{channel}\0"))


def of_events(expected: Expected) -> set[str]:
    """Each order that is dear enough, by the event that ingest made of it."""
    return {
        delivery("orders", "event", f"/flotilla/ingest\0{derived(source, identity, 'ingest')}", "first")
        for source, identity, value in expected.orders if value is not None and value > DEAR
    }


def of_campaigns(expected: Expected) -> set[str]:
    return {
        delivery("moves", "campaign", f"{campaign}\0{number + 1}", channel)
        for campaign, states in expected.campaigns.items() for number, state in enumerate(states) if state in STATES
        for channel in ("first", "second")
    }


@dataclass
class Alarm:
    """As the pages have it: windows in the order of their starts, the last may come again, a gap is empty."""

    since: int | None = None
    before: int | None = None
    seen: int | None = None
    told: int = 0
    # Which firing began when, and whether it ended.
    found: set[tuple[str, int, int]] = field(default_factory=set)

    def see(self, start: int, count: int) -> None:
        if self.seen is not None and start > self.seen + HOUR:
            for missing in sorted({self.seen + HOUR, start - HOUR}):
                self.judge(missing, 0)
        self.judge(start, count)

    def judge(self, start: int, count: int) -> None:
        if self.seen is not None and start < self.seen:
            return
        if start != self.seen:
            self.before = self.since
        self.seen = start
        if self.before is None:
            since = start if count > FIRES_ABOVE else None
        else:
            since = None if count <= ENDS_AT else self.before
        if since is not None and self.since is None:
            self.told += 1
            self.found.add(("firing", since, self.told))
        elif since is None and self.since is not None:
            self.found.add(("resolved", self.since, self.told))
        self.since = since


def of_windows(told: Iterable[dict]) -> set[str]:
    """`told`: what stands in metrics.windows, each event once; of one campaign in the order of the log."""
    alarms: dict[tuple[str, str, str], Alarm] = {}
    for row in told:
        rule, value = "clicks", ""
        if row["dimensions"]:
            ((dimension, value),) = row["dimensions"].items()
            rule = "countries" if dimension == "country" else ""
        if row["step"] != "1h" or row["metric"] != {"clicks": "clicks", "countries": "impressions"}.get(rule):
            continue
        start = milliseconds(row["window_start"])
        alarms.setdefault((rule, row["campaign_id"], value), Alarm()).see(start, row["count"])
    return {
        delivery(rule, kind, f"{campaign}\0{value}\0{since}\0{number}", {"clicks": "second", "countries": "first"}[rule])
        for (rule, campaign, value), alarm in alarms.items() for kind, since, number in alarm.found
    }


def milliseconds(time: str) -> int:
    from datetime import datetime

    return int(datetime.fromisoformat(time.replace("Z", "+00:00")).timestamp() * 1000)


def text(channels: list[dict] | None = None) -> str:
    """The file of rules, whose channels may be others of the same names."""
    return json.dumps(RULES | {"channels": channels} if channels else RULES)
