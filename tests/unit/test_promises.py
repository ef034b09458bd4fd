"""docs/promises.md names the tests that hold each promise: all of them exist, and none twice under one promise."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROW = re.compile(r"^\| (?P<promise>[A-Z].*) \| (?P<tests>`.*`) \|$")
TEST = re.compile(r"^ *def test_(\w+)\(", re.MULTILINE)


def test_each_promise_is_held_by_tests_that_there_are() -> None:
    there = {name for path in (ROOT / "tests").rglob("*.py") for name in TEST.findall(path.read_text("utf-8"))}
    lines = (ROOT / "docs" / "promises.md").read_text("utf-8").splitlines()
    rows = [found for line in lines if (found := ROW.match(line))]
    assert len(rows) == sum(line.startswith("| ") for line in lines) - lines.count("| promise | held by |")
    for row in rows:
        named = re.findall(r"`(\w+)`", row["tests"])
        assert named, row["promise"]
        assert len(named) == len(set(named)), row["promise"]
        assert not set(named) - there, row["promise"]
