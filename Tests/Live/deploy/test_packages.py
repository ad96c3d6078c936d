"""deploy/install-packages.sh: no service that a package brings is started, and what it takes for that does not stay."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from outside import ROOT

# Debian as it asks: the services of packages while they are installed, and others.
APT = """#!/bin/sh
[ "$1" = update ] && exit 0
for question in "redis-server start" "--quiet postgresql start 15" "postgresql@15-main.service restart" "nginx.service start" \
    "redis-server stop" "cron restart"; do
    $POLICY $question
    echo "$question: $?"
done > "$ANSWERS.part"
mv "$ANSWERS.part" "$ANSWERS"
while [ -e "$HOLD" ]; do sleep 0.05; done
"""
# Where there is nothing yet, as far as the script can see.
FRESH = """
set -e
for folder in /usr/sbin /etc/init.d /usr/lib/systemd/system; do mount -t tmpfs none $folder; done
set +e
install() { "$SCRIPT" flotilla-no-such-package; }
held() { touch "$HOLD"; "$SCRIPT" flotilla-no-such-package > /dev/null & script=$!; until [ -e "$ANSWERS" ]; do sleep 0.05; done; }
"""


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    if subprocess.run(["unshare", "-m", "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True).returncode != 0:
        pytest.skip("may not mount here")
    apt = tmp_path / "bin" / "apt-get"
    apt.parent.mkdir()
    apt.write_text(APT)
    apt.chmod(0o755)
    return {
        "PATH": f"{apt.parent}:{os.environ['PATH']}", "POLICY": "/usr/sbin/policy-rc.d", "HOLD": str(tmp_path / "hold"),
        "ANSWERS": str(tmp_path / "answers"), "SCRIPT": str(ROOT / "deploy" / "install-packages.sh"),
    }


def fresh(environment: dict[str, str], script: str) -> str:
    done = subprocess.run(
        ["unshare", "-m", "bash", "-c", FRESH + script], env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def answers(environment: dict[str, str]) -> list[int]:
    return [int(line.rsplit(": ", 1)[1]) for line in Path(environment["ANSWERS"]).read_text().splitlines()]


def test_services_of_packages_are_not_started(environment: dict[str, str]) -> None:
    said = fresh(environment, "install && [ ! -e $POLICY ]")
    assert said == "setup: installing flotilla-no-such-package\n"
    assert answers(environment) == [101, 101, 101, 101, 0, 0]


def test_services_that_are_here_stay_as_they_are(environment: dict[str, str]) -> None:
    fresh(environment, "touch /etc/init.d/redis-server; install && [ ! -e $POLICY ]")
    assert answers(environment) == [0, 101, 101, 101, 0, 0]


def test_a_policy_of_somebody_else_holds(environment: dict[str, str]) -> None:
    fresh(environment, "printf '#!/bin/sh\\nexit 7\\n' > $POLICY; chmod 755 $POLICY; install && grep -q 'exit 7' $POLICY")
    assert answers(environment) == [7] * 6


def test_nothing_stays_when_it_is_told_to_end(environment: dict[str, str]) -> None:
    fresh(environment, "held; kill -TERM $script; rm $HOLD; wait $script; [ $? = 143 ] && [ ! -e $POLICY ]")


def test_one_that_was_killed_refuses_nothing(environment: dict[str, str]) -> None:
    """Its policy is there until somebody asks, or the script runs again."""
    fresh(environment, "held; kill -KILL $script; wait $script; $POLICY redis-server start && [ ! -e $POLICY ]; s=$?; rm $HOLD; exit $s")
    fresh(environment, "rm -f $ANSWERS; held; kill -KILL $script; wait $script; rm $HOLD; install && [ ! -e $POLICY ]")
    assert answers(environment)[:4] == [101] * 4
