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
        browser.until_page("orders · Topics")
        browser.until(f"document.querySelectorAll('details.record').length === {count}", str(fields))
    browser.open(site.address + "/#/topics/nobody.has.this")
    browser.until_text("there is no topic nobody.has.this")
    # One dead letter each.
    for letter in site.dlq("list"):
        browser.open(f"{site.address}/#/dead-letters/{letter['id']}?unmasked=true")
        browser.until_page(f"{letter['id']} · Dead letters")
        assert browser.run("document.querySelector('h1').innerText") == letter["id"]
    # All of them in lists, by what they died of, and by one of their keys.
    for page in ("dead-letters", "dead-letters?key=" + "%3Cb%3Eansi%3C%2Fb%3E", "replays"):
        browser.open(f"{site.address}/#/{page}")
        browser.until_page("Replays and audit" if page == "replays" else "Dead letters")
    browser.open(site.address + "/#/dead-letters/<script>alert(1)</script>")
    browser.until_text("is no dead letter's id")
    assert browser.run("window.hit === undefined && !document.querySelector('main script, main b b, main i, main u, main img')")
    shown = browser.run("document.body.innerText")
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", shown)
    # The browser tells of answers that are refusals; of nothing else.
    assert [fault for fault in browser.faults if "the server responded with a status of 404" not in fault] == []


def keep(browser: Browser, name: str) -> None:
    """When somebody asks for them."""
    if folder := os.environ.get("LOOKS"):
        browser.screenshot(Path(folder) / name)


def check(browser: Browser, name: str, dark: bool, size: tuple[int, int]) -> None:
    """Every text can be read, and nothing is wider than the screen."""
    keep(browser, f"{name.replace('/', '-')}-{'dark' if dark else 'light'}-{size[0]}.png")
    assert browser.run(contrast.SCRIPT) == [], (name, dark, size)
    width = browser.run("Math.max(document.documentElement.scrollWidth, ...[...document.querySelectorAll('dialog, dialog *')].map(one => one.getBoundingClientRect().right))")
    assert width <= size[0], f"{name} is {width} wide on a screen of {size[0]}"


def test_contrast_and_width_of_every_page(site: ConsoleSite, browse: Callable[..., Browser]) -> None:
    broken(site)
    site.console()
    (letter,) = site.dlq("list", "--key", "customer-17")
    site.dlq("note", letter["id"], "waits for the tax table")
    # Of a canary all fail, so the job stands.
    told = site.run("dlq", "replay", "--handler", "pricer", "--canary", "5", "--confirm", str(COUNT), "--json")
    assert told.returncode == 1
    (job,) = site.dlq("jobs")
    assert job["state"] == "stopped"
    browser = browse()
    pages = {"fleet": "Fleet", "dead-letters": "Dead letters", "dead-letters?state=open": "Dead letters",
             "dead-letters?handler=nobody": "Dead letters", f"dead-letters/{letter['id']}": f"{letter['id']} · Dead letters",
             "dead-letters/nobody": "nobody · Dead letters", "replays": "Replays and audit", f"replays/{job['job']}": f"{job['job']} · Replays and audit",
             "replays/nobody": "nobody · Replays and audit", "topics": "Topics", "topics/orders": "orders · Topics", "query": "Query"}
    for dark in (False, True):
        for size in ((1280, 900), (360, 740)):
            browser.look(dark, size)
            for page, title in pages.items():
                browser.open(f"{site.address}/#/{page}")
                browser.until_page(title)
                if page == "fleet":
                    browser.until_text("pricer")
                if page == f"replays/{job['job']}":
                    browser.until("document.querySelector('[data-state=stopped]')")
                    browser.until_text("a dead letter again: permanent")
                check(browser, page, dark, size)
    # Nobody keeps windows here, some pages name what is not there, and the browser tells of such answers.
    assert [fault for fault in browser.faults if not re.search("status of (503|404)", fault)] == []


def test_contrast_and_width_of_dialogs_and_notes(site: ConsoleSite, browse: Callable[..., Browser]) -> None:
    site.allow(olga="operate")
    broken(site)
    site.console()
    (letter,) = site.dlq("list", "--key", "customer-17")
    # Nobody works for it: it waits, and the page says for what.
    site.parts["deadletters"].end()
    until(lambda: site.psql("SELECT count(*) FROM deadletters.leases WHERE until > now()") == "0", "the lease to end")
    (job,) = site.dlq("replay", "--key", "customer-20", "--confirm", "1", "--no-wait")
    browser = browse()
    for dark in (False, True):
        for size in ((1280, 900), (360, 740)):
            browser.look(dark, size)
            browser.open(site.address)
            browser.until_dialog("Who are you?")
            browser.type("flc_nobody")
            browser.press("Enter")
            browser.until_text("That token is not known here.")
            check(browser, "token", dark, size)
            browser.type(site.tokens["olga"])
            browser.press("Enter")
            browser.until_text("olga · operate")
            for page, button, title in ((f"dead-letters/{letter['id']}", "Note …", "A word"), (f"dead-letters/{letter['id']}", "Discard …", "Discard 1"),
                                        (f"dead-letters/{letter['id']}", "Replay …", "Replay 1"), ("fleet", "Pause", "Pause")):
                browser.open(f"{site.address}/#/{page}")
                browser.until_page(f"{letter['id']} · Dead letters" if "/" in page else "Fleet")
                browser.click("main button", button)
                browser.until_dialog(title)
                if title == "Replay 1":
                    browser.click("input[name=to_source]")
                check(browser, f"dialog {title}", dark, size)
                browser.press("Escape")
                browser.until("!document.querySelector('dialog')")
            browser.open(f"{site.address}/#/replays/{job['job']}")
            browser.until_text("It waits for a worker")
            check(browser, "waiting", dark, size)
            # A word at the edge, and one that tells of a fault.
            browser.open(f"{site.address}/#/fleet")
            browser.until_page("Fleet")
            browser.click("#stand-pricer")
            browser.until_dialog("Pause")
            site.parts["redis"].end()
            browser.click("dialog button", "Pause")
            browser.until("document.querySelector('#said .bad')")
            check(browser, "fault", dark, size)
            site.parts["redis"].start()
            browser.run("sessionStorage.clear()")
            browser.ask("Page.navigate", url="about:blank")
            browser.until("location.href === 'about:blank'")
    assert [fault for fault in browser.faults if not re.search("status of (401|503)", fault)] == []
