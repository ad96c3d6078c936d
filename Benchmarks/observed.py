"""What it costs to be seen: a worker and an edge with everything on, against the same with nothing of it, in turns.

On: /metrics is read every second, of a hundred traces one is kept and goes to a collector, a process of its own, and the
clients of Kafka tell their statistics every second, ten times as often as by default. Off: nobody reads /metrics, nothing is
traced, no statistics. Both get the same events; what reads and collects shares the machine with what is measured.
"""

from __future__ import annotations

import http.server
import multiprocessing
import os
import re
import statistics
import threading
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from edge import FLOTILLA, ROUNDS, SECONDS, Site, wait_for
from ports import free_port
from processes import processor

OFF = {"LIBRDKAFKA_STATISTICS_INTERVAL_MS": "0"}
CONNECTIONS = 64
COUNT = int(os.environ.get("BENCH_RECORDS", "1000000"))


class Taker(http.server.BaseHTTPRequestHandler):
    """Takes all spans."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def collect(port: int) -> None:
    http.server.ThreadingHTTPServer(("127.0.0.1", port), Taker).serve_forever()


class Watched:
    """A collector, and what reads /metrics every second while it is wanted."""

    def __init__(self) -> None:
        self.port, self.admin = free_port(), free_port()
        self.collector = multiprocessing.get_context("spawn").Process(target=collect, args=(self.port,), daemon=True)
        self.collector.start()
        self.spans = 0.0
        self.has_statistics = False

    @property
    def settings(self) -> dict[str, str]:
        return {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{self.port}", "LIBRDKAFKA_STATISTICS_INTERVAL_MS": "1000"}

    def reading(self, body: Callable[[], object]) -> object:
        over = threading.Event()

        def read() -> None:
            # At once, and every second.
            while not over.is_set():
                try:
                    with urllib.request.urlopen(f"http://127.0.0.1:{self.admin}/metrics", timeout=10) as answer:
                        text = answer.read().decode()
                except OSError:
                    # Before it has begun, or when it ends.
                    text = ""
                self.has_statistics = self.has_statistics or "flotilla_kafka_requests_total{" in text
                if spans := re.search(r"^flotilla_spans_sent_total (\S+)$", text, re.M):
                    self.spans = max(self.spans, float(spans[1]))
                over.wait(1)

        thread = threading.Thread(target=read)
        thread.start()
        try:
            return body()
        finally:
            over.set()
            thread.join()

    def check(self) -> None:
        """That everything was on."""
        if self.spans == 0 or not self.has_statistics:
            raise SystemExit(f"bench: {self.spans} spans were taken, and statistics were told: {self.has_statistics}")

    def end(self) -> None:
        self.collector.terminate()
        self.collector.join()


def told(title: str, unit: str, figures: dict[str, list[float]], higher_is_better: bool = True) -> None:
    """Both, and the median of the rounds' ratios: neighbours in time."""
    print(f"\n{title}")
    ratios = [on / off for on, off in zip(figures["on"], figures["off"])]
    for name in ("off", "on"):
        values = figures[name]
        print(f"  {name:4}  {statistics.median(values):>12,.{0 if values[0] >= 100 else 2}f}  "
              f"({min(values):,.2f} to {max(values):,.2f})")
    print(f"  ratio {statistics.median(ratios):6.3f}  ({min(ratios):.3f} to {max(ratios):.3f} of {len(ratios)} rounds)"
          f"  ({unit}; {'more' if higher_is_better else 'less'} is better)")


def worker(broker: str, client: Callable[..., list[float]]) -> None:
    kinds = {"noop": "A worker whose handler does nothing", "transform": "A worker that reads 2 fields, 1 output"}
    watched = Watched()
    speeds = {kind: {"off": [], "on": []} for kind in kinds}
    costs = {kind: {"off": [], "on": []} for kind in kinds}
    try:
        client("WorkerBench", broker, "fill", COUNT, "hundredth")
        for number in range(ROUNDS):
            for kind in kinds:
                # Who is first changes.
                for mode in ("off", "on") if number % 2 == 0 else ("on", "off"):
                    def run(mode: str = mode, kind: str = kind) -> list[float]:
                        port = watched.admin if mode == "on" else 0
                        return client("WorkerBench", broker, "observed", COUNT, "hundredth", kind, port,
                                      KAFKA_BROKERS=broker, **(watched.settings if mode == "on" else OFF))
                    count, seconds, processor = watched.reading(run) if mode == "on" else run()
                    speeds[kind][mode].append(count / seconds)
                    costs[kind][mode].append(processor / count * 1e6)
        watched.check()
    finally:
        watched.end()
    for kind, title in kinds.items():
        told(title, "events/s", speeds[kind])
        told(f"{title}: processor time", "µs an event", costs[kind], False)


def edge() -> None:
    site = Site()
    watched = Watched()
    processes = {}
    try:
        for mode in ("off", "on"):
            site.ports[mode] = free_port()
            more = OFF if mode == "off" else watched.settings | {
                "OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.01",
                # One in a hundred, however many come.
                "FLOTILLA_TRACES_PER_SECOND": "1000000"}
            admin = watched.admin if mode == "on" else free_port()
            processes[mode] = site.start(
                FLOTILLA, "edge", "--http", site.ports[mode], "--admin", admin, FLOTILLA_KEYS="keys",
                FLOTILLA_RATE="1000000", REDIS_URL=f"unix://{site.folder}/redis", **more)
            wait_for(site.ports[mode], processes[mode])
        speeds, costs = ({"off": [], "on": []} for _ in range(2))
        # Short ones, and many: what the machine does meanwhile takes longer than a second, so it falls on both.
        for number in range(ROUNDS * SECONDS):
            for mode in ("off", "on") if number % 2 == 0 else ("on", "off"):
                def run(mode: str = mode) -> tuple[float, float]:
                    return site.wrk(mode, CONNECTIONS, seconds=1)
                before = processor(processes[mode].pid)
                rate, _ = watched.reading(run) if mode == "on" else run()
                speeds[mode].append(rate)
                costs[mode].append((processor(processes[mode].pid) - before) / rate * 1e6)
        told(f"The edge, one event a request, {CONNECTIONS} connections", "requests/s", speeds)
        told("The edge: processor time", "µs a request", costs, False)
        # Side by side, each with half of the connections: whatever the machine does falls on both at the same moment.
        together = {"off": [], "on": []}

        def beside(mode: str) -> None:
            before = processor(processes[mode].pid)
            rate, _ = site.wrk(mode, CONNECTIONS // 2)
            together[mode].append((processor(processes[mode].pid) - before) / (rate * SECONDS) * 1e6)

        def both() -> None:
            with ThreadPoolExecutor(2) as pool:
                list(pool.map(beside, ("off", "on")))

        for _ in range(ROUNDS):
            watched.reading(both)
        told("Both at the same time: processor time", "µs a request", together, False)
        watched.check()
    finally:
        watched.end()
        site.end()
