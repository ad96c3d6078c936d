"""Notifications from event to receiver: the fleet as processes, receivers on real sockets, and workers that are killed."""

from __future__ import annotations

import base64
import json
import random
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from handlers import Fleet
from outside import ROOT
from processes import header, until
from receivers import Hooks, Mails

SECRET = "whsec_" + base64.b64encode(random.Random(7).randbytes(32)).decode()


class Site:
    """The fleet with rules of the test's own."""

    def __init__(self, folder: Path) -> None:
        shutil.copytree(ROOT / "topics", folder / "topics")
        self.fleet = Fleet(folder, folder / "topics")
        self.rules = folder / "topics" / "rules.yaml"
        self.fleet.environment["FLOTILLA_WEBHOOK_SECRET"] = SECRET
        self.waits: list[float] = []
        self.hooks = Hooks(SECRET, self.answer)
        self.mails = Mails(folder)
        self.stopped = False
        self.fleet.environment["SMTP_URL"] = self.mails.url
        self.fleet.environment["SSL_CERT_FILE"] = str(self.mails.certificate)

    def answer(self, path: str, count: int, request: object) -> int | None:
        name = path.strip("/")
        if name == "hang":
            until(lambda: self.stopped, "the end of the test", limit=300)
            return None
        if name == "drip":
            try:
                while not self.stopped:
                    request.wfile.write(b"H")
                    time.sleep(0.05)
            except OSError:
                pass
            return None
        statuses = {"broken": 500, "gone": 410, "away": 302, "busy": 429 if count == 1 else 200}
        return statuses.get(name, 204)

    def write(self, channels: list[dict], rules: list[dict]) -> None:
        text = json.dumps({"allowPrivate": True, "channels": channels, "rules": rules}, ensure_ascii=False)
        self.rules.write_text(text)

    def hook(self, name: str, **settings: object) -> dict:
        return {"name": name, "webhook": self.hooks.url(name), "rate": 500} | settings

    def publish(self, numbers: range, kind: str = "order.created") -> None:
        now = int(time.time() * 1000)
        self.fleet.publish(
            [(f"{kind} {n}", {"event_type": kind, "timestamp": now, "campaign_id": f"c{n % 7}", "value": n}) for n in numbers],
            topic="events.raw")

    def sent(self, count: int) -> dict[str, dict]:
        """The ends of deliveries, by id; each is there once however often it was read."""
        records = self.fleet.read(
            "notifications.sent", lambda found: len({header(record, "ce_id") for record in found}) >= count)
        ends = {header(record, "ce_id"): json.loads(record.value()) for record in records}
        by_delivery = {end["delivery_id"]: end for end in ends.values()}
        assert len(by_delivery) == len(ends), "two events tell the end of one delivery"
        return by_delivery

    def end(self) -> None:
        self.stopped = True
        self.fleet.end()
        self.hooks.end()
        self.mails.end()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path)
    yield site
    site.end()


def event_rule(name: str, kind: str, *channels: str, template: str = "{{ event_id }}") -> dict:
    return {"name": name, "event": {"type": kind}, "channels": list(channels), "template": template, "coolDown": "0s"}


