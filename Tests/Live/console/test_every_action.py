"""Everything on the page that does something is done once: what is not is found in the page's own sources."""

from __future__ import annotations

import re
from collections.abc import Callable

from browser import Browser
from outside import ROOT
from site_of_console import COUNT, ConsoleSite, broken
from site_of_letters import until

PAGE = ROOT / "Sources/Console/Page"


def links_of_the_sources() -> set[str]:
    """Where links are made: file and line."""
    sites = set()
    for file in sorted(PAGE.glob("*.js")):
        if file.name == "dom.js":
            continue
        for number, line in enumerate(file.read_text().splitlines(), 1):
            if re.search(r"\bhref:|\babove\(", line):
                sites.add(f"{file.name}:{number}")
    return sites | {f'index.html:{href}' for href in re.findall(r'<a [^>]*href="([^"]*)"', (PAGE / "index.html").read_text())}


def enter(browser: Browser, token: str) -> None:
    browser.until_dialog("Who are you?")
    browser.type(token)
    browser.press("Enter")


def walk_the_fleet(site: ConsoleSite, browser: Browser) -> None:
    # Somebody who says nothing is nobody; then a wrong token, and the right one.
    browser.until_dialog("Who are you?")
    browser.press("Escape")
    browser.until_text("Nobody is signed in.")
    browser.click("button", "Once more")
    enter(browser, "flc_nobody")
    browser.until_text("That token is not known here.")
    enter(browser, site.tokens["olga"])
    browser.until_page("Fleet")
    browser.until_text("pricer")
    browser.run("document.activeElement.blur()")
    browser.focus_by_tab("a.skip")
    browser.press("Enter")
    assert browser.run("document.activeElement.id") == "main"
    # What a chart says where somebody points.
    browser.until("document.querySelectorAll('main svg.chart path.line').length >= 4")
    browser.point("svg.chart", .7)
    browser.until("document.querySelector('svg.chart .pointer').getAttribute('visibility') === 'visible'")
    browser.point("h1")
    browser.until("document.querySelector('svg.chart .pointer').getAttribute('visibility') === 'hidden'")
    browser.click("#stand-pricer", "Pause")
    browser.click("dialog button", "Leave it")
    browser.until("!document.querySelector('dialog')")
    browser.click("#stand-pricer", "Pause")
    browser.until_dialog("Pause pricer?")
    browser.type("the tax table")
    browser.click("dialog button", "Pause")
    browser.until_text("(olga: the tax table)")
    browser.click("#stand-pricer", "Resume")
    browser.until("!document.querySelector('main').innerText.includes('the tax table')")
    # What goes wrong is said until somebody closes it.
    site.parts["redis"].end()
    browser.click("#stand-pricer", "Pause")
    browser.click("dialog button", "Pause")
    browser.click("#said button", "Close")
    browser.until("!document.querySelector('#said .bad')")
    site.parts["redis"].start()


def walk_the_lists(site: ConsoleSite, browser: Browser) -> None:
    browser.click("nav a", "Dead letters")
    browser.until_page("Dead letters")
    for state in ("open", "replaying", "replayed", "resolved", "discarded", "expired"):
        browser.click(f"a.tile[href*='state={state}']")
        browser.until(f"location.hash.includes('state={state}') && document.querySelector('a.tile[aria-current]')?.innerText.includes('{state}')")
        browser.until_page("Dead letters")
    browser.click("a", "All")
    browser.until("location.hash === '#/dead-letters' && !document.querySelector('a.tile[aria-current]')")
    for name, value in {"handler": "pricer", "topic": "orders", "reason": "permanent", "type": "order.created", "since": "1h", "until": "1m"}.items():
        browser.write(f"[name={name}]", value)
    browser.choose("[name=state]", "open")
    browser.click("button", "Filter")
    browser.until("location.hash.includes('reason=permanent')")
    browser.until("location.hash.includes('until=1m') && location.hash.includes('state=open')")
    browser.open(f"{site.address}/#/dead-letters")
    browser.until_page("Dead letters")
    browser.click("section a", "no tax is known")
    browser.until_text("Of one group:")
    browser.click(".also a", "of any")
    browser.until("!location.hash.includes('fingerprint')")
    # A page of a list, the next one, and the first again.
    browser.until(browser.find("a", "Older ones"))
    browser.click("a", "Older ones")
    browser.until(browser.find("a", "The latest"))
    browser.click("a", "The latest")
    browser.until(f"!{browser.find('a', 'The latest')}")
    # What a filter means, as a whole.
    browser.open(f"{site.address}/#/dead-letters?key=customer-17")
    browser.until("document.querySelectorAll('td a.mono').length === 1")
    browser.click("button", "Discard these")
    browser.click("dialog button", "Discard 1")
    browser.until_text("1 dead letter discarded.")
    browser.click("button", "Discard these")
    browser.until_text("None fits that could be discarded.")
    browser.click("button", "Restore these")
    browser.click("dialog button", "Restore 1")
    browser.until_text("1 dead letter open again.")
    browser.click("button", "Replay these")
    browser.until_dialog("Replay 1 dead letter?")
    browser.click("input[name=to_source]")
    browser.until("document.querySelector('[name=canary]').disabled")
    browser.until("document.querySelector('dialog li').innerText.startsWith('to orders,')")
    browser.click("dialog button", "Leave it")
    browser.until("!document.querySelector('dialog')")
    browser.click("td a.mono")


