"""`stats`: what both engines say of their containers, read into numbers."""

from __future__ import annotations

import pytest

from duckconf.cli.look.stats import fitted
from duckconf.command import Completed
from duckconf.usage import Usage, ask, between, of_container, read, size

PODMAN = """[{"id": "7f086af62acb", "name": "web", "cpu_time": "1m0.5s", "cpu_percent": "4.34%", "avg_cpu": "4.34%",
 "mem_usage": "36.69MB / 25.28GB", "mem_percent": "0.15%", "net_io": "33.92kB / 0B", "block_io": "-- / --", "pids": "18"}]"""
DOCKER = """{"BlockIO":"0B / 0B","CPUPerc":"12.5%","Container":"a","ID":"aaaa","MemPerc":"1%","MemUsage":"35MiB / 1.5GiB",
"Name":"web","NetIO":"1.2kB / 3MB","PIDs":"4"}\n"""


def test_both_engines_are_read() -> None:
    assert read(Completed(0, PODMAN, "")) == {
        "7f086af62acb": Usage("7f086af62acb", None, 60.5, 36_690_000, 25_280_000_000, 33_920, 0, 18)
    }
    assert read(Completed(0, DOCKER.replace("\n", ""), "")) == {
        "aaaa": Usage("aaaa", 12.5, None, 35 << 20, round(1.5 * (1 << 30)), 1200, 3_000_000, 4)
    }
    assert read(Completed(0, "", "")) == {}


def test_what_an_engine_does_not_know_is_unknown_and_not_nothing() -> None:
    told = DOCKER.replace("12.5%", "--").replace("35MiB / 1.5GiB", "-- / --").replace('"4"', '"--"').replace("\n", "")
    assert read(Completed(0, told, ""))["aaaa"] == Usage("aaaa")


def test_the_zeros_of_what_was_not_measured_yet_are_unknown() -> None:
    told = (
        DOCKER.replace("12.5%", "0.00%").replace("35MiB / 1.5GiB", "0B / 0B").replace("1.2kB / 3MB", "0B / 0B").replace("\n", "")
    )
    assert read(Completed(0, told, ""))["aaaa"] == Usage("aaaa", processes=4)
    fresh = PODMAN.replace("1m0.5s", "0s").replace("36.69MB / 25.28GB", "0B / 0B")
    assert read(Completed(0, fresh, ""))["7f086af62acb"] == Usage("7f086af62acb", processes=18)


@pytest.mark.parametrize("said", ["Error: no", '[{"cpu_percent": "1%"}]', '[{"ID": 5}]', "[1]"])
def test_an_answer_that_cannot_be_read_is_no_answer(said: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        read(Completed(0, said, ""))


def test_two_looks_say_what_the_processor_does_now() -> None:
    now = Usage("a", cpu_seconds=11.0)
    assert between(Usage("a", cpu_seconds=10.0), now, 2.0).cpu == 50.0
    assert between(None, now, 2.0).cpu is None
    assert between(Usage("a", cpu_seconds=12.0), now, 2.0).cpu is None
    assert between(Usage("a"), Usage("a", cpu=7.0), 2.0).cpu == 7.0


def test_a_container_is_found_by_its_short_id() -> None:
    usages = {"7f08": Usage("7f08")}
    assert of_container(usages, "7f086af62acb") == Usage("7f08")
    assert of_container(usages, "8f086af62acb") is None


@pytest.mark.parametrize(
    ("count", "text"), [(None, "-"), (0, "0B"), (999, "999B"), (36_690_000, "35MiB"), (1 << 30, "1GiB"), (1_100_000, "1.05MiB")]
)
def test_sizes_are_short(count: int | None, text: str) -> None:
    assert size(count) == text


def test_only_the_containers_that_are_named_are_asked_for() -> None:
    assert ask(["a", "b"]).argv[-2:] == ("a", "b")


def test_a_small_screen_says_how_much_it_does_not_show() -> None:
    lines = [f"line {number}" for number in range(10)]
    assert fitted(lines, 6, 24) == [f"line {number}" for number in range(10)]
    assert fitted(lines, 80, 5) == ["line 0", "line 1", "line 2", "… and 7 more lines: a larger terminal, or --once"]
