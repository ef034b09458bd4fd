"""A state file that was cut, or edited so that most apps would go: nothing is withdrawn until it is clear what is meant."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from api.stores.desired import DesiredStore
from api.stores.kept_nodes import NodesFile
from api.stores.nodes import NodeBook, Report, Seen
from api.stores.placed import PlacedIndex
from duckconf.brake import mended
from duckconf.desired import COLUMNS, PLACED_COLUMNS, changed, empty_document, marked, read_document
from duckconf.errors import BadInput, Conflict, NotNow
from duckconf.events import Event
from duckconf.model import App
from duckconf.reach.state.desired_file import DesiredReader, read_at_rest

NAMES = [f"app-{number}" for number in range(1, 7)]
# Each version has a time of its own, long past: it has rested.
TIMES = itertools.count(1)


def written(names: list[str] = NAMES, revision: int = 5) -> str:
    apps = {name: App("nginx", name, node=("node-1",), generation=(3,)) for name in names}
    return marked(changed(empty_document(PLACED_COLUMNS), apps), revision, 9).text()


def save(path: Path, text: str) -> None:
    path.write_text(text)
    when = next(TIMES)
    os.utime(path, (when, when))


def without(text: str, names: list[str]) -> str:
    return "".join(line for line in text.splitlines(keepends=True) if line.split(",")[0] not in names)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "state.csv"
    save(file, written())
    return file


@pytest.mark.parametrize("text", [written(), empty_document().text(), empty_document(PLACED_COLUMNS).text()])
def test_a_file_of_ours_that_was_cut_anywhere_is_not_read(text: str) -> None:
    assert read_document(text, layout=PLACED_COLUMNS).faults == ()
    for length in range(len(text)):
        with pytest.raises(BadInput):
            read_document(text[:length])


def test_a_file_with_nul_bytes_or_without_its_revision_line_is_not_read() -> None:
    lines = written().splitlines(keepends=True)
    for damaged in (written().replace("app-3", "app\0\0"), "\0" * 300, "".join([lines[0], *lines[2:]]), "".join(lines[4:])):
        with pytest.raises(BadInput):
            read_document(damaged)
    half = "".join([lines[0], lines[1][:20] + "\n", *lines[2:]])
    with pytest.raises(BadInput, match="damaged"):
        read_document(half)


def test_a_file_of_an_earlier_version_is_read_and_gets_its_end_with_the_next_write(path: Path) -> None:
    old = [line for line in written().splitlines(keepends=True) if not line.startswith("# end")]
    save(path, "".join(old).replace(", 6 apps", ""))
    store = DesiredStore(path, lambda _: None, PLACED_COLUMNS)
    store.delete("app-1")
    assert (set(store.listing().apps), "# end of revision" in path.read_text()) == (set(NAMES[1:]), True)


def index_of(path: Path, tell: Callable[[Event], None] = lambda _: None) -> tuple[DesiredStore, PlacedIndex]:
    """The server's view of a node that reports all apps as running."""
    nodes = NodeBook(NodesFile(path.parent / "nodes.json"), ["node-1"], 20.0)
    index = PlacedIndex(nodes)
    store = DesiredStore(path, tell, PLACED_COLUMNS, index.see, alone=True)
    seen = tuple(Seen(name, f"duckconf-{name}", "running", generation=3) for name in NAMES)
    index.report("node-1", nodes.heartbeat("node-1", Report("one", seen))[1], seen)
    return store, index


def left_alone(index: PlacedIndex) -> set[str]:
    share = index.share("node-1")
    return {instance.name for instance in share.instances} | set(share.kept)


def test_cut_at_any_length_under_a_server_no_agent_is_told_to_remove_anything(path: Path) -> None:
    events: list[Event] = []
    store, index = index_of(path, events.append)
    for length in range(0, len(written()), 7):
        save(path, written()[:length])
        store._follow()
        assert left_alone(index) == set(NAMES), length
        assert store.listing().faults, length
        with pytest.raises(NotNow):
            store.delete("app-1")
    assert {event.kind for event in events} == {"bad-state"}
    save(path, written())
    store._follow()
    assert (store.listing().faults, events[-1].kind) == ((), "state-mended")


@pytest.mark.parametrize("length", [0, 90, 110, 150, 300, None])
def test_a_server_that_starts_with_a_cut_or_missing_file_removes_nothing(path: Path, length: int | None) -> None:
    path.unlink() if length is None else save(path, written()[:length])
    store, index = index_of(path)
    assert left_alone(index) == set(NAMES)
    assert store.listing().faults
    assert store.trouble


def test_an_edit_that_withdraws_most_apps_waits_until_it_is_confirmed(path: Path) -> None:
    events: list[Event] = []
    store, index = index_of(path, events.append)
    save(path, without(path.read_text(), NAMES[:4]))
    store._follow()
    assert left_alone(index) == set(NAMES)
    assert "4 of 6 apps" in store.trouble
    assert "./inv confirm-edit" in events[-1].message
    assert store.confirm()
    assert (set(store.listing().apps), store.trouble, store.confirm()) == (set(NAMES[4:]), "", False)
    assert left_alone(index) == set(NAMES[4:])


