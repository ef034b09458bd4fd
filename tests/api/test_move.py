"""The state of agents mode, moved from files into a table that several servers share, and back: all of it, or none."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from api import move
from api.mirrored import MOVE, UNDER_WAY, follow_moves, require_whole
from api.stores.changes import Counts
from api.stores.desired import SKIP
from api.stores.kept import Kept, in_files, together
from api.stores.kept_nodes import Closed
from api.stores.shared import SharedStore
from duckconf.errors import Conflict, NotNow, SetupError
from duckconf.local_data import Held
from duckconf.model import App
from duckconf.reach.api.control_config import ControlConfig
from duckconf.reach.state.entries import Mirror
from duckconf.reach.state.file_table import FileTable
from duckconf.rebalancing import Progress
from duckconf.rollout import DONE, Revision
from tests.api.agents_api import mirrored

CONFIG = ControlConfig("demo", ("node-1", "node-2"), "", "")
WEB = App("nginx", "web", node=("node-1",), generation=(7,), replicas=1)


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(move, "END_SECONDS", 0.0)


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[Mirror]:
    with mirrored(FileTable(tmp_path / "all.json")) as found:
        yield found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With a state of every kind."""
    found = tmp_path / "files"
    found.mkdir()
    kept = in_files(found, print)
    kept.revisions.replace({"web": (Revision(1, App("nginx"), DONE),)}, {("web", 1): 5.0})
    kept.data.keep({"web.1": Held("node-1", ("data",))})
    kept.nodes.change("node-2", lambda _: Closed(True, True, 3))
    kept.secrets.put("db", b"hunter2", 1.0, b"salt")
    kept.rebalances.keep(Progress(done=2))
    kept.rebalances.ask()
    many: dict[str, App | None] = {f"app-{number}": App("nginx", f"app-{number}") for number in range(move.BATCH + 10)}
    store = kept.store(lambda *_: None)
    store.submit(lambda _: {**many, "web": WEB})
    store.close()
    return found


def found_in(kept: Kept) -> dict[str, Any]:
    return {
        "apps": kept.store(lambda *_: None).listing().apps,
        "revisions": (kept.revisions.revisions, kept.revisions.since),
        "data": kept.data.held,
        "closed": [kept.nodes.of(name) for name in CONFIG.nodes],
        "secrets": kept.secrets.current(),
        "rebalance": (kept.rebalances.asked(), kept.rebalances.progress),
    }


def test_all_of_it_is_there_on_the_other_side_and_comes_back(folder: Path, mirror: Mirror, tmp_path: Path) -> None:
    before = found_in(in_files(folder, print))
    assert before["closed"][1] == Closed(True, True, 3)
    assert move.into_etcd(CONFIG, mirror, folder) == move.BATCH + 11
    assert found_in(together(mirror, str)) == before
    require_whole(mirror)
    assert not (folder / "state.csv").exists()
    back = tmp_path / "back"
    back.mkdir()
    assert move.into_files(CONFIG, mirror, back) == move.BATCH + 11
    again = in_files(back, print)
    assert found_in(again) == before
    store = again.store(lambda *_: None)
    generations: list[int] = []
    store.submit(lambda view: generations.append(view.revision) or {})  # type: ignore[func-returns-value]
    assert generations[0] > 7
    store.close()
    assert sorted(path.name for path in back.iterdir() if not path.name.startswith(".")) == [
        "data.json", "history.json", "nodes.json", "rebalance.json", "rebalanced.json", "secrets.json", "state.csv"
    ]  # fmt: skip


def test_what_was_counted_goes_on_there_and_back_also_where_a_clock_is_behind(tmp_path: Path, mirror: Mirror) -> None:
    (there := tmp_path / "there").mkdir()
    files = in_files(there, print).store(lambda *_: None)
    files.add(App("nginx"))
    files.delete("app-1")
    counts = files.counts
    files.close()
    assert counts.number == 2
    move.into_etcd(CONFIG, mirror, there)
    store = SharedStore(mirror.part("apps"), lambda *_: None, str, clock=lambda: 1.0)
    assert store.counts == Counts(counts.revision + SKIP, 2)
    store.add(App("nginx"))
    store.delete("app-2")
    # Another server, and one that starts later.
    assert together(mirror, str).store(lambda *_: None).counts.number == 3
    (back := tmp_path / "back").mkdir()
    move.into_files(CONFIG, mirror, back)
    again = in_files(back, print).store(lambda *_: None)
    assert again.counts.number == 3
    assert again.counts.revision > store.counts.revision
    again.close()


