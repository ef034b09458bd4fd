"""What is wrong with a host, read from what one command on it printed. Pure; `cli/fleet/doctor_host.py` asks.

A finding is ok, wrong with what to do, or unknown with the check that it waits for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from duckconf.command import Command
from duckconf.facts import Facts, size

OK = "ok"
WRONG = "wrong"
UNKNOWN = "unknown"
OLDEST_PYTHON = (3, 9)
# Seconds. Logs and certificates of hosts whose clocks differ by more are hard to read side by side.
MOST_SKEW = 2.0
LEAST_DISK = 1024**3
LEAST_DISK_PART = 10
WRAPPER = "/usr/local/bin/docker"
SECONDS = 5.0
# One word first on each line says what the line is.
ASK = """\
printf 'clock %s\\n' "$(date +%s.%N)"
printf 'python %s\\n' "$(python3 -c 'import platform; print(platform.python_version())' 2>/dev/null)"
printf 'wrapper %s\\n' "$(sha256sum /usr/local/bin/docker 2>/dev/null)"
printf 'node %s\\n' "$(cat /etc/duckconf/node 2>/dev/null)"
printf 'agent %s\\n' "$(systemctl is-active duckconf-agent 2>/dev/null)\""""


class Finding(NamedTuple):
    """`result` is ok, wrong or unknown; `detail` says what was seen and, when wrong, what to do."""

    check: str
    result: str
    detail: str


@dataclass(frozen=True)
class Expected:
    """What should be found: the wrapper's digest, and whether an agent runs there. `now` is our clock when asked."""

    name: str
    wrapper: str
    agent: bool
    now: float


def ask() -> Command:
    """A constant script, for any login."""
    return Command(("sh", "-c", ASK), deadline=SECONDS)


def answers(output: str) -> bool:
    """Whether it was our script that answered."""
    return any(line.startswith("clock ") for line in output.splitlines())


def read(output: str, facts: Facts, expected: Expected) -> list[Finding]:
    """The findings from the python on, from what `ask` printed, whatever that is."""
    said: dict[str, str] = {}
    for line in output.splitlines():
        word, _, rest = line.partition(" ")
        said.setdefault(word, rest.strip())
    findings = [_python(said.get("python", "")), _engine(facts, expected.name), *_wrapper(said, expected)]
    findings += [_clock(said.get("clock", ""), expected.now), _disk(facts)]
    if expected.agent:
        findings.append(_agent(said.get("agent", ""), expected.name))
    return findings


def _python(version: str) -> Finding:
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    oldest = ".".join(map(str, OLDEST_PYTHON))
    if len(numbers) < 2:
        return Finding("python", WRONG, "there is no python3: install it there, such as with apt-get install python3")
    if numbers < OLDEST_PYTHON:
        return Finding("python", WRONG, f"python3 is {version}, older than {oldest}: install a newer one")
    return Finding("python", OK, version)


def _engine(facts: Facts, name: str) -> Finding:
    if facts.engine is None:
        return Finding("engine", WRONG, f"does not answer or is not installed: ./inv provision --limit {name}")
    return Finding("engine", OK, f"{facts.engine} {facts.engine_version}")


def _wrapper(said: Mapping[str, str], expected: Expected) -> list[Finding]:
    mend = f"./inv provision --limit {expected.name}"
    digest, node = said.get("wrapper", "").partition(" ")[0], said.get("node", "")
    if not digest:
        return [
            Finding("wrapper", WRONG, f"{WRAPPER} is not there: {mend}"),
            Finding("node name", UNKNOWN, "not checked: wrapper"),
        ]
    same = digest == expected.wrapper
    wrapper = (
        Finding("wrapper", OK, WRAPPER)
        if same
        else Finding("wrapper", WRONG, f"{WRAPPER} is not Duckconf's, or of another version: {mend}")
    )
    if node == expected.name:
        return [wrapper, Finding("node name", OK, node)]
    found = f"is {node!r}" if node else "is not there"
    return [wrapper, Finding("node name", WRONG, f"/etc/duckconf/node {found}: {mend}")]


def _clock(told: str, now: float) -> Finding:
    try:
        offset = float(told) - now
    except ValueError:
        return Finding("clock", UNKNOWN, "the time of the host cannot be read")
    seen = f"{offset:+.1f} s from this machine"
    if abs(offset) > MOST_SKEW:
        return Finding("clock", WRONG, f"{seen}: synchronise both with a time server, such as with systemd-timesyncd")
    return Finding("clock", OK, seen)


def _disk(facts: Facts) -> Finding:
    if facts.disk_free is None or not facts.disk_total:
        return Finding("disk", UNKNOWN, "the free space cannot be read")
    percent = 100 * facts.disk_free // facts.disk_total
    seen = f"{size(facts.disk_free)} free ({percent}%) where images and containers lie"
    if facts.disk_free < LEAST_DISK or percent < LEAST_DISK_PART:
        return Finding("disk", WRONG, f"{seen}: free some space, such as with `docker system prune` there")
    return Finding("disk", OK, seen)


def _agent(state: str, name: str) -> Finding:
    if state == "active":
        return Finding("agent", OK, "duckconf-agent runs")
    what = f"duckconf-agent is {state}" if state else "there is no duckconf-agent"
    return Finding("agent", WRONG, f"{what}: ./inv provision --limit {name}, or see ./inv logs agent@{name}")
