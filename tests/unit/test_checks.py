"""What `./inv test` prepares, by what it is asked to run, and which tests one worker gets."""

from __future__ import annotations

import tomllib

import pytest

from duckconf.cli.machine.checks import needs_hosts
from duckconf.cli.terminal.edge import ROOT
from tests.together import LONGEST, place, together

EFFECTS = {"duckconf.cli", "duckconf.reach"}


@pytest.mark.parametrize(
    ("arguments", "needed"),
    [
        (["-n", "2", "-m", "not slow"], True),
        (["tests"], True),
        (["tests/", "-n2"], True),
        (["tests/unit", "tests/e2e/test_push_real.py::test_one"], True),
        (["-k", "placement"], True),
        (["tests/unit", "tests/api", "tests/sim"], False),
        (["tests/unit/test_checks.py::test_one", "-n0"], False),
    ],
)
def test_hosts_are_prepared_where_tests_on_real_hosts_may_be_asked_for(arguments: list[str], needed: bool) -> None:
    assert needs_hosts(arguments) is needed


@pytest.mark.parametrize(
    ("test", "unit"),
    [
        ("tests/e2e/docker/test_three_modes.py::test_one[x::y]", "tests/e2e/docker"),
        ("tests/e2e/test_push_real.py::test_one", "tests/e2e/test_push_real.py"),
        ("tests/unit/agent/test_contact.py::TestIt::test_one", "tests/unit/agent/test_contact.py"),
    ],
)
def test_files_that_share_a_cluster_go_to_one_worker_and_others_one_by_one(test: str, unit: str) -> None:
    assert together(test) == unit


def test_those_that_take_longest_begin_first_and_the_quick_ones_last() -> None:
    assert [name for name in LONGEST if not (ROOT / name).exists()] == []
    slow, quick = "tests/e2e/test_jobs.py", "tests/unit/test_plan.py"
    assert sorted((quick, slow, *reversed(LONGEST)), key=lambda name: place(name, {slow})) == [*LONGEST, slow, quick]


def test_every_module_of_decisions_is_held_to_be_pure() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    pure = next(contract for contract in settings["contracts"] if contract["name"] == "Decisions are pure")
    modules = {f"duckconf.{path.stem}" for path in (ROOT / "duckconf").glob("*.py") if path.stem != "__init__"}
    # A package stands for all that it has.
    modules |= {f"duckconf.{path.parent.name}" for path in (ROOT / "duckconf").glob("*/__init__.py")} - EFFECTS
    assert set(pure["source_modules"]) == modules