def walk_one_letter(site: ConsoleSite, browser: Browser) -> None:
    browser.until_text("failed for the first time")
    one = browser.run("location.hash")
    for link, text in (("all that died of the same", "Of one group:"), ("orders, partition", "Further on"), ("orders.pricer.dlq, partition", "Further on")):
        browser.open(f"{site.address}/{one}")
        browser.click("dd a", link)
        browser.until_text(text)
    browser.open(f"{site.address}/{one}")
    browser.click("a", "With personal fields")
    browser.until_text("customer-17@example.com")
    browser.click("a", "Without personal fields")
    browser.until_text('"mail": "(masked)"')
    browser.click("button", "Note …")
    browser.until_dialog("A word")
    browser.type("waits for the tax table")
    browser.click("dialog button", "Keep it")
    browser.until("[...document.querySelectorAll('dd')].some(one => one.innerText === 'waits for the tax table')")
    browser.click("button", "Discard …")
    browser.click("dialog button", "Discard 1")
    browser.click("button", "Restore …")
    browser.click("dialog button", "Restore 1")
    browser.click("button", "Replay …")
    browser.click("dialog button", "Replay 1")
    browser.until("location.hash.startsWith('#/replays/')")
    browser.until("document.querySelector('[data-state=done]')")
    browser.click("section a", "Dead letters")
    browser.until_page("Dead letters")
    browser.open(f"{site.address}/{one}")
    browser.until_text("after 1 replay,")
    browser.click("dd a.mono")
    browser.until("location.hash.startsWith('#/replays/')")
    # Of what went to its source nobody tells: once its handler is past it, it is given up, and is open again.
    (other,) = site.dlq("list", "--key", "customer-20")
    assert site.run("dlq", "replay", "--key", "customer-20", "--to-source", "--confirm", "1").returncode == 0
    until(lambda: site.committed("pricer") == len(site.read("orders")), "the handler")
    browser.open(f"{site.address}/#/dead-letters/{other['id']}")
    browser.click("button", "Give up …")
    browser.click("dialog button", "Give up 1")
    browser.until_text("1 dead letter open again.")
    browser.open(f"{site.address}/{one}")
    browser.click(".above a", "Dead letters")
    browser.until_page("Dead letters")


def walk_the_replays(site: ConsoleSite, browser: Browser) -> None:
    site.broken.unlink()
    browser.click("td button", "Replay …")
    browser.until_dialog("Replay")
    browser.write("[name=rate]", "2")
    browser.write("[name=canary]", "0")
    browser.click("dialog button", "Replay")
    browser.click("button", "Pause")
    browser.until("document.querySelector('[data-state=paused]')")
    browser.click("button", "Resume")
    browser.until("document.querySelector('[data-state=running]')")
    # How far it is is drawn as it goes on.
    browser.until("document.querySelector('progress').value > 0 && document.querySelector('progress').max > 30")
    browser.click("button", "Cancel")
    browser.until("document.querySelector('[data-state=cancelled]')")
    browser.click(".above a", "Replays and audit")
    browser.until_page("Replays and audit")
    browser.click("[aria-label=Replays] a")
    browser.until("location.hash.startsWith('#/replays/')")
    browser.click(".above a", "Replays and audit")
    browser.until_page("Replays and audit")
    browser.click("[aria-label=Audit] a")
    browser.until("location.hash.startsWith('#/replays/')")
    browser.click(".above a", "Replays and audit")
    browser.until_page("Replays and audit")
    browser.click(".above a", "Dead letters")
    browser.until_page("Dead letters")
    browser.click("a", "Replays and audit")
    browser.until_page("Replays and audit")


