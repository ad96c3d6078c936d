"""The API without a browser: who may come, from where, and what is answered."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

from confluent_kafka import Producer

from site_of_console import COUNT, ConsoleSite, broken
from site_of_letters import FLOTILLA, until

HEADER = {"X-Flotilla-Console": "1", "Content-Type": "application/json"}


def ask(site: ConsoleSite, path: str, body: object = None, headers: dict[str, str] | None = None, token: str = "",
        method: str | None = None) -> tuple[int, dict, dict[str, str]]:
    data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    told = (headers if headers is not None else HEADER if data is not None else {}) | (
        {"Authorization": f"Bearer {token}"} if token else {})
    request = urllib.request.Request(site.address + path, data, told, method=method)
    try:
        with urllib.request.urlopen(request, timeout=90) as answer:
            text, status, fields = answer.read(), answer.status, answer.headers
    except urllib.error.HTTPError as refusal:
        text, status, fields = refusal.read(), refusal.code, refusal.headers
        if method != "HEAD":
            assert fields["content-type"] == "application/problem+json" and json.loads(text)["status"] == status, text
    return status, json.loads(text) if fields["content-type"] != "application/x-ndjson" and text[:1] == b"{" else {"text": text.decode()}, {
        name.lower(): value for name, value in fields.items()}


def test_who_may_come_and_from_where(site: ConsoleSite) -> None:
    site.allow(olga="operate", rita="read")
    broken(site)
    site.console()
    olga, rita = site.tokens["olga"], site.tokens["rita"]
    status, problem, headers = ask(site, "/api/groups")
    assert status == 401 and headers["www-authenticate"].startswith("Bearer")
    for path in ("/api/session", "/api/fleet", "/api/fleet/events", "/api/dead-letters", "/api/metrics?metric=clicks", "/api/topics"):
        assert ask(site, path)[0] == 401
        assert ask(site, path, token="flc_" + "0" * 64)[0] == 401
    assert ask(site, "/api/session", token=rita)[1] == {"name": "rita", "role": "read", "version": "0.1.0"}
    # Who may only look changes nothing, and sees nothing that is personal.
    letter = site.dlq("list", "--limit", "1")[0]["id"]
    order = {"filter": {"id": letter}, "confirm": 1}
    for path in ("/api/discard", "/api/restore", "/api/replays", f"/api/dead-letters/{letter}/note", "/api/handlers/pricer/pause"):
        assert ask(site, path, order, token=rita)[0] == 403
    assert ask(site, f"/api/dead-letters/{letter}?unmasked=true", token=rita)[0] == 403
    assert ask(site, "/api/topics/orders/records?unmasked=true", token=rita)[0] == 403
    assert "@example.com" not in json.dumps(ask(site, f"/api/dead-letters/{letter}", token=rita)[1])
    assert "@example.com" not in json.dumps(ask(site, "/api/topics/orders/records?limit=100", token=rita)[1])
    assert "@example.com" not in json.dumps(ask(site, "/api/topics/orders.pricer.dlq/records?limit=100", token=rita)[1])
    # Another name, the page of another site, or no header.
    for name in ("evil.example", f"localhost.evil.example:{site.console_port}"):
        assert ask(site, "/", headers={"Host": name})[0] == 421
        assert ask(site, "/api/session", headers={"Host": name}, token=olga)[0] == 421
    for headers in ({"Content-Type": "application/json"}, HEADER | {"Origin": "https://evil.example"},
                    HEADER | {"Sec-Fetch-Site": "cross-site"}, HEADER | {"Origin": "null"}):
        assert ask(site, "/api/discard", order, headers=headers, token=olga)[0] == 403
    assert ask(site, "/api/discard", order, headers={"X-Flotilla-Console": "1", "Content-Type": "text/plain"}, token=olga)[0] == 415
    assert site.states() == {"open": COUNT}
    assert ask(site, "/api/discard", order, headers=HEADER | {"Origin": site.address}, token=olga)[1] == {"discarded": 1}
    assert site.dlq("audit")[0]["who"] == "olga"
    # What every answer says to a browser.
    for path in ("/", "/app.js", "/api/session", "/nothing"):
        headers = ask(site, path, token=olga)[2]
        policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
        assert policy["default-src"] == "'none'" and policy["script-src"] == "'self'" and "unsafe" not in str(policy)
        assert policy["frame-ancestors"] == "'none'" and policy["require-trusted-types-for"] == "'script'"
        assert headers["x-content-type-options"] == "nosniff" and "access-control-allow-origin" not in headers
    assert ask(site, "/", method="HEAD")[0] == 200
    assert ask(site, "/api/groups", method="DELETE", token=olga)[2]["allow"] == "GET, HEAD"


def test_it_does_not_start_where_everybody_could_come(site: ConsoleSite) -> None:
    def start(*words: str, **more: str) -> str:
        told = subprocess.run([FLOTILLA, "console", "--admin", "0", *words], env=site.environment | more,
                              capture_output=True, text=True, timeout=60)
        assert told.returncode == 1, told.stdout
        return told.stderr

    assert "set FLOTILLA_CONSOLE_TOKENS" in start("--http", "0.0.0.0:0")
    site.allow(rita="read")
    tokens = site.environment["FLOTILLA_CONSOLE_TOKENS"]
    assert "set FLOTILLA_CONSOLE_HOSTS" in start("--http", "0.0.0.0:0")
    told = start(FLOTILLA_CONSOLE_TOKENS="rita:admin:secret", FLOTILLA_CONSOLE_CACHE="soon", FLOTILLA_CONSOLE_HOSTS="http://x")
    assert all(name in told for name in ("_TOKENS", "_CACHE", "_HOSTS")) and "secret" not in told
    assert site.tokens["rita"] not in tokens


def test_orders_that_are_refused(site: ConsoleSite) -> None:
    broken(site)
    site.console()
    status, problem, _ = ask(site, "/api/discard", {"filter": {"handler": "pricer"}, "confirm": 3})
    assert status == 409 and "40 fit, and 3 are confirmed" in problem["detail"]
    status, problem, _ = ask(site, "/api/replays", {"filter": {"handler": "pricer"}, "confirm": 3})
    assert status == 409 and site.states() == {"open": COUNT}
    # Nothing is not all.
    for path in ("/api/discard", "/api/restore", "/api/replays"):
        assert ask(site, path, {"confirm": COUNT})[0] == 422
        assert ask(site, path, {"filter": {}, "confirm": COUNT})[0] == 422
        assert ask(site, path, b"{")[0] == 400
        assert ask(site, path, b"x" * 300_000)[0] == 413
    assert ask(site, "/api/dead-letters/00000000-0000-0000-0000-000000000000")[0] == 404
    assert ask(site, "/api/dead-letters/00000000-0000-0000-0000-000000000000/note", {"note": "x"})[0] == 404
    assert ask(site, "/api/replays/nobody/cancel", {})[0] == 404
    assert ask(site, "/api/replays/nobody/events")[0] == 404
    assert ask(site, "/api/handlers/nobody/pause", {})[0] == 404
    assert ask(site, "/api/dead-letters?state=lost")[0] == 400
    assert ask(site, "/api/dead-letters?since=0000-01-01T00:00:00Z")[0] == 400
    assert ask(site, "/api/groups?until=0000-01-01T00:00:00Z")[0] == 400
    assert ask(site, "/api/dead-letters?limit=0")[0] == 400
    assert ask(site, "/api/dead-letters?nobody=1")[0] == 400
    assert ask(site, "/api/topics/orders/records?offset=1")[0] == 400
    assert ask(site, "/api/topics/%2e%2e%2fx/records")[0] == 404
    # Two who want the same at once: nothing is replayed twice.
    site.broken.unlink()
    asked = [subprocess.Popen(
        ["curl", "-s", "-o", site.folder / f"answer-{number}", "-H", "X-Flotilla-Console: 1", "-H", "Content-Type: application/json", "-d",
         json.dumps({"filter": {"handler": "pricer"}, "confirm": COUNT, "rate": 500}), f"{site.address}/api/replays"]) for number in range(4)]
    assert [one.wait() for one in asked] == [0] * 4
    answers = [json.loads((site.folder / f"answer-{number}").read_text()) for number in range(4)]
    assert sorted("job" in answer for answer in answers) == [False, False, False, True], answers
    until(lambda: site.states() == {"resolved": COUNT}, "all to be resolved")
    assert len(site.read("orders.priced")) == 120


def test_topics_by_offset_time_and_key(site: ConsoleSite) -> None:
    site.console()
    producer = Producer({"bootstrap.servers": site.broker})
    for number in range(300):
        producer.produce("orders", key=f"key {number % 7}", value=json.dumps({"n": number}), partition=number % 3, timestamp=1_700_000_000_000 + number)
    producer.flush(30)
    names = {topic["topic"]: topic for topic in ask(site, "/api/topics")[1]["topics"]}
    assert {"pricer", "totals"} <= set(names["orders"]["consumers"]) and names["orders.pricer.dlq"]["derived"]

    def found(query: str) -> list[int]:
        status, told, _ = ask(site, f"/api/topics/orders/records?{query}")
        assert status == 200, told
        return [json.loads(record["body"]["text"])["n"] for record in told["records"]]

    assert found("limit=5") == [299, 298, 297, 296, 295]
    assert found("partition=1&offset=98") == [295, 298]
    assert found("partition=1&offset=100000") == []
    assert found("time=2023-11-14T22:13:20.290Z&limit=4") == [290, 291, 292, 293]
    assert found("key=key+3&limit=3") == [297, 290, 283]
    assert found("key=nobody") == []


def test_a_handler_that_no_topic_file_names_is_shown_while_it_works_or_is_behind(site: ConsoleSite) -> None:
    site.handle("pricer")
    site.publish_for_the_page()
    until(lambda: site.committed("pricer") == 120, "the orders")
    # The console has the topic files of somebody who knows nothing of it.
    (site.topics / "orders.yaml").unlink()
    site.console()

    def row() -> dict:
        found = ask(site, "/api/fleet")
        return {one["handler"]: one for one in found[1]["now"]["handlers"]}.get("pricer", {}) if found[0] == 200 else {}

    until(lambda: row().get("workers") == 1 and row()["partitions"] == 3, "the worker")
    assert row()["unnamed"] and row()["lag"] == 0 and row()["waiting"] == [0, 0, 0]
    site.parts["pricer"].end()
    site.publish_for_the_page()
    until(lambda: row().get("workers") == 0 and row()["lag"] == 120, "what waits without a worker")
    assert "nobody works and 120 records wait: no topic file here names it" in row()["advice"]


def test_metrics_are_remembered_for_a_moment(site: ConsoleSite) -> None:
    site.count()
    site.window(3, 7)
    site.environment["FLOTILLA_CONSOLE_CACHE"] = "1h"
    site.console()
    path = "/api/metrics?metric=clicks&since=2h&step=1m"

    def counts(path: str = path) -> tuple[list[int], int]:
        status, told, headers = ask(site, path)
        assert status == 200 and headers["content-type"] == "application/x-ndjson"
        # One line is an object, which `ask` has read.
        lines = [told] if "text" not in told else [json.loads(line) for line in told["text"].splitlines()]
        return [line["count"] for line in lines], int(headers["age"])

    assert counts() == ([7], 0)
    # What is asked again in the same words is what was, and says how old it is; in other words it is new.
    site.window(3, 8)
    until(lambda: counts()[1] >= 1, "the answer to be a second old")
    assert counts()[0] == [7]
    assert counts(path + "&until=0s") == ([8], 0)
    # Without Redis the database is asked, each time.
    site.parts["redis"].end()
    assert counts() == ([8], 0)
    site.window(3, 9)
    assert counts() == ([9], 0)
    site.parts["redis"].start()
    # And where nothing is to be remembered.
    site.parts["console"].end()
    site.environment["FLOTILLA_CONSOLE_CACHE"] = "0s"
    site.console()
    assert counts() == ([9], 0)
    site.window(3, 10)
    assert counts() == ([10], 0)
    # By default two seconds are.
    site.parts["console"].end()
    del site.environment["FLOTILLA_CONSOLE_CACHE"]
    site.console()
    # In words that nobody has asked in: what Redis had before it was stopped may be younger than that.
    path = "/api/metrics?metric=clicks&since=3h&step=1m"
    assert counts(path) == ([10], 0)
    site.window(3, 11)
    seen = [counts(path)]
    while seen[-1][0] != [11]:
        seen.append(counts(path))
    assert all(age <= 2 for _, age in seen), seen
    for query in ("", "?metric=", "?metric=clicks&step=2h", "?metric=clicks&since=soon", "?metric=clicks&since=0000-01-01T00:00:00Z",
                  "?metric=clicks&x=1", "?metric=a%00b"):
        assert ask(site, "/api/metrics" + query)[0] == 400, query


def test_nothing_that_the_description_allows_or_forbids_fails(site: ConsoleSite) -> None:
    """What the description allows is taken, what it forbids is refused with a status that it names."""
    broken(site)
    site.environment["DATABASE_URL"] += "&connect_timeout=10"
    site.console()
    done = subprocess.run(
        [Path(sys.executable).parent / "schemathesis", "run", f"{site.address}/api/openapi.json", "--max-examples", "15", "--seed", "7",
         "--workers", "1", "--no-color", "--phases", "examples,coverage,fuzzing", "--exclude-path-regex", "events$|metrics$",
         "--header", "X-Flotilla-Console: 1",
         "--checks", "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"],
        cwd=site.folder, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
