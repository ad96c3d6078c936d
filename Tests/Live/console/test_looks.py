"""How the page looks, and what it makes of what strangers send."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path

from confluent_kafka import Producer

import contrast
from browser import Browser
from site_of_console import COUNT, ConsoleSite, broken
from site_of_letters import until


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
