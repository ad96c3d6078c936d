"""Collectors that are away, slow, overloaded and lying: nobody who sends events notices, and what is lost is counted."""

from __future__ import annotations

import json
import re
import signal
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from collector import Collector, reply
from fleet import FLOTILLA, Fleet, Part
from ports import free_port, listens
from processes import until
from site_of_traces import post


class Edge:
    """An edge with a broker, and a collector that is not there yet."""

    def __init__(self, folder: Path) -> None:
        self.collector = Collector()
        self.fleet = Fleet(folder)
        self.fleet.environment |= {"OTEL_EXPORTER_OTLP_ENDPOINT": self.collector.url, "LOG_FORMAT": "json"}
        self.admin, http = free_port(), free_port()
        self.url = f"http://127.0.0.1:{http}"
        self.part: Part = self.fleet.add(
            "traced", [FLOTILLA, "edge", "--http", http, "--admin", self.admin], lambda: listens(("127.0.0.1", http)))
        self.count = 0

    def post(self, **headers: str) -> None:
        self.count += 1
        post(self.url, "/v1/events", {"event_id": f"e{self.count}", "event_type": "t"}, **headers)

    def figures(self) -> dict[str, float]:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.admin}/metrics", timeout=10) as answer:
            text = answer.read().decode()
        found = re.findall(r"^flotilla_(spans_\w+|traces_\w+)(?:\{reason=\"(\w+)\"\})? (\S+)$", text, re.MULTILINE)
        return {f"{name} {reason}".strip(): float(value) for name, reason, value in found}

    def lines(self, message: str) -> list[dict]:
        text = (self.fleet.folder / "traced.log").read_text()
        return [line for line in map(json.loads, text.splitlines()) if line["message"] == message]

    def stop(self) -> float:
        """Ends the edge in order; how long that took."""
        assert self.part.process
        began = time.monotonic()
        self.part.process.send_signal(signal.SIGTERM)
        assert self.part.process.wait(60) == 0, self.part.said()
        return time.monotonic() - began

    def end(self) -> None:
        self.fleet.end()
        self.collector.end()


@pytest.fixture
def edge(tmp_path: Path) -> Iterator[Edge]:
    edge = Edge(tmp_path)
    yield edge
    edge.end()


def test_one_that_is_away_gets_what_was_kept_when_it_comes(edge: Edge) -> None:
    for _ in range(3):
        edge.post()
    until(lambda: edge.lines("traces are not taken: they are kept for a while, then dropped"), "the word of it")
    assert edge.figures()["spans_sent_total"] == 0
    edge.collector.start()
    until(lambda: edge.figures()["spans_sent_total"] == 6, "all of them")
    assert edge.figures() | {"spans_waiting_bytes": 0, "spans_dropped_total full": 0, "spans_dropped_total refused": 0,
                             "spans_dropped_total unsent": 0} == edge.figures()
    assert len(edge.collector.named("POST /v1/events")) == len(edge.collector.named("send events.raw")) == 3
    assert edge.lines("traces are taken again")
    # Told once, however often it was tried.
    assert len(edge.lines("traces are not taken: they are kept for a while, then dropped")) == 1


@pytest.mark.parametrize("status", [429, 503])
def test_one_that_is_overloaded_is_given_the_time_that_it_asks_for(edge: Edge, status: int) -> None:
    came: list[float] = []

    def answer(request: object) -> bool:
        came.append(time.monotonic())
        return reply(request, status, retry_after="3") if len(came) == 1 else False

    edge.collector.answer = answer
    edge.collector.start()
    edge.post()
    until(lambda: edge.figures()["spans_sent_total"] == 2, "the second time")
    assert came[1] - came[0] >= 3
    assert len(edge.collector.spans) == 2


def test_one_that_is_slow_holds_up_nobody_and_the_end_only_so_long(edge: Edge) -> None:
    release = threading.Event()
    edge.collector.answer = lambda request: bool(release.wait(120)) and False
    edge.collector.start()
    edge.post()
    until(lambda: edge.collector.requests, "what hangs")
    for _ in range(20):
        edge.post()
    assert edge.figures()["spans_sent_total"] == 0
    # The answers' own time, and the three seconds that spans are given.
    assert edge.stop() < 30
    release.set()


def test_what_is_left_is_sent_at_the_end(edge: Edge) -> None:
    edge.collector.start()
    edge.post()
    until(lambda: edge.figures()["spans_sent_total"] == 2, "the first ones")
    for _ in range(5):
        edge.post()
    edge.stop()
    assert len(edge.collector.named("send events.raw")) == 6
    assert edge.collector.faults == []


