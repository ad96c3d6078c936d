"""What a crowd may do to the edge: ten thousand connections that say nothing."""

from __future__ import annotations

import json
import resource
import socket
import urllib.request
from pathlib import Path

import pytest

from processes import until
from site_of_processes import Site

CROWD = 10_000


def test_a_crowd_that_says_nothing(site: Site) -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard != resource.RLIM_INFINITY and hard < CROWD + 1000:
        pytest.skip(f"this system allows a process {hard} files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (CROWD + 1000, hard))
    edge = site.start_edge()

    def resident() -> float:
        pages = int(Path(f"/proc/{edge.pid}/statm").read_text().split()[1])
        return pages * resource.getpagesize() / 1e6

    def publish() -> int:
        request = urllib.request.Request(
            f"http://127.0.0.1:{site.port}/v1/events", json.dumps({"event_type": "t"}).encode(),
            {"content-type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status

    before = resident()
    crowd: list[socket.socket] = []
    try:
        for number in range(CROWD):
            crowd.append(socket.create_connection(("127.0.0.1", site.port), 60))
            # Half of them begin a request and leave it at that.
            if number % 2:
                crowd[-1].sendall(b"POST /v1/events HTTP/1.1\r\nHost: a\r\nX")
            if number % 1000 == 0:
                assert publish() == 202
        assert publish() == 202
        # A connection's memory is what its headers may need.
        assert resident() - before < CROWD * 0.032, f"{before:.0f} MB became {resident():.0f} MB"
        # Those that do not get on are cut off after twenty seconds, of which many are over.
        crowd[1].settimeout(90)
        assert crowd[1].recv(1) == b""
    finally:
        for one in crowd:
            one.close()
    until(lambda: publish() == 202, "the edge to serve on")
