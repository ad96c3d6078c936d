"""`flotilla broker` as a child process, in a folder of its own, on a free port of the loopback address."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from pathlib import Path

from ports import free_port
from waiting import eventually

ROOT = Path(__file__).resolve().parents[3]
BINARY = Path(os.environ.get("FLOTILLA_BIN", ROOT / "bin" / "flotilla"))
START_PATIENCE = 20.0


class Broker:
    """A broker that can be stopped, killed and started again on what it has written."""

    running: list[Broker] = []

    def __init__(self, folder: Path, fsync: str = "batch", advertise: str | None = None) -> None:
        self.data = folder / "data"
        self.log = folder / "broker.log"
        self.fsync = fsync
        self.advertise = advertise
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self.log.touch()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start, and wait until it accepts."""
        if not BINARY.exists():
            raise FileNotFoundError(f"no broker to test: {BINARY} does not exist (run make, or set FLOTILLA_BIN)")
        command = [str(BINARY), "broker", "--data", str(self.data), "--listen", self.address, "--fsync", self.fsync]
        if self.advertise is not None:
            command += ["--advertise", self.advertise]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        Broker.running.append(self)
        eventually(f"the broker accepts on {self.address}", self.accepts, START_PATIENCE)

    def accepts(self) -> bool:
        assert self.process is not None
        if (status := self.process.poll()) is not None:
            raise AssertionError(f"the broker ended at its start with {status}:\n{self.tail(0)}")
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            return True
        except OSError:
            return False

    def end(self, how: signal.Signals) -> int:
        """Send the signal and wait for the end; returns the exit status."""
        assert self.process is not None
        self.process.send_signal(how)
        try:
            status = self.process.wait(START_PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"the broker did not end on {how.name}") from None
        finally:
            Broker.running.remove(self)
            self.process = None
        return status

    def stop(self) -> None:
        """End in good order; anything but exit 0 is a fault of the broker."""
        if self.process is not None:
            status = self.end(signal.SIGTERM)
            assert status == 0, f"the broker ended with {status} on SIGTERM:\n{self.tail(0)}"

    def kill(self) -> None:
        if self.process is not None:
            self.end(signal.SIGKILL)

    def tail(self, start: int, limit: int = 8000) -> str:
        """What it has logged since byte `start`, at most the last `limit` characters."""
        with self.log.open("rb") as log:
            log.seek(start)
            return log.read().decode(errors="replace")[-limit:]