def test_one_that_refuses_gets_it_no_second_time(edge: Edge) -> None:
    edge.collector.answer = lambda request: reply(request, 400)
    edge.collector.start()
    edge.post()
    until(lambda: edge.figures()["spans_dropped_total refused"] == 2, "what is refused")
    edge.collector.answer = None
    edge.post()
    until(lambda: edge.figures()["spans_sent_total"] == 2, "the next ones")
    assert edge.figures()["spans_waiting_bytes"] == 0
    assert {line["level"] for line in edge.lines("the collector of traces refuses them")} == {"warning"}


def test_one_that_lies_breaks_nothing(edge: Edge) -> None:
    partial = ExportTraceServiceResponse()
    partial.partial_success.rejected_spans = 1
    partial.partial_success.error_message = "one is enough\n{\"level\":\"forged\"}"
    boast = ExportTraceServiceResponse()
    boast.partial_success.rejected_spans = 1 << 62
    answers = [partial.SerializeToString(), boast.SerializeToString(), b"\xff" * 200, b"<html>welcome", b"\x0a\xff\xff\xff\xff\xff"]
    given: list[bytes] = []

    def answer(request: object) -> bool:
        given.append(answers[min(len(given), len(answers) - 1)])
        if len(given) == len(answers) + 1:
            # No HTTP at all, and again when it is asked anew.
            request.wfile.write(b"220 mail.example.com ESMTP\r\n")
            return True
        if len(given) == len(answers) + 2:
            # More than it says, and no end.
            request.send_response(200)
            request.send_header("transfer-encoding", "chunked")
            request.end_headers()
            request.wfile.write(b"ffffff\r\n" + b"x" * 100_000)
            return True
        return reply(request, 200, given[-1])

    edge.collector.answer = answer
    edge.collector.start()
    for number in range(len(answers) + 2):
        edge.post()
        until(lambda number=number: len(given) > number, "the next request")
    until(lambda: edge.figures()["spans_waiting_bytes"] == 0, "an answer to all", limit=90)
    figures = edge.figures()
    assert figures["spans_dropped_total refused"] == 3
    assert figures["spans_sent_total"] + 3 == 2 * edge.count
    assert {line["level"] for line in edge.lines("the collector of traces leaves out some")} == {"warning"}
    edge.post()
    assert edge.stop() < 30


def test_no_header_forges_a_trace(edge: Edge) -> None:
    edge.collector.start()
    real = "0af7651916cd43dd8448eb211c80319c"
    edge.post(traceparent=f"00-{real}-b7ad6b7169203331-01")
    edge.post(traceparent=f"00-{real}-b7ad6b7169203331-00")
    for text in ("00-" + "0" * 32 + "-b7ad6b7169203331-01", f"00-{real}-0000000000000000-01", "x" * 4000, f"00-{real.upper()}-b7ad6b7169203331-01",
                 f"00-{real}-b7ad6b7169203331-01-extra", f"ff-{real}-b7ad6b7169203331-01"):
        edge.post(traceparent=text)
    until(lambda: edge.figures()["spans_sent_total"] == 14, "the spans")
    requests = edge.collector.named("POST /v1/events")
    assert [one.parent for one in requests if one.trace == real] == ["b7ad6b7169203331"]
    others = [one for one in requests if one.trace != real]
    assert len({one.trace for one in others}) == 6 and {one.parent for one in others} == {""}
    assert edge.collector.faults == []


def test_the_last_words_are_a_line_of_the_log(edge: Edge) -> None:
    edge.fleet.environment |= {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", "OTEL_TRACES_SAMPLER": "sometimes"}
    told = edge.fleet.run("edge", "--http", "0", "--admin", "0")
    assert told.returncode == 1
    (line,) = map(json.loads, told.stderr.splitlines())
    assert (line["level"], line["message"], line["command"]) == ("error", "cannot go on", "edge")
    assert "OTEL_EXPORTER_OTLP_PROTOCOL=grpc" in line["error"] and "OTEL_TRACES_SAMPLER=sometimes" in line["error"]
    edge.fleet.environment |= {"LOG_FORMAT": "text"}
    told = edge.fleet.run("edge", "--http", "0", "--admin", "0")
    assert told.stderr.splitlines()[0] == "flotilla: 2 wrong settings:"
