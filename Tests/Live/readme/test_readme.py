"""The README's Swift, as a package that depends on this one: it builds, runs, and does what the README says it does."""

from __future__ import annotations

import json
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import outside
from outside import ROOT
from processes import Site, header, until

@pytest.fixture(scope="module")
def programs() -> Path:
    return outside.build(ROOT / ".build" / "outside-package")


@pytest.fixture
def site(tmp_path: Path, programs: Path) -> Iterator[Site]:
    topics = tmp_path / "topics"
    outside.write_topics(topics)
    site = Site(tmp_path, programs / "worker", topics)
    yield site
    site.end()


def test_the_client_and_the_embedded_broker(programs: Path) -> None:
    shutil.rmtree(outside.DATA, ignore_errors=True)
    run = subprocess.run([programs / "embedded"], capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr
    assert run.stdout.splitlines() == [
        "written to partition 0 at offset 0",
        "0 0 [104, 101, 108, 108, 111]",
    ]


def test_the_test_of_its_handler(programs: Path) -> None:
    package = ROOT / ".build" / "outside-package"
    assert "3 tests" in outside.swift_command(package, "test", "--skip-build", "--disable-xctest")


def test_a_worker_refuses_to_start_without_its_topics(site: Site) -> None:
    refused = site.run("work")
    assert refused.returncode == 1
    assert "orders.pricer.dlq" in refused.stderr and "topics apply" in refused.stderr
    plan = site.run("topics", "plan")
    assert plan.returncode == 3, plan.stderr
    assert site.run("topics", "apply").returncode == 0
    assert site.run("topics", "plan").returncode == 0
    assert site.run("work", "nobody").returncode == 2


def test_the_worker(site: Site) -> None:
    assert site.run("topics", "apply").returncode == 0
    worker = site.start(site.worker, "work")
    site.publish([(f"order {n}", {"amount": n, "country": "de"}) for n in range(200)], again=2)
    site.publish([("bad", {"amount": 1}), ("worse", b"\xff{"), ("", {})])
    priced = site.read("orders.priced", lambda found: len({header(m, "ce_id") for m in found}) >= 200)
    assert len(priced) == 200, site.log()
    totals = sorted(json.loads(message.value())["total"] for message in priced)
    assert totals == pytest.approx(sorted(n * 1.19 for n in range(200)))
    letters = site.read("orders.pricer.dlq", lambda found: len(found) >= 3)
    assert sorted(header(m, "dlq-reason") for m in letters) == ["permanent", "undecodable", "undecodable"], site.log()
    assert {m.value() for m in letters} == {b'{"amount": 1}', b"\xff{", b"{}"}

    until(lambda: '"done":200' in site.run("workers").stdout, "the heartbeat")
    assert site.run("pause", "pricer", "--reason", "audit").returncode == 0
    until(lambda: "operator" in site.run("workers").stdout, "the pause")
    site.publish([("late", {"amount": 5, "country": "fr"})])
    assert site.run("resume", "pricer").returncode == 0
    site.read("orders.priced", lambda found: len(found) >= 201)
    assert site.run("resume", "pricer").returncode == 1

    worker.send_signal(signal.SIGTERM)
    assert worker.wait(30) == 0, site.log()
    assert site.run("workers").stdout == ""


def test_a_worker_that_is_killed_loses_nothing(site: Site) -> None:
    """Five times in the middle of its work, and once the Redis is stopped for a while."""
    assert site.run("topics", "apply").returncode == 0
    count = 20_000
    site.publish([(f"order {n}", {"amount": n, "country": "de"}) for n in range(count)])
    dice = random.Random(7)
    for _ in range(5):
        worker = site.start(site.worker, "work")
        time.sleep(dice.uniform(0.4, 1.2))
        worker.kill()
        worker.wait()
    site.start(site.worker, "work")
    seen: set[str] = set()

    def complete(found: list) -> bool:
        seen.update(header(message, "ce_id") for message in found[-1000:])
        return len(seen) >= count

    site.read("orders.priced", complete)
    assert len(seen) == count, site.log()
    assert site.read("orders.pricer.dlq", lambda found: bool(found), limit=1) == []


def test_the_doctor_says_what_to_do(site: Site) -> None:
    def findings() -> dict[str, dict]:
        return {found["subject"]: found for found in json.loads(site.run("doctor", "--json").stdout)}

    ill = site.run("doctor")
    assert ill.returncode == 1
    assert "orders.pricer.dlq: is missing" in ill.stdout and "worker topics apply" in ill.stdout
    assert site.run("topics", "apply").returncode == 0
    assert site.run("doctor").returncode == 0
    assert findings()["handler pricer"]["advice"] == "nobody works: worker work pricer"
    site.start(site.worker, "work")
    until(lambda: findings()["handler pricer"]["detail"] == "1 worker, group stable, 0 records behind", "a worker")
    well = site.run("doctor")
    assert well.returncode == 0, well.stdout
    print(well.stdout)
    site.processes[1].kill()
    site.processes[1].wait()
    ill = site.run("doctor")
    assert ill.returncode == 1
    assert "FAILED   redis" in ill.stdout and "is it running, and is REDIS_URL right?" in ill.stdout


def test_two_fleets_on_the_same_servers_do_not_meet(site: Site) -> None:
    """The same handler, the same ids, and a namespace for one of them."""
    plain, red = site.environment, site.environment | {"FLOTILLA_NAMESPACE": "red"}
    for site.environment in (plain, red):
        assert site.run("topics", "apply").returncode == 0
        site.start(site.worker, "work")
    events = [(f"order {n}", {"amount": n, "country": "de"}) for n in range(100)]
    site.publish(events, topic="orders")
    site.publish(events, topic="red.orders")
    for topic in ("orders.priced", "red.orders.priced"):
        found = site.read(topic, lambda found: len(found) >= 100)
        assert len({header(message, "ce_id") for message in found}) == len(found) == 100, site.log()

    # Standing still concerns one of them, and outlives its workers.
    assert site.run("pause", "pricer", "--reason", "audit").returncode == 0
    until(lambda: '"reason":"audit"' in site.run("workers").stdout, "the pause")
    unknown = site.run("pause", "prizer")
    assert unknown.returncode == 1 and "have pricer" in unknown.stderr
    site.processes[-1].kill()
    site.processes[-1].wait()
    site.start(site.worker, "work")
    until(lambda: '"reason":"audit"' in site.run("workers").stdout, "the pause of the next worker")
    site.publish([("late", {"amount": 1, "country": "de"})], topic="orders")
    site.publish([("late", {"amount": 1, "country": "de"})], topic="red.orders")
    assert len(site.read("orders.priced", lambda found: len(found) >= 101)) == 101, site.log()
    assert len(site.read("red.orders.priced", lambda found: len(found) >= 101, limit=2)) == 100
    assert site.run("resume", "pricer").returncode == 0
    assert len(site.read("red.orders.priced", lambda found: len(found) >= 101)) == 101, site.log()
    site.environment = plain


def test_a_second_signal_ends_it_at_once(site: Site) -> None:
    assert site.run("topics", "apply").returncode == 0
    worker = site.start(site.worker, "work")
    site.publish([(f"order {n}", {"amount": n, "country": "de"}) for n in range(100)])
    site.read("orders.priced", lambda found: len(found) >= 100)
    site.publish([(f"order {n}", {"amount": n, "country": "de"}) for n in range(100, 5000)])
    broker = site.processes[0]
    broker.send_signal(signal.SIGSTOP)
    try:
        # What is under way cannot be finished now, and is waited for.
        worker.send_signal(signal.SIGTERM)
        with pytest.raises(subprocess.TimeoutExpired):
            worker.wait(1)
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(5) == 128 + signal.SIGTERM
    finally:
        broker.send_signal(signal.SIGCONT)
    site.start(site.worker, "work")
    found = site.read("orders.priced", lambda found: len({header(m, "ce_id") for m in found[-6000:]}) >= 5000)
    assert len({header(message, "ce_id") for message in found}) == 5000, site.log()
