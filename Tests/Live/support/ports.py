"""Ports for servers that have to come back to where they were."""

from __future__ import annotations

import random
import socket
from pathlib import Path

# Held until this process ends: the names of the ports it gave out, which any other test of this machine asks for too.
held: list[socket.socket] = []


def free_port() -> int:
    """A port of the loopback address that stays its caller's, also while its server is down.

    It lies below those that the kernel gives out by itself. One of those could be taken by any connection as its own
    end while the server is away, even by that of a client which tries to reach the server.
    """
    own = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    for _ in range(1000):
        port = random.randrange(max(1024, own - 16_000), own)
        name = socket.socket(socket.AF_UNIX)
        try:
            name.bind(f"\0flotilla-test-port-{port}")
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", port))
        except OSError:
            name.close()
            continue
        held.append(name)
        return port
    raise OSError(f"no free port below {own}")


def listens(address: tuple[str, int]) -> bool:
    try:
        socket.create_connection(address, 1).close()
        return True
    except OSError:
        return False
