"""A server serves the state that it knew, and not another one or none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from api.mirrored import KNOWN, require_same
from duckconf.errors import SetupError
from duckconf.reach.state.file_table import FileTable
from tests.api.agents_api import mirrored


def test_the_first_server_founds_a_state_and_the_others_join_it(tmp_path: Path) -> None:
    table = FileTable(tmp_path / "all.json")
    known = set()
    for name in ("one", "two", "one"):
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        with mirrored(table) as mirror:
            require_same(mirror, folder)
        assert json.loads((tmp_path / "all.json").read_text()).keys() == {"cluster/founded"}
        known.add((folder / KNOWN).read_text())
    assert len(known) == 1


@pytest.mark.parametrize(("there", "words"), [({}, "etcd has no state"), ({"cluster/founded": '"x"'}, "etcd has another state")])
def test_a_state_that_it_did_not_know_is_refused_with_the_way_out(tmp_path: Path, there: dict[str, str], words: str) -> None:
    (tmp_path / KNOWN).write_text("0123\n")
    table = FileTable(tmp_path / "all.json")
    table.commit(there)
    with mirrored(table) as mirror, pytest.raises(SetupError, match=words) as refused:
        require_same(mirror, tmp_path)
    assert "members --restore" in refused.value.remedy
    assert table.list().items.keys() == there.keys()
