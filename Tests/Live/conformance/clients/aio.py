"""aiokafka: a protocol implementation of its own on asyncio.

Its objects live on one event loop in a thread of its own; each verb waits there for its coroutine. So heartbeats and
rebalances go on between polls, as they do in a service.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, errors
from aiokafka import TopicPartition as Partition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic, RecordsToDelete
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor

from clients.aio_loop import PATIENCE, Loop, refusal
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
    Unsupported,
)

ASSIGNORS = {
    "range": RangePartitionAssignor,
    "roundrobin": RoundRobinPartitionAssignor,
    "sticky": StickyPartitionAssignor,
}


def check(code: int, message: str | None = None) -> None:
    """Raise what an answer's error code says."""
    if code != 0:
        raise Refused(code, f"{errors.for_code(code).__name__}: {message}")


class AioProducer(Producer):
    def __init__(self, address: str, options: ProducerOptions) -> None:
        async def start() -> AIOKafkaProducer:
            producer = AIOKafkaProducer(
                bootstrap_servers=options.address or address,
                enable_idempotence=True,
                acks="all",
                compression_type=None if options.compression == "none" else options.compression,
                linger_ms=options.linger_ms,
                max_request_size=options.max_request or 1_048_576,
                request_timeout_ms=int(options.patience * 1000),
            )
            await producer.start()
            return producer

        self.producer = Loop.run(start())

    def send(self, records: Sequence[Outgoing]) -> Answers:
        async def send() -> Answers:
            waiting: list[Any] = []
            for record in records:
                try:
                    waiting.append(
                        await self.producer.send(
                            record.topic,
                            value=record.value,
                            key=record.key,
                            partition=record.partition,
                            headers=list(record.headers),
                            timestamp_ms=record.timestamp,
                        )
                    )
                except (errors.KafkaError, AssertionError) as problem:
                    waiting.append(refusal(problem))
            answers = Answers()
            for future in waiting:
                try:
                    if isinstance(future, Refused):
                        raise future
                    place = await future
                    answers.all.append(Delivery(place.partition, place.offset))
                except Refused as problem:
                    answers.all.append(problem)
                except errors.KafkaError as problem:
                    answers.all.append(refusal(problem))
            return answers

        return Loop.run(send())

    def close(self) -> None:
        Loop.run(self.producer.stop())


class Listener(ConsumerRebalanceListener):
    """Counts assignments."""

    def __init__(self, owner: AioConsumer) -> None:
        self.owner = owner

    def on_partitions_revoked(self, revoked: Any) -> None:
        pass

    def on_partitions_assigned(self, assigned: Any) -> None:
        self.owner.rebalances += 1


class AioConsumer(Consumer):
    def __init__(self, address: str, options: ConsumerOptions) -> None:
        async def start() -> AIOKafkaConsumer:
            consumer = AIOKafkaConsumer(
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
            )
            await consumer.start()
            return consumer

        self.consumer = Loop.run(start())
        self.rebalances = 0

    def subscribe(self, topics: Sequence[str]) -> None:
        async def subscribe() -> None:
            self.consumer.subscribe(list(topics), listener=Listener(self))

        Loop.run(subscribe())

    def assign(self, positions: Sequence[Position]) -> None:
        async def assign() -> None:
            self.consumer.assign([Partition(topic, partition) for topic, partition, _ in positions])
            for topic, partition, offset in positions:
                self.consumer.seek(Partition(topic, partition), offset)

        Loop.run(assign())

    def poll(self, limit: int, timeout: float) -> list[Record]:
        work = self.consumer.getmany(timeout_ms=int(timeout * 1000), max_records=limit)
        batches = Loop.run(work, timeout + PATIENCE)
        return [converted(record) for batch in batches.values() for record in batch]

    def assignment(self) -> set[TopicPartition]:
        return {(p.topic, p.partition) for p in self.consumer.assignment()}

    def close(self) -> None:
        Loop.run(self.consumer.stop())

    def seek(self, position: Position) -> None:
        async def seek() -> None:
            topic, partition, offset = position
            self.consumer.seek(Partition(topic, partition), offset)

        Loop.run(seek())

    def seek_to_beginning(self, partition: TopicPartition) -> None:
        Loop.run(self.consumer.seek_to_beginning(Partition(*partition)))

    def seek_to_end(self, partition: TopicPartition) -> None:
        Loop.run(self.consumer.seek_to_end(Partition(*partition)))

    def offset_for_time(self, partition: TopicPartition, timestamp: int) -> int | None:
        answer = Loop.run(self.consumer.offsets_for_times({Partition(*partition): timestamp}))
        found = answer[Partition(*partition)]
        return None if found is None or found.offset < 0 else found.offset

    def watermarks(self, partition: TopicPartition) -> tuple[int, int]:
        key = Partition(*partition)
        low = Loop.run(self.consumer.beginning_offsets([key]))[key]
        return low, Loop.run(self.consumer.end_offsets([key]))[key]

    def commit(self, positions: Mapping[TopicPartition, int], metadata: str = "") -> None:
        Loop.run(self.consumer.commit({Partition(*p): (offset, metadata) for p, offset in positions.items()}))

    def committed(self, partition: TopicPartition) -> tuple[int, str | None] | None:
        found = Loop.run(self.consumer.committed(Partition(*partition)))
        return None if found is None else (found, None)

    def pause(self, partition: TopicPartition) -> None:
        async def pause() -> None:
            self.consumer.pause(Partition(*partition))

        Loop.run(pause())

    def resume(self, partition: TopicPartition) -> None:
        async def resume() -> None:
            self.consumer.resume(Partition(*partition))

        Loop.run(resume())


