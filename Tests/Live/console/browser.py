"""A real browser, driven over the DevTools protocol: Debian's chromium, without a window."""

from __future__ import annotations

import base64
import itertools
import json
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from websockets.sync.client import connect

from processes import launch

# Each link remembers where on the page's source it was made, and each that is clicked is told to the test.
WATCH = """(() => {
  const set = Element.prototype.setAttribute, sites = new WeakMap();
  window.linkSites = new Set(); window.clickedSites = new Set();
  Element.prototype.setAttribute = function (name, value) {
    if (name === "href") {
      const frame = new Error().stack.split("\\n").slice(1).find(line => /\\w+\\.js:/.test(line) && !/dom\\.js:/.test(line));
      const site = /(\\w+\\.js:\\d+):\\d+\\)?$/.exec(frame)?.[1];
      sites.set(this, site); window.linkSites.add(site);
    }
    return set.call(this, name, value);
  };
  addEventListener("click", event => {
    const link = event.target.closest?.("a");
    if (link) window.clickedSites.add(sites.get(link) ?? `index.html:${link.getAttribute("href")}`);
  }, true);
})()"""

KEYS = {"Tab": 9, "Enter": 13, "Escape": 27, " ": 32, "ArrowDown": 40}


class Browser:
    """One page of a browser with a profile of its own. What goes wrong on the page is kept in `faults`."""

    def __init__(self, folder: Path, dark: bool = False, size: tuple[int, int] = (1280, 900)) -> None:
        folder.mkdir()
        self.faults: list[str] = []
        words = ["chromium", "--headless=new", "--remote-debugging-port=0", f"--user-data-dir={folder}", "--no-first-run",
                 "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking", "--disable-sync",
                 "--disable-extensions", "--disable-component-update", "--no-default-browser-check", "--hide-scrollbars"]
        if os.getuid() == 0:
            # Its sandbox refuses root, and tests may run as that.
            words.append("--no-sandbox")
        with (folder / "log").open("wb") as log:
            self.process = launch([*words, "about:blank"], stdout=log, stderr=log)
        place = folder / "DevToolsActivePort"
        until(lambda: place.exists() and place.read_text().count("\n") >= 1, "chromium", self.check)
        port, path = place.read_text().splitlines()[:2]
        self.socket = connect(f"ws://127.0.0.1:{port}{path}", max_size=64 << 20, compression=None)
        self.numbers = itertools.count(1)
        self.session: str | None = None
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network", "Profiler"):
            self.ask(f"{domain}.enable")
        self.ask("Page.addScriptToEvaluateOnNewDocument", source=WATCH)
        self.ask("Profiler.startPreciseCoverage", callCount=True, detailed=False)
        self.calls: dict[tuple[str, int, int, str], int] = {}
        self.asked: list[str] = []
        self.look(dark, size)

    def check(self) -> None:
        assert self.process.poll() is None, f"chromium ended with {self.process.returncode}"

    def look(self, dark: bool, size: tuple[int, int]) -> None:
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.ask("Emulation.setEmulatedMedia", features=scheme)
        self.ask("Emulation.setDeviceMetricsOverride", width=size[0], height=size[1], deviceScaleFactor=1, mobile=size[0] < 600)

    def ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        number = next(self.numbers)
        message = {"id": number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        self.socket.send(json.dumps(message))
        while True:
            answer = json.loads(self.socket.recv(timeout=120))
            if answer.get("id") == number:
                assert "error" not in answer, f"{method}: {answer['error']}"
                return answer["result"]
            self.note(answer)

    def note(self, event: dict[str, Any]) -> None:
        told = event.get("params", {})
        match event.get("method"):
            case "Runtime.exceptionThrown":
                self.faults.append(json.dumps(told["exceptionDetails"])[:500])
            case "Runtime.consoleAPICalled" if told["type"] in ("error", "warning", "assert"):
                self.faults.append(json.dumps(told["args"])[:500])
            case "Network.requestWillBeSent":
                self.asked.append(told["request"]["url"])
            case "Log.entryAdded" if told["entry"]["level"] in ("error", "warning"):
                self.faults.append(told["entry"]["text"] + " " + told["entry"].get("url", ""))

    def run(self, script: str) -> Any:
        """The value of an expression on the page."""
        result = self.ask("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, f"{script}: {result['exceptionDetails']}"
        return result["result"].get("value")

    def open(self, address: str) -> None:
        self.ask("Page.navigate", url=address)
        # Before its styles are there everything is somewhere else.
        self.until("location.href !== 'about:blank' && document.readyState === 'complete'", address)

    def until(self, script: str, what: str = "") -> Any:
        """Waits until an expression is true, and returns what it is."""
        found: list[Any] = []

        def holds() -> bool:
            # While a page is loaded there may be nothing to ask.
            found[:] = [self.run(f"(() => {{ try {{ const it = {script}; return it instanceof Node || it; }} catch {{ return null; }} }})()")]
            return bool(found[0])

        until(holds, what or script, self.check, lambda: self.run("document.body?.innerText ?? ''"))
        return found[0]

    def until_page(self, title: str) -> None:
        """Waits until a page is there that has this title, and no other one, and nothing of it is under way."""
        self.until(f"document.title === {json.dumps(title + ' · Flotilla')} && !document.querySelector('[aria-busy=true]')"
                   " && document.querySelector('main h1')", f"the page {title}")

    def until_dialog(self, title: str) -> None:
        self.until(f"document.querySelector('dialog[open] h2')?.innerText.startsWith({json.dumps(title)})", f"the dialog {title}")

    def count_calls(self) -> None:
        """Adds up which functions of the page were called since this was done last."""
        for script in self.ask("Profiler.takePreciseCoverage")["result"]:
            for function in script["functions"]:
                (part,) = function["ranges"][:1]
                name = (script["url"].rsplit("/", 1)[-1], part["startOffset"], part["endOffset"], function["functionName"])
                self.calls[name] = self.calls.get(name, 0) + part["count"]

    def until_text(self, text: str) -> None:
        self.until(f"document.body.innerText.includes({json.dumps(text)})", f"the text {text!r}")

    # Clicking and typing as a person does: through the browser's own input, at the place where the thing is.

    def find(self, selector: str, text: str = "") -> str:
        """An expression for the element that a selector and its words name."""
        return (f"[...document.querySelectorAll({json.dumps(selector)})].find(one => one.innerText.trim().startsWith({json.dumps(text)})"
                " && one.checkVisibility())")

    def click(self, selector: str, text: str = "") -> None:
        place = self.until(
            f"(() => {{ const one = {self.find(selector, text)}; if (!one || one.disabled) return null;"
            # What is there while another page is made may be gone when the mouse comes to it.
            " if (document.querySelector('main[aria-busy=true]') && !one.closest('dialog')) return null; one.scrollIntoView({block: 'center'});"
            " const box = one.getBoundingClientRect(); const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];"
            " return one.contains(document.elementFromPoint(x, y)) ? [x, y] : null; })()", f"{selector} {text!r}")
        for kind in ("mousePressed", "mouseReleased"):
            self.ask("Input.dispatchMouseEvent", type=kind, x=place[0], y=place[1], button="left", clickCount=1)

    def point(self, selector: str, part: float = .5) -> None:
        """Moves the mouse over an element."""
        x, y = self.until(f"(() => {{ const one = document.querySelector({json.dumps(selector)}); one.scrollIntoView({{block: 'center'}});"
                          f" const box = one.getBoundingClientRect(); return [box.x + box.width * {part}, box.y + box.height / 2]; }})()")
        self.ask("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    def write(self, selector: str, text: str) -> None:
        """Writes into a field, over what is in it."""
        self.until(f"(() => {{ const one = document.querySelector({json.dumps(selector)}); one.focus(); one.select(); return one === document.activeElement; }})()",
                   selector)
        self.type(text)

    def choose(self, selector: str, value: str) -> None:
        """Chooses of a list."""
        self.run(f"(() => {{ const one = document.querySelector({json.dumps(selector)}); one.value = {json.dumps(value)};"
                 " one.dispatchEvent(new Event('change', {bubbles: true})); })()")

    def press(self, key: str, shift: bool = False) -> None:
        code = KEYS[key]
        text = {"Enter": "\r", " ": " "}.get(key)
        more = {"text": text} if text else {}
        for kind in ("keyDown", "keyUp"):
            self.ask("Input.dispatchKeyEvent", type=kind, key=key, code="Space" if key == " " else key,
                     windowsVirtualKeyCode=code, modifiers=8 if shift else 0, **(more if kind == "keyDown" else {}))

    def type(self, text: str) -> None:
        self.ask("Input.insertText", text=text)

    def focus_by_tab(self, selector: str, text: str = "", most: int = 120) -> None:
        """Comes to an element with the Tab key alone."""
        for _ in range(most):
            self.press("Tab")
            if self.run(f"{self.find(selector, text)} === document.activeElement && document.activeElement !== null"):
                return
        raise AssertionError(f"{selector} {text!r} cannot be reached with Tab")

    def screenshot(self, path: Path) -> None:
        path.write_bytes(base64.b64decode(self.ask("Page.captureScreenshot", format="png")["data"]))

    def end(self) -> None:
        self.socket.close()
        self.process.kill()
        self.process.wait()


def until(condition: Callable[[], bool], what: str, check: Callable[[], None], say: Callable[[], str] = lambda: "",
          limit: float = 60) -> None:
    end = time.monotonic() + limit
    while not condition():
        check()
        assert time.monotonic() < end, f"waited {limit} s for {what}: {say()}"
        time.sleep(0.05)
