"""The edge under wrk, beside nginx that answers a static 202 on one worker, and the shortest edge in C: in turns, so that
whatever else the machine does falls on all of them.

Everything is on: keys, checks, limits (shared through Redis), metrics. Events are 300 bytes of JSON, keyed by campaign, of
6 partitions; each request is answered when the log has it.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

from ports import free_port

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / ".build" / "release"
FLOTILLA = BUILD / "flotilla"
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
SECONDS = int(os.environ.get("BENCH_SECONDS", "5"))
MINUTES = float(os.environ.get("BENCH_MINUTES", "0"))
# As Apache Kafka, against which the bare edge was measured: written, not yet synchronised. `batch` is what `up` has.
FSYNC = os.environ.get("BENCH_FSYNC", "interval")
LIST, LINES = 500, 2000

NGINX = """
daemon off; worker_processes 1; pid nginx.pid; error_log stderr crit;
events {{ worker_connections 1024; }}
http {{
    access_log off; keepalive_requests 1000000000;
    client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
    server {{ listen 127.0.0.1:{port}; location / {{ return 202; }} }}
}}
"""


def wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    for _ in range(3000):
        try:
            return socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            if process.poll() is not None:
                break
            time.sleep(0.01)
    raise SystemExit(f"bench: {process.args[0]} does not start")


class Site:
    """A broker, a Redis and what is measured."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="flotilla-bench-", dir=ROOT / ".build"))
        # nginx' worker is another user.
        self.folder.chmod(0o755)
        self.processes: list[subprocess.Popen[bytes]] = []
        # What has started is ended also when a later part does not start.
        try:
            self.begin()
        except BaseException:
            self.end()
            raise

    def begin(self) -> None:
        self.broker = free_port()
        address = f"127.0.0.1:{self.broker}"
        self.environment = os.environ | {"KAFKA_BROKERS": address, "FLOTILLA_TOPICS": str(ROOT / "topics")}
        wait_for(self.broker, self.start(FLOTILLA, "broker", "--data", "broker", "--listen", address, "--fsync", FSYNC))
        self.run(FLOTILLA, "topics", "apply")
        self.ports = {name: free_port() for name in ("nginx", "raw", "fast", "edge")}
        (self.folder / "nginx.conf").write_text(NGINX.format(port=self.ports["nginx"]))
        wait_for(self.ports["nginx"], self.start("nginx", "-p", self.folder, "-c", "nginx.conf"))
        for name, *settings in (("raw",), ("fast", "linger.ms=0.25")):
            port = self.ports[name]
            wait_for(port, self.start(BUILD / "RawEdge", address, "events.raw", port, *settings))
        self.start("redis-server", "--port", 0, "--unixsocket", self.folder / "redis", "--save", "")
        while not (self.folder / "redis").exists():
            time.sleep(0.01)
        self.token = self.run(FLOTILLA, "keys", "create", "bench").strip()
        self.admin = free_port()
        self.edge = self.start(
            FLOTILLA, "edge", "--http", self.ports["edge"], "--admin", self.admin, FLOTILLA_KEYS="keys",
            FLOTILLA_RATE="1000000", REDIS_URL=f"unix://{self.folder}/redis")
        wait_for(self.ports["edge"], self.edge)

    def start(self, *arguments: object, **settings: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [*map(str, arguments)], cwd=self.folder, env=self.environment | settings, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)
        self.processes.append(process)
        return process

    def run(self, *arguments: object) -> str:
        done = subprocess.run(
            [*map(str, arguments)], cwd=self.folder, env=self.environment | {"FLOTILLA_KEYS": "keys"},
            capture_output=True, text=True)
        if done.returncode != 0:
            raise SystemExit(f"bench: {' '.join(map(str, arguments))}: {done.stderr.strip()}")
        return done.stdout

    def wrk(self, whom: str, connections: int, kind: str = "event", seconds: float | None = None,
            refusals: list[int] | None = None, **settings: str) -> tuple[float, float]:
        """Requests a second, and the milliseconds that 99 of 100 do not exceed."""
        done = subprocess.run(
            ["wrk", "-t1", f"-c{connections}", f"-d{round(seconds or SECONDS)}s", "--latency", "--timeout", "10s", "-s",
             str(ROOT / "Benchmarks" / "edge.lua"), f"http://127.0.0.1:{self.ports[whom]}/v1/events"],
            env=os.environ | {"KIND": kind, "TOKEN": self.token} | settings, capture_output=True, text=True)
        rate = re.search(r"Requests/sec:\s+([\d.]+)", done.stdout)
        tail = re.search(r"99%\s+([\d.]+)(us|ms|s)", done.stdout)
        other = re.search(r"Non-2xx or 3xx responses: (\d+)", done.stdout)
        if other and refusals is not None:
            refusals.append(int(other[1]))
        elif not rate or not tail or other or "Socket errors" in done.stdout:
            raise SystemExit(f"bench: {whom} under wrk: {done.stdout}{done.stderr}")
        return float(rate[1]), float(tail[1]) * {"us": 0.001, "ms": 1, "s": 1000}[tail[2]]

    @property
    def memory(self) -> float:
        """What the edge has of the machine's memory, in MB."""
        pages = int(Path(f"/proc/{self.edge.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6

    def end(self) -> None:
        for process in reversed(self.processes):
            process.send_signal(signal.SIGTERM)
            process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def single(site: Site) -> None:
    # The second bare one waits no longer for company than the edge does.
    rows = [("nginx, static 202", "nginx"), ("bare edge in C", "raw"), ("bare, 0.25 ms", "fast"), ("edge", "edge")]
    for connections in (64, 256):
        figures: dict[str, list[tuple[float, float]]] = {}
        ratios: dict[str, list[float]] = {}
        for _ in range(ROUNDS):
            for name, whom in rows:
                figures.setdefault(name, []).append(site.wrk(whom, connections))
                ratios.setdefault(name, []).append(figures[name][-1][0] / figures[rows[0][0]][-1][0])
        print(f"\nOne event a request, {connections} connections")
        print(f"  {'':20}  {'requests/s':>10}  {'ratio':>5}  {'of rounds':>11}  {'p99 ms':>7}")
        for name, _ in rows:
            rate = statistics.median(rate for rate, _ in figures[name])
            tail = statistics.median(tail for _, tail in figures[name])
            print(f"  {name:20}  {rate:>10,.0f}  {statistics.median(ratios[name]):5.2f}  "
                  f"{min(ratios[name]):5.2f}-{max(ratios[name]):4.2f}  {tail:7.1f}")
        print("  (median of the rounds; the ratio is to nginx in the same round)")


def several(site: Site) -> None:
    print("\nSeveral events a request")
    for kind, count, connections in (("list", LIST, 16), ("lines", LINES, 8)):
        rates = [site.wrk("edge", connections, kind)[0] * count for _ in range(ROUNDS)]
        name = f"arrays of {count}" if kind == "list" else f"NDJSON, {count} lines"
        print(f"  {name:20}  {statistics.median(rates):>10,.0f} events/s  ({min(rates):,.0f} to {max(rates):,.0f})")


def long(site: Site) -> None:
    """Memory under a load of minutes: single events and lines in turns."""
    samples: list[float] = []
    refusals: list[int] = []
    over = threading.Event()

    def sample() -> None:
        while not over.wait(1):
            samples.append(site.memory)

    thread = threading.Thread(target=sample)
    thread.start()
    end = time.monotonic() + MINUTES * 60
    sent = 0.0
    try:
        while time.monotonic() < end:
            for whom, connections, kind in (("edge", 256, "event"), ("edge", 8, "lines")):
                span = max(1, min(20, end - time.monotonic()))
                sent += site.wrk(whom, connections, kind, span, refusals)[0] * span * (1 if kind == "event" else LINES)
    finally:
        over.set()
        thread.join()
    part = max(1, len(samples) // 5)
    print(f"\nMemory over {MINUTES:g} minutes and {sent / 1e6:,.1f} million events, highest of each fifth, MB")
    if refusals:
        print(f"  ({sum(refusals)} requests were answered 503: the machine gave the broker too little time)")
    print("  " + "  ".join(f"{max(samples[at:at + part]):.0f}" for at in range(0, part * 5, part) if samples[at:at + part]))


def edge() -> None:
    site = Site()
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{site.admin}/readyz") as ready:
            ready.read()
        print(f"\nThe edge at rest: {site.memory:.0f} MB")
        single(site)
        several(site)
        print(f"\nThe edge after that: {site.memory:.0f} MB")
        if MINUTES:
            long(site)
    finally:
        site.end()


if __name__ == "__main__":
    edge()