def converted(record: Any) -> Record:
    headers = tuple((name, value) for name, value in record.headers)
    return Record(record.topic, record.partition, record.offset, record.key, record.value, headers, record.timestamp)


class AioAdmin(Admin):
    def __init__(self, address: str) -> None:
        async def start() -> AIOKafkaAdminClient:
            admin = AIOKafkaAdminClient(bootstrap_servers=address, request_timeout_ms=int(PATIENCE * 1000))
            await admin.start()
            return admin

        self.admin = Loop.run(start())

    def close(self) -> None:
        Loop.run(self.admin.close())

    def create_topic(
        self, name: str, partitions: int, replication: int = 1, config: Mapping[str, str] | None = None
    ) -> None:
        wish = NewTopic(name, partitions, replication, topic_configs=dict(config or {}))
        for _, code, *message in Loop.run(self.admin.create_topics([wish])).topic_errors:
            check(code, *message[:1])

    def delete_topic(self, name: str) -> None:
        for _, code, *_ in Loop.run(self.admin.delete_topics([name])).topic_error_codes:
            check(code)

    def topics(self) -> dict[str, int]:
        return {topic["topic"]: len(topic["partitions"]) for topic in Loop.run(self.admin.describe_topics())}

    def create_partitions(self, topic: str, total: int) -> None:
        Loop.run(self.admin.create_partitions({topic: NewPartitions(total)}))

    def config(self, topic: str) -> dict[str, str | None]:
        [answer] = Loop.run(self.admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)]))
        [(code, message, _, _, entries)] = answer.resources
        check(code, message)
        return {name: value for name, value, *_ in entries}

    def replace_config(self, topic: str, config: Mapping[str, str]) -> None:
        resource = ConfigResource(ConfigResourceType.TOPIC, topic, dict(config))
        for answer in Loop.run(self.admin.alter_configs([resource])):
            for code, message, *_ in answer.resources:
                check(code, message)

    def delete_records(self, partition: TopicPartition, before: int) -> int:
        key = Partition(*partition)
        return Loop.run(self.admin.delete_records({key: RecordsToDelete(before)}))[key]

    def groups(self) -> set[str]:
        return {group for group, *_ in Loop.run(self.admin.list_consumer_groups())}

    def describe_group(self, group: str) -> GroupView:
        [answer] = Loop.run(self.admin.describe_consumer_groups([group]))
        [(code, _, state, _, _, members, *_)] = answer.groups
        check(code)
        return GroupView(state.lower(), tuple(member for member, *_ in members))

    def committed(self, group: str) -> dict[TopicPartition, int]:
        offsets = Loop.run(self.admin.list_consumer_group_offsets(group))
        return {(p.topic, p.partition): found.offset for p, found in offsets.items() if found.offset >= 0}


class Aiokafka(Client):
    name = "aiokafka"
    strategies = ("range", "roundrobin", "sticky")
    reads_without_creating = False

    def producer(self, options: ProducerOptions = ProducerOptions()) -> Producer:
        return AioProducer(self.address, options)

    def consumer(self, options: ConsumerOptions = ConsumerOptions()) -> Consumer:
        if options.strategy not in ASSIGNORS:
            raise Unsupported(f"has no {options.strategy} assignor")
        return AioConsumer(self.address, options)

    def admin(self) -> Admin:
        return AioAdmin(self.address)

    def begin_transaction(self, transactional_id: str) -> None:
        async def begin() -> None:
            producer = AIOKafkaProducer(
                bootstrap_servers=self.address, transactional_id=transactional_id, request_timeout_ms=10_000
            )
            try:
                await producer.start()
                await producer.begin_transaction()
            finally:
                # Where no transaction manager came up, `stop` has nothing to flush; it closes the connections.
                await producer.stop()

        Loop.run(begin(), 15)
