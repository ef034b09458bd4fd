"""What an agent makes of the api-server's answers, and what it tells in turn."""

from __future__ import annotations

from typing import Any

import pytest

from controllers.beat import entries
from duckconf.desired import Desired
from duckconf.engine_output import Container
from duckconf.instance import Instance
from duckconf.model import App
from duckconf.overview import AppView
from duckconf.placement import Assignment, Fleet, Placement
from duckconf.plan import KEPT, plan
from duckconf.share import Share, read_share

WEB = App("web", "web")


def answer(*apps: dict[str, Any], revision: int = 1, kept: tuple[str, ...] = ()) -> dict[str, Any]:
    return {"revision": revision, "apps": list(apps), "kept": list(kept)}


def share(*apps: tuple[str, int], kept: tuple[str, ...] = ()) -> Share:
    return read_share(answer(*({"name": name, "image": "web", "generation": number} for name, number in apps), kept=kept))


def test_an_answer_is_read_as_it_is_meant() -> None:
    read = read_share(answer({"name": "web", "image": "web", "node": "n1", "generation": 7, "revision": "a0"}, kept=("db",)))
    assert read == Share(1, Desired({"web": Instance(WEB, node="n1", generation=7)}, kept=frozenset({"db"})))


def test_a_row_that_cannot_be_read_costs_only_its_own_app() -> None:
    read = read_share(answer({"name": "web", "image": "web"}, {"name": "db", "image": "NO IMAGE"}))
    assert (set(read.desired.instances), read.desired.unreadable, read.desired.complete) == ({"web"}, frozenset({"db"}), True)
    assert "db: image" in read.faults[0]
    assert not read_share(answer({"name": "NO NAME", "image": "web"})).desired.complete


@pytest.mark.parametrize("bad", [{}, {"revision": 1, "apps": []}, {"revision": "x", "apps": [], "kept": []}, {"apps": [{}]}])
def test_what_is_no_answer_is_an_error(bad: dict[str, Any]) -> None:
    with pytest.raises((KeyError, ValueError)):
        read_share(bad)


@pytest.mark.parametrize(
    ("before", "present", "after", "costs"),
    [
        (share(("web", 7)), ("web",), share(("web", 7), ("db", 1)), False),
        (share(("web", 7)), ("web",), share(("web", 8)), False),
        (share(("web", 7)), ("web",), share(), True),
        (share(("web", 7)), ("web",), share(kept=("web",)), False),
        (share(("web", 7)), (), share(), True),
        (Share(), ("web",), share(), True),
        (Share(), (), share(("web", 7)), False),
        (share(kept=("web",)), (), share(), True),
        (share(("web", 7)), ("web",), share(("web", 6)), True),
    ],
)
def test_what_takes_something_away_is_told_from_what_does_not(
    before: Share, present: tuple[str, ...], after: Share, costs: bool
) -> None:
    assert after.costs(before, present) is costs


def container(name: str, app: str, state: str = "running", generation: int = 0) -> Container:
    return Container("id", name, "n1", app, "spec", "web", state, 5.0, generation)


def test_a_kept_copy_is_left_alone_with_a_reason() -> None:
    fleet = Fleet(("n1",), {"n1": (container("duckconf-web", "web"),)})
    made = plan(Desired(kept=frozenset({"web"})), fleet, Assignment({}), {})
    assert (made.steps, made.notes) == ((), {"web": KEPT})


@pytest.mark.parametrize(("generation", "labelled"), [(7, 7), (0, 3)])
def test_a_start_bears_the_servers_generation_or_the_loops_own(generation: int, labelled: int) -> None:
    made = plan(
        Desired({"web": Instance(App("web", "web"), generation=generation)}),
        Fleet(("n1",), {"n1": ()}),
        Assignment({"web": Placement("n1", "c", 3)}),
        {},
    )
    assert [getattr(step.action, "generation", None) for step in made.steps] == [labelled]


def test_a_heartbeat_tells_each_container_and_each_app_without_one() -> None:
    containers = (container("b", "web", "exited", 7), container("c", "db"), container("d", ""))
    views = (
        AppView("web", "n1", "b", "web", "yes", "backoff", 2, note="held back"),
        AppView("new", "n1", "e", "new", "yes", "starting", note="not on n1"),
        AppView("gone", "n1", "f", "web", "yes", "unreachable"),
    )
    told = {entry["app"]: entry for entry in entries(containers, views)}
    assert {app: (entry["container"], entry["state"]) for app, entry in told.items()} == {
        "web": ("b", "backoff"),
        "db": ("c", "running"),
        "new": ("e", "starting"),
    }
    assert told["web"] | {} == {
        **{"app": "web", "container": "b", "image": "web", "image_id": "", "state": "backoff", "spec": "spec", "generation": 7},
        **{"started": 5.0, "restarts": 2, "note": "held back", "ports": [], "slot": 1, "health": "", "ready": False},
    }
