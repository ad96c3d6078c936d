"""The README's Swift, as a package that depends on this one: it builds, runs, and does what the README says it does."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

import outside
from outside import ROOT

PARTITIONS = 6


def until(condition: Callable[[], bool], what: str, limit: float = 60) -> None:
    end = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < end, f"waited {limit} s for {what}"
        time.sleep(0.02)


def listens(address: tuple[str, int]) -> bool:
    try:
        socket.create_connection(address, 1).close()
        return True
    except OSError:
        return False


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Site:
    """A broker, a Redis and the README's worker, each a process of its own."""

    def __init__(self, folder: Path, programs: Path) -> None:
        self.folder = folder
        self.worker = programs / "worker"
        self.processes: list[subprocess.Popen[bytes]] = []
        self.broker = f"127.0.0.1:{free_port()}"
        redis = free_port()
        topics = folder / "topics"
        topics.mkdir()
        for text in outside.blocks("yaml"):
            (topics / (text.split("\n")[0].removeprefix("name: ") + ".yaml")).write_text(text)
        self.environment = os.environ | {
            "KAFKA_BROKERS": self.broker, "REDIS_URL": f"redis://127.0.0.1:{redis}", "FLOTILLA_TOPICS": str(topics),
            "LOG_FORMAT": "text",
        }
        self.start(ROOT / "bin/flotilla", "broker", "--data", folder / "broker", "--listen", self.broker)
        self.start(
            "redis-server", "--port", redis, "--bind", "127.0.0.1", "--dir", folder, "--save", "", "--appendonly", "yes")
        for port in (int(self.broker.split(":")[1]), redis):
            until(lambda: listens(("127.0.0.1", port)), f"port {port}")

    def start(self, *arguments: object) -> subprocess.Popen[bytes]:
        with (self.folder / "processes.log").open("ab") as log:
            process = subprocess.Popen([str(word) for word in arguments], stdout=log, stderr=log, env=self.environment)
        self.processes.append(process)
        return process

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([self.worker, *words], env=self.environment, capture_output=True, text=True, timeout=60)

    def end(self) -> None:
        for process in reversed(self.processes):
            if process.poll() is None:
                process.kill()
            process.wait()

    def publish(self, values: list[tuple[str, object]], again: int = 1) -> None:
        producer = Producer({"bootstrap.servers": self.broker, "enable.idempotence": True, "linger.ms": 5})
        for _ in range(again):
            for number, value in values:
                headers = {
                    "ce_specversion": "1.0", "ce_id": number, "ce_source": "/shop", "ce_type": "order.created",
                    "content-type": "application/json",
                }
                text = value if isinstance(value, bytes) else json.dumps(value).encode()
                producer.produce("orders", key=f"customer {hash(number) % 50}", value=text, headers=headers)
                producer.poll(0)
        assert producer.flush(30) == 0

    def read(self, topic: str, enough: Callable[[list], bool], limit: float = 90) -> list:
        consumer = Consumer({"bootstrap.servers": self.broker, "group.id": f"check {random.random()}"})
        consumer.assign([TopicPartition(topic, number, 0) for number in range(PARTITIONS)])
        found: list = []
        end = time.monotonic() + limit
        while not enough(found) and time.monotonic() < end:
            found += [message for message in consumer.consume(1000, 0.2) if message.error() is None]
        consumer.close()
        return found

    def log(self) -> str:
        return (self.folder / "processes.log").read_text()[-4000:]


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return outside.build(ROOT / ".build" / "outside-package", tmp_path_factory.mktemp("data") / "broker")


@pytest.fixture
def site(tmp_path: Path, programs: Path) -> Iterator[Site]:
    site = Site(tmp_path, programs)
    yield site
    site.end()


def header(message: object, name: str) -> str:
    return dict(message.headers())[name].decode()


def test_the_client_and_the_embedded_broker(programs: Path) -> None:
    run = subprocess.run([programs / "embedded"], capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr
    assert run.stdout.splitlines() == [
        "written to partition 0 at offset 0",
        "0 0 [104, 101, 108, 108, 111]",
    ]


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
