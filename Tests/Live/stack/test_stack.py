"""`flotilla up`: from an empty folder to a counted event, scaled, killed in parts and as a whole, ended and removed."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from disks import fill, small_disk
from ports import free_port
from processes import launch, listens
from stacks import FLOTILLA, PORTS, ROOT, Stack, alive, until

import librdkafka
import outside


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    stack = Stack(tmp_path)
    yield stack
    stack.end()


class Load(threading.Thread):
    """Sends clicks until it is told to end, each again until it was taken."""

    def __init__(self, stack: Stack) -> None:
        super().__init__(daemon=True)
        self.stack, self.sent, self.isOver = stack, 0, False
        self.start()

    def run(self) -> None:
        while not self.isOver:
            now = int(time.time() * 1000)
            batch = [
                {"event_id": f"e{self.sent + n}", "event_type": "click", "campaign_id": f"c{n % 5}", "timestamp": now}
                for n in range(50)
            ]
            while True:
                try:
                    if self.stack.post(*batch) == len(batch):
                        break
                except OSError:
                    pass
                time.sleep(0.02)
            self.sent += len(batch)

    def end(self) -> int:
        self.isOver = True
        self.join(120)
        assert not self.is_alive()
        return self.sent


class Watch:
    """`flotilla status --watch`, read by a program."""

    def __init__(self, stack: Stack) -> None:
        self.file = stack.data.parent / "watched"
        with self.file.open("wb") as file:
            self.process = subprocess.Popen([FLOTILLA, "status", "--watch"], env=stack.environment, stdout=file)

    def rows(self, handler: str) -> list[list[str]]:
        return [line.split() for line in self.file.read_text().splitlines() if line.startswith(f"{handler} ")]

    def end(self) -> None:
        self.process.send_signal(signal.SIGINT)
        self.process.wait(60)


def test_from_nothing_to_a_counted_event_and_back(stack: Stack) -> None:
    said = stack.up()

    # The line it shows works as it stands.
    (line,) = re.findall(r"(curl -s .*?\}')", said, re.DOTALL)
    answer = subprocess.run(["sh", "-c", line], capture_output=True, text=True, timeout=60).stdout
    assert '"topic":"events.raw"' in answer
    until(lambda: stack.count("spring") == 1, "the click")
    assert stack.run("healthcheck", stack.file["admin"]).returncode == 0
    doctor = stack.run("doctor")
    assert doctor.returncode == 0, doctor.stdout

    # Settings come first: with another broker named, nothing of the stack is used.
    assert "KAFKA_BROKERS" not in stack.run("tail", "events.raw").stderr
    asked = stack.run("query", "--metric", "clicks", KAFKA_BROKERS="127.0.0.1:1")
    assert asked.returncode == 1 and "DATABASE_URL is not set" in asked.stderr
    assert f"not about the fleet that runs in {stack.data}: KAFKA_BROKERS is set" in asked.stderr

    # What has no answer says why.
    empty = stack.run("query", "--metric", "click")
    assert (empty.returncode, empty.stdout) == (0, "") and "did you mean clicks?" in empty.stderr
    assert "no window of conversions yet" in stack.run("query", "--metric", "conversions").stderr
    assert "for the campaign summer" in stack.run("query", "--metric", "clicks", "--campaign", "summer").stderr

    # A second one is refused, and the first does not notice.
    again = stack.run("up", *PORTS)
    assert again.returncode == 1 and f"(process {stack.file['pid']}) already" in again.stderr
    assert len(again.stderr.splitlines()) == 1
    refused = stack.run("reset", "--confirm")
    assert refused.returncode == 1 and "already" in refused.stderr

    check_privacy(stack)
    check_librdkafka(stack)

    # Scaled, seen, and read back.
    assert stack.run("scale", "process=2", "events.raw=2").stdout == "ingest: 2 workers\nprocess: 2 workers\n"
    until(lambda: stack.workers("process") == stack.workers("ingest") == 2, "two workers each")
    assert stack.run("scale", "nobody=2").returncode == 1
    assert stack.run("scale", "process=many").returncode == 2
    assert "process-2 | " in stack.run("logs", "process").stdout
    assert {line.split()[0] for line in stack.run("logs", "process").stdout.splitlines()} == {"process-1", "process-2"}

    everybody = list(stack.processes.values())
    stack.down()
    assert not any(alive(pid) for pid in everybody)
    assert stack.run("down").stdout.startswith("no stack runs")
    elsewhere = stack.run("scale", "process=4")
    assert elsewhere.returncode == 1 and "--scale process=4" in elsewhere.stdout
    # Who asks for what ran here is told how to have it again.
    for words in (["status"], ["dlq", "list"], ["query", "--metric", "clicks"], ["doctor"], ["pause", "ingest"]):
        lost = stack.run(*words)
        assert lost.returncode == 1 and f"no fleet runs in {stack.data}: make up" in lost.stdout + lost.stderr, words

    kept = stack.run("reset")
    assert kept.returncode == 1 and "--confirm" in kept.stderr and stack.data.exists()
    assert stack.run("reset", "--confirm").returncode == 0
    assert not stack.data.exists()


def check_privacy(stack: Stack) -> None:
    """Nobody else gets to files or sockets."""
    for name in ("broker", "redis", "postgres", "logs"):
        assert stat.S_IMODE((stack.data / name).stat().st_mode) == 0o700, name
    for name in ("stack.json", "control.sock"):
        assert stat.S_IMODE((stack.data / name).stat().st_mode) == 0o600, name
    if os.getuid() != 0:
        return
    # As somebody else, with the folder's name known; and as Postgres' own user, whom the server asks who he is.
    def reach(user: str, path: Path) -> bool:
        code = f"import socket; socket.socket(socket.AF_UNIX).connect({str(path)!r})"
        words = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", "python3", "-c", code]
        return subprocess.run(words, capture_output=True).returncode == 0

    for path in ("redis/redis.sock", "postgres/.s.PGSQL.5432", "control.sock"):
        assert not reach("daemon", stack.data / path)
    psql = ["/usr/lib/postgresql/15/bin/psql", "-h", stack.data / "postgres", "-U", "flotilla", "-d", "postgres", "-c", "SELECT 1"]
    refused = subprocess.run(
        ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", *psql], capture_output=True, text=True)
    assert refused.returncode != 0 and "peer" in refused.stderr.lower()


def check_librdkafka(stack: Stack) -> None:
    """All who speak with the broker do so with the library that is meant, the supervisor too."""
    meant = librdkafka.version_meant()
    targets = json.loads(read(stack.file["admin"], "/targets"))
    addresses = {one["labels"]["name"]: one["targets"][0] for one in targets} | {"stack": stack.file["admin"]}
    assert {"edge", "console", "ingest-1", "process-1", "aggregate-1", "notify-1"} < addresses.keys()
    for name, address in addresses.items():
        assert f'flotilla_librdkafka_info{{version="{meant}"}} 1\n' in read(address, "/metrics"), name


def read(address: str, path: str) -> str:
    with urllib.request.urlopen(f"http://{address}{path}", timeout=30) as answer:
        return answer.read().decode()


@pytest.mark.long
def test_what_is_killed_comes_back_and_the_counts_are_exact(stack: Stack) -> None:
    """Scaled from one to four and back under load, each process killed, then all at once, then the supervisor."""
    stack.up()
    load = Load(stack)
    watched = Watch(stack)
    stack.run("scale", "process=4")
    until(lambda: stack.workers("process") >= 4, "four workers")
    # Whoever watches sees the workers come, and events go through them.
    until(lambda: any(row[1] == "4" and int(row[3]) > 0 for row in watched.rows("process")), "four workers at work")
    watched.end()
    for name in ("broker", "redis", "postgres", "edge", "ingest-1", "process-3", "aggregate-1"):
        stack.kill(name)
    stack.run("scale", "process=1")
    until(lambda: "process-2" not in stack.processes, "one worker")

    # Without their supervisor they do not go on.
    before = dict(stack.processes)
    supervisor = stack.file["pid"]
    os.kill(supervisor, signal.SIGKILL)
    until(lambda: not any(alive(pid) for pid in before.values()), "the end of all")
    assert stack.run("down").stdout.startswith("no stack runs")

    # The same folder, the same ports: nothing is stuck.
    stack.up()

    # All at once, as when the machine loses its power.
    all_of_it = [stack.file["pid"], *stack.processes.values()]
    for pid in all_of_it:
        os.kill(pid, signal.SIGKILL)
    # Until then they have their ports.
    until(lambda: not any(alive(pid) for pid in all_of_it), "the end of all")
    stack.up()
    sent = load.end()
    assert sent > 0
    until(lambda: sum(stack.count(f"c{n}") for n in range(5)) >= sent, "all clicks")
    assert [stack.count(f"c{n}") for n in range(5)] == [sent // 5] * 5
    stack.down()


def test_what_cannot_start_says_why(stack: Stack, tmp_path: Path) -> None:
    def refusal(*words: object, **more: str) -> str:
        result = stack.run("up", *PORTS, *words, **more)
        assert result.returncode == 1, result.stdout + result.stderr
        return result.stderr

    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        taken = stack.run("up", "--http", port, "--console", 0, "--broker", 0, "--admin", 0)
        assert taken.returncode == 1 and f"port {port} cannot be had" in taken.stderr and "--http PORT" in taken.stderr

    # Every fault of the settings, before anything is started.
    faults = refusal(FLOTILLA_RATE="many", LOG_LEVEL="loud", FLOTILLA_TLS_CERT="/none")
    for name in ("FLOTILLA_RATE", "LOG_LEVEL", "FLOTILLA_TLS_CERT"):
        assert name in faults
    assert "FLOTILLA_TOPICS names" in refusal(FLOTILLA_TOPICS=str(tmp_path / "none"))

    other = tmp_path / "other"
    other.mkdir()
    (other / "photo.jpg").touch()
    assert "holds other things (photo.jpg)" in refusal("--data", other)
    (other / "version").write_text("flotilla stack 7\n")
    assert "was made by another version" in refusal("--data", other)
    assert "cannot be made" in refusal("--data", "/proc/nothing")
    assert stack.run("up", "--fsync", "often").returncode == 2
    assert stack.run("up", "--scale", "process").returncode == 2
    assert "no handler here" in refusal("--scale", "nobody=2")
    assert "there is nothing" in refusal("--with", tmp_path / "none")
    assert "no worker of flotilla" in refusal("--with", worker(tmp_path, "echo nonsense here"))
    same = [worker(tmp_path / name, "echo pricer") for name in ("one", "other")]
    assert "both work for pricer" in refusal("--with", same[0], "--with", same[1])

    # A cluster of a Postgres that is not installed, and one that was only begun.
    stack.up(LC_ALL="xx_XX.UTF-8", LANG="nonsense", PGOPTIONS="-c nonsense=1")
    stack.down()
    version = stack.data / "postgres" / "PG_VERSION"
    version.write_text("9\n")
    assert "was made by Postgres 9, which is not installed" in refusal()
    version.write_text("15\n")
    (stack.data / "postgres" / "global" / "pg_control").write_bytes(b"nonsense")
    broken = stack.run("up", *PORTS)
    assert broken.returncode == 1 and "postgres does not start" in broken.stderr, broken.stdout + broken.stderr
    assert not (stack.data / "stack.json").exists()


def worker(folder: Path, script: str) -> Path:
    """A program in a package, that answers as it is told."""
    (folder / "package" / "topics").mkdir(parents=True, exist_ok=True)
    (folder / "package" / "Package.swift").touch()
    program = folder / "package" / "worker"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return program


def test_what_the_machine_lacks(stack: Stack, tmp_path: Path) -> None:
    """Servers that are not installed, a full disk and a read-only one, in a view of the files of the test's own."""
    def up(mount: str, *words: object) -> str:
        script = f"{mount} && exec {FLOTILLA} up {' '.join(map(str, (*PORTS, *words)))}"
        result = subprocess.run(
            ["unshare", "-m", "sh", "-c", script], env=stack.environment, capture_output=True, text=True, timeout=120)
        assert result.returncode == 1, result.stdout + result.stderr
        return result.stderr

    if subprocess.run(["unshare", "-m", "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True).returncode != 0:
        pytest.skip("may not mount here")
    assert "apt-get install postgresql" in up("mount -t tmpfs none /usr/lib/postgresql")
    assert "apt-get install redis-server" in up("mount --bind /dev/null $(readlink -f $(command -v redis-server))")
    small = tmp_path / "small"
    small.mkdir()
    assert "MiB are free on the disk" in up(f"mount -t tmpfs -o size=50m none {small}", "--data", small / "s")
    assert "Read-only file system" in up(f"mount -t tmpfs -o ro none {small}", "--data", small / "s")


def test_a_folder_that_postgres_cannot_pass(stack: Stack, tmp_path: Path) -> None:
    """Its cluster is elsewhere then, which is said, and it goes with the stack."""
    if os.getuid() != 0:
        pytest.skip("only root's Postgres is another user's")
    private = tmp_path / "private"
    private.mkdir(0o700)
    stack.data = private / "s"
    stack.environment["FLOTILLA_DATA"] = str(stack.data)
    said = stack.up()
    cluster = (stack.data / "postgres").resolve()
    assert cluster.parent == Path("/var/lib/flotilla") and str(cluster) in said
    assert stack.post({"event_type": "click", "campaign_id": "there"}) == 1
    until(lambda: stack.count("there") == 1, "the click")
    stack.down()
    stack.up()
    assert stack.count("there") == 1
    stack.down()
    assert stack.run("reset", "--confirm").returncode == 0
    assert not cluster.exists() and not stack.data.exists()


def test_a_disk_that_fills_while_it_runs(stack: Stack, tmp_path: Path) -> None:
    """What cannot be written is not acknowledged; with room again all goes on by itself, and the counts are exact."""
    with small_disk(tmp_path / "small", "400m") as small:
        stack.data = small / "s"
        stack.environment["FLOTILLA_DATA"] = str(stack.data)
        stack.up()

        def isTaken(number: int) -> bool:
            try:
                return stack.post({"event_id": f"e{number}", "event_type": "click", "campaign_id": "full"}) == 1
            except OSError:
                return False

        assert isTaken(0)
        filler = fill(small)
        number = 1
        while isTaken(number):
            number += 1
        filler.unlink()
        until(lambda: isTaken(number), "the edge to take events", 120)
        until(lambda: stack.count("full") == number + 1, "all clicks", 120)
        until(lambda: stack.run("healthcheck", stack.file["admin"]).returncode == 0, "the stack to be ready", 120)
        stack.down()


def test_a_worker_of_ones_own_and_the_demo(stack: Stack, tmp_path: Path) -> None:
    package = tmp_path / "package"
    program = outside.build(ROOT / ".build" / "outside-package") / "worker"
    outside.write_topics(package / "topics")
    (package / "Package.swift").touch()
    (package / ".build/debug").mkdir(parents=True)
    shutil.copy(program, package / ".build/debug/package")
    stack.ports = PORTS
    redis = free_port()
    launch(["redis-server", "--port", redis, "--bind", "127.0.0.1", "--dir", tmp_path, "--save", ""])
    until(lambda: listens(("127.0.0.1", redis)), "redis")
    said = stack.up(
        "--with", package, "--scale", "pricer=2", "--demo", REDIS_URL=f"redis://127.0.0.1:{redis}")
    assert "REDIS_URL is set: what is named there is used" in said and "redis" not in stack.processes
    stack.environment["REDIS_URL"] = f"redis://127.0.0.1:{redis}"
    # What is made up begins once the rest is ready.
    until(lambda: {"pricer-1", "pricer-2", "demo"} <= set(stack.processes), "workers of one's own, and the demo")
    # Its own program finds the stack, and its topic files are its own.
    own = {name: value for name, value in stack.environment.items() if name != "FLOTILLA_TOPICS"}
    checked = subprocess.run([program, "topics", "check"], cwd=package, env=own, capture_output=True, text=True, timeout=60)
    assert "1 handler" in checked.stdout, checked.stdout + checked.stderr
    assert subprocess.run([program, "topics", "plan"], cwd=package, env=own, timeout=60).returncode == 0
    broker = stack.file["settings"]["KAFKA_BROKERS"]
    order = subprocess.run(
        ["kcat", "-b", broker, "-t", "orders", "-P", "-H", "ce_id=1", "-H", "ce_source=/shop", "-H", "ce_type=order"],
        input=b'{"amount": 100, "country": "de"}', timeout=60)
    assert order.returncode == 0
    until(lambda: '"total":119' in stack.run("tail", "orders.priced").stdout, "the priced order")
    assert stack.workers("pricer") == 2
    until(lambda: stack.count("spring", "impressions") > 0, "made-up impressions")
    until(lambda: stack.run("tail", "events.raw.ingest.dlq").stdout != "", "a made-up dead letter", 120)
    stack.down()
