"""What was done and what was found, as text and as one page."""

from __future__ import annotations

import statistics
from html import escape
from pathlib import Path

from charts import Frame, Mark, Points
from hooks import MODES
from logs import Logs
from verdict import Verdict


STYLE = (Path(__file__).parent / "report.css").read_text()
GOOD, WRONG = '<b class="good">ok</b>', '<b class="bad">wrong</b>'


class Report:
    def __init__(self, seed: int, minutes: float, rate: int, took: float, used: int, why_not_filled: str | None,
                 verdict: Verdict, logs: Logs) -> None:
        self.seed, self.minutes, self.rate, self.took, self.used = seed, minutes, rate, took, used
        self.why_not_filled, self.verdict, self.logs = why_not_filled, verdict, logs
        self.load, self.deeds, self.samples = verdict.load, verdict.chaos.deeds, verdict.samples

    # MARK: What both say

    def title(self) -> str:
        wrong = sum(len(check.faults) for check in self.verdict.checks)
        return "soak: all is as it has to be" if self.verdict.is_good else f"soak: {wrong} wrong"

    def summary(self) -> list[str]:
        seconds = self.load.seconds_of.values()
        latencies = sorted(milliseconds for second in seconds for milliseconds in second.latencies)
        found = [
            f"SOAK_SEED={self.seed} SOAK_MINUTES={self.minutes:g} SOAK_RATE={self.rate}, {self.took:.0f} s in all",
            f"{self.load.events} events, repeats included, and {self.load.unsure_sent} that were sent once",
            f"{self.used >> 20} MiB were kept in the end",
        ]
        if latencies:
            shown = ", ".join(f"p{part} {latencies[int(len(latencies) * part / 100)]:.1f} ms" for part in (50, 95, 99))
            found.append(f"{len(latencies)} requests answered 2xx: {shown}, the longest {latencies[-1]:.0f} ms")
        if self.samples.lags:
            most = {name: max(lag for _, lag, _ in rows) for name, rows in sorted(self.samples.lags.items())}
            found.append("the most that was behind: " + ", ".join(f"{name} {lag}" for name, lag in most.items()))
        if self.why_not_filled:
            found.append(f"LEFT OUT: a disk that fills {self.why_not_filled}")
        return found

    def done(self) -> list[tuple[str, str, str]]:
        """When, what, and a remark."""
        return [
            ("never" if deed.began is None else f"{deed.began:6.1f} s", str(deed), deed.note) for deed in self.deeds]

    # MARK: As text

    def text(self) -> str:
        lines = [self.title(), *(f"  {line}" for line in self.summary()), "", "what was done"]
        for moment, what, note in self.done():
            lines.append(f"  {moment} {what}" + (f" ({note})" if note else ""))
        lines += ["", "what was found"]
        for check in self.verdict.checks:
            lines.append(f"  {'WRONG' if check.faults else 'ok   '} {check.promise}")
            lines += [f"          {line}" for line in check.told]
            for fault in check.faults:
                first, *more = fault.splitlines()
                lines += [f"        ! {first}", *(f"          {line}" for line in more)]
        lines += ["", "warnings that were said, which is no fault"]
        lines += [f"  {said.count:6} {message}" for message, said in by_count(self.logs)]
        return "\n".join(lines) + "\n"

    # MARK: As a page

    def html(self) -> str:
        frame = Frame(self.took, [
            Mark(deed.began, deed.ended or deed.began, f"kill {deed.whom}" if deed.what == "kill" else deed.what,
                 f"{deed} {deed.note}".strip())
            for deed in self.deeds if deed.began is not None])
        # What is beside the fleet is not across its charts.
        across = Frame(self.took, [mark for mark in frame.marks if mark.kind not in (*MODES, "mend")])
        charts = [
            ("What was done", frame.timeline()),
            ("Throughput", across.chart(self.throughput(), "a second", gap=2)),
            ("How long requests took that were answered 2xx", across.chart(self.latency(), "ms", is_log=True)),
            ("How far handlers were behind", across.chart(self.lag(), "records", gap=15)),
            ("Memory", across.chart(self.sizes("memory"), "MiB")),
            ("Open files", across.chart(self.sizes("files"), "files")),
        ]
        body = "".join(f"<h2>{escape(title)}</h2>{chart}" for title, chart in charts)
        found = "".join(
            f"<li>{WRONG if check.faults else GOOD} {escape(check.promise)}"
            f"<ul>{items(check.faults, 'bad')}{items(check.told)}</ul></li>" for check in self.verdict.checks)
        done = "".join("<tr>" + "".join(f"<td>{escape(text)}" for text in row) for row in self.done())
        said = "".join(f"<tr><td>{said.count}<td>{escape(message)}" for message, said in by_count(self.logs))
        kind = "good" if self.verdict.is_good else "bad"
        return (
            '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
            f"<title>{escape(self.title())}</title><style>{STYLE}</style>"
            f'<h1 class="{kind}">{escape(self.title())}</h1><ul>{items(self.summary())}</ul>{body}'
            f"<h2>What was found</h2><ul>{found}</ul><h2>What was done, and when</h2><table>{done}</table>"
            f"<h2>Warnings that were said</h2><table>{said}</table></html>\n")

    def throughput(self) -> dict[str, Points]:
        last = int(max(self.load.seconds_of, default=0))
        events, again = [], []
        for second in range(last + 1):
            found = self.load.seconds_of.get(second)
            events.append((second, found.events if found else 0))
            statuses = found.statuses.items() if found else ()
            again.append((second, sum(count for status, count in statuses if not status.startswith("2"))))
        return {"events answered 2xx": events, "requests answered otherwise, or not": again}

    def latency(self) -> dict[str, Points]:
        half, most = [], []
        for second, found in sorted(self.load.seconds_of.items()):
            if found.latencies:
                half.append((second, statistics.median(found.latencies)))
                most.append((second, max(found.latencies)))
        return {"median": half, "the longest": most}

    def lag(self) -> dict[str, Points]:
        return {name: [(moment, lag) for moment, lag, _ in rows] for name, rows in sorted(self.samples.lags.items())}

    def sizes(self, what: str) -> dict[str, Points]:
        """By the name of a process: what was started again goes on in its colour. Of a handler's workers the first."""
        found: dict[str, list[tuple[float, float]]] = {}
        for life in sorted(self.samples.lives.values(), key=lambda life: life.times[0]):
            if life.name.endswith(tuple(f"-{number}" for number in range(2, 10))):
                continue
            values = [size / (1 << 20) for size in life.memory] if what == "memory" else life.files
            found.setdefault(life.name, []).extend(zip(life.times, values, strict=True))
        return dict(sorted(found.items()))


def items(texts: list[str], kind: str = "") -> str:
    return "".join(f'<li class="{kind}">{escape(text)}</li>' for text in texts)


def by_count(logs: Logs) -> list:
    return sorted(logs.warnings.items(), key=lambda item: -item[1].count)
