"""How the cost of one event grows: with how many come together, with keys, with partitions, and with what is kept already.

Costs are microseconds of processor time an event, of each process that takes part: a busy machine moves them less than it
moves seconds. Each size is measured ROUNDS times, in turns where it is nothing that grows; the tables have the medians, and how
many times as much as at the first size all of it takes.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
from collections.abc import Callable

from edge import BUILD, Site
from processes import Redis, processor

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
RECORDS = int(os.environ.get("BENCH_RECORDS", "1000000"))

Costs = dict[str, float]


def program(name: str, *arguments: object, **settings: str) -> tuple[list[float], float]:
    """The numbers that it prints, and the seconds of processor time that it took."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [BUILD / name, *map(str, arguments)], capture_output=True, text=True, env=os.environ | settings)
    if done.returncode != 0:
        raise SystemExit(f"bench: {name} {' '.join(map(str, arguments))}: {done.stderr.strip()}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return [float(number) for number in done.stdout.split()], (
        after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


class Growth:
    def __init__(self, title: str, sizes: list[tuple[str, Callable[[], Costs]]]) -> None:
        self.title = title
        self.sizes = sizes
        self.found: dict[str, list[Costs]] = {name: [] for name, _ in sizes}

    def measure(self) -> None:
        for round_number in range(ROUNDS):
            for name, once in self.sizes:
                if sys.stderr.isatty():
                    print(f"\r{round_number + 1}/{ROUNDS} {name:<40}", end="", file=sys.stderr, flush=True)
                self.found[name].append(once())
        if sys.stderr.isatty():
            print(f"\r{'':50}\r", end="", file=sys.stderr, flush=True)
        self.tell()

    def tell(self) -> None:
        parts = list(next(iter(self.found.values()))[0])
        width = max(map(len, self.found))
        print(f"\n{self.title}")
        print("  ".join([f"  {'':{width}}", *(f"{part:>10}" for part in parts), f"{'all':>10}", "  times"]))
        first = 0.0
        for name, rounds in self.found.items():
            medians = [statistics.median(costs[part] for costs in rounds) for part in parts]
            total = statistics.median(sum(costs.values()) for costs in rounds)
            first = first or total
            bar = "█" * max(1, round(10 * min(total / first, 3)))
            figures = "  ".join(f"{figure:>10.2f}" for figure in [*medians, total])
            print(f"  {name:{width}}  {figures}  {total / first:7.2f}  {bar}")
        print("  (µs of processor time an event)", flush=True)


def together() -> None:
    """Events of one request: the edge, and the broker and Redis behind it."""
    site = Site()
    try:
        redis = next(process for process in site.processes if "redis-server" in process.args[0])
        parts = {"edge": site.edge.pid, "broker": site.processes[0].pid, "redis": redis.pid}

        def run(size: int) -> Costs:
            before = {name: processor(pid) for name, pid in parts.items()}
            seconds = 3
            requests = site.wrk("edge", 64 if size == 1 else 16, "event" if size == 1 else "list", seconds,
                                SIZE=str(size))[0] * seconds
            return {name: (processor(pid) - before[name]) / (requests * size) * 1e6 for name, pid in parts.items()}

        Growth("Events a request, as an array", [
            (f"{size:,}", lambda size=size: run(size)) for size in (1, 10, 100, 500)]).measure()
    finally:
        site.end()


def partitions(broker_of: Callable[..., object]) -> None:
    """A worker with an output an event, over more and more partitions; a broker of its own for each number."""
    brokers = {}
    try:
        for count in (1, 6, 24, 96):
            brokers[count] = broker_of(f"growth-{count}", fsync="interval")
            program("WorkerBench", brokers[count].address, "fill", RECORDS, BENCH_PARTITIONS=str(count))

        def run(count: int) -> Costs:
            broker = brokers[count].process.pid
            before = processor(broker)
            _, cost = program("WorkerBench", brokers[count].address, "transform", RECORDS, BENCH_PARTITIONS=str(count))
            return {"worker": cost / RECORDS * 1e6, "broker": (processor(broker) - before) / RECORDS * 1e6}

        Growth("Partitions, a worker that reads two fields and publishes an output", [
            (f"{count}", lambda count=count: run(count)) for count in brokers]).measure()
    finally:
        for broker in brokers.values():
            broker.close()


def kept_in_the_log(broker_of: Callable[..., object]) -> None:
    """Publishing to a topic that has more and more in it: at least so many, for the rounds add theirs."""
    broker = broker_of("growth", fsync="interval")
    try:
        broker.create("growth")

        def run() -> Costs:
            before = processor(broker.process.pid)
            _, cost = program("RawClient", broker.address, "growth", "produce", RECORDS, 300)
            return {"client": cost / RECORDS * 1e6, "broker": (processor(broker.process.pid) - before) / RECORDS * 1e6}

        growth = Growth("Records in the log already, publishing a million more", [
            (f"{size} million", run) for size in (0, 5, 10, 20)])
        had = 0
        for name, once in growth.sizes:
            wanted = int(name.split()[0]) * 1_000_000
            if wanted > had:
                program("RawClient", broker.address, "growth", "produce", wanted - had, 300)
                had = wanted
            for _ in range(ROUNDS):
                growth.found[name].append(once())
                had += RECORDS
        growth.tell()
    finally:
        broker.close()


def ids_kept(broker_of: Callable[..., object]) -> None:
    """A worker's memory of what it has done, with more and more in it."""
    broker = broker_of("growth-once", fsync="interval")
    redis = Redis()
    count = min(RECORDS, 200_000)
    try:
        program("WorkerBench", broker.address, "fill", count)
        growth = Growth("Ids remembered already, a worker that remembers each event", [])
        remembered = 0
        for wanted in (0, 1, 2, 4):
            while remembered < wanted * 1_000_000:
                # Each run is a handler of its own, so its ids are new ones.
                program("WorkerBench", broker.address, "noop", count, REDIS_URL=redis.url)
                remembered += count
            costs = []
            for _ in range(ROUNDS):
                before = processor(redis.process.pid)
                _, cost = program("WorkerBench", broker.address, "noop", count, REDIS_URL=redis.url)
                costs.append({"worker": cost / count * 1e6, "redis": (processor(redis.process.pid) - before) / count * 1e6})
                remembered += count
            growth.found[f"{wanted} million"] = costs
        growth.tell()
    finally:
        redis.close()
        broker.close()


def windows(postgres_of: Callable[[], object]) -> None:
    """Points into windows: of more and more campaigns, and beside more and more that was there before."""
    postgres = postgres_of()
    count = min(RECORDS, 500_000)

    def run(**settings: str) -> Costs:
        numbers, _ = program("AggregateBench", postgres.database(), "aggregate", count, **settings)
        return {"aggregate": numbers[4] / count * 1e6, "postgres": numbers[5] / count * 1e6}

    try:
        Growth(f"Campaigns, {count:,} points into their windows", [
            (f"{campaigns:,}", lambda campaigns=campaigns: run(BENCH_CAMPAIGNS=str(campaigns)))
            for campaigns in (30, 300, 3000, 30_000)]).measure()
        Growth(f"Points of the last 30 days in windows already, {count:,} more of 300 campaigns", [
            (f"{kept:,}", lambda kept=kept: run(BENCH_KEPT=str(kept)))
            for kept in (0, 10_000, 50_000)]).measure()
    finally:
        postgres.close()


def growth(broker_of: Callable[..., object], postgres_of: Callable[[], object]) -> None:
    together()
    partitions(broker_of)
    kept_in_the_log(broker_of)
    ids_kept(broker_of)
    windows(postgres_of)