def walk_topics_and_windows(site: ConsoleSite, browser: Browser) -> None:
    browser.click("nav a", "Topics")
    browser.until_page("Topics")
    browser.click("td a", "orders")
    browser.until_page("orders · Topics")
    browser.click("summary")
    browser.until("document.querySelector('details.record[open]')")
    browser.write("[name=partition]", "1")
    browser.write("[name=offset]", "3")
    browser.click("input[name=unmasked]")
    browser.click("button", "Look")
    browser.until("location.hash.includes('unmasked=true')")
    browser.until_page("orders · Topics")
    browser.click("a", "Further on")
    browser.until_text("No record fits.")
    browser.click(".above a", "Topics")
    browser.until_page("Topics")
    browser.click("nav a", "Query")
    browser.until("document.querySelectorAll('main svg.chart .line, main svg.chart .dot').length >= 1")
    browser.choose("[name=step]", "1h")
    browser.choose("[name=of]", "sum")
    browser.write("[name=by]", "country")
    browser.write("[name=since]", "7d")
    browser.click("button", "Show")
    browser.until_text("sum in windows of 1 hour")
    browser.click("summary", "As a table")
    browser.until("document.querySelectorAll('main details[open] tbody tr').length >= 1")
    browser.click("button", "Show")
    browser.until("!document.querySelector('main details[open]') && document.querySelector('main details')", "the same to be asked again")
    browser.click("a.brand")
    browser.until_page("Fleet")
    browser.click("nav a", "Fleet")


def test_every_action_of_the_page(site: ConsoleSite, browse: Callable[..., Browser]) -> None:
    site.allow(olga="operate")
    site.count(windows=True)
    site.psql(r"INSERT INTO aggregate.windows SELECT E'sum\007mer', metric, step, window_start, dimension, value, window_end, partition, count, sum_micros, uniques,"
              " p50_micros, p95_micros, p99_micros, unique_sketch, quantile_sketch, changed, revision FROM aggregate.windows")
    broken(site)
    site.publish([{"order": number, "amount": 1, "country": "fr"} for number in range(1000, 1020)], first=1000)
    until(lambda: site.states() == {"open": COUNT + 20}, "more than one page of dead letters")
    site.console()
    browser = browse()
    browser.open(site.address)
    for walk in (walk_the_fleet, walk_the_lists, walk_one_letter, walk_the_replays, walk_topics_and_windows):
        walk(site, browser)
    # The worker of the console goes away and comes again; the page notices both.
    site.parts["console"].end()
    browser.until_text("The console")
    site.parts["console"].start()
    browser.until("!document.querySelector('main .note.bad')")
    browser.until("document.querySelectorAll('#said p').length === 0", "what was said to go")
    browser.count_calls()
    made, clicked = (set(browser.run(f"[...window.{name}].filter(Boolean)")) for name in ("linkSites", "clickedSites"))
    browser.click("button", "Sign out")
    browser.until_dialog("Who are you?")
    wanted = links_of_the_sources() - {"index.html:#main"}
    assert wanted - clicked == set(), "links that nobody has clicked"
    assert {name for name in made if name} <= wanted
    left = [name for name, count in browser.calls.items() if count == 0 and name[0].endswith(".js") and name[3] != "signOut"]
    source = {file.name: file.read_text() for file in PAGE.glob("*.js")}
    assert [f"{name}: {source[name][begin:end][:120]}" for name, begin, end, _ in left if name in source] == [], "what nobody has done"
    expected = re.compile("status of (401|409|503)|ERR_")
    assert [fault for fault in browser.faults if not expected.search(fault)] == []
