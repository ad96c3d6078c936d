"""A broker that dies while somebody looks: who looks is told, and does not die of it."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Producer

from broker import BINARY, Broker
from outside import ROOT
from proxy import exactly, hang_up

OFFSET_FETCH = 9


class Doom:
    """Stands before a broker, and has it hang or die in the middle of the first question for what a group has committed."""

    def __init__(self) -> None:
        self.how = "dies"
        self.broker: Broker | None = None
        self.asked = threading.Event()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.listener.getsockname()[1]}"
        self.open: set[socket.socket] = set()
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self) -> None:
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self.broker.port))
            except OSError:
                hang_up(client)
                continue
            self.open |= {client, server}
            for task, ends in ((self.requests, (client, server)), (self.answers, (server, client))):
                threading.Thread(target=task, args=ends, daemon=True).start()

    def requests(self, client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError, EOFError):
            while True:
                head = exactly(client, 6)
                size, api = struct.unpack(">ih", head)
                body = exactly(client, size - 2)
                if api == OFFSET_FETCH and not self.asked.is_set():
                    self.asked.set()
                    if self.how == "hangs":
                        continue
                    self.broker.kill()
                    if self.how == "comes back":
                        self.broker.start()
                    break
                server.sendall(head + body)
        hang_up(client)
        hang_up(server)

    def answers(self, server: socket.socket, client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := server.recv(1 << 16):
                client.sendall(data)
        hang_up(client)
        hang_up(server)

    def end(self) -> None:
        for each in [self.listener, *self.open]:
            hang_up(each)


@pytest.fixture
def doom(tmp_path: Path) -> Iterator[Doom]:
    doom = Doom()
    doom.broker = Broker(tmp_path, fsync="never", advertise=doom.address)
    doom.broker.start()
    yield doom
    doom.end()
    doom.broker.kill()


@pytest.mark.parametrize("how", ["dies", "hangs", "comes back"])
@pytest.mark.parametrize("words", [["doctor"], ["trace", "order-1"]], ids=["doctor", "trace"])
def test_who_looks_outlives_the_broker(doom: Doom, tmp_path: Path, words: list[str], how: str) -> None:
    doom.how = how
    environment = {"PATH": os.environ["PATH"], "KAFKA_BROKERS": doom.address, "FLOTILLA_TOPICS": str(ROOT / "topics")}

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [BINARY, *words], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)

    assert run("topics", "apply").returncode == 0
    producer = Producer({"bootstrap.servers": doom.address})
    headers = {"ce_specversion": "1.0", "ce_id": "order-1", "ce_source": "/shop", "ce_type": "order.created"}
    producer.produce("events.raw", value=b"{}", headers=headers)
    assert producer.flush(30) == 0

    told = run(*words)
    assert doom.asked.is_set()
    assert told.returncode == (0 if how == "comes back" else 1), (told.returncode, told.stdout, told.stderr)
    assert how == "comes back" or "committed" in told.stdout + told.stderr
