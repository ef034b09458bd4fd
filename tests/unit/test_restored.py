"""What the first `up` after a restore finds of the control plane that was there before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from duckconf.backup import UNREAD
from duckconf.cli.cluster import exported as exporting
from duckconf.cli.cluster import restored
from duckconf.cli.cluster.exported import exported
from duckconf.command import Command, Completed
from duckconf.control_plane import ETCD, FILES
from duckconf.desired import PLACED_COLUMNS, changed, empty_document, marked
from duckconf.errors import DuckconfError, SetupError, Unreachable
from duckconf.model import App
from duckconf.reach.inventory.project import Project
from duckconf.settings import Settings

EMPTY = marked(empty_document(PLACED_COLUMNS), 7, 1).text()
WITH_WEB = marked(changed(empty_document(PLACED_COLUMNS), {"web": App("nginx", "web")}), 7, 1).text()
NOTES = "/duckconf/demo/apps/.counted\n\n/duckconf/demo/apps/.routes\n\n"
KEYS = f"{NOTES}/duckconf/demo/apps/web\n\n"


class Host:
    """Answers each command with the first of `answers` whose key is a part of it; an error is raised."""

    def __init__(self, answers: Mapping[str, str | Completed | DuckconfError]) -> None:
        self._answers = answers

    def run(self, command: Command) -> Completed:
        found = next((answer for part, answer in self._answers.items() if part in str(command)), "")
        if isinstance(found, DuckconfError):
            raise found
        return found if isinstance(found, Completed) else Completed(0, found, "")


def with_hosts(monkeypatch: pytest.MonkeyPatch, hosts: Mapping[str, Host]) -> Project:
    @contextmanager
    def opened(project: Project) -> Iterator[Any]:
        fleet = SimpleNamespace(admin=hosts.__getitem__)
        yield SimpleNamespace(project=project, fleet=fleet, inventory=SimpleNamespace(control_plane=tuple(hosts)))

    for module in (restored, exporting):
        monkeypatch.setattr(module, "open_cluster", opened)
    monkeypatch.setattr(restored, "COME_UP", 0.0)
    return Project(Path(), Settings(), "demo")


@pytest.mark.parametrize(
    ("hosts", "store"),
    [
        ([{}], ""),
        ([{"state.csv": EMPTY}], ""),
        ([{"state.csv": WITH_WEB}], FILES),
        ([{}, {"etcdctl": NOTES}], ""),
        ([{}, {"etcdctl": KEYS}, {"etcdctl": UNREAD}], ETCD),
        # A move that was interrupted.
        ([{"state.csv": WITH_WEB, "etcdctl": KEYS}], FILES),
        ([{"sh": Unreachable("control-1", "is off")}, {"etcdctl": KEYS}], ETCD),
    ],
)
def test_a_control_plane_that_has_apps_still_is_found_in_either_store(
    monkeypatch: pytest.MonkeyPatch, hosts: list[dict[str, Any]], store: str
) -> None:
    project = with_hosts(monkeypatch, {f"control-{number}": Host(answers) for number, answers in enumerate(hosts, 1)})
    assert restored.survives_in(project) == store


@pytest.mark.parametrize(
    ("second", "words"),
    [({"etcdctl": UNREAD}, "control-2 has data of etcd"), ({"sh": Unreachable("control-2", "is off")}, "control-2: is off")],
)
def test_what_cannot_be_known_is_not_taken_for_nothing(
    monkeypatch: pytest.MonkeyPatch, second: dict[str, Any], words: str
) -> None:
    project = with_hosts(monkeypatch, {"control-1": Host({}), "control-2": Host(second)})
    with pytest.raises(DuckconfError, match=words):
        restored.survives_in(project)


def test_the_next_host_is_asked_for_the_state_when_one_cannot_tell_it(monkeypatch: pytest.MonkeyPatch) -> None:
    away = Host({"api.move": Unreachable("control-1", "is off")})
    project = with_hosts(monkeypatch, {"control-1": away, "control-2": Host({"--export": '{"history.json": "{}"}'})})
    assert exported(project) == {"history.json": "{}"}


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Completed(2, "", "usage: …"), r"is older than this Duckconf \(bring it to this version: ./inv up agents\)"),
        (Completed(1, "", "is a majority up?"), r"control-1: the state in etcd cannot be read: is a majority up\?"),
        (Completed(0, "{", ""), "cannot be understood"),
    ],
)
def test_a_host_that_cannot_tell_the_state_says_why(monkeypatch: pytest.MonkeyPatch, answer: Completed, words: str) -> None:
    with pytest.raises(SetupError, match=words):
        exported(with_hosts(monkeypatch, {"control-1": Host({"api.move": answer})}))
