"""Where webhooks go: receivers that check signatures, and that are slow or do not answer while they are told so."""

from __future__ import annotations

import http.server
import random
import threading
import time

from receivers import Hooks

# As the oracle's rules call them.
CHANNELS = ["first", "second"]
# What a try may take, as the rules say, in seconds.
TIMEOUT = 3
MODES = ["slow", "hanging", "failing"]


class Receivers:
    def __init__(self, secret: str, seed: int) -> None:
        self.dice = random.Random(seed)
        self.modes: dict[str, str] = {}
        self.is_over = threading.Event()
        self.hooks = Hooks(secret, self.answer)

    def channels(self) -> list[dict]:
        return [
            {"name": name, "webhook": self.hooks.url(name), "allowPrivate": True, "timeout": f"{TIMEOUT}s",
             "rate": 1000}
            for name in CHANNELS
        ]

    def answer(self, path: str, count: int, request: http.server.BaseHTTPRequestHandler) -> int | None:
        match self.modes.get(path.strip("/")):
            case "slow":
                self.is_over.wait(self.dice.uniform(0.5, 0.8) * TIMEOUT)
            case "hanging":
                # As if nobody was there: the client has gone long before.
                self.is_over.wait(4 * TIMEOUT)
                return None
            case "failing":
                return 500
            case _:
                time.sleep(self.dice.uniform(0, 0.05))
        return 204

    def end(self) -> None:
        self.is_over.set()
        self.hooks.end()
