"""What `doctor NODE` makes of a host's answers."""

from __future__ import annotations

import subprocess
from dataclasses import replace

import pytest

from duckconf import checkup
from duckconf.checkup import Expected, Finding, read
from duckconf.cli.fleet.doctor_host import detail
from duckconf.errors import NodeFailure
from duckconf.facts import Facts

GIB = 1024**3
NOW = 1_800_000_000.0
WELL = {"clock": f"{NOW}", "python": "3.11.2", "wrapper": "abc  /usr/local/bin/docker", "node": "n1", "agent": "active"}
FACTS = Facts("podman", "4.3.1", 50 * GIB, 100 * GIB)
EXPECTED = Expected("n1", "abc", agent=True, now=NOW)


def findings(facts: Facts = FACTS, expected: Expected = EXPECTED, **said: str) -> dict[str, Finding]:
    output = "".join(f"{word} {rest}\n" for word, rest in {**WELL, **said}.items())
    return {finding.check: finding for finding in read(output, facts, expected)}


def test_a_host_that_is_well_is_ok_in_every_line() -> None:
    assert {finding.result for finding in findings().values()} == {"ok"}
    assert list(findings()) == ["python", "engine", "wrapper", "node name", "clock", "disk", "agent"]


@pytest.mark.parametrize(
    ("check", "said", "words"),
    [
        ("python", {"python": ""}, "there is no python3: install it"),
        ("python", {"python": "3.8.10"}, "older than 3.9"),
        (
            "wrapper",
            {"wrapper": "def  /usr/local/bin/docker"},
            "not Duckconf's, or of another version: ./inv provision --limit n1",
        ),
        ("wrapper", {"wrapper": ""}, "is not there"),
        ("node name", {"node": "n2"}, "is 'n2'"),
        ("node name", {"node": ""}, "is not there"),
        ("clock", {"clock": f"{NOW - 2.5}"}, "-2.5 s from this machine: synchronise both with a time server"),
        ("agent", {"agent": "failed"}, "duckconf-agent is failed"),
        ("agent", {"agent": ""}, "there is no duckconf-agent"),
    ],
)
def test_what_is_wrong_comes_with_what_to_do(check: str, said: dict[str, str], words: str) -> None:
    found = findings(FACTS, EXPECTED, **said)
    assert found[check].result == "wrong"
    assert words in found[check].detail
    assert {name for name, finding in found.items() if finding.result == "wrong"} == {check}


@pytest.mark.parametrize(("free", "total"), [(9 * GIB, 100 * GIB), (GIB // 2, 2 * GIB)])
def test_a_disk_that_fills_up_is_wrong(free: int, total: int) -> None:
    found = findings(replace(FACTS, disk_free=free, disk_total=total))["disk"]
    assert (found.result, "free some space" in found.detail) == ("wrong", True)


def test_what_the_host_does_not_tell_is_unknown() -> None:
    found = findings(Facts(), clock="", wrapper="")
    assert (found["clock"].result, found["disk"].result, found["engine"].result) == ("unknown", "unknown", "wrong")
    assert found["node name"] == Finding("node name", "unknown", "not checked: wrapper")


def test_where_no_agent_should_run_none_is_missed() -> None:
    assert "agent" not in findings(expected=replace(EXPECTED, agent=False), agent="")


@pytest.mark.parametrize("output", ["", "\n \nclock\npython x.y\n", "clock 1e999\n"])
def test_whatever_the_host_says_is_read(output: str) -> None:
    assert len(read(output, Facts(), EXPECTED)) == 7


def test_the_script_tells_all_that_is_read_from_it() -> None:
    done = subprocess.run(checkup.ask().argv, capture_output=True, text=True, check=False, timeout=10)
    assert [line.split(" ")[0] for line in done.stdout.splitlines()] == ["clock", "python", "wrapper", "node", "agent"]


@pytest.mark.parametrize(
    ("remedy", "shown"),
    [
        ("see ./inv doctor n1", "it fails"),
        ("AllowUsers in its sshd_config, where `./inv doctor n1` looks", "it fails: AllowUsers in its sshd_config"),
        ("change that there, then: ./inv doctor n1", "it fails: change that there, then: ./inv doctor n1"),
        ("", "it fails"),
    ],
)
def test_no_line_sends_its_reader_where_he_is(remedy: str, shown: str) -> None:
    assert detail(NodeFailure("n1", "it fails", remedy)) == shown
