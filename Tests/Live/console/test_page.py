"""The page in a real browser, as people use it; nothing may be said on the browser's console meanwhile."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable

from browser import Browser
from ports import free_port, listens
from site_of_console import COUNT, ConsoleSite, broken
from site_of_letters import FLOTILLA, ROOT, until

def keep(browser: Browser, name: str) -> None:
    """For docs/dead-letters.md, when it is asked for."""
    if os.environ.get("SCREENSHOTS") == "write":
        browser.until("!document.querySelector('#said p')")
        browser.screenshot(ROOT / "docs" / name)


def test_the_fleet_moves(site: ConsoleSite, browse: Callable[..., Browser]) -> None:
    site.follow()
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
    browser.until("!document.querySelector('main').innerText.includes('the tax table')")
    # Who did that is written down; and so is what the command line does.
    assert site.run("pause", "pricer", "--partition", "1", "--reason", "by hand").returncode == 0
    browser.until_text("paused, partition 1")
    browser.click("#stand-pricer", "Resume")
    browser.until("!document.querySelector('main').innerText.includes('paused, partition 1')")
    assert site.run("pause", "pricer").returncode == 0 and site.run("resume", "pricer").returncode == 0
    noted = [(line["verb"], line["result"], line["filter"]) for line in site.dlq("audit")][::-1]
    of = {"handler": "pricer"}
    assert noted == [("pause", "the tax table", of), ("resume", "all partitions", of), ("pause", "partition 1: by hand", of),
                     ("resume", "partition 1", of), ("pause", "all partitions", of), ("resume", "all partitions", of)]
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
    browser.until_text("Of one group:")
    browser.click("td a.mono")
    browser.until_text("failed for the first time")
    browser.until_text('"mail": "(masked)"')
    # Noted, discarded, restored.
    browser.click("button", "Note …")
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
    # What is replayed of a group is what its row counted, and the tiles above say how much that is.
    browser.open(site.address + "/#/dead-letters?key=customer-17")
    browser.until_page("Dead letters")
    assert browser.run("[...document.querySelectorAll('a.tile')].map(one => one.innerText.split('\\n')[0]).join()") == "1,0,0,0,0,0"
    browser.click("td button", "Replay …")
    browser.until_dialog("Replay 1 dead letter?")
    browser.click("dialog button", "Leave it")
    # A canary fails while nothing is mended: the rest waits.
    browser.click("nav a", "Dead letters")
    browser.until("location.hash === '#/dead-letters' && document.querySelector('a.tile b').innerText === '40'")
    browser.click("button", "Replay …")
    browser.click("dialog button", "Replay 40")
    browser.until("document.querySelector('[data-state=stopped]')")
    browser.click("button", "Cancel")
    browser.until("document.querySelector('[data-state=cancelled]')")
    # Mended.
    site.broken.unlink()
    browser.click("nav a", "Dead letters")
    browser.until("location.hash === '#/dead-letters' && document.querySelector('a.tile b').innerText === '40'")
    browser.click("button", "Replay …")
    browser.until("document.querySelector('dialog[open]')")
    keep(browser, "console-replay.png")
    browser.click("dialog button", "Replay 40")
    browser.until("document.querySelector('[data-state=done]')")
    assert site.states() == {"resolved": COUNT}
    browser.click("p a", "Replays and audit")
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
    # The index goes away and comes back: whoever follows is told, and sees it again.
    site.parts["postgres"].end()
    browser.until_text("It cannot be seen at this moment")
    site.parts["postgres"].start()
    browser.until("!document.body.innerText.includes('It cannot be seen at this moment')")
    browser.click("button", "Resume")
    browser.until("document.querySelector('[data-state=running]')")
    browser.click("button", "Cancel")
    browser.until("document.querySelector('[data-state=cancelled]')")
    until(lambda: set(site.states()) <= {"open", "resolved"}, "nothing under way")
    assert browser.faults == []


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


def test_tokens(site: ConsoleSite, browse: Callable[..., Browser]) -> None:
    site.allow(olga="operate", rita="read")
    broken(site)
    site.console()
    browser = browse()
    browser.open(site.address + "/#/dead-letters")
    browser.until("document.querySelector('dialog[open]')")
    browser.type("flc_nobody")
    browser.press("Enter")
    browser.until_text("That token is not known here.")
    browser.type(site.tokens["rita"])
    browser.press("Enter")
    browser.until_text("rita · read")
    browser.until_text("no tax is known for fr")
    assert not browser.run(browser.find("button", "Replay"))
    browser.click("button", "Sign out")
    browser.until("document.querySelector('dialog[open]')")
    browser.type(site.tokens["olga"])
    browser.press("Enter")
    browser.until_text("olga · operate")
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
