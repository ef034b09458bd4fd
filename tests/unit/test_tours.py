"""The steps of the tours: the page lists what the tours tell, in their order."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from duckconf.cli.demo import script, tour, tour_ha, tour_stack
from duckconf.cli.demo.script import PAGE, TOURS, Step, page
from duckconf.cli.demo.stage import Stage
from duckconf.errors import DuckconfError

ROOT = Path(__file__).parents[2]


def test_the_page_on_the_tours_is_current() -> None:
    assert (ROOT / PAGE).read_text("utf-8") == page(), "write it again: ./inv field-docs"


def test_the_tours_tell_every_step_of_the_page_in_its_order() -> None:
    names = {id(value): name for name, value in vars(script).items() if isinstance(value, Step)}
    told = re.findall(r"stage\.step\(script\.(\w+)", "".join(map(inspect.getsource, (tour, tour_ha, tour_stack))))
    listed = [names[id(step)] for steps in TOURS.values() for step in steps]
    for mode in ("PUSH", "LOOP", "AGENTS", "HA", "STACK"):
        assert [name for name in told if name.startswith(mode)] == [name for name in listed if name.startswith(mode)]
    assert sorted(told) == sorted(listed)


def test_a_step_tells_before_and_after_what_it_does(capsys: pytest.CaptureFixture[str]) -> None:
    stage = Stage()
    for number in (1, 2):
        with stage.step(script.PUSH_CRASH, app="app-1", node="node-1"):
            before = capsys.readouterr().err
        assert before.startswith(f"\n{number}. One app crashes\n   The process of app-1 on node-1 is killed")
        assert before.endswith("   $ ./inv kill-app app-1\n   → to node-1 over SSH: docker kill\n")
        assert capsys.readouterr().err.startswith("   ✓ It stays down")


def test_to_pause_without_a_terminal_is_refused() -> None:
    with pytest.raises(DuckconfError, match="--pause waits for keys"):
        Stage(pause=True)
