"""Charts as SVG, all over the same time, with what was done to the fleet as lines and bands across them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, LEFT, RIGHT = 1080, 96, 12
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
            parts.append(f'<text class="label" x="{LEFT - 6}" y="{y + 10}" text-anchor="end">{escape(kind)}</text>')
            for mark in self.marks:
                if mark.kind == kind:
                    left = self.x(mark.began)
                    width = max(3.0, self.x(mark.ended) - left)
                    title = f"{mark.text}, {mark.began:.0f} to {mark.ended:.0f} s"
                    parts.append(f'<rect class="deed" x="{left:.1f}" y="{y}" width="{width:.1f}" height="11" rx="2">'
                                 f"<title>{escape(title)}</title></rect>")
        return self.svg(height, parts)

    def chart(self, series: dict[str, Points], unit: str, *, is_log: bool = False, gap: float = 6, height: int = 190) -> str:
        """Lines, broken where nobody knew for longer than `gap` seconds."""
        values = [value for points in series.values() for _, value in points]
        low, high = (10 ** math.floor(math.log10(max(min(values, default=1), 0.1))) if is_log else 0.0), max(values, default=1)
        ticks = logarithmic(low, high) if is_log else linear(high)
        top, bottom = 10, height - 20
        most = ticks[-1]

        def y(value: float) -> float:
            if is_log:
                part = math.log10(max(value, low) / low) / math.log10(most / low)
            else:
                part = value / most
            return bottom - (bottom - top) * min(1.0, part)

        parts = [self.times(height), self.bands(top, bottom)]
        for tick in ticks:
            parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(tick):.1f}" y2="{y(tick):.1f}"/>'
                         f'<text class="label" x="{LEFT - 6}" y="{y(tick) + 4:.1f}" text-anchor="end">{number(tick)}</text>')
        for place, (name, points) in enumerate(series.items()):
            for piece in pieces(points, gap):
                path = " ".join(f"{self.x(second):.1f},{y(value):.1f}" for second, value in piece)
                parts.append(f'<polyline class="series c{place % COLOURS}" points="{path}"><title>{escape(name)}</title></polyline>')
        parts.append(f'<text class="label" x="{LEFT + 4}" y="{top + 10}">{escape(unit)}</text>')
        names = "".join(f'<span><i class="c{place % COLOURS}"></i>{escape(name)}</span>' for place, name in enumerate(series))
        return self.svg(height, parts) + f'<p class="names">{names}</p>'

    def bands(self, top: float, bottom: float) -> str:
        return "".join(
            f'<rect class="{"band" if mark.ended - mark.began > 2 else "moment"}" x="{self.x(mark.began):.1f}" y="{top}" height="{bottom - top}" '
            f'width="{max(1.0, self.x(mark.ended) - self.x(mark.began)):.1f}"><title>{escape(mark.text)}</title></rect>'
            for mark in self.marks)

    def times(self, height: int) -> str:
        step = next(step for step in (10, 20, 30, 60, 120, 300, 600, 1800, 3600, 7200) if self.seconds / step <= 14 or step == 7200)
        found = []
        for second in range(0, int(self.seconds) + 1, step):
            x = self.x(second)
            text = f"{second // 60}:{second % 60:02}"
            found.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="4" y2="{height - 18}"/>'
                         f'<text class="label" x="{x:.1f}" y="{height - 5}" text-anchor="middle">{text}</text>')
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


def logarithmic(low: float, high: float) -> list[float]:
    found = [low]
    while found[-1] < high:
        found.append(found[-1] * 10)
    return found if len(found) > 1 else [low, low * 10]


def number(value: float) -> str:
    return f"{value / 1000:g}k" if value >= 10_000 else f"{value:g}"


STYLE = """
:root { color-scheme: light dark; --ink: #1c2024; --quiet: #60646c; --paper: #ffffff; --grid: #e2e4e8; --band: #d6336c22;
  --deed: #c2255c; --good: #2b8a3e; --bad: #c92a2a;
  --c0: #1971c2; --c1: #e8590c; --c2: #2f9e44; --c3: #9c36b5; --c4: #c99700; --c5: #0c8599; --c6: #d6336c; --c7: #868e96;
  --c8: #5f3dc4; --c9: #846358; --c10: #66a80f; --c11: #0b3d91; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e8eb; --quiet: #9ba1a6; --paper: #151718; --grid: #2b2f31;
  --band: #f0659533; --deed: #f06595; --good: #69db7c; --bad: #ff8787;
  --c0: #74c0fc; --c1: #ffa94d; --c2: #8ce99a; --c3: #da77f2; --c4: #ffe066; --c5: #66d9e8; --c6: #faa2c1; --c7: #adb5bd;
  --c8: #b197fc; --c9: #d2bab0; --c10: #c0eb75; --c11: #91a7ff; } }
body { background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 68rem;
  padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.05rem; margin: 1.6rem 0 .3rem; }
svg { display: block; width: 100%; height: auto; } .label { fill: var(--quiet); font: 11px system-ui, sans-serif; }
.grid { stroke: var(--grid); } .band { fill: var(--band); } .moment { fill: var(--deed); opacity: .5; } .deed { fill: var(--deed); }
.series { fill: none; stroke-width: 1.6; stroke-linejoin: round; } .names { color: var(--quiet); font-size: .85rem; margin: .1rem 0 0; }
.names span { margin-right: 1.1rem; white-space: nowrap; } .names i { display: inline-block; width: .9em; height: .2em;
  margin-right: .35em; vertical-align: middle; }
.good { color: var(--good); } .bad { color: var(--bad); } ul { margin: .2rem 0 .8rem; padding-left: 1.2rem; }
li { overflow-wrap: anywhere; } li li, td, th { font-size: .88rem; color: var(--quiet); } table { border-collapse: collapse; }
td, th { text-align: left; padding: .15rem 1.2rem .15rem 0; vertical-align: top; }
""" + "".join(f".series.c{n} {{ stroke: var(--c{n}); }} i.c{n} {{ background: var(--c{n}); }}\n" for n in range(COLOURS))
