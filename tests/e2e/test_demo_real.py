"""`./inv demo` on a stage: a step after each key, and a clean end at any point."""

from __future__ import annotations

import os
import pty
import signal
import termios
from pathlib import Path

import pytest

from tests.e2e.conftest import Live
from tests.e2e.typed import Running, at_terminal, running
from tests.waiting import until

pytestmark = pytest.mark.slow
WAITS = "[Enter or space: go on, q: end]"


def is_cooked(shown: Running) -> bool:
    """Whether the terminal is as a new one is."""
    ours, its = pty.openpty()
    try:
        return bool(termios.tcgetattr(shown.keyboard) == termios.tcgetattr(ours))
    finally:
        os.close(ours)
        os.close(its)


def await_step(shown: Running, number: int) -> None:
    until(
        f"it waits before step {number}", lambda: shown.out.count(WAITS) == number and not is_cooked(shown), 60, lambda: shown.out
    )


def test_a_whole_tour_waits_for_a_key_before_each_step(cluster: Live, tmp_path: Path) -> None:
    with at_terminal(cluster, tmp_path / "demo", 120, 40, "demo", "push", "--pause") as shown:
        for number, key in enumerate((b"\r", b" ", b"x\r", b"\x1b[6~"), 1):
            await_step(shown, number)
            shown.types(key)
        assert shown.process.wait(timeout=60) == 0
        assert is_cooked(shown)
    told = shown.out
    assert [f"{number}. " in told for number in (1, 2, 3, 4, 5)] == [True] * 4 + [False]
    assert told.index("4. One app crashes") < told.index("$ ./inv kill-app") < told.index("✓ It stays down")
    assert sorted(cluster.running().values()) == [1, 1]


def test_q_and_ctrl_c_end_a_tour_that_waits_and_say_what_is_left(cluster: Live, tmp_path: Path) -> None:
    for name, steps, key, code in (("q", 1, b"q", 0), ("c", 2, b"\x03", 130)):
        with at_terminal(cluster, tmp_path / name, 120, 40, "demo", "push", "--pause") as shown:
            for number in range(1, steps):
                await_step(shown, number)
                shown.types(b"\r")
            await_step(shown, steps)
            shown.types(key)
            assert shown.process.wait(timeout=60) == code
            assert is_cooked(shown)
        assert "in mode push with 3 demo hosts" in shown.out
        assert "./inv down" in shown.out
        assert "Traceback" not in shown.out
        assert cluster.apps() == []


def test_ctrl_c_ends_a_tour_that_does_not_wait_and_no_pause_is_made_without_a_terminal(cluster: Live, tmp_path: Path) -> None:
    for name, number, code in (("int", signal.SIGINT, 130), ("term", signal.SIGTERM, 143)):
        with running(cluster, tmp_path / name, "demo", "push") as one:
            until("it has begun", lambda: "1. Hosts and API" in one.err)
            assert one.ends_at(number) == code
            assert "The tour is " in one.err
            assert "./inv down" in one.err
            assert "Traceback" not in one.err
    refused = cluster.inv("demo", "push", "--pause")
    assert (refused.returncode, refused.stderr.count("\n"), "no terminal" in refused.stderr) == (1, 1, True)
