"""`flotilla publish` that is cut off, and what it shows of lines that are refused."""

from __future__ import annotations

import json
import re
import signal
import subprocess

from processes import launch, until
from site_of_processes import FLOTILLA, Site

LINES = [json.dumps({"event_type": "t", "value": number}) + "\n" for number in range(2000)]


def publisher(site: Site, *arguments: str, **settings: str) -> subprocess.Popen[str]:
    """`publish` that has sent the first thousand lines, which is a request, and waits for more."""
    process = launch(
        [FLOTILLA, "publish", *arguments], cwd=site.folder, env=site.environment | settings, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdin.writelines(LINES[:1000])
    process.stdin.flush()
    until(lambda: len(site.tail()) == 1000, "the first lines")
    return process


def advice(text: str) -> list[str]:
    """The options that the last words of `publish` name."""
    told = re.search(r"^\d+ published; line \d+ is the next: go on with (--from-line \d+ --key \S+)$", text, re.M)
    return told[1].split()


def assert_each_line_counts_once(site: Site) -> None:
    values = {record["headers"]["ce_id"]: json.loads(record["value"])["value"] for record in site.tail()}
    assert sorted(values.values()) == list(range(len(LINES)))


def test_publish_goes_on_where_a_revoked_key_ended_it(site: Site) -> None:
    def make_key() -> str:
        return site.run(FLOTILLA, "keys", "create", "shop").stdout.strip()

    key = make_key()
    site.start_edge(FLOTILLA_KEYS="keys")
    process = publisher(site, "--key", "monday", FLOTILLA_TOKEN=key)
    assert site.run(FLOTILLA, "keys", "revoke", "shop").returncode == 0

    def status() -> str:
        return site.run(
            "curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", f"http://127.0.0.1:{site.port}/v1/events",
            "-d", "{}", "-H", "content-type: application/json", "-H", f"authorization: Bearer {key}").stdout

    until(lambda: status() == "401", "the key to be revoked")
    told = process.communicate("".join(LINES[1000:]), timeout=60)[1]
    assert process.returncode == 1
    assert told.splitlines()[1:] == ["1000 published; line 1001 is the next: go on with --from-line 1001 --key monday"]
    assert ": 401 " in told.splitlines()[0]
    site.environment["FLOTILLA_TOKEN"] = make_key()

    def go_on() -> str:
        return site.run(FLOTILLA, "publish", *advice(told), input="".join(LINES)).stdout

    until(lambda: "1000 published, 0 refused" in go_on(), "the new key to be known")
    assert_each_line_counts_once(site)


def test_publish_goes_on_after_ctrl_c(site: Site) -> None:
    site.start_edge()
    process = publisher(site)
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 128 + signal.SIGINT
    told = process.communicate()[1]
    # What it had no answer of is sent again, under the same ids.
    assert site.run(FLOTILLA, "publish", *advice(told), input="".join(LINES)).returncode == 0
    assert_each_line_counts_once(site)


def test_publish_takes_no_key_that_the_edge_would_refuse(site: Site) -> None:
    for wrong in (["--key", ""], ["--key", "a b"], ["--key", "x" * 65], ["--from-line", "0"], ["--from-line", "x"]):
        done = site.run(FLOTILLA, "publish", *wrong, input="")
        assert done.returncode == 2 and f"{wrong[0]} is " in done.stderr, wrong


def test_publish_shows_what_is_refused_without_its_escapes(site: Site) -> None:
    site.start_edge()
    done = site.run(
        FLOTILLA, "publish", input='{"event_type":"x","dimensions":{"\\u001b[31mred\\u0007":5}}\n{"event_type":"y"}\n')
    assert done.returncode == 1
    assert "line 1: " in done.stderr and "red" in done.stderr
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", done.stderr), done.stderr
