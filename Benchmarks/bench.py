"""What `make bench` runs: the broker under librdkafka's shortest loops, what the Swift client adds to them, and what a
worker adds to that.

Everything is measured in rounds, each case once a round, so that whatever else the machine does falls on all of them;
the table has each case's median and its ratio to the first. Put another broker beside it with
BENCH_KAFKA=HOST:PORT (Apache Kafka, say: it is then what the others are compared with).

    make bench
    BENCH_ONLY=workers make bench
    BENCH_ROUNDS=9 BENCH_RECORDS=2000000 BENCH_KAFKA=127.0.0.1:9092 make bench
    BENCH_ONLY=edge BENCH_MINUTES=10 make bench      a part; and the edge under load for ten minutes, for its memory
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from confluent_kafka.admin import AdminClient, NewTopic

import observed
from deadletters import deadletters
from edge import edge
from growth import growth
from ports import free_port
from processes import Redis

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / ".build" / "release"
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
RECORDS = int(os.environ.get("BENCH_RECORDS", "1000000"))
SIZE = 300
PARTITIONS = 6


class Broker:
    """A `flotilla broker` of its own, or an address somebody gave us."""

    def __init__(self, name: str, address: str | None = None, fsync: str = "batch") -> None:
        self.name = name
        self.fsync = fsync
        self.process: subprocess.Popen[bytes] | None = None
        self.folder: Path | None = None
        self.address = address or f"127.0.0.1:{free_port()}"
        if address is None:
            self.folder = Path(tempfile.mkdtemp(prefix="flotilla-bench-", dir=ROOT / ".build"))
            self.start()
        self.admin = AdminClient({"bootstrap.servers": self.address, "log_level": 0})

    def start(self) -> float:
        """Starts the process; seconds until it answers a client."""
        arguments = [BUILD / "flotilla", "broker", "--data", self.folder, "--listen", self.address, "--fsync", self.fsync]
        began = time.monotonic()
        self.process = subprocess.Popen(arguments, stderr=subprocess.DEVNULL)
        host, port = self.address.split(":")
        while True:
            try:
                with socket.create_connection((host, int(port)), 10) as connection:
                    # ApiVersions, version 0, from no client in particular. The port takes connections before recovery
                    # is over, so only an answer counts.
                    connection.sendall(bytes.fromhex("0000000a 0012 0000 00000001 ffff"))
                    if connection.recv(4):
                        return time.monotonic() - began
            except OSError:
                if self.process.poll() is not None or time.monotonic() - began > 30:
                    raise SystemExit(f"bench: the broker {self.name} does not start")
                time.sleep(0.002)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        if self.process:
            self.process.send_signal(how)
            self.process.wait()
            self.process = None

    def create(self, topic: str) -> None:
        for future in self.admin.create_topics([NewTopic(topic, PARTITIONS, 1)]).values():
            future.result()

    def delete(self, topic: str) -> None:
        for future in self.admin.delete_topics([topic]).values():
            future.result()

    def close(self) -> None:
        self.stop()
        if self.folder:
            shutil.rmtree(self.folder, ignore_errors=True)


def client(program: str, *arguments: object, **settings: str) -> list[float]:
    """The numbers that a client prints."""
    environment = os.environ | settings
    done = subprocess.run(
        [BUILD / program, *map(str, arguments)], capture_output=True, text=True, env=environment)
    if done.returncode != 0:
        raise SystemExit(f"bench: {program} {' '.join(map(str, arguments))}: {done.stderr.strip()}")
    return [float(number) for number in done.stdout.split()]


@dataclass
class Case:
    name: str
    unit: str
    run: Callable[[], float]
    figures: list[float] = field(default_factory=list)


def table(title: str, cases: list[Case], higher_is_better: bool = True) -> None:
    print(f"\n{title}")
    width = max(len(case.name) for case in cases)
    base = statistics.median(cases[0].figures)
    print(f"  {'':{width}}  {'median':>12}  {'lowest':>12}  {'highest':>12}  ratio")
    for case in cases:
        median = statistics.median(case.figures)
        ratio = median / base if base else 0
        bar = "█" * round(20 * min(ratio, 3) / 3)
        numbers = "  ".join(f"{number:>12,.{0 if number >= 100 else 2}f}" for number in
                            (median, min(case.figures), max(case.figures)))
        print(f"  {case.name:{width}}  {numbers}  {ratio:5.2f}  {bar}")
    print(f"  ({cases[0].unit}; {'more' if higher_is_better else 'less'} is better)")


def progress(done: int, total: int, what: str) -> None:
    if sys.stderr.isatty():
        filled = round(30 * done / total)
        end = "\n" if done == total else ""
        print(f"\r[{'#' * filled}{'.' * (30 - filled)}] {done}/{total} {what:<40}", end=end, file=sys.stderr, flush=True)


def throughput(brokers: list[Broker]) -> None:
    produce: dict[str, Case] = {}
    consume: dict[str, Case] = {}

    def note(cases: dict[str, Case], name: str, figures: list[float]) -> None:
        case = cases.setdefault(name, Case(name, f"records/s of {SIZE} bytes, {PARTITIONS} partitions", lambda: 0))
        case.figures.append(figures[0] / figures[1])

    programs = [("C", "RawClient"), ("Swift", "SwiftClient")]
    total = ROUNDS * len(brokers) * len(programs)
    done = 0
    for round_number in range(ROUNDS):
        for broker in brokers:
            for language, program in programs:
                topic = f"bench-{os.getpid()}-{round_number}-{language}"
                broker.create(topic)
                name = f"{broker.name}, {language}"
                note(produce, name, client(program, broker.address, topic, "produce", RECORDS, SIZE))
                note(consume, name, client(program, broker.address, topic, "consume", RECORDS))
                broker.delete(topic)
                done += 1
                progress(done, total, name)
    table("One idempotent producer, acks=all", list(produce.values()))
    table("One consumer, all partitions from their start", list(consume.values()))


def latency(brokers: list[Broker]) -> None:
    halves: list[Case] = []
    tails: list[Case] = []
    for broker in brokers:
        halves.append(Case(broker.name, "µs, half of them", lambda: 0))
        tails.append(Case(broker.name, "µs, 99 of 100", lambda: 0))
    for round_number in range(ROUNDS):
        for broker, half, tail in zip(brokers, halves, tails):
            topic = f"bench-{os.getpid()}-latency-{round_number}"
            broker.create(topic)
            p50, p99 = client("RawClient", broker.address, topic, "latency", 2000, SIZE)
            half.figures.append(p50)
            tail.figures.append(p99)
            broker.delete(topic)
    table("One record at a time, until it is acknowledged: half are faster than", halves, False)
    table("One record at a time, until it is acknowledged: 99 of 100 are faster than", tails, False)


def workers() -> None:
    """A worker whose handler does next to nothing, over events with a CloudEvents envelope of six headers; then what the
    envelope makes of it."""
    broker = Broker("worker", fsync="interval")
    redis = Redis()
    groups = [("One worker process; once: remembered in a Redis beside it", [
        ("C, reads and drops", "RawClient", ("bench.events", "consume"), (), {}),
        ("C, unpacks the headers too", "RawClient", ("bench.events", "headers"), (), {}),
        ("Swift client, copies the headers too", "WorkerBench", ("read",), (), {}),
        ("worker, no-op", "WorkerBench", ("noop",), (), {}),
        ("worker, 2 fields, 1 output", "WorkerBench", ("transform",), (), {}),
        ("worker, no-op, once", "WorkerBench", ("noop",), (), {"REDIS_URL": redis.url}),
        ("worker, 2 fields, 1 output, once", "WorkerBench", ("transform",), (), {"REDIS_URL": redis.url}),
    ])]
    for envelope, what in (("minimal", "the 4 attributes that CloudEvents requires"), ("edge", "the edge's 9 headers")):
        groups.append((f"The same with {what}", [
            ("C, reads and drops", "RawClient", (f"bench.{envelope}", "consume"), (), {}),
            ("C, unpacks the headers too", "RawClient", (f"bench.{envelope}", "headers"), (), {}),
            ("worker, no-op", "WorkerBench", ("noop",), (envelope,), {}),
        ]))
    tables = [(title, [Case(name, "events/s of 300 bytes, 6 partitions", lambda: 0) for name, *_ in kinds])
              for title, kinds in groups]
    firsts = [Case(case.name, "ms", lambda: 0) for case in tables[0][1] if case.name.startswith("worker")]
    runs = [(case, kind) for (_, cases), (_, kinds) in zip(tables, groups) for case, kind in zip(cases, kinds)]
    try:
        for envelope in ("usual", "minimal", "edge"):
            client("WorkerBench", broker.address, "fill", RECORDS, envelope)
        for round_number in range(ROUNDS):
            for number, (case, (_, program, verb, more, settings)) in enumerate(runs):
                count, seconds, *first = client(program, broker.address, *verb, RECORDS, *more, **settings)
                case.figures.append(count / seconds)
                for one in firsts:
                    if number < len(groups[0][1]) and one.name == case.name:
                        one.figures.append(first[0])
                progress(round_number * len(runs) + number + 1, ROUNDS * len(runs), case.name)
    finally:
        redis.close()
        broker.close()
    for title, cases in tables:
        table(title, cases)
    table("From the assignment of partitions until a first event is done", firsts, False)


class Postgres:
    """A private cluster as the server comes, fsync and all, on a unix socket."""

    BIN = Path("/usr/lib/postgresql/15/bin")

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="flotilla-bench-"))
        self.other: list[str] = []
        if os.getuid() == 0:
            # It does not run as root.
            shutil.chown(self.folder, "postgres", "postgres")
            self.other = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
        self.folder.chmod(0o755)
        data = self.folder / "data"
        initdb = [self.BIN / "initdb", "-D", data, "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C"]
        subprocess.run([*self.other, *initdb], check=True, capture_output=True)
        server = [self.BIN / "postgres", "-D", data, "-k", self.folder, "-c", "listen_addresses=", "-c", "max_wal_size=4GB"]
        self.process = subprocess.Popen([*self.other, *server], stderr=subprocess.DEVNULL)
        while subprocess.run([self.BIN / "pg_isready", "-q", "-h", self.folder]).returncode != 0:
            if self.process.poll() is not None:
                raise SystemExit("bench: postgres does not start")
            time.sleep(0.05)

    def database(self) -> str:
        """A new one, and nothing of the last one left to be written."""
        for program, *words in (["dropdb", "--if-exists", "bench"], ["createdb", "bench"], ["psql", "-qc", "CHECKPOINT"]):
            call = [self.BIN / program, "-h", self.folder, "-U", "postgres", *words]
            subprocess.run(call, check=True, capture_output=True)
        return f"postgresql:///bench?host={self.folder}&user=postgres"

    def close(self) -> None:
        self.process.send_signal(signal.SIGINT)
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def aggregate() -> None:
    """The points of 300 campaigns into their windows, and the same points by COPY into a table with no index."""
    speeds = [Case("COPY", "points/s", lambda: 0), Case("aggregate alone", "points/s", lambda: 0)]
    costs: dict[str, Case] = {}

    def note(name: str, unit: str, figure: float) -> None:
        costs.setdefault(name, Case(name, unit, lambda: 0)).figures.append(figure)

    postgres = Postgres()
    try:
        for round_number in range(ROUNDS):
            for number, (case, verb) in enumerate(zip(speeds, ("copy", "aggregate"))):
                count, seconds, size, log, here, there = client(
                    "AggregateBench", postgres.database(), verb, RECORDS)
                case.figures.append(count / seconds)
                millions = count / 1e6
                note(f"{case.name}: in tables", "MB a million points", size / 1e6 / millions)
                note(f"{case.name}: in the write-ahead log", "MB a million points", log / 1e6 / millions)
                note(f"{case.name}: CPU of Postgres", "µs a point", there / millions)
                if verb == "aggregate":
                    note(f"{case.name}: CPU of its own", "µs a point", here / millions)
                progress(round_number * 2 + number + 1, ROUNDS * 2, case.name)
    finally:
        postgres.close()
    table("Points of 300 campaigns, 2 dimensions of 20 and 3 values: 9 windows each, 500 a transaction", speeds)
    for unit in ("MB a million points", "µs a point"):
        table(f"What that costs: {unit}", [case for case in costs.values() if case.unit == unit], False)


def starts() -> None:
    """From the process's start until it answers: on nothing, and after kill -9 on a gigabyte."""
    empty = Case("empty folder", "ms", lambda: 0)
    full = Case("1 GB, killed", "ms", lambda: 0)
    broker = Broker("start", fsync="interval")
    try:
        for _ in range(ROUNDS):
            broker.stop()
            shutil.rmtree(broker.folder)
            empty.figures.append(broker.start() * 1000)
        broker.create("full")
        client("RawClient", broker.address, "full", "produce", 3_300_000, SIZE)
        for _ in range(ROUNDS):
            broker.stop(signal.SIGKILL)
            full.figures.append(broker.start() * 1000)
    finally:
        broker.close()
    table("Start, until the first request is answered", [empty, full], False)


