"""The commands of docs/http.md, run as they stand; the edge over TLS; and the edge under a broker that is killed."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from ports import listens
from processes import until
from site_of_processes import FLOTILLA, PAGE, Site


def examples() -> list[tuple[str, str]]:
    """Commands and what they print."""
    blocks = re.findall(r"^    \$ ((?:.*\\\n)*.*)\n    (.*)$", PAGE, re.M)
    assert len(blocks) == 8
    return blocks


def masked(text: str) -> str:
    """Without what differs each time."""
    text = re.sub(r'"id":"[0-9a-f]{8}-[0-9a-f-]{27}"', '"id":"…"', text)
    return re.sub(r'"(partition|offset|uptime|latency_ms)":\d+', r'"\1":0', text)


def test_the_page(site: Site) -> None:
    site.start_edge()
    for command, printed in examples():
        done = site.run("bash", "-c", command.replace("localhost:8080", f"127.0.0.1:{site.port}"))
        assert masked(done.stdout) == masked(printed), command
    assert len(site.tail()) == 6


def test_callers_over_tls(site: Site) -> None:
    def openssl(*arguments: object) -> None:
        done = site.run("openssl", *arguments)
        assert done.returncode == 0, done.stderr

    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=ca")
    (site.folder / "names").write_text("subjectAltName=DNS:localhost")
    for name in ("localhost", "alice"):
        openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-out",
                f"{name}.pem", "-extfile", "names")
    # Of the right name, by the wrong hand.
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "evil.key", "-out", "evil.pem", "-subj", "/CN=alice")
    key = site.run(FLOTILLA, "keys", "create", "shop").stdout.strip()
    site.start_edge(
        FLOTILLA_TLS_CERT="localhost.pem", FLOTILLA_TLS_KEY="localhost.key", FLOTILLA_TLS_CLIENT_CA="ca.pem",
        FLOTILLA_KEYS="keys")

    def status(*options: str) -> str:
        return site.run(
            "curl", "-sS", "--cacert", "ca.pem", "-o", "/dev/null", "-w", "%{http_code}",
            f"https://localhost:{site.port}/v1/events", "-H", "content-type: application/json", "-d",
            '{"event_type":"t"}', *options).stdout

    bearer = ("-H", f"authorization: Bearer {key}")
    assert status() == "401"
    assert status("--cert", "evil.pem", "--key", "evil.key") == "401"
    assert status("--cert", "alice.pem", "--key", "alice.key") == "202"
    assert status(*bearer) == "202"
    assert site.run(FLOTILLA, "keys", "revoke", "shop").returncode == 0
    until(lambda: status(*bearer) == "401", "the key to be revoked")
    sources = {record["headers"]["ce_source"] for record in site.tail()}
    assert sources == {"/flotilla/cert:alice", "/flotilla/shop"}


def kill_the_broker_under(
    site: Site, send: Callable[[int], None], senders: int, stop: threading.Event, acknowledged: set[str], sent: set[str],
    between: int,
) -> None:
    """Kills the broker three times, each time after so many more events; then all that was answered as published is in
    the log, and nothing else than was sent."""
    threads = [threading.Thread(target=send, args=(who,)) for who in range(senders)]
    for thread in threads:
        thread.start()
    for _ in range(3):
        before = len(acknowledged)
        until(lambda: len(acknowledged) > before + between, "events to pass")
        site.broker.send_signal(signal.SIGKILL)
        site.broker.wait()
        site.broker = site.start_broker()
    before = len(acknowledged)
    until(lambda: len(acknowledged) > before + between, "events to pass again")
    stop.set()
    for thread in threads:
        thread.join()
    found = [record["headers"]["ce_id"] for record in site.tail()]
    assert acknowledged <= set(found) <= sent
    # Once each: the client sent none again.
    assert len(found) == len(set(found))


def test_what_was_acknowledged_survives_the_broker(site: Site) -> None:
    """The broker is killed three times under load: what was answered 202 is in the log, and nothing else than was sent."""
    site.start_edge()
    acknowledged: set[str] = set()
    sent: set[str] = set()
    stop = threading.Event()

    def send(who: int) -> None:
        number = 0
        while not stop.is_set():
            name = f"{who}-{number}"
            number += 1
            sent.add(name)
            request = urllib.request.Request(
                f"http://127.0.0.1:{site.port}/v1/events", json.dumps({"event_type": "t", "event_id": name}).encode(),
                {"content-type": "application/json"})
            try:
                with urllib.request.urlopen(request, timeout=30) as answer:
                    assert json.load(answer)["id"] == name
                    acknowledged.add(name)
            except urllib.error.HTTPError as error:
                assert error.code == 503 and error.headers["retry-after"]

    kill_the_broker_under(site, send, 8, stop, acknowledged, sent, between=200)


def test_lists_and_lines_survive_the_broker(site: Site) -> None:
    """The same for lists and lines: what is answered as published is in the log, and `next` loses nothing."""
    site.start_edge()
    acknowledged: set[str] = set()
    sent: set[str] = set()
    stop = threading.Event()

    def post(kind: str, body: bytes) -> tuple[int, dict]:
        request = urllib.request.Request(f"http://127.0.0.1:{site.port}/v1/events", body, {"content-type": kind})
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            assert error.code == 503 and error.headers["retry-after"]
            return error.code, json.load(error)

    def send(who: int) -> None:
        number = 0
        while not stop.is_set():
            names = [f"{who}-{number}-{index}" for index in range(200)]
            number += 1
            sent.update(names)
            events = [{"event_type": "t", "event_id": name} for name in names]
            if who % 2:
                status, answer = post("application/json", json.dumps(events).encode())
                if status == 202:
                    assert [result["id"] for result in answer["results"]] == names
                    acknowledged.update(names)
            else:
                status, answer = post("application/x-ndjson", b"".join(json.dumps(event).encode() + b"\n" for event in events))
                # What stands before is in the log; the deadline's own answer knows of none.
                acknowledged.update(names if status == 202 else names[:answer.get("next", 0)])

    kill_the_broker_under(site, send, 4, stop, acknowledged, sent, between=2000)


def test_a_stream_of_any_length_takes_the_same_memory(site: Site) -> None:
    edge = site.start_edge()
    line = b'{"event_type":"t","data":{"p":"' + b"x" * 980 + b'"}}\n'
    piece = line * 1000

    def resident() -> int:
        pages = int((Path("/proc") / str(edge.pid) / "statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    sizes = []
    count, answer = 60, b""
    # A log that is too slow for a moment is answered 503: then again.
    while b" 202 " not in answer:
        with socket.create_connection(("127.0.0.1", site.port), 60) as client:
            client.sendall(
                b"POST /v1/events HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-ndjson\r\n"
                + f"Content-Length: {count * len(piece)}\r\n\r\n".encode())
            for _ in range(count):
                client.sendall(piece)
                sizes.append(resident())
            answer = client.recv(65536)
        assert answer.startswith((b"HTTP/1.1 202 ", b"HTTP/1.1 503 "))
    assert b'"accepted":60000' in answer
    # 60 MB went through; what it needs it has after ten of them.
    assert max(sizes) - max(sizes[:10]) < 24 << 20, (max(sizes[:10]), max(sizes))


def test_a_stop_answers_what_is_under_way(site: Site) -> None:
    edge = site.start_edge()
    with socket.create_connection(("127.0.0.1", site.port), 30) as client:
        body = b'{"event_type":"last"}\n'
        client.sendall(
            b"POST /v1/events HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-ndjson\r\n"
            + f"Expect: 100-continue\r\nContent-Length: {2 * len(body)}\r\n\r\n".encode())
        # Now the edge has it.
        assert client.recv(65536).startswith(b"HTTP/1.1 100 ")
        client.sendall(body)
        edge.send_signal(signal.SIGTERM)
        until(lambda: not listens(("127.0.0.1", site.port)), "the edge to listen no longer")
        client.sendall(body)
        answer = client.recv(65536)
    assert answer.startswith(b"HTTP/1.1 202 ") and b'"accepted":2' in answer
    assert edge.wait(30) == 0
    assert len(site.tail()) == 2
