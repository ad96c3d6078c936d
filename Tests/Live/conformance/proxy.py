"""A TCP proxy between a client and the broker that loses answers.

It reads the frames that the client sends, and of every so many Produce requests it lets the request through, takes
the broker's next bytes for itself, and closes both sides. To the producer that is a broken connection after which it
cannot know whether its records were written.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from types import TracebackType

PRODUCE = 0


class ForgetfulProxy:
    def __init__(self, every: int) -> None:
        self.every = every
        self.upstream = 0
        self.lost = 0
        self.produced = 0
        self.lock = threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.listener.getsockname()[1]}"
        self.open: set[socket.socket] = set()

    def __enter__(self) -> ForgetfulProxy:
        threading.Thread(target=self.accept, name="proxy", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        # `shutdown` wakes the threads that wait in `accept` and `recv`; `close` alone would not.
        for each in [self.listener, *self.open]:
            hang_up(each)

    def accept(self) -> None:
        while True:
            try:
                client, _ = self.listener.accept()
                server = socket.create_connection(("127.0.0.1", self.upstream))
            except OSError:
                return
            self.open |= {client, server}
            doomed = threading.Event()
            threading.Thread(target=self.requests, args=(client, server, doomed), daemon=True).start()
            threading.Thread(target=self.answers, args=(client, server, doomed), daemon=True).start()

    def requests(self, client: socket.socket, server: socket.socket, doomed: threading.Event) -> None:
        """Client to broker, frame by frame."""
        with contextlib.suppress(OSError, EOFError):
            while True:
                head = exactly(client, 6)
                size, api = struct.unpack(">ih", head)
                body = exactly(client, size - 2)
                if api == PRODUCE and self.is_chosen():
                    doomed.set()
                server.sendall(head + body)
        hang_up(client)
        hang_up(server)

    def answers(self, client: socket.socket, server: socket.socket, doomed: threading.Event) -> None:
        """Broker to client, until the connection's doom."""
        with contextlib.suppress(OSError):
            while data := server.recv(1 << 16):
                if doomed.is_set():
                    with self.lock:
                        self.lost += 1
                    break
                client.sendall(data)
        hang_up(client)
        hang_up(server)

    def is_chosen(self) -> bool:
        with self.lock:
            self.produced += 1
            return self.produced % self.every == 0


def exactly(source: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        if not (read := source.recv(count - len(data))):
            raise EOFError
        data += read
    return data


def hang_up(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()
