"""The page in a real browser: everything on it is clicked, and nothing may be said on the browser's console meanwhile."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable
from pathlib import Path

from confluent_kafka import Producer

import contrast
from browser import Browser
from ports import free_port, listens
from site_of_console import ConsoleSite
from site_of_letters import FLOTILLA, ROOT, until

COUNT = 40


def broken(site: ConsoleSite) -> None:
    """Orders from France fail."""
    site.broken.write_text("fr")
    site.follow()
    site.handle("pricer")
    site.publish_for_the_page()
    until(lambda: site.states() == {"open": COUNT}, "the dead letters")


def keep(browser: Browser, name: str) -> None:
    """For docs/dead-letters.md, when it is asked for."""
    if os.environ.get("SCREENSHOTS") == "write":
        browser.screenshot(ROOT / "docs" / name)


def test_the_fleet_moves(site: ConsoleSite, browse: Callable[..., Browser]) -> None:
    site.handle("pricer")
    site.console()
    browser = browse()
    browser.open(site.address)
    browser.until_text("pricer")
    browser.until("document.querySelectorAll('main svg.chart path.line').length >= 4")
    path = "document.querySelector('main svg.chart path.line').getAttribute('d').length"
    before = browser.run(path)
    browser.until(f"{path} > {before}", "a chart that moves")
    # A handler stands still and goes on, for whoever looks here.
    browser.click("#stand-pricer", "Pause")
    browser.until("document.querySelector('dialog[open]')")
    browser.type("the tax table")
    browser.click("dialog button", "Pause")
    browser.until_text("(root: the tax table)" if os.getuid() == 0 else "the tax table")
    until(lambda: "the tax table" in site.run("workers").stdout, "the worker to stand still")
    browser.click("#stand-pricer", "Resume")
    browser.until("!document.body.innerText.includes('the tax table')")
    # The broker is away, and comes back.
    site.parts["broker"].end()
    browser.until_text("The fleet cannot be seen")
    site.parts["broker"].start()
    browser.until("!document.body.innerText.includes('The fleet cannot be seen')")
    assert browser.faults == []


def test_from_orders_fail_to_all_resolved(site: ConsoleSite, browse: Callable[..., Browser]) -> None:
    broken(site)
    site.console()
    browser = browse()
    browser.open(site.address)
    browser.click("nav a", "Dead letters")
    browser.until_text("no tax is known for fr")
    keep(browser, "console-dead-letters.png")
    # One of them, and its cause.
    browser.click("section a", "no tax is known")
    browser.until("location.hash.includes('fingerprint')")
    browser.click("td a.mono")
    browser.until_text("failed for the first time")
    browser.until_text('"mail": "(masked)"')
    # Noted, discarded, restored.
    browser.click("button", "Note")
    browser.until("document.querySelector('dialog[open]')")
    browser.type("waits for the tax table")
    browser.click("dialog button", "Keep it")
    browser.until_text("waits for the tax table")
    browser.click("main button", "Discard")
    browser.click("dialog button", "Discard 1")
    browser.until_text("discarded")
    browser.click("main button", "Restore")
    browser.click("dialog button", "Restore 1")
    browser.until(browser.find("main button", "Replay"))
    # With what is personal, which leaves a line in the audit.
    browser.click("a", "With personal fields")
    browser.until_text("@example.com")
    browser.click("a", "Without personal fields")
    browser.until_text('"mail": "(masked)"')
    # A canary fails while nothing is mended: the rest waits.
    browser.click("nav a", "Dead letters")
    browser.until_text("What they died of")
    browser.click("button", "Replay …")
    browser.click("dialog button", "Replay 40")
    browser.until("document.querySelector('[data-state=stopped]')")
    browser.click("button", "Cancel")
    browser.until("document.querySelector('[data-state=cancelled]')")
    # Mended.
    site.broken.unlink()
    browser.click("nav a", "Dead letters")
    browser.until_text("What they died of")
    browser.click("button", "Replay …")
    browser.until("document.querySelector('dialog[open]')")
    keep(browser, "console-replay.png")
    browser.click("dialog button", "Replay 40")
    browser.until("document.querySelector('[data-state=done]')")
    assert site.states() == {"resolved": COUNT}
    browser.click("p a", "Replays")
    browser.until_text("made a job of 40")
    browser.until_text("with personal fields")
    assert browser.faults == []


def test_a_replay_is_paused_resumed_and_cancelled(site: ConsoleSite, browse: Callable[..., Browser]) -> None:
    broken(site)
    site.console()
    site.broken.unlink()
    browser = browse()
    browser.open(site.address + "/#/dead-letters")
    browser.click("button", "Replay")
    browser.until("document.querySelector('dialog[open]')")
    browser.run("document.querySelector('[name=rate]').value = 2; document.querySelector('[name=canary]').value = 0")
    browser.click("dialog button", "Replay 40")
    browser.click("button", "Pause")
    browser.until("document.querySelector('[data-state=paused]')")
    browser.click("button", "Resume")
    browser.until("document.querySelector('[data-state=running]')")
    browser.click("button", "Cancel")
    browser.until("document.querySelector('[data-state=cancelled]')")
    until(lambda: set(site.states()) <= {"open", "resolved"}, "nothing under way")
    assert browser.faults == []


def test_topics_and_what_strangers_send(site: ConsoleSite, browse: Callable[..., Browser]) -> None:
    hostile = {
        "script": b'<script>window.hit = 1</script><img src=x onerror="window.hit = 1">',
        "json": json.dumps({"amount": "<script>window.hit = 1</script>", "turned": "a\u202eb", "country": "\u001b[31mred"}).encode(),
        "ansi": b"\x1b[2J\x1b[31mred\x07", "binary": bytes(range(256)) * 4, "large": b'{"a":"' + b"x" * ((1 << 20) - 400) + b'"}',
        "deep": b"[" * 900 + b"]" * 900, "empty": b"",
    }
    site.follow()
    site.handle("pricer")
    site.console()
    producer = Producer({"bootstrap.servers": site.broker, "message.max.bytes": 2_000_000})
    for name, value in hostile.items():
        producer.produce("orders", key=f"<b>{name}</b>", value=value, partition=1, headers={
            "ce_specversion": "1.0", "ce_id": f"<i>{name}</i>", "ce_source": "/x", "ce_type": "<u>order</u>", "x-evil": b"\x1b]0;x\x07\xff"})
    assert producer.flush(30) == 0
    until(lambda: site.states().get("open") == len(hostile), "the dead letters")
    browser = browse()
    browser.open(site.address)
    browser.click("nav a", "Topics")
    browser.click("td a", "orders")
    browser.until(f"document.querySelectorAll('details.record').length === {len(hostile)}")
    browser.run("document.querySelectorAll('details.record').forEach(one => one.open = true)")
    browser.until_text("it is no JSON, so nobody can tell")
    # With what is personal, as bytes and as text.
    browser.click("input[name=unmasked]")
    browser.click("button", "Look")
    browser.until("location.hash.includes('unmasked')")
    browser.until(f"document.querySelectorAll('details.record pre').length >= {len(hostile) - 1}")
    browser.run("document.querySelectorAll('details.record').forEach(one => one.open = true)")
    browser.until_text("<script>window.hit = 1</script>")
    browser.until_text("00000000  00 01 02 03")
    browser.until_text("Cut: it has")
    # By offset, by time, by key.
    for fields, count in (({"partition": "1", "offset": "5"}, 2), ({"time": "1h"}, len(hostile)), ({"key": "<b>ansi</b>"}, 1),
                          ({"key": "nobody's"}, 0)):
        browser.open(site.address + "/#/topics/orders?" + "&".join(f"{name}={value}" for name, value in fields.items()))
        browser.until(f"!document.querySelector('[aria-busy]') && document.querySelector('p.quiet')?.innerText.startsWith('{count} shown')", str(fields))
    browser.open(site.address + "/#/topics/nobody.has.this")
    browser.until_text("there is no topic nobody.has.this")
    # One dead letter each.
    for letter in site.dlq("list"):
        browser.open(f"{site.address}/#/dead-letters/{letter['id']}?unmasked=true")
        browser.until(f"document.querySelector('h1').innerText === '{letter['id']}'")
    browser.open(site.address + "/#/dead-letters/<script>alert(1)</script>")
    browser.until_text("is no dead letter's id")
    assert browser.run("window.hit === undefined && !document.querySelector('main script, main b b, main i, main u, main img')")
    shown = browser.run("document.body.innerText")
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", shown)
    # The browser tells of answers that are refusals; of nothing else.
    assert [fault for fault in browser.faults if "the server responded with a status of 404" not in fault] == []


def test_by_keyboard_alone(site: ConsoleSite, browse: Callable[..., Browser]) -> None:
    broken(site)
    site.broken.unlink()
    site.console()
    browser = browse()
    browser.open(site.address)
    browser.until_text("pricer")
    browser.press("Tab")
    assert browser.run("document.activeElement.id") == "skip"
    browser.press("Enter")
    assert browser.run("document.activeElement.id") == "main"
    browser.run("document.activeElement.blur()")
    browser.focus_by_tab("nav a", "Dead letters")
    browser.press("Enter")
    browser.until_text("no tax is known for fr")
    browser.focus_by_tab("button", "Replay")
    browser.press("Enter")
    browser.until("document.querySelector('dialog[open]')?.contains(document.activeElement)")
    # What was asked can be left, and the focus is where it was.
    browser.press("Escape")
    browser.until("!document.querySelector('dialog')")
    browser.until("document.activeElement.innerText?.startsWith('Replay')")
    browser.press("Enter")
    browser.until("document.querySelector('dialog[open]')")
    browser.focus_by_tab("dialog button", "Replay 40")
    assert browser.run("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    browser.press("Enter")
    browser.until("document.querySelector('[data-state=done]')")
    assert site.states() == {"resolved": COUNT}
    assert browser.faults == []


def test_contrast_and_a_phone(site: ConsoleSite, browse: Callable[..., Browser]) -> None:
    broken(site)
    site.console()
    (letter,) = site.dlq("list", "--key", "customer-17")
    browser = browse()
    pages = ["fleet", "dead-letters", f"dead-letters/{letter['id']}", "replays", "topics", "topics/orders", "query"]
    for dark in (False, True):
        for size in ((1280, 900), (360, 740)):
            browser.look(dark, size)
            for page in pages:
                browser.open(f"{site.address}/#/{page}")
                browser.until("document.querySelector('main h1') && !document.querySelector('main [aria-busy]')")
                browser.until("!document.body.innerText.includes('Asking …')")
                assert browser.run(contrast.SCRIPT) == [], (page, dark, size)
                width = browser.run("document.documentElement.scrollWidth")
                assert width <= size[0], f"{page} is {width} wide on a screen of {size[0]}"
        keep(browser, f"phone-{'dark' if dark else 'light'}.png") if os.environ.get("PHONES") else None
    # Nobody keeps windows here: the page of metrics says so, and the browser tells of the answer.
    assert [fault for fault in browser.faults if "status of 503" not in fault] == []


def test_tokens(site: ConsoleSite, browse: Callable[..., Browser]) -> None:
    site.allow(olga="operate", rita="read")
    broken(site)
    site.console()
    browser = browse()
    browser.open(site.address + "/#/dead-letters")
    browser.until("document.querySelector('dialog[open]')")
    browser.type("flc_nobody")
    browser.press("Enter")
    browser.until("document.querySelector('dialog[open] input')?.value === ''", "to be asked again")
    browser.type(site.tokens["rita"])
    browser.press("Enter")
    browser.until_text("rita, read")
    browser.until_text("no tax is known for fr")
    assert not browser.run(browser.find("button", "Replay"))
    browser.click("button", "Sign out")
    browser.until("document.querySelector('dialog[open]')")
    browser.type(site.tokens["olga"])
    browser.press("Enter")
    browser.until_text("olga, operate")
    browser.until(browser.find("button", "Replay"))
    assert [fault for fault in browser.faults if "status of 401" not in fault] == []


def test_a_metric_as_a_chart(site: ConsoleSite, browse: Callable[..., Browser]) -> None:
    site.environment["FLOTILLA_TOPICS"] = str(ROOT / "topics")
    assert site.run("topics", "apply").returncode == 0
    edge = free_port()
    site.environment["FLOTILLA_EDGE_URL"] = f"http://127.0.0.1:{edge}"
    site.add("edge", [FLOTILLA, "edge", "--http", edge, "--admin", 0], lambda: listens(("127.0.0.1", edge)))
    site.work("pipeline", "ingest", "process", "aggregate")
    site.console()
    events = site.folder / "events"
    events.write_text("".join(json.dumps({
        "event_type": "click", "campaign_id": ("spring", "summer")[number % 2], "value": number, "dimensions": {"country": "<i>de</i>"},
        "timestamp": int(time.time() * 1000) - number % 5 * 60_000}) + "\n" for number in range(100)))
    assert site.run("publish", "--file", str(events)).returncode == 0
    until(lambda: site.run("query", "--metric", "clicks", "--step", "1d").stdout.count('"count":50') == 2, "the clicks")
    browser = browse()
    browser.open(site.address)
    browser.click("nav a", "Query")
    browser.until("document.querySelectorAll('main svg.chart path.line').length === 2")
    browser.until_text("of 2 series")
    browser.click("summary", "As a table")
    browser.until("document.querySelectorAll('main details[open] tbody tr').length >= 5")
    # Another question, in the form.
    browser.run("document.querySelector('[name=campaign]').focus()")
    browser.type("spring")
    browser.run("document.querySelector('[name=by]').focus()")
    browser.type("country")
    browser.click("button", "Show")
    browser.until("location.hash.includes('campaign=spring')")
    browser.until_text("<i>de</i>")
    browser.run("document.querySelector('[name=since]').value = 'yesterday'")
    browser.click("button", "Show")
    browser.until_text("since is RFC 3339, or how long ago")
    assert [fault for fault in browser.faults if "status of 400" not in fault] == []