def test_windows_campaigns_and_events_notify_by_all_channels(site: Site) -> None:
    site.write(
        [
            site.hook("ops"), {"name": "journal", "log": True},
            {"name": "desk", "mail": ["ada@example.com", "eve@example.com"], "from": "fleet@example.com"},
        ],
        [
            {"name": "clicks", "window": {"metric": "clicks", "step": "1m", "above": 10}, "channels": ["ops"],
             "template": "{{ campaign_id }} {{ alarm }} {{ value }}"},
            {"name": "moves", "campaign": {"states": ["active"]}, "channels": ["journal", "ops"],
             "template": "{{ campaign_id }} is {{ state }}"},
            event_rule("orders", "order.created", "desk", template="Grüße: {{ value }} 🚢 {{ data.note | }}")
            | {"subject": "order {{ event_id }} {{ data.note }}"},
        ])
    fleet = site.fleet
    assert fleet.run("topics", "check").returncode == 0
    assert fleet.run("topics", "apply").returncode == 0
    site.mails.refusing.add("eve@example.com")
    fleet.start(fleet.worker, "work", "ingest", "process", "aggregate", "notify")
    now = int(time.time() * 1000)
    # Minutes that have ended already: the points of a later one close them.
    old = now - 600_000
    events: list[tuple[str, object]] = [
        (f"e{n}", {"event_type": "click", "timestamp": old, "campaign_id": "spring"}) for n in range(12)]
    events += [(f"m{n}", {"event_type": "click", "timestamp": now, "campaign_id": "spring"}) for n in range(2)]
    plan = {"budget": 10}
    for number, verb in enumerate(["create", "activate"]):
        events.append(
            (f"v{number}", {"event_type": f"campaign.{verb}", "timestamp": now, "campaign_id": "summer", "data": plan}))
    note = "x\r\nBcc: mallory@example.com\r\n\r\nhello"
    events.append(("o1", {"event_type": "order.created", "timestamp": now, "value": 12.5, "data": {"note": note}}))
    for event in events:
        fleet.publish([event], topic="events.raw")
    ends = site.sent(5)
    by_outcome = sorted((end["rule"], end["channel"], end["outcome"]) for end in ends.values())
    assert by_outcome[-4:] == [
        ("moves", "journal", "sent"), ("moves", "ops", "sent"), ("orders", "desk", "failed"), ("orders", "desk", "sent"),
    ], fleet.log()
    assert ("clicks", "ops", "sent") in by_outcome
    assert not site.hooks.faults
    until(lambda: "spring firing 12" in site.hooks.texts("ops"), "the alarm")
    assert "summer is active" in site.hooks.texts("ops")
    (refused,) = [end for end in ends.values() if end["outcome"] == "failed"]
    assert refused["status"] == 550, refused
    ((sender, recipients, message),) = site.mails.messages
    assert (sender, recipients) == ("fleet@example.com", ["ada@example.com"])
    assert message["subject"].startswith("order o1 x") and message["bcc"] is None
    assert message.get_content().splitlines()[0] == "Grüße: 12.5 🚢 x"
    assert message["webhook-id"] in ends
    log = (fleet.folder / "processes.log").read_text()
    assert "summer is active" in log
    assert SECRET not in log and Mails.PASSWORD not in log and "/ops" not in log
    assert fleet.run("doctor").returncode == 0


def test_every_delivery_ends_whatever_endpoints_do_and_none_delays_another(site: Site) -> None:
    bad = ["hang", "drip", "broken", "gone", "away"]
    site.write(
        [site.hook(name, giveUpAfter="8s", timeout="1s") for name in bad]
        + [site.hook("good"), site.hook("busy"), site.hook("secret", allowPrivate=False)],
        [event_rule("orders", "order.created", *bad, "good", "busy", "secret")])
    fleet = site.fleet
    assert fleet.run("topics", "apply").returncode == 0
    fleet.start(fleet.worker, "work", "ingest", "notify")
    fleet.start(fleet.worker, "work", "notify")
    site.publish(range(20))
    until(lambda: len(set(site.hooks.ids("good"))) == 20, "the good one")
    # Nothing of those that hang was given up by then: they have their own places.
    ends = site.sent(160)
    assert len(ends) == 160, fleet.log()
    outcomes: dict[str, set[str]] = {}
    for end in ends.values():
        outcomes.setdefault(end["channel"], set()).add(end["outcome"])
    assert outcomes == {
        "good": {"sent"}, "busy": {"sent"}, "secret": {"failed"}, "gone": {"failed"}, "hang": {"expired"},
        "drip": {"expired"}, "broken": {"expired"}, "away": {"expired"},
    }
    assert site.hooks.ids("inside") == [] and site.hooks.ids("secret") == []
    endpoints = {line["channel"]: line for line in json.loads(fleet.run("endpoints", "list", "--json").stdout)}
    assert endpoints["gone"]["state"] == "disabled" and endpoints["good"]["state"] == "ok", endpoints
    assert "gone    disabled since" in fleet.run("endpoints", "list").stdout
    assert fleet.run("endpoints", "enable", "gone").stdout == "gone is enabled\n"
    endpoints = {line["channel"]: line for line in json.loads(fleet.run("endpoints", "list", "--json").stdout)}
    assert endpoints["gone"]["state"] == "ok"
    unknown = fleet.run("endpoints", "enable", "nobody")
    assert unknown.returncode == 1 and "only for away, broken," in unknown.stderr, unknown.stderr
    assert "private" in next(end["reason"] for end in ends.values() if end["channel"] == "secret")
    assert not site.hooks.faults
    assert sorted(set(site.hooks.ids("good"))) == sorted(
        number for number, end in ends.items() if end["channel"] == "good")


