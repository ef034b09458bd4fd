"""The calls of `./inv` that the tests fork do what `./inv` does."""

from __future__ import annotations

import os
import subprocess

import pytest

from tests.e2e import warm

COLD = str(warm.ROOT / "inv")


@pytest.mark.parametrize(
    "words",
    [("--help", "ps"), ("ps", "--bad"), ("doctor", "no-such-node"), ("apply", "no-such-file"), ("test", "--only", "--version")],
    ids=lambda words: "-".join(words),
)
def test_a_call_that_is_forked_ends_and_prints_as_one_that_is_typed(words: tuple[str, ...]) -> None:
    environ = {**os.environ, "DUCKCONF_CLUSTER": "nobodys", "PYTHONDONTWRITEBYTECODE": "1"}
    forked = warm.inv(words, environ, timeout=60)
    typed = subprocess.run([COLD, *words], env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert (forked.returncode, forked.stdout, forked.stderr) == (typed.returncode, typed.stdout, typed.stderr)


def test_one_that_takes_too_long_is_killed() -> None:
    with pytest.raises(subprocess.TimeoutExpired):
        warm.inv(("test", "--only", "--help"), dict(os.environ), timeout=0.01)
