"""Kafka behind TLS with certificates of clients, by the settings that docs/production.md names. The local broker speaks no
TLS, so what ends it stands before the broker."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import certificates
from outside import ROOT
from processes import free_port, launch, listens, until

FLOTILLA = ROOT / "bin/flotilla"


def pour(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while piece := source.recv(65536):
            sink.sendall(piece)
    for one in (source, sink):
        with contextlib.suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)


class Terminator:
    """Takes TLS from those that an authority has signed, and passes on what they say."""

    def __init__(self, folder: Path, target: int) -> None:
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(folder / "broker.crt", folder / "broker.key")
        self.context.load_verify_locations(folder / "ca.crt")
        self.context.verify_mode = ssl.CERT_REQUIRED
        self.target = target
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                threading.Thread(target=self.join, args=(connection,), daemon=True).start()

    def join(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            client = self.context.wrap_socket(connection, server_side=True)
            server = socket.create_connection(("127.0.0.1", self.target))
            threading.Thread(target=pour, args=(client, server), daemon=True).start()
            pour(server, client)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    certificates.make(tmp_path, {"broker": "IP:127.0.0.1", "client": "IP:127.0.0.1"})
    port = free_port()
    terminator = Terminator(tmp_path, port)
    with (tmp_path / "broker.log").open("wb") as log:
        broker = launch(
            [FLOTILLA, "broker", "--data", tmp_path / "data", "--listen", f"127.0.0.1:{port}", "--advertise", f"127.0.0.1:{terminator.port}"],
            stdout=log, stderr=log)
    until(lambda: listens(("127.0.0.1", port)), "the broker")
    yield tmp_path, f"127.0.0.1:{terminator.port}"
    broker.kill()
    broker.wait()
    terminator.listener.close()


def test_topics_are_applied_through_tls(place: tuple[Path, str]) -> None:
    folder, address = place
    environment = {
        **os.environ, "KAFKA_BROKERS": address, "FLOTILLA_TOPICS": str(ROOT / "topics"),
        "LIBRDKAFKA_SECURITY_PROTOCOL": "SSL", "LIBRDKAFKA_SSL_CA_LOCATION": str(folder / "ca.crt"),
        "LIBRDKAFKA_SSL_CERTIFICATE_LOCATION": str(folder / "client.crt"),
        "LIBRDKAFKA_SSL_KEY_LOCATION": str(folder / "client.key"),
    }

    def flotilla(*words: str, **other: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([FLOTILLA, *words], env=environment | other, capture_output=True, text=True, timeout=120)

    applied = flotilla("topics", "apply")
    assert applied.returncode == 0, applied.stderr
    assert flotilla("topics", "plan").returncode == 0
    # A broker that nobody believed has signed for is none.
    stranger = flotilla("topics", "plan", LIBRDKAFKA_SSL_CA_LOCATION=str(folder / "client.crt"))
    assert stranger.returncode == 1 and "no broker answers" in stranger.stderr, stranger
