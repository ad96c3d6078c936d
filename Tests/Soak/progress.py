"""How far it is: a line that changes, on a terminal; else one for each thing that is done."""

from __future__ import annotations

import shutil
import sys
import threading

from load import Load
from samples import Samples


class Progress:
    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.is_terminal = sys.stdout.isatty()
        self.lock = threading.Lock()

    def tell(self, text: str) -> None:
        with self.lock:
            self.clear()
            print(text, flush=True)

    def show(self, now: float, load: Load, samples: Samples) -> None:
        if not self.is_terminal:
            return
        part = min(1.0, now / self.seconds)
        bar = "#" * int(part * 24)
        with load.lock:
            sent = sum(second.events for second in load.seconds_of.values())
        lag = samples.lag()
        text = f"[{bar:<24}] {now:4.0f} of {self.seconds:.0f} s, {sent} events, {'?' if lag is None else lag} behind"
        with self.lock:
            self.clear()
            print(text[:shutil.get_terminal_size().columns - 1], end="", flush=True)

    def clear(self) -> None:
        if self.is_terminal:
            print("\r\x1b[K", end="")

    def end(self) -> None:
        with self.lock:
            self.clear()
