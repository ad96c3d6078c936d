"""Flotilla's own client: Swift over librdkafka, driven through KafkaDriver (JSON lines on stdin and stdout).

Every producer, consumer and admin object here has a driver process of its own, so that a consumer can be killed.
`Swift` runs it with the librdkafka that the system has, `SwiftNewest` with the one inside the confluent-kafka wheel,
put in front of the system's by LD_PRELOAD.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from clients.base import (
    Admin,
    Answers,
    Client,
    Consumer,
    ConsumerOptions,
    Delivery,
    GroupView,
    Outgoing,
    Position,
    Producer,
    ProducerOptions,
    Record,
    TopicPartition,
    Unsupported,
)
from clients.driver import PATIENCE, Driver, refusal

import librdkafka


def encoded(data: bytes | None) -> str | None:
    return None if data is None else base64.b64encode(data).decode()


def decoded(text: str | None) -> bytes | None:
    return None if text is None else base64.b64decode(text)


class SwiftProducer(Producer):
    def __init__(self, driver: Driver, address: str, options: ProducerOptions) -> None:
        self.driver = driver
        config: dict[str, Any] = {
            "bootstrap": options.address or address,
            "compression": options.compression,
            "linger_ms": options.linger_ms,
            "delivery_timeout_ms": int(options.patience * 1000),
        }
        if options.max_request is not None:
            config["message_max_bytes"] = options.max_request
        self.handle = driver.ask("producer_open", config=config)["handle"]

    def send(self, records: Sequence[Outgoing]) -> Answers:
        wishes = [
            {
                "topic": record.topic,
                "key": encoded(record.key),
                "value": encoded(record.value),
                "headers": [[name, encoded(value)] for name, value in record.headers],
                **({} if record.partition is None else {"partition": record.partition}),
                **({} if record.timestamp is None else {"timestamp": record.timestamp}),
            }
            for record in records
        ]
        answers = Answers()
        for verdict in self.driver.ask("produce", handle=self.handle, records=wishes)["deliveries"]:
            if "error" in verdict:
                answers.all.append(refusal(verdict["error"]))
            else:
                answers.all.append(Delivery(verdict["partition"], verdict["offset"]))
        return answers

    def close(self) -> None:
        self.driver.ask("producer_close", handle=self.handle)
        self.driver.end()


class SwiftConsumer(Consumer):
    def __init__(self, driver: Driver, address: str, options: ConsumerOptions) -> None:
        self.driver = driver
        config = {
            "bootstrap": address,
            "strategy": options.strategy,
            "auto_offset_reset": options.reset,
            "session_timeout_ms": options.session_ms,
            "fetch_wait_max_ms": options.fetch_wait_ms,
            "extra": {"topic.metadata.refresh.interval.ms": "1000"},
        }
        self.handle = driver.ask("consumer_open", group=options.group or "none", config=config)["handle"]
        self.rebalances = 0

    def ask(self, op: str, patience: float = PATIENCE, **arguments: Any) -> Any:
        return self.driver.ask(op, patience, handle=self.handle, **arguments)

    def subscribe(self, topics: Sequence[str]) -> None:
        self.ask("subscribe", topics=list(topics))

    def assign(self, positions: Sequence[Position]) -> None:
        self.ask("assign", partitions=[list(position) for position in positions])

    def poll(self, limit: int, timeout: float) -> list[Record]:
        """An answer of the driver is one event of the client: records, or what happened while they were awaited."""
        deadline = time.monotonic() + timeout
        while True:
            left = max(deadline - time.monotonic(), 0)
            answer = self.ask("poll", left + PATIENCE, max=limit, timeout_ms=int(left * 1000))
            for event in answer["events"]:
                if "assigned" in event:
                    self.rebalances += 1
                if "error" in event:
                    raise refusal(event["error"])
            if answer["records"] or left == 0:
                return [converted(record) for record in answer["records"]]

    def assignment(self) -> set[TopicPartition]:
        return {(topic, partition) for topic, partition, *_ in self.ask("assignment")["partitions"]}

    def close(self) -> None:
        self.ask("consumer_close")
        self.driver.end()

    def kill(self) -> None:
        self.driver.end(killed=True)

    def seek(self, position: Position) -> None:
        topic, partition, offset = position
        self.ask("seek", topic=topic, partition=partition, offset=offset)

    def seek_to_beginning(self, partition: TopicPartition) -> None:
        self.seek((*partition, -2))

    def seek_to_end(self, partition: TopicPartition) -> None:
        self.seek((*partition, -1))

    def offset_for_time(self, partition: TopicPartition, timestamp: int) -> int | None:
        topic, number = partition
        found = self.ask("seek_time", topic=topic, partition=number, timestamp=timestamp)["offset"]
        return found if found is not None and found >= 0 else None

    def watermarks(self, partition: TopicPartition) -> tuple[int, int]:
        topic, number = partition
        answer = self.ask("watermarks", topic=topic, partition=number)
        return answer["low"], answer["high"]

    def commit(self, positions: Mapping[TopicPartition, int], metadata: str = "") -> None:
        self.ask("commit", offsets=[[t, p, offset, metadata] for (t, p), offset in positions.items()])

    def committed(self, partition: TopicPartition) -> tuple[int, str | None] | None:
        topic, number = partition
        [[_, _, offset, metadata]] = self.ask("committed", partitions=[[topic, number]])["offsets"]
        return (offset, metadata or "") if offset is not None and offset >= 0 else None

    def pause(self, partition: TopicPartition) -> None:
        self.ask("pause", partitions=[list(partition)])

    def resume(self, partition: TopicPartition) -> None:
        self.ask("resume", partitions=[list(partition)])


def converted(record: Mapping[str, Any]) -> Record:
    return Record(
        record["topic"],
        record["partition"],
        record["offset"],
        decoded(record["key"]),
        decoded(record["value"]),
        tuple((name, decoded(value)) for name, value in record["headers"]),
        record["timestamp"],
    )


class SwiftAdmin(Admin):
    def __init__(self, driver: Driver, address: str) -> None:
        self.driver = driver
        self.handle = driver.ask("admin_open", config={"bootstrap": address})["handle"]

    def ask(self, op: str, **arguments: Any) -> Any:
        return self.driver.ask(op, handle=self.handle, **arguments)

    def close(self) -> None:
        self.ask("admin_close")
        self.driver.end()

    def create_topic(
        self, name: str, partitions: int, replication: int = 1, config: Mapping[str, str] | None = None
    ) -> None:
        wish = {"name": name, "partitions": partitions, "replication": replication, "config": dict(config or {})}
        self.ask("create_topics", topics=[wish])

    def delete_topic(self, name: str) -> None:
        self.ask("delete_topics", topics=[name])

    def topics(self) -> dict[str, int]:
        return {topic["name"]: len(topic["partitions"]) for topic in self.ask("describe_topics")["topics"]}

    def create_partitions(self, topic: str, total: int) -> None:
        self.ask("create_partitions", topic=topic, total=total)

    def config(self, topic: str) -> dict[str, str | None]:
        return dict(self.ask("describe_configs", topic=topic)["config"])

    def alter_config(self, topic: str, changes: Mapping[str, str | None]) -> None:
        self.ask("alter_configs", topic=topic, config=dict(changes))

    def delete_records(self, partition: TopicPartition, before: int) -> int:
        topic, number = partition
        return int(self.ask("delete_records", topic=topic, partition=number, before=before)["low"])

    def groups(self) -> set[str]:
        return {group["group"] for group in self.ask("list_groups")["groups"]}

    def describe_group(self, group: str) -> GroupView:
        [view] = self.ask("describe_groups", groups=[group])["groups"]
        return GroupView(view["state"].lower(), tuple(member["member"] for member in view["members"]))

    def delete_group(self, group: str) -> None:
        self.ask("delete_groups", groups=[group])

    def committed(self, group: str) -> dict[TopicPartition, int]:
        return {(t, p): offset for t, p, offset, *_ in self.ask("committed", group=group)["offsets"] if offset >= 0}

    def delete_offsets(self, group: str, partitions: Iterable[TopicPartition]) -> None:
        self.ask("delete_offsets", group=group, partitions=[list(partition) for partition in partitions])


class Swift(Client):
    name = "swift"
    strategies = ("range", "roundrobin", "cooperative-sticky")
    null_headers = True
    own_process = True

    def preload(self) -> Path | None:
        return None

    def driver(self) -> Driver:
        return Driver(self.address, self.preload())

    def producer(self, options: ProducerOptions = ProducerOptions()) -> Producer:
        return SwiftProducer(self.driver(), self.address, options)

    def consumer(self, options: ConsumerOptions = ConsumerOptions()) -> Consumer:
        if options.instance is not None:
            raise Unsupported("has no static membership")
        return SwiftConsumer(self.driver(), self.address, options)

    def admin(self) -> Admin:
        return SwiftAdmin(self.driver(), self.address)


class SwiftNewest(Swift):
    name = "swift-newest"

    def preload(self) -> Path | None:
        return librdkafka.newest()
