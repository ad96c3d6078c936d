"""The whole pipeline, from the edge to the answer of a query: how much, how soon, on what.

    python Benchmarks/pipeline.py               # part of `make bench`
    PIPELINE_EVENTS=2000000 python Benchmarks/pipeline.py

Broker, Redis, Postgres, edge and workers share the machine with what measures them. Events are published straight into
`events.raw` for the first figure, because what is asked is what the workers do; the second goes through HTTP.
"""

from __future__ import annotations

import http.client
import json
import os
import random
import shutil
import signal
import statistics
import subprocess
import tempfile
import threading
import time
from pathlib import Path

from confluent_kafka import Producer

ROOT = Path(__file__).resolve().parent.parent
# What is measured is what `make bench` has built.
os.environ.setdefault("FLOTILLA_BIN", str(ROOT / ".build/release/flotilla"))

from fleet import Fleet, until  # noqa: E402

EVENTS = int(os.environ.get("PIPELINE_EVENTS", "500000"))
RATE = 2000
SECONDS = int(os.environ.get("PIPELINE_SECONDS", "20"))
TICKS = os.sysconf("SC_CLK_TCK")
SOURCE = "/flotilla/bench"


class Processor:
    """Seconds of processor time by part, from /proc, children too: Postgres works in those."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self.start = self.now()

    def now(self) -> dict[str, float]:
        found: dict[str, float] = {}
        groups = {part.process.pid: name for name, part in self.fleet.parts.items()}
        for place in Path("/proc").glob("[0-9]*"):
            try:
                fields = (place / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            # What a part has started, Postgres above all, counts as its own.
            if name := groups.get(int(place.name)) or groups.get(int(fields[1])):
                found[name] = found.get(name, 0) + (int(fields[11]) + int(fields[12])) / TICKS
        return found

    def since(self) -> dict[str, float]:
        return {name: seconds - self.start.get(name, 0) for name, seconds in self.now().items()}


def event(number: int, dice: random.Random, now: int) -> dict:
    """About 300 bytes: 50 campaigns, 20 000 users, 8 countries, 3 devices, in the last ten minutes."""
    kind = "order.created" if number % 20 == 0 else "click" if number % 4 == 0 else "impression"
    made: dict[str, object] = {
        "event_id": f"bench {number}", "event_type": kind, "timestamp": now - dice.randrange(600_000),
        "campaign_id": f"campaign {dice.randrange(50)}", "user_id": f"user {dice.randrange(20_000)}",
        "dimensions": {"country": f"c{dice.randrange(8)}", "device": f"d{dice.randrange(3)}"}, "data": {"fill": "x" * 60},
    }
    if kind == "order.created":
        made["value"] = dice.randrange(100, 100_000) / 100
    return made


def counted(fleet: Fleet) -> int:
    """How many points are in the windows of a day, over all metrics."""
    found = 0
    for metric in ("impressions", "clicks", "orders"):
        answer = fleet.run("query", "--metric", metric, "--step", "1d", "--since", "3d")
        found += sum(json.loads(line)["count"] for line in answer.stdout.splitlines())
    return found


def publish(fleet: Fleet, first: int, count: int) -> None:
    producer = Producer({"bootstrap.servers": fleet.broker, "linger.ms": 20, "queue.buffering.max.messages": 2_000_000,
                         "queue.buffering.max.kbytes": 2_000_000})
    dice, now = random.Random(first), int(time.time() * 1000)
    for number in range(first, first + count):
        made = event(number, dice, now)
        producer.produce("events.raw", key=made["campaign_id"], value=json.dumps(made), headers={
            "ce_specversion": "1.0", "ce_id": made["event_id"], "ce_source": SOURCE, "ce_type": made["event_type"],
            "content-type": "application/json"})
        if number % 1000 == 0:
            producer.poll(0)
    assert producer.flush(300) == 0


def bytes_of(fleet: Fleet) -> tuple[int, int]:
    """What Postgres has in its tables, and Redis in its memory."""
    place = fleet.folder / "postgres"
    told = subprocess.run(["psql", "-h", place, "-U", "postgres", "-Atc", "SELECT pg_database_size('postgres')"],
                          capture_output=True, text=True, check=True, env=os.environ)
    port = next(word for before, word in zip(fleet.parts["redis"].command, fleet.parts["redis"].command[1:])
                if before == "--port")
    memory = subprocess.run(["redis-cli", "-p", port, "info", "memory"], capture_output=True, text=True, check=True).stdout
    used = next(line for line in memory.splitlines() if line.startswith("used_memory:"))
    return int(told.stdout), int(used.split(":")[1])


def start(folder: Path) -> Fleet:
    fleet = Fleet(folder, appendfsync="everysec")
    for handler in ("ingest", "process", "aggregate"):
        fleet.work(handler, handler)
    # The first rows, so that migrations and rebalances are over.
    publish(fleet, 0, 100)
    until(lambda: counted(fleet) == 100, "the first events", 120)
    return fleet


def throughput(fleet: Fleet) -> None:
    """All workers stand still while the log is filled, then everything goes at once."""
    workers = [fleet.parts[name] for name in ("ingest", "process", "aggregate")]
    for worker in workers:
        worker.process.send_signal(signal.SIGTERM)
        worker.process.wait()
    before = bytes_of(fleet)
    publish(fleet, 100, EVENTS)
    for worker in workers:
        worker.start()
    began = time.monotonic()
    processor = Processor(fleet)
    while counted(fleet) < EVENTS + 100:
        time.sleep(0.5)
    seconds = time.monotonic() - began
    spent = processor.since()
    after = bytes_of(fleet)
    print(f"\nThe whole pipeline: {EVENTS:,} events from events.raw until all are in the answer of a query")
    print(f"  {EVENTS / seconds:,.0f} events/s ({seconds:.1f} s, the workers' start and first rebalance within)")
    print(f"  Postgres {(after[0] - before[0]) / EVENTS:,.0f} bytes an event, Redis {(after[1] - before[1]) / EVENTS:,.0f}")
    print(f"\n  {'processor time':<16}{'µs an event':>12}{'of all':>8}")
    total = sum(spent.values())
    for name, each in sorted(spent.items(), key=lambda item: -item[1]):
        print(f"  {name:<16}{each / EVENTS * 1e6:>12.1f}{each / total:>8.0%}")
    print(f"  {'all':<16}{total / EVENTS * 1e6:>12.1f}   {total / seconds:.2f} of {os.cpu_count()} cores")


def latency(fleet: Fleet) -> None:
    """Requests at a steady rate over kept connections, and how long after its 202 an event is in the answer."""
    host = fleet.edge.removeprefix("http://")
    stop, answered = threading.Event(), []
    senders = 16
    batch = 10
    # Each request has a metric of its own, so an answer says which are in.
    run = f"{time.time():.0f}"

    def send(sender: int) -> None:
        connection = http.client.HTTPConnection(host, timeout=30)
        dice = random.Random(sender)
        period = senders * batch / RATE
        due = time.monotonic() + period * sender / senders
        while not stop.is_set():
            time.sleep(max(0.0, due - time.monotonic()))
            due += period
            now = int(time.time() * 1000)
            body = [event(1, dice, now) | {"event_id": f"{run} {sender} {due} {index}", "timestamp": now,
                                           "event_type": "latency"} for index in range(batch)]
            connection.request("POST", "/v1/events", json.dumps(body), {"content-type": "application/json"})
            reply = connection.getresponse()
            reply.read()
            if reply.status == 202:
                answered.append((time.monotonic(), batch))

    seen: list[tuple[float, int]] = []

    def look() -> None:
        """The sums of the table, asked as an analyst does, over a connection that is kept: a process a look costs more
        than what is measured."""
        place = fleet.folder / "postgres"
        asking = subprocess.Popen(["psql", "-h", place, "-U", "postgres", "-Atqn"], stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, text=True, bufsize=1)
        question = ("SELECT coalesce(sum(count), 0) FROM aggregate.series WHERE metric = 'latency' AND step = '1d' "
                    "AND dimension = '';\n")
        while not stop.is_set() or seen and seen[-1][1] < sum(count for _, count in answered):
            asking.stdin.write(question)
            asking.stdin.flush()
            seen.append((time.monotonic(), int(asking.stdout.readline())))
            time.sleep(0.005)
        asking.stdin.close()
        asking.wait()

    processor = Processor(fleet)
    threads = [threading.Thread(target=send, args=(number,)) for number in range(senders)]
    looker = threading.Thread(target=look)
    looker.start()
    for thread in threads:
        thread.start()
    time.sleep(SECONDS)
    stop.set()
    for thread in threads:
        thread.join()
    looker.join(60)
    spent = processor.since()
    # The n-th answered event is in when the sum has reached n: events of one moment do not differ.
    waits, place, sent = [], 0, 0
    for at, count in sorted(answered):
        sent += count
        while place < len(seen) and seen[place][1] < sent:
            place += 1
        if place < len(seen):
            waits += [max(0.0, seen[place][0] - at) * 1000] * count
    waits.sort()
    print(f"\nFrom the answer 202 until visible: {sent / SECONDS:,.0f} events/s over HTTP, {batch} a request, {SECONDS} s")
    print(f"  p50 {statistics.median(waits):,.0f} ms, p99 {waits[int(len(waits) * 0.99)]:,.0f} ms, "
          f"at most {waits[-1]:,.0f} ms; {sum(spent.values()) / SECONDS:.2f} of {os.cpu_count()} cores")


def main() -> None:
    folder = Path(tempfile.mkdtemp(prefix="flotilla-pipeline-"))
    # Root's Postgres runs as another user.
    folder.chmod(0o711)
    fleet = start(folder)
    try:
        latency(fleet)
        throughput(fleet)
    finally:
        fleet.end()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
