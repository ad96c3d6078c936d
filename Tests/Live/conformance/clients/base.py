"""What every client can be asked to do, in words of the suite's own.

A scenario is written once, against these verbs; an adapter says them in its library's words. The interface is as
small as the scenarios allow, blocks with a bound, and speaks in values: a record read is a `Record` whoever read it,
a refusal is a `Refused` with Kafka's own error code whatever the library calls it. A verb that a library does not
have raises `Unsupported`, and the scenario is skipped for that client with the reason shown.

Rejected: one test file per client (they drift apart, and a gap is never seen), and a common denominator of all
clients (nothing would be left of headers, timestamps and admin calls).
"""

from __future__ import annotations

import enum
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field


class Code(enum.IntEnum):
    """Kafka's error codes that scenarios look for."""

    UNKNOWN_TOPIC_OR_PARTITION = 3
    MESSAGE_TOO_LARGE = 10
    OFFSET_METADATA_TOO_LARGE = 12
    INVALID_TOPIC = 17
    INCONSISTENT_GROUP_PROTOCOL = 23
    UNKNOWN_MEMBER_ID = 25
    REBALANCE_IN_PROGRESS = 27
    TOPIC_ALREADY_EXISTS = 36
    INVALID_PARTITIONS = 37
    INVALID_REPLICATION_FACTOR = 38
    INVALID_CONFIG = 40
    POLICY_VIOLATION = 44
    TRANSACTIONAL_ID_AUTHORIZATION_FAILED = 53
    NON_EMPTY_GROUP = 68
    GROUP_ID_NOT_FOUND = 69
    GROUP_SUBSCRIBED_TO_TOPIC = 86


class Refused(Exception):
    """The broker, or the library on its behalf, said no."""

    def __init__(self, code: int | None, reason: str) -> None:
        super().__init__(f"{code}: {reason}")
        self.code = code
        self.reason = reason

    def __reduce__(self) -> tuple[type[Refused], tuple[int | None, str]]:
        return Refused, (self.code, self.reason)


class Unsupported(Exception):
    """The library has no such verb."""


Headers = tuple[tuple[str, bytes | None], ...]


@dataclass(frozen=True)
class Outgoing:
    """A record to write. `partition` None: the library chooses. `timestamp` None: the library takes its clock."""

    topic: str
    value: bytes | None
    key: bytes | None = None
    partition: int | None = None
    headers: Headers = ()
    timestamp: int | None = None


@dataclass(frozen=True)
class Delivery:
    """Where a record went. `offset` None: the library does not tell."""

    partition: int
    offset: int | None


@dataclass(frozen=True)
class Record:
    """A record as it was read."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    timestamp: int


Position = tuple[str, int, int]
"""Topic, partition, offset."""

TopicPartition = tuple[str, int]


@dataclass(frozen=True)
class ProducerOptions:
    """How a producer is set up."""

    compression: str = "none"
    max_request: int | None = None
    linger_ms: int = 5
    patience: float = 30.0
    """Seconds until the library gives a record up."""
    address: str | None = None


@dataclass(frozen=True)
class ConsumerOptions:
    """How a consumer is set up. Commits are always the scenario's own, never the library's timer."""

    group: str | None = None
    strategy: str = "range"
    instance: str | None = None
    reset: str = "earliest"
    session_ms: int = 10_000
    fetch_wait_ms: int = 100
    """How long the broker may hold a fetch that finds nothing. Short: other requests wait behind it."""


@dataclass(frozen=True)
class GroupView:
    """A group as an admin call describes it."""

    state: str
    members: tuple[str, ...]


@dataclass
class Answers:
    """Deliveries and refusals of a `send`, in the order of its records."""

    all: list[Delivery | Refused] = field(default_factory=list)

    def deliveries(self) -> list[Delivery]:
        """Every record's place; raises the first refusal."""
        for answer in self.all:
            if isinstance(answer, Refused):
                raise answer
        return [answer for answer in self.all if isinstance(answer, Delivery)]


class Producer(ABC):
    """Writes records, idempotently and with acks=all wherever the library can."""

    @abstractmethod
    def send(self, records: Sequence[Outgoing]) -> Answers:
        """Write, and wait until each record has its verdict."""

    @abstractmethod
    def close(self) -> None: ...


