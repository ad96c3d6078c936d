"""What an event costs in instructions, and that it does not cost more than it did.

Seconds on a machine that others use say little of a few percent; the instructions that callgrind counts are nearly the same
each time. Each of the hot paths runs twice, the second time with more to do: what that took more is what its events cost,
without the start and the end of the process. Only the process itself is counted: no broker, no Redis, no Postgres, no kernel.

    python Benchmarks/counted.py           fails when one costs more than the line in counted.json says, by over 10 %
    python Benchmarks/counted.py --note    writes the figures there: to be done when a cost is meant
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from bench import BUILD, ROOT, Broker, Postgres, client
from edge import Site, wait_for
from ports import free_port

NOTED = Path(__file__).with_name("counted.json")
TOLERANCE = 1.10
SLACK = 0.8
CONNECTIONS = 32


def stripped(program: str, folder: Path) -> Path:
    """Callgrind cannot read what the compiler says for debuggers; the code is the same without."""
    to = folder / program
    if not to.exists():
        subprocess.run(["strip", "--strip-debug", "-o", to, BUILD / program], check=True)
    return to


def callgrind(out: Path) -> list[str]:
    return ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}"]


def total(out: Path) -> int:
    found = re.search(r"^(?:totals|summary): (\d+)", out.read_text(), re.M)
    if not found:
        raise SystemExit(f"counted: {out} has no total")
    return int(found[1])


# valgrind 3.19 dies in sigsuspend, where Swift's main thread waits.
PAUSE = "#include <signal.h>\n#include <unistd.h>\nint sigsuspend(const sigset_t *mask) { (void)mask; for (;;) pause(); }\n"


def pausing(folder: Path) -> Path:
    library = folder / "pause.so"
    if not library.exists():
        compiler = ["clang", "-O1", "-shared", "-fPIC", "-x", "c", "-o", library, "-"]
        subprocess.run(compiler, input=PAUSE, text=True, check=True)
    return library


def counted(command: list[object], folder: Path) -> int:
    out = folder / "callgrind.out"
    done = subprocess.run(
        [*callgrind(out), "--fair-sched=yes", *map(str, command)], capture_output=True, text=True,
        env=os.environ | {"LD_PRELOAD": str(pausing(folder))})
    if done.returncode != 0:
        raise SystemExit(f"counted: {' '.join(map(str, command))}: {done.stderr.strip()[-2000:]}")
    return total(out)


def post(port: int, token: str, count: int) -> None:
    """So many events, one a request: a round of all connections after the other, so that every run is the same."""
    sockets = [socket.create_connection(("127.0.0.1", port), 60) for _ in range(CONNECTIONS)]
    head = f"POST /v1/events HTTP/1.1\r\nhost: edge\r\nauthorization: Bearer {token}\r\ncontent-type: "
    for first in range(0, count, CONNECTIONS):
        for number, connection in enumerate(sockets, first):
            event = json.dumps({
                "specversion": "1.0", "id": str(number), "source": "/counted", "type": "campaign.click",
                "subject": f"c{number % 50}",
                "data": {"campaign_id": f"c{number % 50}", "user_id": f"u{number}", "padding": "x" * 100}})
            connection.sendall(
                f"{head}application/cloudevents+json\r\ncontent-length: {len(event)}\r\n\r\n{event}".encode())
        for connection in sockets:
            answer = b""
            while b"\r\n\r\n" not in answer or len(answer.split(b"\r\n\r\n", 1)[1]) < length(answer):
                part = connection.recv(1 << 16)
                if not part:
                    raise SystemExit(f"counted: the edge hung up after {answer!r}")
                answer += part
            if not answer.startswith(b"HTTP/1.1 202 "):
                raise SystemExit(f"counted: the edge answered {answer!r}")
    for connection in sockets:
        connection.close()


def length(answer: bytes) -> int:
    found = re.search(rb"\r\ncontent-length: *(\d+)", answer, re.I)
    return int(found[1]) if found else 0


def edge_request(folder: Path) -> Callable[[int], int]:
    site = Site()

    def run(count: int) -> int:
        port, out = free_port(), folder / "callgrind.out"
        process = site.start(
            *callgrind(out), stripped("flotilla", folder), "edge", "--http", port, "--admin", free_port(),
            FLOTILLA_KEYS="keys", FLOTILLA_RATE="1000000", REDIS_URL=f"unix://{site.folder}/redis")
        wait_for(port, process)
        post(port, site.token, count)
        process.send_signal(signal.SIGTERM)
        if process.wait(60) != 0:
            raise SystemExit("counted: the edge did not end well")
        return total(out)

    run.close = site.end
    return run


def runtime_record(folder: Path) -> Callable[[int], int]:
    broker = Broker("counted", fsync="interval")
    filled = 0

    def run(count: int) -> int:
        nonlocal filled
        client("WorkerBench", broker.address, "fill", count - filled)
        filled = count
        return counted([stripped("WorkerBench", folder), broker.address, "transform", count], folder)

    run.close = broker.close
    return run


def aggregate_point(folder: Path) -> Callable[[int], int]:
    postgres = Postgres()

    def run(count: int) -> int:
        return counted([stripped("AggregateBench", folder), postgres.database(), "counted", count], folder)

    run.close = postgres.close
    return run


# What runs it, and how many events the two runs have.
PATHS = {
    "edge: a request with one event, key, limits and checks": (edge_request, 1600, 8000),
    "runtime: a record of which two fields are read, one output": (runtime_record, 20_000, 80_000),
    "aggregate: a point into its windows": (aggregate_point, 12_000, 60_000),
}


def once(begin: Callable[[Path], Callable[[int], int]], folder: Path, few: int, many: int) -> int:
    run = begin(folder)
    try:
        base = run(few)
        return round((run(many) - base) / (many - few))
    finally:
        run.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--note", action="store_true", help="write the figures to counted.json")
    wanted = parser.parse_args()
    noted: dict[str, int] = json.loads(NOTED.read_text()) if NOTED.exists() else {}
    found, dearer, cheaper = {}, [], []
    folder = Path(tempfile.mkdtemp(prefix="flotilla-counted-", dir=ROOT / ".build"))
    try:
        print(f"{'instructions an event':60}  {'now':>9}  {'noted':>9}  ratio")
        for name, (begin, few, many) in PATHS.items():
            found[name] = once(begin, folder, few, many)
            ratio = found[name] / noted[name] if name in noted else 1
            if ratio > TOLERANCE:
                # Threads meet as they do: in some runs they wake each other more often.
                found[name] = min(found[name], once(begin, folder, few, many))
                ratio = found[name] / noted[name]
            print(f"{name:60}  {found[name]:9,}  {noted.get(name, 0):9,}  {ratio:5.3f}", flush=True)
            if ratio > TOLERANCE:
                dearer.append(name)
            if ratio < SLACK:
                cheaper.append(name)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if wanted.note:
        NOTED.write_text(json.dumps(found, indent=4) + "\n")
    elif missing := [name for name in PATHS if name not in noted]:
        raise SystemExit(f"counted: nothing is noted of {', '.join(missing)}: --note")
    elif dearer:
        raise SystemExit(
            f"counted: dearer than noted, by over {TOLERANCE - 1:.0%}: {', '.join(dearer)}. Find out why (callgrind_annotate), "
            "or say that it is meant: --note")
    elif cheaper:
        raise SystemExit(f"counted: much cheaper than noted, which would hide as much again: {', '.join(cheaper)}: --note")


if __name__ == "__main__":
    main()
