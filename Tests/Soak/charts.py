"""Charts as SVG, all over the same time, with what was done to the fleet as lines and bands across them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT, LEFT, RIGHT = 1080, 190, 96, 12
COLOURS = 12

# A point of a series: seconds since the beginning, and a value.
Points = Sequence[tuple[float, float]]


@dataclass
class Mark:
    """Something that was done: where it stands, for how long, and what it is called."""

    began: float
    ended: float
    kind: str
    text: str


class Frame:
    """What all charts have in common."""

    def __init__(self, seconds: float, marks: list[Mark]) -> None:
        self.seconds = max(1.0, seconds)
        self.marks = marks

    def x(self, second: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * second / self.seconds

    def timeline(self) -> str:
        """What was done, each kind in a row."""
        kinds = sorted({mark.kind for mark in self.marks}, key=lambda kind: (not kind.startswith("kill"), kind))
        height = 16 * len(kinds) + 24
        parts = [self.times(height)]
        for row, kind in enumerate(kinds):
            y = 16 * row + 4
            parts.append(f'<text class="label end" x="{LEFT - 6}" y="{y + 10}">{escape(kind)}</text>')
            for mark in self.marks:
                if mark.kind == kind:
                    left = self.x(mark.began)
                    width = max(3.0, self.x(mark.ended) - left)
                    title = f"{mark.text}, {mark.began:.0f} to {mark.ended:.0f} s"
                    parts.append(f'<rect class="deed" x="{left:.1f}" y="{y}" width="{width:.1f}" height="11" rx="2">'
                                 f"<title>{escape(title)}</title></rect>")
        return self.svg(height, parts)

    def chart(self, series: dict[str, Points], unit: str, *, is_log: bool = False, gap: float = 6) -> str:
        """Lines, broken where nobody knew for longer than `gap` seconds."""
        values = [value for points in series.values() for _, value in points]
        least, most = min(values, default=1), max(values, default=1)
        ticks = logarithmic(least, most) if is_log else linear(most)
        top, bottom = 10, HEIGHT - 20
        low, most = ticks[0], ticks[-1]

        def y(value: float) -> float:
            if is_log:
                part = math.log10(max(value, low) / low) / math.log10(most / low)
            else:
                part = value / most
            return bottom - (bottom - top) * min(1.0, part)

        parts = [self.times(HEIGHT), self.bands(top, bottom)]
        for tick in ticks:
            place = f"{y(tick):.1f}"
            parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{place}" y2="{place}"/>')
            parts.append(f'<text class="label end" x="{LEFT - 6}" y="{y(tick) + 4:.1f}">{number(tick)}</text>')
        names = []
        for index, (name, points) in enumerate(series.items()):
            colour = f'style="--own: var(--c{index % COLOURS})"'
            for piece in pieces(points, gap):
                path = " ".join(f"{self.x(second):.1f},{y(value):.1f}" for second, value in piece)
                title = f"<title>{escape(name)}</title>"
                parts.append(f'<polyline class="series" {colour} points="{path}">{title}</polyline>')
            names.append(f'<span><i {colour}></i>{escape(name)}</span>')
        parts.append(f'<text class="label" x="{LEFT + 4}" y="{top + 10}">{escape(unit)}</text>')
        return self.svg(HEIGHT, parts) + f'<p class="names">{"".join(names)}</p>'

    def bands(self, top: float, bottom: float) -> str:
        found = []
        for mark in self.marks:
            kind = "band" if mark.ended - mark.began > 2 else "moment"
            left, right = self.x(mark.began), self.x(mark.ended)
            place = f'x="{left:.1f}" y="{top}" width="{max(1.0, right - left):.1f}" height="{bottom - top}"'
            found.append(f'<rect class="{kind}" {place}><title>{escape(mark.text)}</title></rect>')
        return "".join(found)

    def times(self, height: int) -> str:
        steps = [10, 20, 30, 60, 120, 300, 600, 1800, 3600]
        step = next((step for step in steps if self.seconds / step <= 14), 7200)
        found = []
        for second in range(0, int(self.seconds) + 1, step):
            x = self.x(second)
            text = f"{second // 60}:{second % 60:02}"
            found.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="4" y2="{height - 18}"/>')
            found.append(f'<text class="label middle" x="{x:.1f}" y="{height - 5}">{text}</text>')
        return "".join(found)

    @staticmethod
    def svg(height: int, parts: list[str]) -> str:
        return f'<svg viewBox="0 0 {WIDTH} {height}" role="img">{"".join(parts)}</svg>'


def pieces(points: Points, gap: float) -> list[list[tuple[float, float]]]:
    found: list[list[tuple[float, float]]] = []
    for point in points:
        if not found or point[0] - found[-1][-1][0] > gap:
            found.append([])
        found[-1].append(point)
    return found


def linear(high: float) -> list[float]:
    """Round numbers from 0 to at least `high`."""
    if high <= 0:
        return [0, 1]
    rough = high / 4
    size = 10 ** math.floor(math.log10(rough))
    step = next(step * size for step in (1, 2, 2.5, 5, 10) if step * size >= rough)
    return [step * place for place in range(math.ceil(high / step) + 1)]


def logarithmic(least: float, most: float) -> list[float]:
    """Powers of ten around what there is."""
    found = [10.0 ** math.floor(math.log10(max(least, 0.1)))]
    while found[-1] < most or len(found) < 2:
        found.append(found[-1] * 10)
    return found


def number(value: float) -> str:
    return f"{value / 1000:g}k" if value >= 10_000 else f"{value:g}"
