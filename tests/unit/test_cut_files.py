"""Every file of a cluster's state, cut at every length: it is read as it was, or not at all, and never as something else."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from api.stores.kept_nodes import NodesFile
from api.stores.nodes import NodeBook
from api.turns import TurnBook
from controllers.app_controller import _instance
from controllers.orders import _read as read_orders
from duckconf.cli.cluster.modes import RECONCILE, mode_of
from duckconf.cli.cluster.services import Service
from duckconf.cli.cluster.tokens import ensure_tokens
from duckconf.cli.fleet.limits import FAILED_FILE, failed_hosts, remember_failed
from duckconf.cli.roles.left import Record
from duckconf.errors import SetupError
from duckconf.placement import Placement
from duckconf.reach.inventory.project import Project
from duckconf.reach.state.asked import Asked
from duckconf.reach.state.cordons import Cordons
from duckconf.reach.state.placements import PlacementBook
from duckconf.reach.state.reports import ReportFile
from duckconf.report import NodeView, Report
from duckconf.settings import Settings

PLACED = {"web": Placement("node-1", "duckconf-web", 4), "db": Placement("node-2", "duckconf-db.3", 3)}
ANSWER = {"revision": 7, "apps": [{"name": "web", "image": "nginx", "node": "n", "generation": 3}], "kept": []}
NAMES = ("web-1", "web-10", "web-2")


def cuts(path: Path) -> list[bytes]:
    """Everything that a cut can leave of it. The last newline alone may be gone without harm."""
    whole = path.read_bytes()
    assert len(whole) > 1
    return [whole[:length] for length in range(len(whole.rstrip()))]


def outcome(read: Callable[[], object]) -> tuple[object, SetupError | None]:
    try:
        return read(), None
    except SetupError as error:
        return None, error


def refused_or(path: Path, read: Callable[[], object], expected: object) -> None:
    """At every length, reading raises an error of ours that names the file, or gives what is expected."""
    for content in cuts(path):
        path.write_bytes(content)
        found, error = outcome(read)
        assert found == expected or (error and path.name in error.message and error.remedy)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = Project(tmp_path, Settings(), "demo")
    made.state.mkdir(parents=True)
    return made


def test_no_number_of_push_mode_is_given_twice(tmp_path: Path) -> None:
    path = tmp_path / "push.json"
    book = TurnBook(path)
    for _ in range(11):
        book.take()
    book.doubt("node-1", "duckconf-node-1-app-3")
    refused_or(path, lambda: TurnBook(path).take().number, 12)


def test_no_placement_is_read_from_half_a_file(tmp_path: Path) -> None:
    path = tmp_path / "placements.json"
    PlacementBook(path).keep(PLACED)
    refused_or(path, lambda: PlacementBook(path).placements, PLACED)


def test_an_agent_obeys_no_half_of_a_desired_state(tmp_path: Path) -> None:
    path = tmp_path / "desired.json"
    path.write_text(json.dumps(ANSWER) + "\n")
    whole = read_orders(path)
    refused_or(path, lambda: read_orders(path), whole)


def test_the_nodes_of_a_control_plane_are_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "nodes.json"
    book = NodeBook(NodesFile(path), NAMES, 20.0)
    book.cordon("web-10", cordoned=True)
    refused_or(
        path, lambda: {name for name, node in NodeBook(NodesFile(path), NAMES, 20.0).nodes.items() if node.cordoned}, {"web-10"}
    )


@pytest.mark.parametrize("name", ["cordoned", "draining"])
def test_no_other_node_is_cordoned_or_drained_by_half_a_name(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    for node in ("web-10", "web-2"):
        Cordons(path).change(node, cordoned=True)
    for content in cuts(path):
        path.write_bytes(content)
        assert Cordons(path).names() <= {"web-10", "web-2"}


def test_no_other_host_has_failed_by_half_a_name(project: Project) -> None:
    remember_failed(project, NAMES, ["web-10", "web-2"])
    path = project.state / FAILED_FILE
    for content in cuts(path):
        path.write_bytes(content)
        assert set(failed_hosts(project)) <= {"web-10", "web-2"}


def test_a_cluster_is_in_no_other_mode(project: Project) -> None:
    path = project.state / "mode"
    path.write_bytes(b"\xff\xfe\n")
    with pytest.raises(SetupError):
        mode_of(project)
    path.write_text(f"{RECONCILE}\n")
    refused_or(path, lambda: mode_of(project), RECONCILE)


def test_a_token_is_not_shortened(tmp_path: Path) -> None:
    files = ensure_tokens(tmp_path, NAMES)
    hashes = files.hashes.read_bytes()
    refused_or(files.of("web-1"), lambda: ensure_tokens(tmp_path, NAMES).hashes.read_bytes(), hashes)


def test_an_agent_whose_mark_was_cut_makes_a_new_one(tmp_path: Path) -> None:
    path = tmp_path / "instance"
    first = _instance(path)
    for content in cuts(path):
        path.write_bytes(content)
        again = _instance(path)
        assert again not in (first, content.decode())
        assert again == _instance(path)


def test_what_is_only_told_or_done_again_is_then_not_known(tmp_path: Path) -> None:
    asked, reports = Asked(tmp_path / "asked.json"), tmp_path / "report.json"
    asked.ask("web-1")
    for content in cuts(asked.path):
        asked.path.write_bytes(content)
        assert asked.numbers() == {}
    ReportFile(reports).write(Report({"web-1": NodeView("ready")}))
    for content in cuts(reports):
        reports.write_bytes(content)
        assert ReportFile(reports).read() is None
    service = Service("api", tmp_path)
    pid = tmp_path / "api.pid"
    pid.write_text(json.dumps({"pid": 1, "born": 1.5}))
    for content in cuts(pid):
        pid.write_bytes(content)
        assert service.process() is None
    record = Record(tmp_path)
    record.keep("web-1", {"node": "a"}, {"node": "b"})
    record.write()
    (path,) = set(tmp_path.iterdir()) - {asked.path, reports, pid}
    for content in cuts(path):
        path.write_bytes(content)
        assert Record(tmp_path).due("web-1", {"node": "a"}, {"node": "b"}) == ("node",)
