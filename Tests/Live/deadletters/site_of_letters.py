"""A broker, a Redis, a Postgres, handlers that fail while a file says so, and the worker of the dead letters."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import subprocess
from pathlib import Path

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from fleet import FLOTILLA, POSTGRES, Fleet, until
from outside import ROOT
from ports import free_port, listens

HERE = Path(__file__).resolve().parent
WORKER = Path(os.environ.get("FAILING_WORKER_BIN", ROOT / ".build/debug/FailingWorker"))
PARTITIONS = 3


class Site(Fleet):
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        self.topics = folder / "topics"
        shutil.copytree(HERE / "topics", self.topics)
        self.broken = folder / "broken"
        broker, redis = free_port(), free_port()
        self.broker = f"127.0.0.1:{broker}"
        data = folder / "postgres"
        self.environment = os.environ | {
            "KAFKA_BROKERS": self.broker, "REDIS_URL": f"redis://127.0.0.1:{redis}", "FLOTILLA_TOPICS": str(self.topics),
            "DATABASE_URL": f"postgresql:///postgres?host={data}&user=postgres", "FAIL_WHILE": str(self.broken),
            "LOG_FORMAT": "text",
        }
        self.parts = {}
        self.add("broker", [FLOTILLA, "broker", "--data", folder / "broker", "--listen", self.broker],
                 lambda: listens(("127.0.0.1", broker)))
        self.add("redis", ["redis-server", "--port", redis, "--bind", "127.0.0.1", "--dir", folder, "--save", "",
                           "--appendonly", "yes"], lambda: listens(("127.0.0.1", redis)))
        self.add("postgres", self.postgres(data), lambda: subprocess.run(
            [POSTGRES / "pg_isready", "-q", "-h", data]).returncode == 0)
        assert self.run("topics", "apply").returncode == 0

    def handle(self, name: str) -> None:
        self.add(name, [WORKER, "work", name], lambda: True)

    def follow(self, name: str = "deadletters", *words: str) -> None:
        self.work(name, "deadletters", *words)

    def publish(self, orders: list[dict], first: int = 0) -> None:
        producer = Producer({"bootstrap.servers": self.broker, "enable.idempotence": True, "linger.ms": 5,
                             "message.max.bytes": 4 << 20})
        for number, order in enumerate(orders, first):
            headers = {"ce_specversion": "1.0", "ce_id": f"order-{number}", "ce_source": "/shop",
                       "ce_type": "order.created", "content-type": "application/json"}
            value = order if isinstance(order, bytes) else json.dumps(order).encode()
            producer.produce("orders", key=f"customer {number % 50}", value=value, headers=headers)
            producer.poll(0)
        assert producer.flush(30) == 0

    def publish_for_the_page(self) -> None:
        """Three shops' orders of a day, each customer with one; those from France are the trouble."""
        producer = Producer({"bootstrap.servers": self.broker, "enable.idempotence": True})
        for number in range(120):
            order = {"order": number, "amount": 100, "country": ("de", "at", "fr")[number % 3],
                     "customer": {"mail": f"customer-{number}@example.com"}}
            headers = {"ce_specversion": "1.0", "ce_id": f"order-{number}", "ce_source": "/shop",
                       "ce_type": "order.created", "content-type": "application/json"}
            producer.produce("orders", key=f"customer-{number}", value=json.dumps(order).encode(), headers=headers,
                             partition=number % PARTITIONS)
        assert producer.flush(30) == 0

    def read(self, topic: str) -> list:
        """All that is in a topic."""
        consumer = Consumer({"bootstrap.servers": self.broker, "group.id": f"check {random.random()}", "enable.partition.eof": True})
        count = self.partitions(topic)
        consumer.assign([TopicPartition(topic, number, 0) for number in range(count)])
        found, ends = [], 0
        while ends < count:
            for message in consumer.consume(1000, 1):
                if message.error() is None:
                    found.append(message)
                else:
                    ends += 1
        consumer.close()
        return found

    def partitions(self, topic: str) -> int:
        return len(AdminClient({"bootstrap.servers": self.broker}).list_topics(topic, 30).topics[topic].partitions)

    def committed(self, handler: str, topic: str = "orders") -> int:
        """How many records a handler has read, as its group says."""
        name = self.environment.get("FLOTILLA_NAMESPACE")
        group = f"{name}.flotilla.{handler}" if name else f"flotilla.{handler}"
        consumer = Consumer({"bootstrap.servers": self.broker, "group.id": group})
        found = consumer.committed([TopicPartition(topic, number) for number in range(PARTITIONS)], 30)
        consumer.close()
        return sum(max(0, place.offset) for place in found)

    def dlq(self, *words: str, code: int = 0) -> list[dict]:
        told = self.run("dlq", *words, "--json")
        assert told.returncode == code, told.stdout + told.stderr + self.parts["deadletters"].said()
        return [json.loads(line) for line in told.stdout.splitlines()]

    def states(self, *words: str) -> dict[str, int]:
        total: dict[str, int] = {}
        for group in self.dlq("groups", *words):
            for state, count in group["states"].items():
                total[state] = total.get(state, 0) + count
        return {state: count for state, count in total.items() if count}

    def psql(self, sql: str) -> str:
        host = re.search(r"host=([^&]*)", self.environment["DATABASE_URL"]).group(1)
        words = [POSTGRES / "psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-h", host, "-U", "postgres", "-d", "postgres", "-c", sql]
        return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()


def orders(count: int, country: str = "de") -> list[dict]:
    return [{"order": number, "amount": 100, "country": country, "customer": {"mail": f"c{number}@example.com", "n": number}}
            for number in range(count)]


def configure(site: Site, topic: str, name: str, value: object) -> None:
    change = ConfigEntry(name, str(value), incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[change])
    admin = AdminClient({"bootstrap.servers": site.broker})
    for future in admin.incremental_alter_configs([resource]).values():
        future.result(30)


def delete_topic(site: Site, topic: str) -> None:
    admin = AdminClient({"bootstrap.servers": site.broker})
    for future in admin.delete_topics([topic]).values():
        future.result(30)


def delete_records(site: Site, below: list[TopicPartition]) -> None:
    admin = AdminClient({"bootstrap.servers": site.broker})
    for future in admin.delete_records(below).values():
        future.result(30)


__all__ = ["PARTITIONS", "ROOT", "Site", "configure", "delete_records", "delete_topic", "orders", "until"]
