"""A broker, a Redis, a Postgres, an edge and workers, each a process of its own that is started again when it was killed."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

from outside import ROOT
from processes import free_port, launch, listens, until

FLOTILLA = Path(os.environ.get("FLOTILLA_BIN", ROOT / "bin" / "flotilla"))
POSTGRES = Path("/usr/lib/postgresql/15/bin")


class Part:
    """One process: how it is started, and when it is up."""

    def __init__(self, name: str, command: list[object], is_up: Callable[[], bool], fleet: Fleet) -> None:
        self.name, self.command, self.is_up, self.fleet = name, [str(word) for word in command], is_up, fleet
        self.process: subprocess.Popen[bytes] | None = None
        self.kills = 0

    def start(self) -> None:
        end = time.monotonic() + 60
        while True:
            with (self.fleet.folder / f"{self.name}.log").open("ab") as log:
                self.process = launch(
                    self.command, stdout=log, stderr=log, env=self.fleet.environment, start_new_session=True)
            while self.process.poll() is None:
                if self.is_up():
                    return
                assert time.monotonic() < end, f"{self.name} does not come up: {self.said()}"
                time.sleep(0.02)
            # What is left of one that was killed may stand in its way for a moment.
            assert time.monotonic() < end, f"{self.name} ends: {self.said()}"
            time.sleep(0.1)

    def kill(self) -> None:
        """As a power cut would, with all its children, and starts it again."""
        self.kills += 1
        self.end()
        self.start()

    def end(self) -> None:
        if self.process and self.process.poll() is None:
            pid = self.process.pid
            # Those of Postgres are groups of their own, and answer for a moment longer.
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
            os.killpg(pid, signal.SIGKILL)
            for child in children:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(child), signal.SIGKILL)
        if self.process:
            self.process.wait()

    def said(self) -> str:
        return (self.fleet.folder / f"{self.name}.log").read_text(errors="replace")[-3000:]


def write_topics(folder: Path, options: dict[str, str] | None = None, rules: str | None = None) -> None:
    """Those that ship with Flotilla; `options` are aggregate's."""
    shutil.copytree(ROOT / "topics", folder)
    file = folder / "metrics.points.yaml"
    text = file.read_text()
    for name, value in (options or {}).items():
        (line,) = [line for line in text.splitlines() if line.strip().startswith(f"{name}:")]
        text = text.replace(line, f"{line.split(':')[0]}: {value}")
    file.write_text(text)
    if rules:
        (folder / "rules.yaml").write_text(rules)


class Fleet:
    def __init__(self, folder: Path, options: dict[str, str] | None = None, appendfsync: str = "always",
                 rules: str | None = None) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        self.topics = folder / "topics"
        write_topics(self.topics, options, rules)
        broker, redis, edge = free_port(), free_port(), free_port()
        self.broker = f"127.0.0.1:{broker}"
        data = folder / "postgres"
        self.edge = f"http://127.0.0.1:{edge}"
        self.environment = os.environ | {
            "KAFKA_BROKERS": self.broker, "REDIS_URL": f"redis://127.0.0.1:{redis}", "FLOTILLA_TOPICS": str(self.topics),
            "DATABASE_URL": f"postgresql:///postgres?host={data}&user=postgres", "FLOTILLA_EDGE_URL": self.edge,
            "LOG_FORMAT": "text",
        }
        self.parts: dict[str, Part] = {}
        self.add("broker", [FLOTILLA, "broker", "--data", folder / "broker", "--listen", self.broker],
                 lambda: listens(("127.0.0.1", broker)))
        # With `always` what it has answered is in the file, so that it remembers events whatever ends it.
        self.add("redis", ["redis-server", "--port", redis, "--bind", "127.0.0.1", "--dir", folder, "--save", "",
                           "--appendonly", "yes", "--appendfsync", appendfsync], lambda: listens(("127.0.0.1", redis)))
        self.add("postgres", self.postgres(data), lambda: subprocess.run(
            [POSTGRES / "pg_isready", "-q", "-h", data]).returncode == 0)
        assert self.run("topics", "apply").returncode == 0
        self.add("edge", [FLOTILLA, "edge", "--http", edge, "--admin", 0], lambda: listens(("127.0.0.1", edge)))

    def postgres(self, data: Path) -> list[object]:
        data.mkdir(0o700)
        other: list[str] = []
        if os.getuid() == 0:
            # Postgres does not run as root.
            os.chown(data, pwd.getpwnam("postgres").pw_uid, pwd.getpwnam("postgres").pw_gid)
            other = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
        initdb = [POSTGRES / "initdb", "-D", data, "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C", "-N"]
        subprocess.run([*other, *initdb], check=True, capture_output=True)
        return [*other, POSTGRES / "postgres", "-D", data, "-k", data, "-c", "listen_addresses="]

    def add(self, name: str, command: list[object], is_up: Callable[[], bool]) -> Part:
        part = self.parts[name] = Part(name, command, is_up, self)
        part.start()
        return part

    def work(self, name: str, *words: str) -> Part:
        """A worker, which is up when it runs."""
        return self.add(name, [FLOTILLA, "work", *words], lambda: True)

    def run(self, *words: str, timeout: float = 120) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [FLOTILLA, *words], env=self.environment, capture_output=True, text=True, timeout=timeout)

    def check_alive(self) -> None:
        for part in self.parts.values():
            code = part.process.poll() if part.process else None
            assert code is None, f"{part.name} ended by itself with {code}: {part.said()}"

    def said(self) -> str:
        return "\n".join(f"{part.name}: {part.said()[-1500:]}" for part in self.parts.values())

    def end(self) -> None:
        for part in reversed(self.parts.values()):
            part.end()


class Background:
    """A task in a thread, whose fault is raised where it is waited for."""

    def __init__(self, task: Callable[[], None]) -> None:
        self.fault: BaseException | None = None

        def run() -> None:
            try:
                task()
            except BaseException as fault:  # noqa: BLE001 (told to whoever waits)
                self.fault = fault

        self.thread = threading.Thread(target=run, daemon=True)
        self.thread.start()

    def check(self) -> None:
        if self.fault:
            raise self.fault

    @property
    def is_done(self) -> bool:
        self.check()
        return not self.thread.is_alive()


__all__ = ["Background", "Fleet", "Part", "until"]
