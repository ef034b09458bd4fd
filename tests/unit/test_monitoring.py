"""What docs/monitoring has is about numbers that there are, and all of them are described."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from api.metrics import ClusterNumbers, Metrics
from duckconf.measures import Passes
from duckconf.reach.state.journal import Journal
from tests.unit.test_measures import PICTURE

DOCS = Path(__file__).parents[2] / "docs"
NAME = re.compile(r"\bduckconf_[a-z_]+")
PARTS = re.compile(r"_(bucket|sum|count)$")


@pytest.fixture
def told(tmp_path: Path) -> set[str]:
    """The names of all families in the answer of a server, with what a counter is called in it."""
    metrics = Metrics()
    metrics.count_start("n1", ["n2"])
    metrics.count_answer("/apps", 200, 0.01)
    metrics.registry.register(ClusterNumbers(lambda: PICTURE, lambda: Passes(1, 0.1), Journal(tmp_path / "events.jsonl")))
    lines = [line.split() for line in metrics.text(0, 0).decode().splitlines() if line.startswith("# TYPE")]
    return {name for _, _, name, _ in lines if not name.endswith("_created")}


def named(text: str) -> set[str]:
    return {PARTS.sub("", name) for name in NAME.findall(text)}


def test_the_table_has_every_number_and_no_other(told: set[str]) -> None:
    rows = [line for line in (DOCS / "monitoring.md").read_text("utf-8").splitlines() if line.startswith("| `")]
    assert {row.split("`")[1] for row in rows} == told


@pytest.mark.parametrize("file", ["alerts.yml", "dashboard.json"])
def test_alerts_and_dashboard_ask_for_numbers_that_there_are(file: str, told: set[str]) -> None:
    asked = named((DOCS / "monitoring" / file).read_text("utf-8"))
    assert len(asked) > 8
    assert asked <= told


def test_the_dashboard_can_be_imported() -> None:
    dashboard = json.loads((DOCS / "monitoring" / "dashboard.json").read_text("utf-8"))
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels) > 8
    assert all(panel["datasource"]["uid"] == "${source}" for panel in panels)
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels]
    assert len(set(places)) == len(places)
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in panels)
