"""A KafkaDriver process and the conversation with it: JSON lines, one question at a time."""

from __future__ import annotations

import json
import os
import select
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from clients.base import Refused

PATIENCE = 60.0
ROOT = Path(__file__).resolve().parents[4]
DRIVER = Path(os.environ.get("KAFKA_DRIVER", ROOT / ".build" / "debug" / "KafkaDriver"))


def refusal(error: Mapping[str, Any]) -> Refused:
    return Refused(error["code"], str(error.get("message")))


class Driver:
    """One KafkaDriver process and the conversation with it."""

    def __init__(self, address: str, preload: Path | None) -> None:
        if not DRIVER.exists():
            raise FileNotFoundError(f"{DRIVER} does not exist (swift build --product KafkaDriver, or set KAFKA_DRIVER)")
        surroundings = dict(os.environ)
        if preload is not None:
            surroundings["LD_PRELOAD"] = str(preload)
        self.process = subprocess.Popen(
            [str(DRIVER), address], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=surroundings
        )
        self.asked = 0
        self.rest = b""

    def ask(self, op: str, patience: float = PATIENCE, **arguments: Any) -> Any:
        """Send one command, wait for its reply."""
        self.asked += 1
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"id": self.asked, "op": op, **arguments}).encode() + b"\n")
        self.process.stdin.flush()
        reply = json.loads(self.line(op, time.monotonic() + patience))
        assert reply["id"] == self.asked, f"{op}: answer {reply['id']} to question {self.asked}"
        if (error := reply.get("error")) is not None:
            raise refusal(error)
        return reply["ok"]

    def line(self, op: str, deadline: float) -> bytes:
        assert self.process.stdout is not None
        descriptor = self.process.stdout.fileno()
        while b"\n" not in self.rest:
            readable, _, _ = select.select([descriptor], [], [], max(deadline - time.monotonic(), 0))
            if not readable:
                raise TimeoutError(f"no answer to {op} from the driver")
            if not (read := os.read(descriptor, 1 << 20)):
                raise EOFError(f"the driver ended with {self.process.wait()} while asked to {op}")
            self.rest += read
        line, _, self.rest = self.rest.partition(b"\n")
        return line

    def end(self, killed: bool = False) -> None:
        if killed:
            self.process.kill()
        elif self.process.stdin is not None:
            self.process.stdin.close()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
        finally:
            if self.process.stdout is not None:
                self.process.stdout.close()
