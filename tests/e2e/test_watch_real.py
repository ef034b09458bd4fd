"""`./inv watch` on a real terminal over a real cluster: what is seen, what keys do, and the terminal afterwards."""

from __future__ import annotations

import os
import pty
import re
import signal
import termios
from pathlib import Path
from typing import Any

import pytest

from duckconf.naming import WEB_IMAGE
from tests.e2e.conftest import ROOT, Declared, Live
from tests.e2e.screens import await_words, is_left, screen
from tests.e2e.typed import Running, at_terminal, resize
from tests.waiting import until

pytestmark = pytest.mark.slow
# As `stty -g` prints them.
SETTINGS = re.compile(r"[0-9a-f]+(?::[0-9a-f]+){30,}")


def settings(terminal: int) -> list[Any]:
    return termios.tcgetattr(terminal)


def fresh_settings() -> list[Any]:
    ours, its = pty.openpty()
    try:
        return settings(ours)
    finally:
        os.close(ours)
        os.close(its)


def ended_by(shown: Running, how: bytes | signal.Signals) -> int:
    if isinstance(how, bytes):
        shown.types(how)
        return shown.process.wait(timeout=20)
    return shown.ends_at(how)


@pytest.mark.parametrize(
    ("how", "code"), [(b"q", 0), (b"\x03", 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)], ids=["q", "ctrl-c", "term", "hup"]
)
def test_whatever_ends_it_the_terminal_is_as_it_was(
    cluster: Live, tmp_path: Path, how: bytes | signal.Signals, code: int
) -> None:
    with at_terminal(cluster, tmp_path / "watch", 80, 24, "watch") as shown:
        await_words(shown, "push mode", "● live", "▸ node-1 ● ready", "node-3")
        assert settings(shown.keyboard) != fresh_settings()
        assert ended_by(shown, how) == code
        until("its own screen is back", lambda: is_left(shown))
        assert settings(shown.keyboard) == fresh_settings()
        assert "Traceback" not in shown.out


def test_without_a_terminal_it_says_what_to_use_instead(cluster: Live) -> None:
    done = cluster.inv("watch")
    assert (done.returncode, done.stdout, done.stderr.count("\n"), "./inv ps --json" in done.stderr) == (1, "", 1, True)


def test_suspended_and_continued_it_gives_the_terminal_back_and_takes_it_again(cluster: Live, tmp_path: Path) -> None:
    shell = Live(cluster.project, cluster.engine, {**cluster.environ, "PS1": "ready> ", "INV": str(ROOT / "inv")})
    with at_terminal(shell, tmp_path / "shell", 80, 24, program=("bash", "--norc", "--noprofile", "--noediting", "-i")) as shown:
        until("there is a prompt", lambda: "ready> " in shown.out)
        shown.types(b'stty -g; "$INV" watch\n')
        await_words(shown, "● live")
        shown.types(b"\x1a")
        until("the shell has it", lambda: is_left(shown) and "Stopped" in shown.out)
        before = len(shown.out)
        shown.types(b"stty -g; fg\n")
        until("it goes on", lambda: "● live" in shown.out[before:])
        shown.types(b"q")
        until("its own screen is back", lambda: is_left(shown))
        shown.types(b"stty -g; exit\n")
        assert shown.process.wait(timeout=20) == 0
        told = SETTINGS.findall(shown.out)
        assert len(told) == 3, shown.out
        assert len(set(told)) == 1


def test_in_push_mode_what_is_killed_stays_down_and_a_drain_is_refused_with_the_reason(cluster: Live, tmp_path: Path) -> None:
    name = cluster.post({"image": WEB_IMAGE})[1]["app"]
    with at_terminal(cluster, tmp_path / "watch", 100, 30, "watch") as shown:
        await_words(shown, "APPS 1", "1 runs", "✕ sensor: none")
        shown.types(b"d")
        await_words(shown, "push mode moves no apps")
        shown.types(b"\tk")
        await_words(shown, "y/n", "It stays down")
        shown.types(b"n")
        await_words(shown, "nothing was done")
        shown.types(b"k")
        await_words(shown, "y/n")
        shown.types(b"y")
        await_words(shown, f"kill-app {name}", "0 runs")
        resize(shown.keyboard, 60, 16)
        until("it is drawn anew", lambda: len(screen(shown).splitlines()) == 16, seen=lambda: screen(shown))
        shown.types(b"q")
        assert shown.process.wait(timeout=20) == 0


def test_what_is_killed_comes_back_and_a_node_freezes_and_thaws(declared: Declared, tmp_path: Path) -> None:
    live = declared.cluster
    declared.put_all(["web"])
    node, before = live.nodes_of()["web"], live.instances()["web"][2]
    with at_terminal(live, tmp_path / "watch", 100, 30, "watch") as shown:
        await_words(shown, "reconcile mode", "● live", "●web")
        shown.types(b"\tk")
        await_words(shown, f"kill web on {node}? The loop will start it again")
        shown.types(b"y")
        await_words(shown, "restarted", "● 1/1 ready")
        assert live.instances()["web"][2] > before
        shown.types(b"\tf")
        await_words(shown, f"freeze {node}?")
        shown.types(b"y")
        await_words(shown, "frozen: ")
        assert live.state_of(live.host(node)) == "paused"
        shown.types(b"t")
        await_words(shown, "thawed: ")
        assert live.state_of(live.host(node)) == "running"
        shown.types(b"l")
        await_words(shown, "log of web")
        shown.types(b"\x1b")
        await_words(shown, "INSTANCES 1")
        shown.types(b"q")
        assert shown.process.wait(timeout=20) == 0