def log() -> None:
    print(f"{ROUNDS} rounds of {RECORDS:,} records, {os.cpu_count()} cores shared by broker and client")
    if os.environ.get("BENCH_ONLY") == "workers":
        return workers()
    brokers: list[Broker] = []
    try:
        if other := os.environ.get("BENCH_KAFKA"):
            brokers.append(Broker(other, address=other))
        for fsync in ("interval", "batch", "never"):
            brokers.append(Broker(f"--fsync {fsync}", fsync=fsync))
        throughput(brokers)
        latency(brokers)
    finally:
        for broker in brokers:
            broker.close()
    starts()


def pipeline() -> None:
    subprocess.run([sys.executable, Path(__file__).with_name("pipeline.py")], check=True)


def observed_worker() -> None:
    broker = Broker("observed", fsync="interval")
    try:
        observed.worker(broker.address, client)
    finally:
        broker.close()


def main() -> None:
    parts = {"broker": log, "workers": workers, "aggregate": aggregate, "pipeline": pipeline, "edge": edge,
             "deadletters": deadletters, "observed-worker": observed_worker, "observed-edge": observed.edge,
             "growth": lambda: growth(Broker, Postgres)}
    wanted = os.environ.get("BENCH_ONLY", ",".join(parts)).split(",")
    if unknown := [name for name in wanted if name not in parts]:
        raise SystemExit(f"bench: BENCH_ONLY={','.join(unknown)}: there is {', '.join(parts)}")
    for name in wanted:
        parts[name]()


if __name__ == "__main__":
    main()
