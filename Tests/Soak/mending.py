"""Dead letters whose cause goes away: campaigns that were to be active before there were any. Somebody creates them and
has their dead letters replayed, which have to be resolved then, also while the fleet is hurt."""

from __future__ import annotations

import json
import time

from checks import Topic
from load import LATER, Client, Load
from site_of_soak import Site

PATIENCE = 180


class Mender:
    def __init__(self, site: Site, load: Load) -> None:
        self.site, self.load = site, load

    def mend(self, number: int) -> None:
        words = ("--type", f"later-{number}")
        self.wait(lambda: self.states(*words) == {"open": LATER}, f"the dead letters of set {number}")
        client = Client(self.load.address)
        for request in self.load.creations(number):
            self.load.send(client, request)
        self.wait_for_drafts(set(self.load.sets[number]))

        def is_resolved() -> bool:
            found = self.states(*words)
            # What was chosen goes on by itself; a command that broke off before is given again.
            if found and found.get("open"):
                self.site.run("dlq", "replay", *words, "--confirm", LATER, "--rate", "100")
            return found == {"resolved": LATER}

        self.wait(is_resolved, f"set {number} to be resolved")

    def states(self, *words: str) -> dict[str, int] | None:
        letters = self.site.answer("dlq", "list", "--limit", "1000", *words)
        # While the index is away the topics themselves are read, and those know of no states.
        if letters is None or not all("state" in letter for letter in letters):
            return None
        found: dict[str, int] = {}
        for letter in letters:
            found[letter["state"]] = found.get(letter["state"], 0) + 1
        return found

    def wait_for_drafts(self, names: set[str]) -> None:
        topic = Topic(self.site, "campaigns.changed")

        def are_there() -> bool:
            nonlocal names
            names = names - {json.loads(message.value())["campaign_id"] for message in topic.read()}
            return not names

        try:
            self.wait(are_there, "campaigns that were created")
        finally:
            topic.consumer.close()

    def wait(self, condition: object, what: str) -> None:
        end = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < end, f"waited {PATIENCE} s for {what}"
            time.sleep(0.3)
