"""Many events at once, and traces of which only a part is kept."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from collector import Collector
from fleet import FLOTILLA, Fleet
from ports import free_port, listens
from processes import until
from site_of_traces import post

TRACE = "0af7651916cd43dd8448eb211c80319c"


class Site(Fleet):
    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.collector = Collector().start()
        self.traces = {"OTEL_EXPORTER_OTLP_ENDPOINT": self.collector.url}

    def serve(self, **settings: str) -> str:
        """An edge with other settings than the fleet's own; its URL."""
        self.environment |= self.traces | settings
        port = free_port()
        self.add(f"edge-{port}", [FLOTILLA, "edge", "--http", port, "--admin", 0], lambda: listens(("127.0.0.1", port)))
        return f"http://127.0.0.1:{port}"

    def headers(self, topic: str) -> dict[str, dict[str, str]]:
        told = self.run("tail", "--json", topic)
        assert told.returncode == 0, told.stderr
        return {record["headers"]["ce_id"]: record["headers"] for record in map(json.loads, told.stdout.splitlines())}

    def end(self) -> None:
        super().end()
        self.collector.end()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path)
    yield site
    site.end()


def events(prefix: str, count: int = 5) -> list[dict]:
    return [{"event_id": f"{prefix}{n}", "event_type": "click", "campaign_id": "spring"} for n in range(count)]


def test_events_that_come_together_have_a_trace_each_and_their_batch_links_to_them(site: Site) -> None:
    url, collector = site.serve(), site.collector
    post(url, "/v1/events", events("a"))
    lines = "\n".join(map(json.dumps, events("b"))).encode()
    urllib.request.urlopen(urllib.request.Request(
        url + "/v1/events", lines, {"content-type": "application/x-ndjson"}), timeout=30).close()
    post(url, "/v1/events", events("c"), traceparent=f"00-{TRACE}-b7ad6b7169203331-01")
    until(lambda: len(collector.named("send events.raw")) == 15 and len(collector.named("POST /v1/events")) == 3, "the spans")
    requests = {one.attributes["http.request.body.size"]: one for one in collector.named("POST /v1/events")}
    sent = {one.attributes["messaging.message.id"]: one for one in collector.named("send events.raw")}
    own = [one for name, one in sent.items() if name[0] in "ab"]
    assert len({one.trace for one in own}) == 10 and {one.parent for one in own} == {""}
    request = requests[len(lines)]
    assert {link for name, one in sent.items() if name[0] == "b" for link in one.links} == {(request.trace, request.id)}
    # Who has begun a trace gets all of them in it.
    (given,) = [one for one in requests.values() if one.trace == TRACE]
    assert given.parent == "b7ad6b7169203331"
    assert {(one.trace, one.parent) for name, one in sent.items() if name[0] == "c"} == {(TRACE, given.id)}
    headers = site.headers("events.raw")
    assert {name: one["traceparent"] for name, one in headers.items()} == {
        name: f"00-{one.trace}-{one.id}-01" for name, one in sent.items()}

    # All at once, for a handler that takes many: it begins when all wait.
    site.work("ingest", "ingest")
    until(lambda: len(site.headers("events.accepted")) == 15, "what is accepted")
    site.work("process", "process")
    until(lambda: len(collector.named("create metrics.points")) == 15, "the points")
    until(lambda: collector.named("COMMIT"), "the commit")
    handled = [one for one in collector.named("process events.accepted") if "messaging.message.id" in one.attributes]
    accepted = {one.id: one for one in collector.named("send events.accepted")}
    assert {one.parent for one in handled} == set(accepted) and len(handled) == 15
    batches = [one for one in collector.named("process events.accepted") if "messaging.batch.message_count" in one.attributes]
    assert sum(one.attributes["messaging.batch.message_count"] for one in batches) <= 15
    assert batches and all(not one.parent for one in batches)
    linked = {link for one in batches for link in one.links}
    assert linked <= {(one.trace, one.id) for one in accepted.values()}
    back = {link for one in handled for link in one.links}
    assert back == {(one.trace, one.id) for one in batches}
    commits = {one.parent for one in collector.named("COMMIT")}
    assert commits <= {one.id for one in batches} | {one.id for one in handled}
    # What follows from an event goes on in its trace.
    points = {one.trace: one.parent for one in collector.named("create metrics.points")}
    assert all(points[one.trace] for one in handled if one.trace != TRACE)
    assert collector.faults == []


