"""Whether all came out as it had to: each check has what it found to be told, and what is wrong."""

from __future__ import annotations

import contextlib
import io
import json
import re
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from chaos import Chaos
from checks import PATIENCE, Topic, check_answers, check_campaigns, check_dead_letters, check_notifications, check_told
from hooks import CHANNELS, Receivers
from load import LATER, UNSURE, Load
from logs import Logs
from samples import RULE, Samples
from site_of_soak import SERVERS, Site, until

# Whose last deed is later than this was long enough for some processes to be judged.
WHOLE = 120


@dataclass
class Check:
    """A promise, what was seen of it, and what speaks against it."""

    promise: str
    told: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


class Verdict:
    def __init__(self, site: Site, load: Load, chaos: Chaos, receivers: Receivers, samples: Samples) -> None:
        self.site, self.load, self.chaos, self.receivers, self.samples = site, load, chaos, receivers, samples
        self.checks: list[Check] = []

    @property
    def is_good(self) -> bool:
        return not any(check.faults for check in self.checks)

    def run(self, promise: str, look: Callable[[Check], None]) -> None:
        """What a check prints is told; what it raises is a fault."""
        check = Check(promise)
        self.checks.append(check)
        said = io.StringIO()
        try:
            with contextlib.redirect_stdout(said):
                look(check)
        except AssertionError as fault:
            place = traceback.extract_tb(fault.__traceback__)[-1]
            check.faults.append(str(fault) or f"{place.line} ({place.filename}:{place.lineno})")
        except Exception:
            check.faults.append(traceback.format_exc(limit=-4))
        check.told = said.getvalue().splitlines() + check.told

    # MARK: While the fleet runs

    def of_the_fleet(self) -> None:
        """What the running fleet has to say, once all is worked off."""
        expected = self.load.expected
        until_time = int(time.time() * 1000)
        answers: dict = {}

        def counted(check: Check) -> None:
            answers.update(check_answers(self.site, expected))

        self.run("every event is counted exactly once, and nothing else is", counted)
        self.run("what a client did not send again is counted once or not at all", self.unsure)
        def told(_: Check) -> None:
            assert answers, "there is nothing that it could be held against"
            check_told(self.site, answers, until_time, UNSURE)

        self.run("each window that ended was told, in all its revisions", told)
        self.run("each change of a campaign was told", lambda _: check_campaigns(self.site, expected))
        self.run("what is no event is a dead letter with its reason, and nothing else is",
                 lambda _: check_dead_letters(self.site, expected))
        self.run("every replay is resolved, and the index has each dead letter once", self.replays)
        self.run("each notification was sent, and no other", lambda _: check_notifications(self.site, expected))
        self.run("each webhook came, with its signature, and none that was not demanded", self.webhooks)
        self.run("the edge's answers", self.answers)
        self.run("all runs and is ready, without a hand", self.ready)
        self.run("all that is counted still is, when handlers have nothing left to read", self.stays)

    def unsure(self, check: Check) -> None:
        rows = self.site.answer("query", "--metric", UNSURE, "--step", "1d", "--since", "3d") or []
        count = sum(row["count"] for row in rows)
        load = self.load
        told = f"{load.unsure_sent} events were sent once, {load.unsure_taken} answered 2xx, {count} counted"
        check.told.append(told)
        assert load.unsure_taken <= count <= load.unsure_sent, told

    def replays(self, check: Check) -> None:
        wanted = len(self.load.expected.refused) + len(self.load.expected.refused_by_process)
        mended = LATER * len(self.load.sets)
        states = {"resolved": mended, "open": wanted - mended}
        found: Counter[str] = Counter()

        def are_there() -> bool:
            found.clear()
            for group in self.site.answer("dlq", "groups") or []:
                found.update({state: count for state, count in group["states"].items() if count})
            return found == states

        with contextlib.suppress(AssertionError):
            until(are_there, "the index", PATIENCE)
        jobs = self.site.answer("dlq", "jobs") or []
        ends = Counter(job["state"] for job in jobs)
        check.told.append(f"{dict(found)} in the index, {len(jobs)} replays: {dict(ends)}")
        if found != states:
            check.faults.append(f"the index has {dict(found)}, which has to be {states}")
        check.faults += [f"a replay is {job['state']}: {json.dumps(job)}" for job in jobs if job["state"] != "done"]

    def webhooks(self, check: Check) -> None:
        topic = Topic(self.site, "notifications.sent")
        ends: dict[str, dict] = {}
        while messages := topic.read():
            for message in messages:
                end = json.loads(message.value())
                ends[end["delivery_id"]] = end
        hooks = self.receivers.hooks
        check.faults += hooks.faults[:10]
        for channel in CHANNELS:
            came = hooks.ids(channel)
            sent = {identity for identity, end in ends.items() if end["channel"] == channel}
            bodies = hooks.bodies(channel)
            check.told.append(f"{channel}: {len(set(came))} webhooks in {len(came)} requests")
            taken = hooks.accepted.get(f"/{channel}", set())
            if taken != sent or set(came) != sent:
                check.faults.append(
                    f"{channel}: {len(sent - taken)} were told as sent and never answered 2xx, "
                    f"{len(set(came) - sent)} came and were not told")
            odd = [identity for identity, found in bodies.items() if len(found) > 1]
            if odd:
                check.faults.append(f"{channel}: {len(odd)} came with more than one body, as {odd[0]}")

    def answers(self, check: Check) -> None:
        load = self.load
        statuses: Counter[str] = Counter()
        for second in load.seconds_of.values():
            statuses.update(second.statuses)
        check.told.append(
            f"{sum(statuses.values())} requests: {dict(sorted(statuses.items()))}; {load.again} were sent again, "
            f"{load.refused} had to be refused and were")
        check.faults += load.faults[:10]
        wrong = sum(request.is_wrong for request in load.others)
        if load.refused != wrong:
            check.faults.append(f"{load.refused} of {wrong} that are no CloudEvents were refused")

    def ready(self, check: Check) -> None:
        look = self.site.look()
        until(lambda: self.site.run("healthcheck", look["admin"]).returncode == 0, "all to be ready", PATIENCE)
        told = self.site.run("doctor")
        check.told.append(f"{len(self.site.pids())} processes; {told.stdout.strip().splitlines()[-1]}")
        if told.returncode != 0:
            check.faults.append(f"flotilla doctor: {told.stdout}{told.stderr}")

    def stays(self, check: Check) -> None:
        """What was doubled late, by a record that was read again or by a replay, would be seen only now."""
        def are_done() -> bool:
            told = self.site.answer("status")
            return bool(told) and all(handler.get("lag") == 0 for handler in told[0]["handlers"])

        until(are_done, "the end of all lag", PATIENCE)
        check_answers(self.site, self.load.expected)

    # MARK: Afterwards

    def of_what_was_seen(self, logs: Logs) -> None:
        self.run("all that was to be done could be done", lambda check: check.faults.extend(self.chaos.faults))
        self.run("memory and open files are flat", self.flat)
        self.run("each line of level error is explained in docs/", lambda check: self.errors(check, logs))
        self.run("no process ended that nobody had ended", lambda check: self.ends(check, logs))

    def flat(self, check: Check) -> None:
        for deed in self.chaos.deeds:
            if deed.what == "mend" and deed.ended is not None:
                self.samples.note_replay(deed.ended)
        judged = self.samples.judged
        check.told.append(RULE if judged else "LEFT OUT: no process lived long enough to be judged")
        check.faults += self.samples.faults[:5]
        if not judged and self.chaos.deeds[-1].at > WHOLE:
            check.faults.append("no process could be judged")
        check.told += [life.told() for life in sorted(judged, key=lambda life: (life.name, life.times[0]))]
        check.faults += [fault for life in judged for fault in life.faults()]

    def errors(self, check: Check, logs: Logs) -> None:
        for message, said in sorted(logs.errors.items()):
            check.told.append(f"{message}: {said.count} by {', '.join(sorted(said.names))}")
        for message, said in logs.unexplained().items():
            names = ", ".join(sorted(said.names))
            check.faults.append(f"`{message}` stands nowhere in docs/: {said.count} by {names}: {said.sample}")
        check.faults += [f"{line.name}: {line.text}" for line in logs.strange[:10]]

    def ends(self, check: Check, logs: Logs) -> None:
        """Redis and Postgres end by themselves when their disk is full, as they should, and Postgres when it is started while
        children of the one that was killed still live."""
        wanted = Counter(name for deed in self.chaos.deeds for name in deed.killed)
        found: Counter[str] = Counter()
        for line in logs.ends:
            name = line.text.split(" ", 1)[0]
            if re.search(r"was ended by signal 9\b", line.text):
                found[name] += 1
            elif name not in SERVERS or not self.chaos.explains(name, line.moment):
                check.faults.append(f"{line.time} {line.text}")
        check.told.append(f"{sum(found.values())} were killed, {sum(wanted.values())} of them by the schedule")
        servers = Counter(line.text.split(":")[0] for line in logs.ends if line.text.split(" ")[0] in SERVERS)
        check.told += [f"{text}, {count} times" for text, count in servers.items()]
        for name in found - wanted:
            check.faults.append(f"{name} was killed {found[name]} times, {wanted[name]} of them by the schedule")
        check.faults += [f"{line.name}: {line.text}" for line in logs.crashes[:10]]