def test_workers_that_are_killed_in_the_middle_lose_nothing_and_repeat_only_under_the_same_id(site: Site) -> None:
    count = 300
    # Slow enough that a kill finds something under way.
    site.write([site.hook("good", timeout="2s", rate=40)], [event_rule("orders", "order.created", "good")])
    fleet = site.fleet
    assert fleet.run("topics", "apply").returncode == 0
    fleet.start(fleet.worker, "work", "ingest")
    workers = [fleet.start(fleet.worker, "work", "notify") for _ in range(2)]
    site.publish(range(count))
    for number in range(4):
        until(lambda: len(set(site.hooks.ids("good"))) > (number + 1) * count // 6, "some deliveries")
        workers[0].kill()
        workers.pop(0).wait()
        workers.append(fleet.start(fleet.worker, "work", "notify"))
    ends = site.sent(count)
    assert len(ends) == count, fleet.log()
    assert {end["outcome"] for end in ends.values()} == {"sent"}
    assert set(site.hooks.ids("good")) == set(ends)
    # Whoever got one twice got the same.
    assert all(len(bodies) == 1 for bodies in site.hooks.bodies("good").values())
    assert sorted(site.hooks.texts("good")) == sorted(f"order.created {n}" for n in range(count))
    assert not site.hooks.faults
    # One that is stopped in the middle finishes what is under way.
    site.publish(range(count, count + 40))
    until(lambda: len(set(site.hooks.ids("good"))) > count, "some more")
    for worker in workers:
        worker.terminate()
    assert [worker.wait(60) for worker in workers] == [0, 0], fleet.log()
    sent = len(site.hooks.ids("good"))
    fleet.start(fleet.worker, "work", "notify")
    assert len(site.sent(count + 40)) == count + 40, fleet.log()
    assert len(set(site.hooks.ids("good"))) == count + 40
    assert len(set(site.hooks.ids("good")[:sent]) & set(site.hooks.ids("good")[sent:])) == 0


# The server's own words about how it is set up, which is the point.
@pytest.mark.filterwarnings("ignore:Requiring AUTH")
def test_a_mail_server_that_nobody_vouches_for_gets_neither_mail_nor_password(site: Site) -> None:
    site.write(
        [{"name": "desk", "mail": ["ada@example.com"], "from": "fleet@example.com", "giveUpAfter": "3s", "timeout": "2s"}],
        [event_rule("orders", "order.created", "desk")])
    fleet = site.fleet
    assert fleet.run("topics", "apply").returncode == 0
    fleet.start(fleet.worker, "work", "ingest")
    plain = Mails(fleet.folder, is_secure=False)
    try:
        # One knows no STARTTLS, the other has a certificate that is not believed.
        for number, (server, believed) in enumerate([(plain, True), (site.mails, False)]):
            fleet.environment["SMTP_URL"] = server.url
            if not believed:
                del fleet.environment["SSL_CERT_FILE"]
            worker = fleet.start(fleet.worker, "work", "notify")
            site.publish(range(number, number + 1))
            ends = site.sent(number + 1)
            assert [end["outcome"] for end in ends.values()] == ["expired"] * (number + 1), fleet.log()
            assert (server.messages, server.logins) == ([], 0)
            worker.terminate()
            assert worker.wait(60) == 0
    finally:
        plain.end()


def test_what_is_wrong_is_told_before_anything_starts(site: Site) -> None:
    fleet = site.fleet
    site.rules.write_text("channels:\n  - {name: a, log: true}\nrules:\n  - {name: r, event: {type: x}, channels: [b], template: '{{ y }}'}\n")
    for words in (["topics", "check"], ["work", "notify"]):
        refused = fleet.run(*words)
        assert refused.returncode == 1
        assert "rules.yaml:4:" in refused.stderr and "b, which is no channel" in refused.stderr, refused.stderr
        assert "{{ y }}, which there is not" in refused.stderr
    rules = next(found for found in json.loads(fleet.run("doctor", "--json").stdout) if found["subject"] == "rules")
    assert rules["state"] == "failed" and "rules.yaml:4:" in rules["detail"], rules
    site.write([site.hook("ops"), {"name": "desk", "mail": ["a@b"], "from": "a@b"}], [event_rule("r", "x", "ops", "desk")])
    for name in ("FLOTILLA_WEBHOOK_SECRET", "SMTP_URL"):
        del fleet.environment[name]
    refused = fleet.run("work", "notify")
    assert refused.returncode == 1
    assert "FLOTILLA_WEBHOOK_SECRET is not set" in refused.stderr and "SMTP_URL is not set" in refused.stderr
    rules = next(found for found in json.loads(fleet.run("doctor", "--json").stdout) if found["subject"] == "rules")
    assert rules["state"] == "warning" and "SMTP_URL is not set" in rules["detail"], rules
    fleet.environment["FLOTILLA_WEBHOOK_SECRET"] = "whsec_hunter2"
    assert "hunter2" not in fleet.run("work", "notify").stderr
