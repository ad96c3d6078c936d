"""kafka-python: a protocol implementation of its own, blocking."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from kafka import KafkaConsumer, KafkaProducer, errors
from kafka import TopicPartition as Partition
from kafka.admin import AlterConfigOp, ConfigResource, ConfigResourceType, KafkaAdminClient
from kafka.consumer.subscription_state import ConsumerRebalanceListener
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.coordinator.assignors.range import RangePartitionAssignor
from kafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from kafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from kafka.structs import OffsetAndMetadata

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
    Refused,
    TopicPartition,
)

PATIENCE = 30.0
IDLE = 5.0
T = TypeVar("T")

ASSIGNORS = {
    "range": RangePartitionAssignor,
    "roundrobin": RoundRobinPartitionAssignor,
    "sticky": StickyPartitionAssignor,
    "cooperative-sticky": CooperativeStickyAssignor,
}


def refusal(problem: BaseException) -> Refused:
    return Refused(getattr(problem, "errno", None), f"{type(problem).__name__}: {problem}")


def ask(call: Callable[[], T]) -> T:
    try:
        return call()
    except errors.KafkaError as problem:
        raise refusal(problem) from problem


class PythonProducer(Producer):
    def __init__(self, address: str, options: ProducerOptions) -> None:
        self.producer = KafkaProducer(
            bootstrap_servers=options.address or address,
            enable_idempotence=True,
            acks="all",
            compression_type=None if options.compression == "none" else options.compression,
            linger_ms=options.linger_ms,
            delivery_timeout_ms=int(options.patience * 1000),
            request_timeout_ms=int(options.patience * 500),
            max_request_size=options.max_request or 1_048_576,
            max_block_ms=int(options.patience * 1000),
        )

    def send(self, records: Sequence[Outgoing]) -> Answers:
        waiting: list[Any] = []
        for record in records:
            try:
                waiting.append(
                    self.producer.send(
                        record.topic,
                        value=record.value,
                        key=record.key,
                        partition=record.partition,
                        headers=list(record.headers),
                        timestamp_ms=record.timestamp,
                    )
                )
            except (errors.KafkaError, ValueError) as problem:
                waiting.append(refusal(problem))
        answers = Answers()
        for future in waiting:
            if isinstance(future, Refused):
                answers.all.append(future)
                continue
            try:
                place = future.get(timeout=PATIENCE * 2)
                answers.all.append(Delivery(place.partition, place.offset))
            except errors.KafkaError as problem:
                answers.all.append(refusal(problem))
        return answers

    def close(self) -> None:
        self.producer.close(timeout=5)


class Listener(ConsumerRebalanceListener):
    """Counts assignments."""

    def __init__(self, owner: PythonConsumer) -> None:
        self.owner = owner

    def on_partitions_revoked(self, revoked: Any) -> None:
        pass

    def on_partitions_assigned(self, assigned: Any) -> None:
        self.owner.rebalances += 1


class PythonConsumer(Consumer):
    def __init__(self, address: str, options: ConsumerOptions) -> None:
        self.consumer = KafkaConsumer(
            bootstrap_servers=address,
            group_id=options.group,
            group_instance_id=options.instance,
            enable_auto_commit=False,
            auto_offset_reset=options.reset,
            partition_assignment_strategy=(ASSIGNORS[options.strategy],),
            session_timeout_ms=options.session_ms,
            heartbeat_interval_ms=options.session_ms // 5,
            fetch_max_wait_ms=options.fetch_wait_ms,
            request_timeout_ms=max(int(PATIENCE * 1000), options.fetch_wait_ms + 10_000),
            max_partition_fetch_bytes=4 * 1_048_576,
            metadata_max_age_ms=1000,
            allow_auto_create_topics=False,
        )
        self.rebalances = 0
        self.topics: list[str] = []
        self.idle_since = 0.0

    def subscribe(self, topics: Sequence[str]) -> None:
        self.topics = list(topics)
        self.idle_since = time.monotonic()
        self.consumer.subscribe(topics=self.topics, listener=Listener(self))

    def assign(self, positions: Sequence[Position]) -> None:
        self.consumer.assign([Partition(topic, partition) for topic, partition, _ in positions])
        for position in positions:
            self.seek(position)

    def poll(self, limit: int, timeout: float) -> list[Record]:
        batches = ask(lambda: self.consumer.poll(timeout_ms=int(timeout * 1000), max_records=limit))
        self.join_again()
        return [converted(record) for batch in batches.values() for record in batch]

    def join_again(self) -> None:
        """Subscribe anew where the library has lost its way into the group.

        When new metadata makes it rejoin, and the assignment arrives just after `poll` gave up waiting for it, then
        version 3.0.12 never takes the assignment up, and sends no heartbeats any more either.
        """
        if not self.topics or self.consumer.assignment():
            self.idle_since = time.monotonic()
        elif time.monotonic() - self.idle_since > IDLE:
            self.consumer.unsubscribe()
            self.subscribe(self.topics)

    def assignment(self) -> set[TopicPartition]:
        return {(p.topic, p.partition) for p in self.consumer.assignment()}

    def close(self) -> None:
        self.consumer.close(autocommit=False, timeout_ms=5000)

    def seek(self, position: Position) -> None:
        topic, partition, offset = position
        self.consumer.seek(Partition(topic, partition), offset)

    def seek_to_beginning(self, partition: TopicPartition) -> None:
        self.consumer.seek_to_beginning(Partition(*partition))

    def seek_to_end(self, partition: TopicPartition) -> None:
        self.consumer.seek_to_end(Partition(*partition))
        self.consumer.position(Partition(*partition), timeout_ms=int(PATIENCE * 1000))

    def offset_for_time(self, partition: TopicPartition, timestamp: int) -> int | None:
        answer = ask(lambda: self.consumer.offsets_for_times({Partition(*partition): timestamp}))
        found = answer[Partition(*partition)]
        return None if found is None else found.offset

    def watermarks(self, partition: TopicPartition) -> tuple[int, int]:
        key = Partition(*partition)
        low = ask(lambda: self.consumer.beginning_offsets([key]))[key]
        return low, ask(lambda: self.consumer.end_offsets([key]))[key]

    def commit(self, positions: Mapping[TopicPartition, int], metadata: str = "") -> None:
        offsets = {Partition(*p): OffsetAndMetadata(offset, metadata, -1) for p, offset in positions.items()}
        ask(lambda: self.consumer.commit(offsets, timeout_ms=int(PATIENCE * 1000)))

    def committed(self, partition: TopicPartition) -> tuple[int, str | None] | None:
        found = ask(
            lambda: self.consumer.committed(Partition(*partition), metadata=True, timeout_ms=int(PATIENCE * 1000))
        )
        return None if found is None else (found.offset, found.metadata or "")

    def pause(self, partition: TopicPartition) -> None:
        self.consumer.pause(Partition(*partition))

    def resume(self, partition: TopicPartition) -> None:
        self.consumer.resume(Partition(*partition))


def converted(record: Any) -> Record:
    headers = tuple((name, value) for name, value in record.headers)
    return Record(record.topic, record.partition, record.offset, record.key, record.value, headers, record.timestamp)


class PythonAdmin(Admin):
    def __init__(self, address: str) -> None:
        self.admin = KafkaAdminClient(bootstrap_servers=address, request_timeout_ms=int(PATIENCE * 1000))

    def close(self) -> None:
        self.admin.close()

    def create_topic(
        self, name: str, partitions: int, replication: int = 1, config: Mapping[str, str] | None = None
    ) -> None:
        wish = {"num_partitions": partitions, "replication_factor": replication, "configs": dict(config or {})}
        ask(lambda: self.admin.create_topics({name: wish}))

    def delete_topic(self, name: str) -> None:
        ask(lambda: self.admin.delete_topics([name]))

    def topics(self) -> dict[str, int]:
        return {topic["name"]: len(topic["partitions"]) for topic in ask(self.admin.describe_topics)}

    def create_partitions(self, topic: str, total: int) -> None:
        ask(lambda: self.admin.create_partitions({topic: total}))

    def config(self, topic: str) -> dict[str, str | None]:
        resource = ConfigResource(ConfigResourceType.TOPIC, topic)
        answer = ask(lambda: self.admin.describe_configs([resource], config_filter="all"))
        return {name: entry["value"] for name, entry in answer["topic"][topic].items()}

    def alter_config(self, topic: str, changes: Mapping[str, str | None]) -> None:
        # Its replacing form adds what the topic has set already, so that it replaces nothing: not offered here.
        steps = {n: (AlterConfigOp.DELETE if v is None else AlterConfigOp.SET, v) for n, v in changes.items()}
        resource = ConfigResource(ConfigResourceType.TOPIC, topic, steps)
        answer = ask(lambda: self.admin.alter_configs([resource], raise_on_unknown=False, incremental=True))
        if (verdict := answer["topic"][topic]) != "OK":
            code = int(verdict.split("]")[0].strip("[").split()[-1]) if verdict.startswith("[Error") else None
            raise Refused(code, verdict)

    def delete_records(self, partition: TopicPartition, before: int) -> int:
        key = Partition(*partition)
        return ask(lambda: self.admin.delete_records({key: before}))[key]["low_watermark"]

    def groups(self) -> set[str]:
        return {group["group_id"] for group in ask(self.admin.list_groups)}

    def describe_group(self, group: str) -> GroupView:
        view = ask(lambda: self.admin.describe_groups([group]))[group]
        return GroupView(view["group_state"].lower(), tuple(member["member_id"] for member in view["members"]))

    def delete_group(self, group: str) -> None:
        verdict = ask(lambda: self.admin.delete_groups([group]))[group]
        if verdict != "OK":
            raise refusal(getattr(errors, verdict)())

    def committed(self, group: str) -> dict[TopicPartition, int]:
        offsets = ask(lambda: self.admin.list_group_offsets(group))[group]
        return {(p.topic, p.partition): found.offset for p, found in offsets.items() if found.offset >= 0}

    def delete_offsets(self, group: str, partitions: Iterable[TopicPartition]) -> None:
        keys = [Partition(*partition) for partition in partitions]
        for verdict in ask(lambda: self.admin.delete_group_offsets(group, keys)).values():
            if verdict is not errors.NoError:
                raise refusal(verdict())


class KafkaPython(Client):
    name = "kafka-python"
    strategies = ("range", "roundrobin", "sticky", "cooperative-sticky")
    reads_without_creating = False

    def producer(self, options: ProducerOptions = ProducerOptions()) -> Producer:
        return PythonProducer(self.address, options)

    def consumer(self, options: ConsumerOptions = ConsumerOptions()) -> Consumer:
        return PythonConsumer(self.address, options)

    def admin(self) -> Admin:
        return PythonAdmin(self.address)

    def begin_transaction(self, transactional_id: str) -> None:
        producer = KafkaProducer(bootstrap_servers=self.address, transactional_id=transactional_id, max_block_ms=10_000)
        try:
            ask(producer.init_transactions)
            ask(producer.begin_transaction)
        finally:
            producer.close(timeout=1)
