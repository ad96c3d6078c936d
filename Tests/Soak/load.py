"""The load: what the oracle's generator draws from a seed, sent over HTTP in each of the ways in which clients do.

Everything is drawn before it begins, with the moment at which it is due. Whoever gets no answer, or one that says to
come again, sends the same again, until it is taken; so all that was drawn has to count in the end. One client never
sends again: what became of its events it does not know, and so the oracle only knows the bounds.
"""

from __future__ import annotations

import http.client
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from events import MINUTE, Generator, Sent, derived

CALLER = "/flotilla/anonymous"
SOURCES = [f"{CALLER}/shop", f"{CALLER}/app"]
SENDERS = 8
# A campaign that its first command comes too early for is there later; so many a set of them.
LATER = 8
UNSURE = "given.up"
# How much later than planned an event may be sent, behind an outage.
SLACK = 30 * MINUTE


@dataclass
class Request:
    """Sent as it is, until it is taken."""

    due: float
    body: bytes
    headers: list[tuple[str, str]]
    events: int
    # Whether the edge has to refuse it.
    is_wrong: bool = False


@dataclass
class Second:
    """What was answered within one second."""

    events: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    # Of requests that were taken, in milliseconds.
    latencies: list[float] = field(default_factory=list)


class Load:
    """`minutes` of events at `rate` a second. `sets` of campaigns are mended meanwhile, and one more afterwards."""

    def __init__(self, seed: int, minutes: float, rate: int, sets: int, address: tuple[str, int]) -> None:
        self.address = address
        self.seconds = minutes * 60
        self.dice = random.Random(seed)
        count = int(self.seconds * rate)
        self.base = int(time.time() * 1000)
        drawn = Generator(seed, count, self.base, 1000 / rate, int(self.seconds * 1000) + SLACK, SOURCES)
        self.expected = drawn.expected
        self.commands: list[Request] = []
        self.others: list[Request] = []
        self.draw(drawn)
        self.sets = [self.later(number) for number in range(sets + 1)]
        self.unsure = [self.unsure_list(number) for number in range(int(self.seconds * rate / 600))]
        self.began = 0.0
        self.is_over = False
        self.lock = threading.Lock()
        self.seconds_of: dict[int, Second] = {}
        self.faults: list[str] = []
        self.unsure_taken = self.unsure_sent = self.again = self.refused = self.ended = 0

    @property
    def events(self) -> int:
        return sum(request.events for request in self.commands + self.others)

    @property
    def left(self) -> int:
        """How many requests have not come to their end."""
        return len(self.commands) + len(self.others) - self.ended

    def count(self, status: str) -> int:
        """How many requests were answered so far with a status."""
        with self.lock:
            return sum(second.statuses[status] for second in self.seconds_of.values())

    # MARK: What is sent

    def draw(self, drawn: Generator) -> None:
        """Records become CloudEvents, in lists or by themselves; lines become lines or plain lists."""
        group: list[Sent] = []
        size = self.dice.randrange(1, 40)
        for number, sent in enumerate(drawn.records):
            due = number / len(drawn.records) * self.seconds
            headers = {name: text.decode() for name, text in sent.headers}
            is_wrong = self.is_refused_by_the_edge(sent)
            if headers.get("ce_id", "").startswith("command "):
                self.commands.append(self.alone(sent, due, is_wrong))
            elif is_wrong or headers.get("ce_id", "f").startswith("f") or self.dice.random() < 0.1:
                self.others.append(self.alone(sent, due, is_wrong))
            else:
                group.append(sent)
            if len(group) >= size:
                self.others.append(self.together(group, due))
                group, size = [], self.dice.randrange(1, 40)
        if group:
            self.others.append(self.together(group, self.seconds))
        for sent in drawn.records:
            if self.is_refused_by_the_edge(sent):
                drawn.expected.refused.pop(dict(sent.headers)["oracle"].decode(), None)
        for first in range(0, len(drawn.lines), 20):
            due = first / len(drawn.lines) * self.seconds
            self.others.append(self.lines(drawn.lines[first:first + 20], due, first))
        self.others.sort(key=lambda request: request.due)

    @staticmethod
    def is_refused_by_the_edge(sent: Sent) -> bool:
        names = [name for name, _ in sent.headers]
        version = dict(sent.headers).get("ce_specversion")
        return names.count("ce_id") != 1 or names.count("ce_source") != 1 or version != b"1.0"

    @staticmethod
    def alone(sent: Sent, due: float, is_wrong: bool) -> Request:
        """In binary mode: the value as it is, whatever it is."""
        kind = "application/json" if sent.value and not is_wrong and not is_odd(sent) else "application/octet-stream"
        headers = [("content-type", kind)]
        for name, text in sent.headers:
            if name.startswith("ce_") and name != "ce_recordedtime":
                headers.append((name.replace("_", "-", 1), text.decode()))
        headers.append(("ce-oracle", dict(sent.headers)["oracle"].decode()))
        if is_odd(sent) and sent.key:
            headers.append(("ce-partitionkey", sent.key))
        return Request(due, sent.value or b"", headers, 1, is_wrong)

    @staticmethod
    def together(group: list[Sent], due: float) -> Request:
        """A list of CloudEvents; the data is not written anew, so that its numbers stay as they were drawn."""
        events = []
        for sent in group:
            headers = {name: text.decode() for name, text in sent.headers}
            attributes = {name.removeprefix("ce_"): text for name, text in headers.items() if name.startswith("ce_")}
            del attributes["recordedtime"]
            attributes["oracle"] = headers["oracle"]
            events.append(json.dumps(attributes)[:-1].encode() + b', "data": ' + (sent.value or b"null") + b"}")
        body = b"[" + b",".join(events) + b"]"
        return Request(due, body, [("content-type", "application/cloudevents-batch+json")], len(group))

    def lines(self, lines: list[str], due: float, number: int) -> Request:
        """As lines, as a list, or as a list without ids, whose ids the edge derives from its key."""
        form = self.dice.randrange(3)
        if form == 0:
            return Request(due, "\n".join(lines).encode(), [("content-type", "application/x-ndjson")], len(lines))
        events = [json.loads(line) for line in lines]
        headers = [("content-type", "application/json"), ("idempotency-key", f"lines {number}")]
        if form == 1:
            for event in events:
                del event["event_id"]
        return Request(due, json.dumps(events).encode(), headers, len(lines))

    def later(self, number: int) -> list[str]:
        """Campaigns that are to be active before there are any: dead letters, until somebody creates them."""
        names = [f"later-{number}-{place}" for place in range(LATER)]
        for place, name in enumerate(names):
            identity = f"later {number} {place}"
            self.expected.refused_by_process[derived(SOURCES[0], identity, "ingest")] = "permanent"
            self.expected.campaigns[name] = ["draft", "active"]
            due = self.dice.random() * self.seconds * 0.1
            self.others.append(self.command(due, identity, f"later-{number}", name, "activate", {}))
        self.others.sort(key=lambda request: request.due)
        return names

    def creations(self, number: int) -> list[Request]:
        """What a set of them has been lacking."""
        return [
            self.command(0, f"creation {number} {place}", "creation", name, "create", {"budget": 1})
            for place, name in enumerate(self.sets[number])
        ]

    def command(self, due: float, identity: str, kind: str, campaign: str, verb: str, data: dict) -> Request:
        event = {"event_type": f"campaign.{verb}", "campaign_id": campaign, "data": data, "timestamp": self.base}
        headers = [("content-type", "application/json"), ("ce-specversion", "1.0"), ("ce-id", identity),
                   ("ce-source", SOURCES[0]), ("ce-type", kind)]
        return Request(due, json.dumps(event).encode(), headers, 1)

    def unsure_list(self, number: int) -> Request:
        events = [
            {"event_id": f"unsure {number} {place}", "event_type": UNSURE, "timestamp": self.base}
            for place in range(5)]
        due = self.dice.random() * self.seconds
        return Request(due, json.dumps(events).encode(), [("content-type", "application/json")], 5)

    # MARK: Sending

    def start(self) -> None:
        self.began = time.monotonic()
        queue = iter(self.others)
        self.threads = [threading.Thread(target=self.work, args=(queue,), daemon=True) for _ in range(SENDERS)]
        # One after the other: commands come in their order.
        self.threads.append(threading.Thread(target=self.work, args=(iter(self.commands),), daemon=True))
        self.threads.append(threading.Thread(target=self.work_once, daemon=True))
        for thread in self.threads:
            thread.start()

    @property
    def is_done(self) -> bool:
        return not any(thread.is_alive() for thread in self.threads)

    def work(self, queue: Iterator[Request]) -> None:
        client = Client(self.address)
        while not self.is_over:
            with self.lock:
                request = next(queue, None)
            if request is None:
                return
            self.wait_until(request.due)
            self.send(client, request)
            with self.lock:
                self.ended += 1

    def work_once(self) -> None:
        client = Client(self.address)
        for request in sorted(self.unsure, key=lambda request: request.due):
            self.wait_until(request.due)
            if self.is_over:
                return
            self.unsure_sent += request.events
            if self.attempt(client, request)[0] // 100 == 2:
                self.unsure_taken += request.events

    def wait_until(self, due: float) -> None:
        while not self.is_over and (left := self.began + due - time.monotonic()) > 0:
            time.sleep(min(left, 0.5))

    def send(self, client: Client, request: Request) -> None:
        """Until it is taken; what has to be refused, until it is."""
        while not self.is_over:
            status, body = self.attempt(client, request)
            if request.is_wrong and status in (400, 422):
                with self.lock:
                    self.refused += 1
                return
            if status // 100 == 2 and not request.is_wrong:
                told = json.loads(body)
                if told.get("accepted", 1) != (request.events if "accepted" in told else 1) or told.get("rejected", 0):
                    self.faults.append(f"{status}, though not all of {request.events} are in: {body[:300]!r}")
                return
            # No answer, too much at once, under way already, out of order: the same again.
            if status not in (0, 409, 429, 503):
                self.faults.append(f"{status} to {request.headers} {request.body[:200]!r}: {body[:300]!r}")
                return
            with self.lock:
                self.again += 1
            time.sleep(0.2)

    def attempt(self, client: Client, request: Request) -> tuple[int, bytes]:
        began = time.monotonic()
        status, body = client.post(request)
        now = time.monotonic()
        with self.lock:
            second = self.seconds_of.setdefault(int(now - self.began), Second())
            second.statuses[str(status or "none")] += 1
            if status // 100 == 2:
                second.events += request.events
                second.latencies.append((now - began) * 1000)
        return status, body

    def end(self) -> None:
        self.is_over = True
        for thread in self.threads:
            thread.join(30)


class Client:
    """One connection, made anew when it broke."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.address = address
        self.connection: http.client.HTTPConnection | None = None

    def post(self, request: Request) -> tuple[int, bytes]:
        """The status and what was said; 0 when nothing was."""
        try:
            if self.connection is None:
                self.connection = http.client.HTTPConnection(*self.address, timeout=20)
            self.connection.putrequest("POST", "/v1/events")
            for name, value in [*request.headers, ("content-length", str(len(request.body)))]:
                self.connection.putheader(name, value)
            self.connection.endheaders(request.body)
            answer = self.connection.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException):
            if self.connection:
                self.connection.close()
            self.connection = None
            return 0, b""


def is_odd(sent: Sent) -> bool:
    """Whether it was drawn to be faulty."""
    return dict(sent.headers).get("ce_id", b"f").startswith(b"f")