def test_an_edit_that_waits_still_waits_after_a_restart_and_rows_put_back_end_it(path: Path) -> None:
    save(path, without(written(), NAMES[:4]))
    store, index = index_of(path)
    assert (left_alone(index), "waits" in store.trouble) == (set(NAMES), True)
    save(path, written())
    store._follow()
    assert (set(store.listing().apps), store.trouble) == (set(NAMES), "")


@pytest.mark.parametrize("gone", [1, 2, 3])
def test_an_edit_that_withdraws_few_apps_is_taken_at_once(path: Path, gone: int) -> None:
    store, _ = index_of(path)
    save(path, without(path.read_text(), NAMES[:gone]))
    store._follow()
    assert (set(store.listing().apps), store.trouble) == (set(NAMES[gone:]), "")


def test_withdrawals_through_the_api_are_never_braked(path: Path) -> None:
    store, _ = index_of(path)
    for name in NAMES:
        store.delete(name)
    store._follow()
    assert (dict(store.listing().apps), store.trouble) == ({}, "")


def desired(names: list[str], revision: int = 0) -> str:
    document = changed(empty_document(COLUMNS), {name: App("nginx", name) for name in names})
    return marked(document, revision, 9).text() if revision else "".join(f"{name},nginx\n" for name in names)


@pytest.mark.parametrize("revision", [0, 5])
def test_the_loop_alone_brakes_an_edit_and_goes_on_with_what_it_had(path: Path, revision: int) -> None:
    save(path, desired(NAMES, revision))
    reader = DesiredReader(path)
    reader.read()
    save(path, without(desired(NAMES, revision), NAMES[:4]))
    document, why = reader.read()
    assert (set(document.apps()), "./inv confirm-edit" in why) == (set(NAMES), True)
    (path.parent / f"{path.name}.before-edit").unlink()
    again = DesiredReader(path, lambda: NAMES)
    with pytest.raises(BadInput, match="confirm-edit"):
        again.read()
    confirmed = read_document(path.read_text())
    save(path, marked(confirmed, confirmed.revision + 1, confirmed.next_number).text())
    assert (set(reader.read()[0].apps()), set(again.read()[0].apps())) == (set(NAMES[4:]), set(NAMES[4:]))


def test_while_an_edit_waits_everyone_goes_on_with_the_state_before_it_also_after_a_restart(path: Path) -> None:
    save(path, desired(NAMES, 5))
    loop = DesiredReader(path)
    loop.read()
    store = DesiredStore(path, lambda _: None)
    loop.read()
    save(path, without(path.read_text(), NAMES[:4]))
    store._follow()
    for document, why in (loop.read(), DesiredReader(path).read(), read_at_rest(path)):
        assert set(document.apps()) == set(NAMES)
        assert (why.count("./inv confirm-edit"), why.count(path.name + ".before-edit")) == (1, 1)
    again = DesiredStore(path, lambda _: None)
    for server in (store, again):
        assert (set(server.listing().apps), len(server.listing().faults)) == (set(NAMES), 1)
        with pytest.raises(Conflict) as refused:
            server.delete("app-1")
        assert (str(refused.value).count("./inv"), "repair" in str(refused.value)) == (1, False)
    assert again.confirm()
    assert (set(again.listing().apps), list(path.parent.glob("*.before-edit"))) == (set(NAMES[4:]), [])
    assert (set(loop.read()[0].apps()), loop.read()[1]) == (set(NAMES[4:]), "")


def test_an_unsealed_edit_waits_over_a_restart_and_putting_the_rows_back_ends_it(path: Path) -> None:
    save(path, desired(NAMES))
    DesiredStore(path, lambda _: None)
    reader = DesiredReader(path)
    reader.read()
    save(path, desired(NAMES[4:]))
    reader.read()
    assert set(DesiredStore(path, lambda _: None).listing().apps) == set(NAMES)
    save(path, (path.parent / f"{path.name}.before-edit").read_text())
    assert (set(reader.read()[0].apps()), reader.read()[1]) == (set(NAMES), "")
    assert set(DesiredStore(path, lambda _: None).listing().apps) == set(NAMES)
    assert not list(path.parent.glob("*.before-edit"))


def test_half_a_state_before_an_edit_counts_as_none(path: Path) -> None:
    save(path, without(written(), NAMES[:4]))
    kept = path.parent / f"{path.name}.before-edit"
    for length in range(len(written())):
        kept.write_text(written()[:length])
        with pytest.raises(BadInput, match="confirm-edit"):
            DesiredReader(path).read()


def test_what_is_mended_is_named() -> None:
    waits = "state.csv: an edit by hand withdraws 4 of 6 apps and waits; to confirm it: ./inv confirm-edit"
    assert "inventory" not in mended([waits])
    assert "inventory" not in mended(["desired_state.csv, line 3: image: is missing"])
    assert "desired state" not in mended(["inventory: hosts.yml is not YAML; going on with the one of 10:00:00"])


def test_the_loop_follows_what_the_api_withdraws_and_stops_nothing_for_a_file_that_was_cut(path: Path) -> None:
    save(path, desired(NAMES, 5))
    reader = DesiredReader(path, lambda: NAMES)
    reader.read()
    for length in range(0, len(desired(NAMES, 5)), 11):
        save(path, desired(NAMES, 5)[:length])
        with pytest.raises(BadInput, match="all apps are left unchanged"):
            reader.read()
    save(path, desired(NAMES[5:], 6))
    assert set(reader.read()[0].apps()) == set(NAMES[5:])
