"""One event's trace: from the request to the webhook, through a retry, the dead letters and a replay."""

from __future__ import annotations

import json
import re

from collector import Span, shown
from processes import until
from site_of_traces import Traced, post

TRACE_PARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-01")


def tip(number: int) -> dict:
    return {"event_id": f"tip-{number}", "event_type": "tip.heard", "campaign_id": "spring", "data": {"from": "a secret friend"}}


def check_connected(spans: list[Span]) -> Span:
    """All stand below one, which is the answer."""
    known = {one.id: one for one in spans}
    assert len(known) == len(spans), "two spans have one id"
    roots = [one for one in spans if not one.parent]
    assert len(roots) == 1, shown(spans)
    for one in spans:
        assert not one.parent or one.parent in known, f"{one.name} has no parent\n{shown(spans)}"
    return roots[0]


def test_from_the_request_to_the_webhook(traced: Traced) -> None:
    collector = traced.collector
    traced.broken.touch()
    traced.relay()
    traced.work("ingest", "ingest")
    traced.work("process", "process")
    traced.work("notify", "notify")
    traced.work("deadletters", "deadletters")
    post(traced.edge, "/v1/topics/tips/events", tip(1))
    until(lambda: json.loads(traced.run("dlq", "list", "--json").stdout or "{}").get("handler") == "relay", "the dead letter")
    traced.broken.unlink()
    replayed = traced.run("dlq", "replay", "--handler", "relay", "--confirm", "1")
    assert replayed.returncode == 0, replayed.stdout + replayed.stderr
    until(lambda: len(traced.hooks.seen) == 2, "the webhook, taken the second time")
    until(lambda: collector.named("POST", **{"http.response.status_code": 204}), "the span of the webhook")
    until(lambda: collector.named("create notifications.sent"), "the end of the delivery")

    (request,) = collector.named("POST /v1/topics/{topic}/events")
    spans = collector.of(request.trace)
    assert check_connected(spans) is request, shown(spans)
    told = shown(spans)

    def only(name: str, **attributes: object) -> Span:
        found = [one for one in spans if one.name == name and attributes.items() <= one.attributes.items()]
        assert len(found) == 1, f"{name} is there {len(found)} times\n{told}"
        return found[0]

    # The edge: the request, and the event on its way to the log.
    assert (request.kind, request.service, request.error) == ("SERVER", "flotilla-edge", None)
    assert request.attributes["http.response.status_code"] == 202
    sent = only("send tips")
    assert (sent.kind, sent.parent, sent.attributes["messaging.message.id"]) == ("PRODUCER", request.id, "tip-1")

    # Each attempt stands below what was sent: the copies carry the event's own place.
    first, second = only("process tips"), only("process tips.relay.retry.1s")
    third = only("process tips.relay.replay")
    assert {one.parent for one in (first, second, third)} == {sent.id}, told
    assert [one.attributes["flotilla.attempt"] for one in (first, second, third)] == [1, 2, 1]
    assert first.error == second.error == "the bureau does not answer" and third.error is None
    assert first.attributes["error.type"] == "Refusal"
    assert third.attributes["flotilla.replays"] == 1 and third.attributes["flotilla.source.topic"] == "tips"
    assert only("send tips.relay.retry.1s").parent == first.id
    assert only("send tips.relay.dlq").parent == second.id
    bureau = [one for one in spans if one.name == "ask the bureau"]
    assert {one.parent for one in bureau} == {first.id, second.id, third.id}
    assert all(one.kind == "CLIENT" and one.attributes["peer.service"] == "bureau" for one in bureau)

    # From there on, handler by handler.
    assert only("send events.raw").parent == third.id
    ingest = only("process events.raw")
    assert (ingest.service, ingest.kind, ingest.parent) == ("flotilla-ingest", "CONSUMER", only("send events.raw").id)
    accepted = only("send events.accepted")
    assert accepted.parent == ingest.id
    handlers = {one.attributes["flotilla.handler"]: one for one in spans if one.name == "process events.accepted"}
    assert set(handlers) == {"process", "notify"}, told
    assert {one.parent for one in handlers.values()} == {accepted.id}
    assert {one.parent for one in spans if one.name == "COMMIT"} >= {one.id for one in handlers.values()}
    assert {one.parent for one in spans if one.name == "create metrics.points"} == {handlers["process"].id}

    # The webhook: one that failed, one that did not, and the receiver goes on from each.
    posts = sorted((one for one in spans if one.name == "POST"), key=lambda one: one.start)
    assert [one.attributes["http.response.status_code"] for one in posts] == [500, 204]
    assert [one.error is None for one in posts] == [False, True]
    assert {one.parent for one in posts} == {handlers["notify"].id}
    got = [TRACE_PARENT.fullmatch(seen["traceparent"]).groups() for seen in traced.hooks.seen]
    assert got == [(request.trace, one.id) for one in posts]
    assert only("create notifications.sent").parent == handlers["notify"].id

    # The dead letter says which attempt it is of, and the log's line is found by the trace.
    (letter,) = [line for line in traced.lines("relay") if line["message"] == "dead letter"]
    assert (letter["event"], letter["trace"]) == ("tip-1", request.trace)
    asked = [line for line in traced.lines("relay") if line["message"] == "asked the bureau"]
    assert {(line["handler"], line["event"], line["trace"]) for line in asked} == {("relay", "tip-1", request.trace)}

    # What everybody gets to see has no secret and no payload in it.
    for one in spans:
        text = json.dumps([one.attributes, one.resource, one.name, one.error])
        assert "secret" not in text and "sesame" not in text, text
        assert one.resource["deployment.environment.name"] == "test"
        assert one.resource["service.instance.id"]
    for name in traced.parts:
        if name not in ("broker", "redis", "postgres"):
            assert all("secret" not in json.dumps(line) for line in traced.lines(name)), name
    assert {seen["authorization"] for seen in collector.requests} == {"Bearer sesame"}
    assert {(seen["path"], seen["content-type"]) for seen in collector.requests} == {("/v1/traces", "application/x-protobuf")}
    assert collector.faults == []
