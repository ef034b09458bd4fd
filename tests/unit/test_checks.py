"""What `./inv test` prepares, by what it is asked to run."""

from __future__ import annotations

import pytest

from duckconf.cli.machine.checks import needs_hosts


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