class Consumer(ABC):
    """Reads records. One thread at a time may use it."""

    rebalances: int = 0
    """How often the library told of a new assignment."""

    @abstractmethod
    def subscribe(self, topics: Sequence[str]) -> None: ...

    @abstractmethod
    def assign(self, positions: Sequence[Position]) -> None: ...

    @abstractmethod
    def poll(self, limit: int, timeout: float) -> list[Record]:
        """Up to `limit` records; returns as soon as there are some, or after `timeout` seconds with none."""

    @abstractmethod
    def assignment(self) -> set[TopicPartition]: ...

    @abstractmethod
    def close(self) -> None:
        """Leave the group and go."""

    def seek(self, position: Position) -> None:
        raise Unsupported("has no seek")

    def seek_to_beginning(self, partition: TopicPartition) -> None:
        raise Unsupported("has no seek to the beginning")

    def seek_to_end(self, partition: TopicPartition) -> None:
        raise Unsupported("has no seek to the end")

    def offset_for_time(self, partition: TopicPartition, timestamp: int) -> int | None:
        """The first offset at or after that time; None when there is no such record."""
        raise Unsupported("has no lookup by time")

    def watermarks(self, partition: TopicPartition) -> tuple[int, int]:
        raise Unsupported("has no watermarks")

    def commit(self, positions: Mapping[TopicPartition, int], metadata: str = "") -> None:
        raise Unsupported("has no commit of chosen offsets")

    def committed(self, partition: TopicPartition) -> tuple[int, str | None] | None:
        raise Unsupported("has no lookup of committed offsets")

    def pause(self, partition: TopicPartition) -> None:
        raise Unsupported("has no pause")

    def resume(self, partition: TopicPartition) -> None:
        raise Unsupported("has no resume")

    def kill(self) -> None:
        """End without a word to the broker, as a crashed process does."""
        raise Unsupported("cannot be killed: it is not a process of its own")


class Admin(ABC):
    """Administers topics and groups."""

    @abstractmethod
    def close(self) -> None: ...

    def create_topic(
        self, name: str, partitions: int, replication: int = 1, config: Mapping[str, str] | None = None
    ) -> None:
        raise Unsupported("has no call to create topics")

    def delete_topic(self, name: str) -> None:
        raise Unsupported("has no call to delete topics")

    def topics(self) -> dict[str, int]:
        """Each topic's count of partitions."""
        raise Unsupported("has no call to list topics")

    def create_partitions(self, topic: str, total: int) -> None:
        raise Unsupported("has no call to add partitions")

    def config(self, topic: str) -> dict[str, str | None]:
        raise Unsupported("has no call to describe configs")

    def alter_config(self, topic: str, changes: Mapping[str, str | None]) -> None:
        """Set these and leave the others as they are; None: back to the default."""
        raise Unsupported("has no incremental call to alter configs")

    def replace_config(self, topic: str, config: Mapping[str, str]) -> None:
        """The older call: what is not named goes back to its default."""
        raise Unsupported("has no replacing call to alter configs")

    def delete_records(self, partition: TopicPartition, before: int) -> int:
        """Forget what is below `before`; returns the new low watermark."""
        raise Unsupported("has no call to delete records")

    def groups(self) -> set[str]:
        raise Unsupported("has no call to list groups")

    def describe_group(self, group: str) -> GroupView:
        raise Unsupported("has no call to describe groups")

    def delete_group(self, group: str) -> None:
        raise Unsupported("has no call to delete groups")

    def committed(self, group: str) -> dict[TopicPartition, int]:
        raise Unsupported("has no call for a group's committed offsets")

    def delete_offsets(self, group: str, partitions: Iterable[TopicPartition]) -> None:
        raise Unsupported("has no call to delete committed offsets")


class Client(ABC):
    """A library, set up for one broker."""

    name: str = ""
    strategies: tuple[str, ...] = ()
    """Assignors that the library has."""
    binary_headers: bool = True
    """Whether header values may be any bytes."""
    null_headers: bool = False
    """Whether it can write a header without a value."""
    reads_without_creating: bool = True
    """Whether reading leaves a missing topic missing; where False, the library cannot be told to."""
    waits_for_topics: bool = True
    """Whether a reader of a missing topic stays until there is one."""
    commits: bool = True
    """Whether it can commit when it is told to, and not only when it likes."""
    own_process: bool = False
    """Whether its consumers are processes of their own, which can be killed as they are."""

    def __init__(self, address: str) -> None:
        self.address = address

    @abstractmethod
    def producer(self, options: ProducerOptions = ProducerOptions()) -> Producer: ...

    @abstractmethod
    def consumer(self, options: ConsumerOptions = ConsumerOptions()) -> Consumer: ...

    def admin(self) -> Admin:
        raise Unsupported("has no admin calls")

    def begin_transaction(self, transactional_id: str) -> None:
        """Set up a transactional producer and begin; raises `Refused` where the broker has no transactions."""
        raise Unsupported("has no transactions")
