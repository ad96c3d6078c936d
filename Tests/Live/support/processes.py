"""A worker with what it needs, each a process of its own."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from outside import ROOT
from ports import free_port, listens

PARTITIONS = 6

# What tests of this process have started, in order.
started: list[subprocess.Popen[bytes]] = []


def until(condition: Callable[[], bool], what: str, limit: float = 60) -> None:
    end = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < end, f"waited {limit} s for {what}"
        time.sleep(0.02)


def launch(words: list[object], **options: object) -> subprocess.Popen[bytes]:
    """A process that does not outlive its test, also when what was to end it never came to be."""
    process = subprocess.Popen([str(word) for word in words], **options)
    started.append(process)
    return process


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    """Ends what a test started and did not end: a set-up that fails halfway has nobody who does."""
    before = len(started)
    yield
    for process in reversed(started[before:]):
        if process.poll() is None:
            leads = os.getpgid(process.pid) == process.pid
            (os.killpg if leads else os.kill)(process.pid, signal.SIGKILL)
            process.wait()
    del started[before:]


class Site:
    """A broker, a Redis and a worker, each a process of its own."""

    def __init__(self, folder: Path, worker: Path, topics: Path) -> None:
        self.folder = folder
        self.worker = worker
        self.processes: list[subprocess.Popen[bytes]] = []
        self.broker = f"127.0.0.1:{free_port()}"
        redis = free_port()
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
            process = launch(list(arguments), stdout=log, stderr=log, env=self.environment)
        self.processes.append(process)
        return process

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([self.worker, *words], env=self.environment, capture_output=True, text=True, timeout=60)

    def end(self) -> None:
        for process in reversed(self.processes):
            if process.poll() is None:
                process.kill()
            process.wait()

    def publish(self, values: list[tuple[str, object]], again: int = 1, topic: str = "orders") -> None:
        producer = Producer({"bootstrap.servers": self.broker, "enable.idempotence": True, "linger.ms": 5})
        for _ in range(again):
            for number, value in values:
                headers = {
                    "ce_specversion": "1.0", "ce_id": number, "ce_source": "/shop", "ce_type": "order.created",
                    "content-type": "application/json",
                }
                text = value if isinstance(value, bytes) else json.dumps(value).encode()
                producer.produce(topic, key=f"customer {hash(number) % 50}", value=text, headers=headers)
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


def header(message: object, name: str) -> str:
    return dict(message.headers())[name].decode()
