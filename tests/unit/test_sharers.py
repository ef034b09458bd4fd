"""Apps that share the network of another one's container: they go before it, and are made anew on the next one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from duckconf.actions import Action, Remove, Restart, Start
from duckconf.codec import spec_hash, to_label
from duckconf.command import Command, Completed
from duckconf.engine_output import Container
from duckconf.errors import EngineRefused
from duckconf.model import App, parse_app
from duckconf.plan import Step
from duckconf.reach.nodes.actuator import execute
from duckconf.sharers import sharers_first
from duckconf.together import unit_of
from tests.fakes import FakeNode

VPN = parse_app({"image": "vpn", "name": "vpn", "stack": "net", "network_mode": "stack:net", "aliases": ["vpn"]})
APP = parse_app({"image": "x", "name": "app", "stack": "net", "network_mode": "service:vpn"})


def copy(app: App, name: str = "", state: str = "running", shares: str = "") -> Container:
    name = name or app.name
    return Container(f"id-{name}", name, "n1", app.name, spec_hash(app), app.image, state, 0.0, 1, to_label(app), shares=shares)


def decided(
    *actions: tuple[str, Action], seen: list[Container], busy: tuple[str, ...] = ()
) -> tuple[list[Action], dict[str, str]]:
    copies: dict[str, list[Container]] = {}
    for one in seen:
        copies.setdefault(one.app, []).append(one)
    steps, notes = sharers_first([Step(name, action, "") for name, action in actions], copies, Step, busy)
    return [step.action for step in steps], notes


SHARER = copy(APP, shares="id-vpn")
GONE = Remove("n1", "app")


@pytest.mark.parametrize(
    "action",
    [Remove("n1", "vpn"), Restart("n1", "vpn", "vpn", unhealthy=True), Start("n1", "vpn", replace(VPN, image="vpn:2"), 1, 1)],
)
def test_before_a_container_ends_those_go_that_share_its_network(action: Action) -> None:
    steps, notes = decided(("vpn", action), seen=[copy(VPN), SHARER])
    assert (steps, list(notes)) == ([GONE], ["vpn"])
    assert decided(("vpn", action), seen=[copy(VPN)]) == ([action], {})


def test_one_whose_network_has_ended_is_removed_whatever_it_was_to_do() -> None:
    for state in ("exited", "dead"):
        steps, _ = decided(("app", Restart("n1", "app", "app")), seen=[copy(VPN, state=state), SHARER])
        assert steps == [GONE]
    assert decided(seen=[SHARER])[0] == [GONE]
    for state in ("running", "paused"):
        assert decided(seen=[copy(VPN, state=state), SHARER]) == ([], {})
    assert decided(seen=[SHARER], busy=("app",)) == ([], {})


def test_it_starts_when_one_container_of_the_other_app_is_left() -> None:
    start = Start("n1", "app", APP, 1, 1)
    steps, notes = decided(("app", start), seen=[copy(VPN, "old"), copy(VPN, "new")])
    assert (steps, "waits until one of new, old is left" in notes["app"]) == ([], True)
    assert decided(("app", start), seen=[copy(VPN, "new")]) == ([start], {})


def test_it_is_of_the_unit_of_its_stack() -> None:
    assert (unit_of(VPN), unit_of(APP)) == ("net", "net")


def test_the_engine_is_told_the_container_and_the_label_says_which() -> None:
    with pytest.raises(EngineRefused, match="vpn, whose network app shares, has 0 running containers"):
        run_with("")
    argv = run_with("abc\n")
    assert "--network=container:abc" in argv
    assert "--label=duckconf.shares=abc" in argv
    assert f"--label=duckconf.spec={spec_hash(APP)}" in argv


def run_with(found: str) -> Sequence[str]:
    """What starts it where these containers of the other app run."""

    class Told(FakeNode):
        def run(self, command: Command) -> Completed:
            return Completed(0, found, "") if command.argv[1:3] == ("ps", "-q") else super().run(command)

    told = Told("n1")
    execute(Start("n1", "app", APP, 1, 1), "demo", told)
    return next(command.argv for command in told.asked if command.argv[1] == "run")
