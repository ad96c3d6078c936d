"""kcat: librdkafka on the command line. It writes, reads and asks; it commits on a timer and has no admin calls.

Records are told apart by their lengths (`-f` with %K and %S), so keys and values may hold any bytes; headers are
printed as text. One process a partition read, or one for a whole group member; `poll` takes what they have printed.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Iterable, Sequence
from itertools import groupby

import confluent_kafka as ck

from clients.base import (
    Admin,
    Answers,
    Client,
    Consumer,
    ConsumerOptions,
    Delivery,
    Outgoing,
    Position,
    Producer,
    ProducerOptions,
    Record,
    Refused,
    TopicPartition,
    Unsupported,
)

PATIENCE = 30.0
FORMAT = r"%t\t%p\t%o\t%T\t%K\t%S\t%h\n%k%s"
KEY_END, RECORD_END = b"\x1f\x01\x1f", b"\x1e\x02\x1e"

# librdkafka says its errors in words; this finds the code again.
CODES = {ck.KafkaError(code).str(): code for code in range(1, 100)}


def run(*arguments: str, stdin: bytes = b"") -> bytes:
    """One kcat to its end; a failure is raised with the code that its words stand for."""
    ended = subprocess.run(["kcat", *arguments], input=stdin, capture_output=True, timeout=PATIENCE * 2, check=False)
    said = ended.stderr.decode(errors="replace")
    for words, code in CODES.items():
        if words in said:
            raise Refused(code, said.strip())
    if ended.returncode != 0:
        raise Refused(None, said.strip())
    return ended.stdout


class KcatProducer(Producer):
    def __init__(self, address: str, options: ProducerOptions) -> None:
        self.arguments = [
            "-P", "-E", "-b", options.address or address, "-z", options.compression, "-X", "enable.idempotence=true",
            "-X", f"linger.ms={options.linger_ms}",
            "-K", escaped(KEY_END), "-D", escaped(RECORD_END),
        ]  # fmt: skip
        if options.max_request is not None:
            self.arguments += ["-X", f"message.max.bytes={options.max_request}"]

    def send(self, records: Sequence[Outgoing]) -> Answers:
        """One kcat for each stretch of records that its flags can express at once."""
        if any(record.timestamp is not None for record in records):
            raise Unsupported("cannot set a record's timestamp")
        answers = Answers()

        def shape(record: Outgoing) -> tuple[str, int, tuple[tuple[str, bytes | None], ...], bool]:
            partition = -1 if record.partition is None else record.partition
            return record.topic, partition, record.headers, record.value is None

        for (topic, partition, headers, tombstones), stretch in groupby(records, shape):
            batch = list(stretch)
            arguments = [*self.arguments, "-t", topic, "-p", str(partition)]
            for name, value in headers:
                if value is None:
                    raise Unsupported("cannot write a header without a value")
                arguments += ["-H", f"{name}={value.decode()}"]
            if tombstones:
                arguments.append("-Z")
            lines = [
                (b"" if record.key is None else record.key + KEY_END) + (record.value or b"") + RECORD_END
                for record in batch
            ]
            try:
                run(*arguments, stdin=b"".join(lines))
                answers.all += [Delivery(partition, None)] * len(batch)
            except Refused as problem:
                answers.all += [problem] * len(batch)
        return answers

    def close(self) -> None:
        pass


def escaped(delimiter: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in delimiter)


class KcatConsumer(Consumer):
    def __init__(self, address: str, options: ConsumerOptions) -> None:
        self.options = options
        self.arguments = [
            "kcat", "-b", address, "-q", "-u", "-E", "-f", FORMAT,
            "-X", f"fetch.wait.max.ms={options.fetch_wait_ms}", "-X", f"auto.offset.reset={options.reset}",
            "-X", f"session.timeout.ms={options.session_ms}",
            "-X", f"partition.assignment.strategy={options.strategy}",
        ]  # fmt: skip
        self.selector = selectors.DefaultSelector()
        self.processes: list[subprocess.Popen[bytes]] = []
        self.rest: dict[int, bytes] = {}
        self.ready: list[Record] = []

    def start(self, *arguments: str) -> None:
        process = subprocess.Popen([*self.arguments, *arguments], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        assert process.stdout is not None
        self.processes.append(process)
        self.rest[process.stdout.fileno()] = b""
        self.selector.register(process.stdout, selectors.EVENT_READ)

    def subscribe(self, topics: Sequence[str]) -> None:
        if self.options.group is None:
            raise Unsupported("subscribes in a group only")
        self.start("-G", self.options.group, *topics)

    def assign(self, positions: Sequence[Position]) -> None:
        for topic, partition, offset in positions:
            self.start("-C", "-t", topic, "-p", str(partition), "-o", str(offset))

    def poll(self, limit: int, timeout: float) -> list[Record]:
        deadline = time.monotonic() + timeout
        while not self.ready and (left := deadline - time.monotonic()) > 0:
            for key, _ in self.selector.select(left):
                descriptor = key.fd
                if not (read := os.read(descriptor, 1 << 20)):
                    self.selector.unregister(key.fileobj)
                    continue
                records, self.rest[descriptor] = parsed(self.rest[descriptor] + read)
                self.ready += records
            if not self.selector.get_map():
                break
        taken, self.ready = self.ready[:limit], self.ready[limit:]
        return taken

    def assignment(self) -> set[TopicPartition]:
        raise Unsupported("does not tell its assignment")

    def offset_for_time(self, partition: TopicPartition, timestamp: int) -> int | None:
        topic, number = partition
        answer = run(*self.arguments[1:3], "-Q", "-t", f"{topic}:{number}:{timestamp}").decode()
        offset = int(answer.split()[-1])
        return offset if offset >= 0 else None

    def watermarks(self, partition: TopicPartition) -> tuple[int, int]:
        low, high = self.offset_for_time(partition, -2), self.offset_for_time(partition, -1)
        return low or 0, high or 0

    def close(self) -> None:
        self.end(signal.SIGTERM)

    def kill(self) -> None:
        self.end(signal.SIGKILL)

    def end(self, how: signal.Signals) -> None:
        for process in self.processes:
            process.send_signal(how)
        for process in self.processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stdout is not None:
                process.stdout.close()
        self.processes = []


def parsed(data: bytes) -> tuple[list[Record], bytes]:
    """The whole records at the front of `data`, and what is left."""
    records, start = [], 0
    while (line := data.find(b"\n", start)) >= 0:
        topic, partition, offset, timestamp, key, value, *headers = data[start:line].split(b"\t", 6)
        key_size, value_size = int(key), int(value)
        body = line + 1
        middle = body + max(key_size, 0)
        end = middle + max(value_size, 0)
        if end > len(data):
            break
        records.append(
            Record(
                topic.decode(),
                int(partition),
                int(offset),
                None if key_size < 0 else data[body:middle],
                None if value_size < 0 else data[middle:end],
                tuple(header_pairs(headers)),
                int(timestamp),
            )
        )
        start = end
    return records, data[start:]


def header_pairs(printed: Iterable[bytes]) -> Iterable[tuple[str, bytes | None]]:
    for pair in b"".join(printed).split(b","):
        if pair:
            name, _, value = pair.partition(b"=")
            yield name.decode(), value


class KcatAdmin(Admin):
    def __init__(self, address: str) -> None:
        self.address = address

    def close(self) -> None:
        pass

    def topics(self) -> dict[str, int]:
        listing = json.loads(run("-b", self.address, "-L", "-J"))
        return {topic["topic"]: len(topic["partitions"]) for topic in listing["topics"]}


class Kcat(Client):
    name = "kcat"
    strategies = ("range", "roundrobin", "cooperative-sticky")
    binary_headers = False
    waits_for_topics = False
    commits = False
    own_process = True

    def producer(self, options: ProducerOptions = ProducerOptions()) -> Producer:
        return KcatProducer(self.address, options)

    def consumer(self, options: ConsumerOptions = ConsumerOptions()) -> Consumer:
        if options.instance is not None:
            raise Unsupported("is not run as a static member here")
        return KcatConsumer(self.address, options)

    def admin(self) -> Admin:
        return KcatAdmin(self.address)

    def begin_transaction(self, transactional_id: str) -> None:
        arguments = [
            "-P",
            "-b",
            self.address,
            "-t",
            "nowhere",
            "-m",
            "10",
            "-X",
            f"transactional.id={transactional_id}",
        ]
        run(*arguments, stdin=b"x\n")