def test_what_is_not_kept_is_kept_nowhere(site: Site) -> None:
    none = site.serve(OTEL_TRACES_SAMPLER="parentbased_traceidratio", OTEL_TRACES_SAMPLER_ARG="0")
    site.work("ingest", "ingest")
    post(none, "/v1/events", events("unkept", 1)[0])
    post(none, "/v1/events", events("kept", 1)[0], traceparent=f"00-{TRACE}-b7ad6b7169203331-01")
    post(none, "/v1/events", events("refused", 1)[0], traceparent=f"00-{TRACE}-b7ad6b7169203331-00")
    until(lambda: len(site.headers("events.accepted")) == 3, "what is accepted")
    until(lambda: len(site.collector.named("send events.accepted")) == 1, "the spans")
    raw, accepted = site.headers("events.raw"), site.headers("events.accepted")
    assert raw["unkept0"]["traceparent"].endswith("-00")
    assert raw["refused0"]["traceparent"] == f"00-{TRACE}-b7ad6b7169203331-00"
    # Who comes later goes by what the first one decided.
    assert sorted(one["traceparent"][-2:] for one in accepted.values()) == ["00", "00", "01"]
    assert {one.trace for one in site.collector.spans} == {TRACE}


def test_a_client_decides_only_within_the_limit(site: Site) -> None:
    url = site.serve(FLOTILLA_TRACES_PER_SECOND="3")
    given = f"00-{TRACE}-b7ad6b7169203331-01"
    began = time.time()
    post(url, "/v1/events", events("list", 300), traceparent=given)
    lines = "\n".join(map(json.dumps, events("line", 300))).encode()
    urllib.request.urlopen(urllib.request.Request(
        url + "/v1/events", lines, {"content-type": "application/x-ndjson", "traceparent": given}), timeout=30).close()
    for n in range(20):
        post(url, "/v1/events", events(f"one{n}-", 1)[0], traceparent=given)
        post(url, "/v1/events", events(f"own{n}-", 1)[0])
    most = 3 * (int(time.time() - began) + 2)
    raw = site.headers("events.raw")
    assert len(raw) == 640
    kept = {name: one for name, one in raw.items() if one["traceparent"].endswith("-01")}
    # A request by itself takes one of the places, so an edge may keep as many events as it likes and no more.
    assert 0 < len(kept) <= most
    # The trace's number is the client's all the same: it is what its logs and ours have in common.
    assert {one["traceparent"][3:35] for name, one in raw.items() if not name.startswith("own")} == {TRACE}
    until(lambda: len(site.collector.named("send events.raw")) == len(kept), "the spans")


def test_without_a_collector_nothing_is_added(site: Site) -> None:
    off = site.serve(OTEL_EXPORTER_OTLP_ENDPOINT="")
    post(off, "/v1/events", events("off", 1)[0])
    post(off, "/v1/events", events("given", 1)[0], traceparent=f"00-{TRACE}-b7ad6b7169203331-01")
    site.work("ingest", "ingest")
    until(lambda: len(site.headers("events.accepted")) == 2, "what is accepted")
    for topic in ("events.raw", "events.accepted"):
        given = sorted(one.get("traceparent", "") for one in site.headers(topic).values())
        assert given == ["", f"00-{TRACE}-b7ad6b7169203331-01"], topic
    assert site.collector.requests == []