def test_nodes_are_told_higher_revisions_also_where_a_clock_is_behind(
    folder: Path, mirror: Mirror, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    epochs = [in_files(folder, print).nodes.epoch]
    move.into_etcd(CONFIG, mirror, folder)
    monkeypatch.setattr("api.stores.kept_nodes.time.time", lambda: 1.0)
    for _ in range(2):
        nodes = together(mirror, str).nodes
        nodes.begin()
        epochs.append(nodes.epoch)
    (back := tmp_path / "back").mkdir()
    move.into_files(CONFIG, mirror, back)
    epochs.append(in_files(back, print).nodes.epoch)
    assert epochs == sorted(set(epochs))
    assert [in_files(back, print).nodes.of(name) for name in CONFIG.nodes] == [Closed(), Closed(True, True, 3)]


def test_a_state_that_is_there_is_not_replaced(folder: Path, mirror: Mirror) -> None:
    move.into_etcd(CONFIG, mirror, folder)
    (folder / "state.csv.moved").rename(folder / "state.csv")
    with pytest.raises(Conflict, match="etcd has a state already"):
        move.into_etcd(CONFIG, mirror, folder)
    with pytest.raises(Conflict, match="has a state already"):
        move.into_files(CONFIG, mirror, folder)


def test_one_that_was_interrupted_is_served_by_nobody_and_goes_on(
    folder: Path, mirror: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = found_in(in_files(folder, print))
    batches = list(move._batches(before["apps"]))

    def cut(_: Any) -> Iterator[Any]:
        yield batches[0]
        raise NotNow("etcd is gone")

    with monkeypatch.context() as patched:
        patched.setattr(move, "_batches", cut)
        with pytest.raises(NotNow):
            move.into_etcd(CONFIG, mirror, folder)
    assert UNDER_WAY in mirror.part(MOVE).texts()
    with pytest.raises(SetupError, match="is being moved"):
        require_whole(mirror)
    move.into_etcd(CONFIG, mirror, folder)
    require_whole(mirror)
    assert found_in(together(mirror, str)) == before


def test_servers_end_when_the_state_leaves_etcd_and_serve_it_no_more(folder: Path, mirror: Mirror, tmp_path: Path) -> None:
    move.into_etcd(CONFIG, mirror, folder)
    ended: list[str] = []
    follow_moves(mirror, lambda: ended.append("moved"))
    (back := tmp_path / "back").mkdir()
    move.into_files(CONFIG, mirror, back)
    assert ended == ["moved"]
    with pytest.raises(SetupError, match="the state was moved out of etcd"):
        require_whole(mirror)


def test_what_etcd_had_before_its_state_was_moved_out_of_it_does_not_come_back(
    folder: Path, mirror: Mirror, tmp_path: Path
) -> None:
    move.into_etcd(CONFIG, mirror, folder)
    mirror.part("stopping").change(lambda _: {"web.1": "{}"})
    (back := tmp_path / "back").mkdir()
    move.into_files(CONFIG, mirror, back)
    kept = in_files(back, print)
    kept.secrets.remove("db")
    store = kept.store(lambda *_: None)
    store.submit(lambda _: {"app-7": None})
    store.close()
    before = found_in(in_files(back, print))
    move.into_etcd(CONFIG, mirror, back)
    require_whole(mirror)
    assert found_in(together(mirror, str)) == before
    assert mirror.part("stopping").texts() == {}


def test_a_configuration_without_etcd_is_refused(folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"cluster": "demo", "nodes": [], "tokens_file": "", "operator_token_file": ""}))
    assert move.main(["--config", str(config), "--into-etcd", str(folder)]) == 1
    assert "has no etcd" in caplog.text
    assert (folder / "state.csv").exists()
