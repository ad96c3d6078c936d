"""Events for the oracle's test, made from a seed, and what has to become of each.

What is expected follows from what was drawn, never from what the product says. Times are around `base`, which each event
carries as the time at which it was taken in; so what is too late does not depend on how long the test takes.
"""

from __future__ import annotations

import json
import random
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from decimal import Decimal

NAMESPACE = uuid.UUID("7a0c5b52-9c1e-4d0b-8e27-61f344a8d3c5")
MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
SOURCES = ["/flotilla/shop", "/flotilla/app"]

# é as one character and as e with an accent: two campaigns, two countries. Texts from right to left, and emoji.
CAMPAIGNS = [f"campaign-{n}" for n in range(6)] + ["caf\u00e9", "cafe\u0301", "קמפיין", "🎯 spring", "busy", "noisy", None]
COUNTRIES = ["de", "fr", "at", "ch", "\u00e9ire", "e\u0301ire", "日本"]
DEVICES = ["phone", "desktop", "tv"]
# As clients send them, and what is counted; an order's points are told apart below.
TYPES = [("impression", "impressions")] * 8 + [
    ("click", "clicks"), ("click", "clicks"), (" Click\t", "clicks"), ("CLICK", "clicks"), ("conversion", "conversions"),
    ("order.created", None), ("video.play", "video.play"),
]
# More than windows are kept for; what comes after the first so many is `other`.
NOISE = [f"place-{n}" for n in range(60)]


@dataclass(frozen=True)
class Point:
    campaign: str
    metric: str
    time: int
    value: Decimal | None
    user: str | None
    dimensions: dict[str, str]


@dataclass
class Sent:
    """A record for `events.raw`."""

    key: str | None
    value: bytes | None
    headers: list[tuple[str, bytes]]


@dataclass
class Expected:
    points: list[Point] = field(default_factory=list)
    # By the id that the dead letter carries, or `n …` for what has none: the reason.
    refused: dict[str, str] = field(default_factory=dict)
    refused_by_process: dict[str, str] = field(default_factory=dict)
    # The states that each campaign goes through, in the order of its versions.
    campaigns: dict[str, list[str]] = field(default_factory=dict)
    # Source, id and value of each.
    orders: list[tuple[str, str, Decimal | None]] = field(default_factory=list)


def derived(source: str, identity: str, handler: str, number: int = 0) -> str:
    """The id of an output, as the contract has it."""
    return str(uuid.uuid5(NAMESPACE, f"{source}\0{identity}\0{handler}\0{number}"))


class Generator:
    """`count` events, and repeats of some; `lines` of them are for the edge, the others for the topic itself.

    `base` is when the first happens, each other one `pace` milliseconds after the one before. With `slack` they may be taken
    in by as much later than they happen, for those that get the time of that from the edge.
    """

    def __init__(self, seed: int, count: int, base: int, pace: float = 0, slack: int = 0,
                 sources: list[str] = SOURCES) -> None:
        self.random = random.Random(seed)
        self.base = base
        self.oldest, self.newest = DAY - slack, max(0, 5 * MINUTE - slack)
        self.slack = slack
        self.sources = sources
        self.expected = Expected()
        self.records: list[Sent] = []
        self.lines: list[str] = []
        self.faults = self.make_faults()
        recent: list[Sent] = []
        commands = list(self.commands())
        for number in range(count):
            self.base = base + int(number * pace)
            dice = self.random.random()
            if commands and dice < 0.5 and number * len(self.plans) >= count * (len(self.plans) - len(commands)) * 0.8:
                sent = commands.pop(0)
            elif dice < 0.03:
                sent = self.faulty(number)
            elif dice < 0.08:
                self.lines.append(self.line(number))
                continue
            else:
                sent = self.good(number)
            self.records.append(sent)
            recent.append(sent)
            # Sent again: at once, or much later. Keys stay, so it comes by the same partition, behind the first.
            if self.random.random() < 0.03:
                self.records.append(self.random.choice(recent[-2000:]))
        self.records += commands

    # MARK: Events that count

    def good(self, number: int) -> Sent:
        kind, metric = self.random.choice(TYPES)
        campaign = self.random.choice(CAMPAIGNS)
        time = self.time()
        event: dict[str, object] = {"event_type": kind}
        stamp, envelope_time = self.stamp(time)
        if stamp is not None:
            event["timestamp"] = stamp
        if campaign is not None:
            event["campaign_id"] = self.random.choice([campaign, campaign, f" {campaign} "])
        user = None
        if self.random.random() < 0.9:
            user = f"u{self.random.randrange(6000 if campaign == 'busy' else 150)}"
            event["user_id"] = user
        dimensions = self.dimensions(campaign)
        if dimensions:
            event["dimensions"] = dimensions
        text, value = self.value(kind)
        if text is not None:
            event["value"] = "VALUE"
        if self.random.random() < 0.05:
            event["nobody_knows"] = {"this": [1, None, "\u0000"]}
        body = json.dumps(event, ensure_ascii=self.random.random() < 0.5)
        if text is not None:
            body = body.replace('"VALUE"', text)
        self.count(metric, campaign, time, value, user, dimensions)
        key = str(event["campaign_id"]) if campaign else None
        if kind == "order.created":
            self.expected.orders.append((self.sources[number % 2], f"e{number // 2}", value))
        return self.sent(f"e{number // 2}", self.sources[number % 2], key, body.encode(), number, time=envelope_time)

    def line(self, number: int) -> str:
        """One for the edge, which says itself when it came."""
        campaign, user = self.random.choice(CAMPAIGNS[:6]), f"u{self.random.randrange(150)}"
        time = self.base - self.random.randrange(10 * MINUTE)
        self.count("clicks", campaign, time, None, user, {"country": "de"})
        return json.dumps(
            {"event_id": f"line {number}", "event_type": "click", "timestamp": time, "campaign_id": campaign,
             "user_id": user, "dimensions": {"country": "de"}})

    def count(self, metric: str | None, campaign: str | None, time: int, value: Decimal | None, user: str | None,
              dimensions: dict[str, str]) -> None:
        def add(name: str, worth: Decimal | None) -> None:
            self.expected.points.append(Point(campaign or "none", name, time, worth, user, dimensions))

        if metric is None:
            add("orders", None)
            add("revenue", value)
        else:
            add(metric, value)

    def time(self) -> int:
        """Most happened just now, in no order; some hours ago, up to a day; some are ahead, by clocks that are wrong."""
        dice = self.random.random()
        if dice < 0.94:
            return self.base - int(self.random.expovariate(1 / (2 * MINUTE)))
        if dice < 0.985:
            return self.base - self.random.randrange(2 * HOUR)
        if dice < 0.99:
            return self.base + self.random.randrange(self.newest + 1)
        # To the millisecond: a day is not too late.
        return self.base - self.random.choice([self.oldest, self.random.randrange(self.oldest)])

    def stamp(self, time: int) -> tuple[object, int | None]:
        """The time as the event carries it, and as its envelope does."""
        moment = datetime.fromtimestamp(time / 1000, timezone.utc).replace(microsecond=time % 1000 * 1000)
        dice = self.random.random()
        if dice < 0.8:
            return time, None
        if dice < 0.88:
            return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"), None
        if dice < 0.94:
            return moment.astimezone(timezone(timedelta(hours=-3.5))).isoformat(timespec="milliseconds"), None
        return None, time

    def dimensions(self, campaign: str | None) -> dict[str, str]:
        found: dict[str, str] = {}
        if self.random.random() < 0.9:
            found["country"] = self.random.choice(NOISE if campaign == "noisy" else COUNTRIES)
        if self.random.random() < 0.5:
            found["device"] = self.random.choice(DEVICES)
        if self.random.random() < 0.2:
            found["page"] = f"/p/{self.random.randrange(10_000)}"
        return found

    def value(self, kind: str) -> tuple[str | None, Decimal | None]:
        if kind != "order.created" and self.random.random() < 0.6 or self.random.random() < 0.02:
            return None, None
        text = self.random.choice([
            f"{self.random.randrange(1, 20_000) / 100:.2f}", f"{self.random.randrange(1, 1000)}", "0",
            f"-{self.random.randrange(1, 900)}.5", f"0.{self.random.randrange(1, 10**6):06}", "1.25e3", "25e-2", "-0.0",
            "999999999999.999999", "0.1",
        ])
        return text, Decimal(text)

    # MARK: Events that do not

    def faulty(self, number: int) -> Sent:
        identity, source = f"f{number}", self.sources[number % 2]
        value, reason = self.random.choice(self.faults)
        self.expected.refused[f"n{number}"] = reason
        if not isinstance(value, str):
            return self.sent(identity, source, f"k{number % 40}", value, number)
        sent = self.sent(identity, source, "k", b'{"event_type":"click"}', number)
        if value == "no id":
            sent.headers = [header for header in sent.headers if header[0] != "ce_id"]
        elif value == "two ids":
            sent.headers = [*sent.headers, ("ce_id", b"another")]
        elif value == "no source":
            sent.headers = [header for header in sent.headers if header[0] != "ce_source"]
        else:
            sent.headers = [(name, b"0.3" if name == "ce_specversion" else text) for name, text in sent.headers]
        return sent

    def make_faults(self) -> list[tuple[bytes | str | None, str]]:
        """Values, or what is wrong with the envelope, each with the reason of its dead letter."""
        late, schema, undecodable = "late", "schema-invalid", "undecodable"
        good = {"event_type": "click", "timestamp": self.base, "campaign_id": "campaign-1"}

        def changed(**members: object) -> bytes:
            return json.dumps(good | members).encode()

        def numbered(text: str) -> bytes:
            return json.dumps(good | {"value": "VALUE"}).replace('"VALUE"', text).encode()

        return [
            (changed(timestamp=self.base - DAY - 1), late), (changed(timestamp=self.base + 5 * MINUTE + 1 + self.slack), late),
            (changed(timestamp=self.base // 1000), late), (changed(timestamp=0), late),
            (changed(timestamp="9999-12-31T23:59:59Z"), late), (changed(timestamp=253_402_300_800_000), schema),
            (changed(timestamp=-1), schema), (changed(timestamp="yesterday"), schema), (changed(timestamp=2**63), schema),
            (changed(timestamp=None), schema), (changed(timestamp={}), schema),
            (changed(event_type=""), schema), (changed(event_type="🎉"), schema), (changed(event_type=7), schema),
            (changed(event_type="a b"), schema), (changed(event_type="x" * 65), schema),
            (changed(campaign_id=""), schema), (changed(campaign_id=" \t "), schema), (changed(campaign_id=["a"]), schema),
            (changed(campaign_id="a\u0000b"), schema),
            (changed(campaign_id="c" * 256), schema), (changed(user_id=7), schema), (changed(user_id=""), schema),
            (changed(dimensions={f"d{n}": "x" for n in range(1000)}), schema), (changed(dimensions={"country": 1}), schema),
            (changed(dimensions={"": "x"}), schema), (changed(dimensions=[]), schema), (changed(data="text"), schema),
            (changed(event_id=""), schema), (changed(value="12"), schema),
            (numbered("1e308"), schema), (numbered("0.0000001"), schema), (numbered(str(2**63)), schema),
            (numbered("1000000000000"), schema), (numbered("-1e12"), schema), (numbered("1e400"), undecodable),
            (numbered("NaN"), undecodable), (numbered("01"), undecodable),
            (b"[1, 2]", schema), (b'"text"', schema), (b"null", schema), (b"", undecodable), (None, undecodable),
            (b'{"event_type":"click"', undecodable), (b'{"event_type":"click"} x', undecodable),
            (b'{"event_type":"\xff"}', undecodable), (b"\xef\xbb\xbf{}", undecodable), (b"[" * 3000, undecodable),
            (b'{"event_type":"click","event_type":"click"}', schema),
            ("no id", undecodable), ("two ids", undecodable), ("no source", undecodable), ("version", undecodable),
        ]

    def sent(self, identity: str, source: str, key: str | None, value: bytes | None, number: int,
             time: int | None = None) -> Sent:
        recorded = datetime.fromtimestamp(self.base / 1000, timezone.utc).replace(microsecond=self.base % 1000 * 1000)
        headers = {
            "ce_specversion": "1.0", "ce_id": identity, "ce_source": source, "ce_type": "any",
            "ce_time": datetime.fromtimestamp((self.base if time is None else time) / 1000, timezone.utc).replace(
                microsecond=(self.base if time is None else time) % 1000 * 1000).isoformat(),
            "ce_recordedtime": recorded.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "content-type": "application/json", "oracle": f"n{number}",
        }
        return Sent(key, value, [(name, text.encode()) for name, text in headers.items()])

    # MARK: Commands

    def commands(self) -> Iterator[Sent]:
        """Campaigns' commands, each with the state it leads to, or None where it is refused."""
        hour, base = HOUR, self.base
        self.plans: list[tuple[str | None, str, dict[str, object] | None, str | None]] = [
            ("walk", "create", {"budget": 100.5, "goals": {"clicks": 10}}, "draft"), ("walk", "activate", None, "active"),
            ("walk", "create", {}, None), ("walk", "pause", None, "paused"), ("walk", "pause", None, None),
            ("walk", "activate", None, "active"), ("walk", "complete", None, "completed"), ("walk", "activate", None, None),
            ("early", "activate", None, None), ("early", "create", {"name": "too early"}, "draft"),
            ("early", "activate", None, None), ("early", "activate", {"budget": "1"}, None),
            ("early", "activate", {"budget": 1e-6}, "active"),
            # Time goes on with these by itself: the last state is what a tick makes of them.
            ("over", "create", {"budget": 1}, "draft"),
            ("over", "schedule", {"start": base - 2 * hour, "end": base - hour}, "scheduled"), ("over", "", None, "completed"),
            ("running", "create", {"budget": 1}, "draft"), ("running", "schedule", {"start": base - 2 * hour}, "scheduled"),
            ("running", "", None, "active"),
            ("to come", "create", {"budget": 1}, "draft"), ("to come", "schedule", {"start": base + DAY}, "scheduled"),
            ("backwards", "create", {"start": base, "end": base - hour}, None),
            ("cafe\u0301 ", "create", {"name": "with an accent"}, "draft"), (" caf\u00e9", "create", {"name": "é"}, "draft"),
            ("walk", "explode", None, None), (None, "create", {}, None), ("rich", "create", {"budget": -1}, None),
            ("rich", "create", {"budget": 1e12}, None),
        ]
        for number, (campaign, verb, data, state) in enumerate(self.plans):
            if campaign is not None and state is not None:
                self.expected.campaigns.setdefault(campaign.strip(), []).append(state)
            if not verb:
                continue
            event: dict[str, object] = {"event_type": f"campaign.{verb}", "timestamp": base - 20 * hour + number}
            if campaign is not None:
                event["campaign_id"] = campaign
            if data is not None:
                event["data"] = data
            identity = f"command {number}"
            if state is None:
                self.expected.refused_by_process[derived(self.sources[0], identity, "ingest")] = "permanent"
            yield self.sent(identity, self.sources[0], campaign, json.dumps(event).encode(), -1 - number)
