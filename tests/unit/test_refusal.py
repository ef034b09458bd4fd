"""A node that refuses an app for a reason of its own is passed over for this app, for pauses that grow."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import pytest

from controllers.reconciler import Reconciler, Verdict
from duckconf.actions import Restart, Start
from duckconf.codec import spec_hash
from duckconf.command import Completed
from duckconf.desired import Desired
from duckconf.engine_output import Container, run_failure
from duckconf.errors import EngineRefused, NodeRefused
from duckconf.facts import Facts
from duckconf.instance import Instance
from duckconf.model import App
from duckconf.reach.nodes.actuator import execute
from duckconf.reach.state.placements import PlacementBook
from duckconf.refusal import LATER, SOON, after_success, refusal_from_json, refusal_to_json, refused
from duckconf.refusal_words import ARCHITECTURE, PATH, PORT, SPACE
from duckconf.report import Report, report_from_json
from duckconf.sizes import size_in_bytes
from tests.fakes import FakeNode

NODES = ("n1", "n2")
WEB = App("nginx", "web")
# As podman 4.3 and docker 20, 27 and 29 print them, over runc and crun.
WORDS = {
    "Error: cannot listen on the TCP port: listen tcp4 127.0.0.1:8080: bind: address already in use": (
        "port 127.0.0.1:8080 is in use"
    ),
    "Error: cannot listen on the TCP port: listen tcp4 :8080: bind: address already in use": "port 8080 is in use",
    "Error: rootlessport listen tcp 0.0.0.0:8080: bind: address already in use": "port 0.0.0.0:8080 is in use",
    "docker: Error response from daemon: driver failed programming external connectivity on endpoint w (39c7): "
    "Error starting userland proxy: listen tcp4 0.0.0.0:8080: bind: address already in use.": "port 0.0.0.0:8080 is in use",
    "docker: Error response from daemon: driver failed programming external connectivity on endpoint w (68f7): "
    "Bind for 127.0.0.1:8080 failed: port is already allocated.": "port 127.0.0.1:8080 is in use",
    "docker: Error response from daemon: failed to set up container networking: driver failed programming external "
    "connectivity on endpoint w (1): failed to bind host port 0.0.0.0:8080/tcp: address already in use": (
        "port 0.0.0.0:8080/tcp is in use"
    ),
    "Error: cannot listen on the TCP port: listen tcp4 192.0.2.77:80: bind: cannot assign requested address": (
        "192.0.2.77:80 is not an address of this node"
    ),
    "Error: rootlessport cannot expose privileged port 80, you can add 'net.ipv4.ip_unprivileged_port_start=80'": (
        "port 80 is reserved for root"
    ),
    "docker: Error response from daemon: Range of CPUs is from 0.01 to 2.00, as there are only 2 CPUs available.": (
        "it has 2 cores, fewer than the app asks for"
    ),
    "Error: requested CPUs are not available - requested 63, available: 0-1": "it has only the cores 0-1",
    "Error: statfs /no/such/path: no such file or directory": "path /no/such/path is missing",
    "docker: Error response from daemon: error while creating mount source path '/proc/no/such': mkdir /proc/no: no such "
    "file or directory.": "path /proc/no/such is missing and cannot be created",
    "Error: stat /dev/no-such: no such file or directory": "it has no device /dev/no-such",
    'docker: Error response from daemon: error gathering device information while adding custom device "/dev/no-such": no '
    "such file or directory.": "it has no device /dev/no-such",
    'docker: Error response from daemon: could not select device driver "" with capabilities: [[gpu]].': (
        "it has no device with [[gpu]]"
    ),
    "Error: crun: exec container process `/app`: Exec format error: OCI runtime error": "the image is for another architecture",
    'Error: lookup init binary: exec: "catatonit": executable file not found in $PATH': (
        "it has no program for init; ./inv provision installs catatonit"
    ),
    "Error: container-init binary not found on the host: stat /usr/libexec/podman/catatonit: no such file or directory": (
        "it has no program for init; ./inv provision installs catatonit"
    ),
    "docker: no matching manifest for linux/arm64/v8 in the manifest list entries.": "the image is for another architecture",
    "Error: writing blob: write /var/lib/containers/storage/overlay: no space left on device": "no space left on its disk",
}
OF_THE_APP = (
    'Error: runc: runc create failed: unable to start container process: exec: "/no/such": stat /no/such: no such file or '
    "directory: OCI runtime attempted to invoke a command that was not found",
    "docker: Error response from daemon: Minimum memory limit allowed is 6MB.",
    "Error: sysctl 'kernel.foo' is not allowed",
    'Error: invalid option type "nosuch"',
    "docker: Error response from daemon: invalid mode: nosuch.",
    "Error: localhost/none: image not known",
    'Conflict. The container name "/web" is already in use by container 1.',
)


def port(node: str) -> NodeRefused:
    return NodeRefused(node, PORT, "port 80 is in use", "bind: address already in use")


def path(node: str) -> NodeRefused:
    return NodeRefused(node, PATH, "path /data is missing", "statfs /data: no such file or directory")


def copy_of(app: App, node: str, state: str, spec: str = "") -> Container:
    return Container("id", f"c-{app.name}", node, app.name, spec or spec_hash(app), app.image, state, 5.0, 1)


class Loop:
    """A reconciler and what its nodes answer."""

    def __init__(self, folder: Path, nodes: Sequence[str] = NODES) -> None:
        self.nodes = nodes
        self.reconciler = Reconciler("demo", PlacementBook(folder / "placements.json"), 20.0)

    def look(
        self,
        now: float,
        *apps: App | Instance,
        seen: Mapping[str, tuple[Container, ...]] | None = None,
        facts: Mapping[str, Facts] = MappingProxyType({}),
        asked: Mapping[str, int] = MappingProxyType({}),
    ) -> Verdict:
        desired = Desired({item.name: item if isinstance(item, Instance) else Instance(item) for item in apps})
        found = dict.fromkeys(self.nodes, ()) if seen is None else seen
        heard = {node: (now, containers) for node, containers in found.items()}
        return self.reconciler.decide(desired, self.nodes, heard, (), now, facts=facts, asked=asked)

    def starts(
        self,
        now: float,
        *apps: App | Instance,
        seen: Mapping[str, tuple[Container, ...]] | None = None,
        facts: Mapping[str, Facts] = MappingProxyType({}),
        asked: Mapping[str, int] = MappingProxyType({}),
    ) -> dict[str, str]:
        """The node of each start, which is refused there at once by a port that is in use."""
        steps = self.look(now, *apps, seen=seen, facts=facts, asked=asked).decision.plan.steps
        for step in steps:
            self.reconciler.settle(step, port(step.action.node), now, last=True)
        return {step.app: step.action.node for step in steps if isinstance(step.action, Start)}


@pytest.fixture
def loop(tmp_path: Path) -> Loop:
    return Loop(tmp_path)


@pytest.mark.parametrize(("words", "meaning"), WORDS.items())
def test_the_words_of_both_engines_about_their_node_are_understood(words: str, meaning: str) -> None:
    failure = run_failure("n1", Completed(125, "", words), "nginx")
    assert isinstance(failure, NodeRefused)
    assert failure.why == meaning
    assert failure.words in words


@pytest.mark.parametrize("words", OF_THE_APP)
def test_what_every_node_would_refuse_is_the_apps_own_fault(words: str) -> None:
    assert isinstance(run_failure("n1", Completed(125, "", words), "nginx"), EngineRefused)


def test_a_refused_app_is_tried_on_the_next_node_at_once_and_then_waits_without_a_place(loop: Loop) -> None:
    first = loop.starts(1.0, WEB)["web"]
    second = loop.starts(1.1, WEB)["web"]
    assert {first, second} == set(NODES)
    verdict = loop.look(1.2, WEB)
    assert verdict.decision.plan.steps == ()
    (row,) = verdict.apps
    assert (row.state, row.node, row.note) == ("pending", "", "no node fits: n1, n2: port 80 is in use")
    assert loop.reconciler.wake_after(NODES, 1.2) == pytest.approx(1.0 + SOON - 1.2)


def test_pauses_of_one_node_grow_to_minutes(loop: Loop) -> None:
    loop.nodes = ("n1",)
    now, tried = 1.0, []
    while now < 2000:
        if loop.starts(now, WEB):
            tried.append(now)
        now += 0.5
    gaps = [round(after - before) for before, after in itertools.pairwise(tried)]
    assert gaps[:5] == [1, 2, 4, 8, 16]
    assert set(gaps[9:]) == {300}


def test_another_spec_is_tried_at_once(loop: Loop) -> None:
    loop.nodes = ("n1",)
    assert loop.starts(1.0, WEB)
    assert not loop.starts(1.1, WEB)
    assert loop.starts(1.2, App("nginx", "web", env={"A": "1"}))


def test_an_app_that_was_withdrawn_and_declared_again_is_tried_at_once(loop: Loop) -> None:
    loop.nodes = ("n1",)
    assert loop.starts(1.0, WEB)
    assert not loop.starts(1.1)
    assert loop.starts(1.2, WEB)


def test_a_node_that_was_lost_and_is_back_is_asked_again_at_once(loop: Loop) -> None:
    step = loop.look(1.0, WEB).decision.plan.steps[0]
    loop.reconciler.settle(step, path(step.action.node), 1.0, last=True)
    other = next(node for node in NODES if node != step.action.node)
    for now in (2.0, 10.0, 30.0):
        loop.look(now, WEB, seen={other: (copy_of(WEB, other, "running"),)})
    assert loop.reconciler.refusals
    loop.look(31.0, WEB, seen={step.action.node: (), other: (copy_of(WEB, other, "running"),)})
    assert loop.reconciler.refusals == {}


def test_a_node_that_a_person_asks_for_is_tried_again_at_once(loop: Loop) -> None:
    loop.nodes = ("n1",)
    assert loop.starts(1.0, WEB, asked={"n1": 4})
    assert not loop.starts(1.1, WEB, asked={"n1": 4})
    assert loop.starts(1.2, WEB, asked={"n1": 5})
    assert not loop.starts(1.3, WEB, asked={"n1": 5})


def test_what_serves_goes_on_while_its_update_starts_where_no_node_refuses_it(loop: Loop) -> None:
    old = copy_of(WEB, "n1", "running", "another")
    seen: dict[str, tuple[Container, ...]] = {"n1": (old,), "n2": ()}
    step = loop.look(1.0, WEB, seen=seen).decision.plan.steps[0]
    loop.reconciler.settle(step, path("n1"), 1.0, last=True)
    verdict = loop.look(1.1, WEB, seen=seen)
    assert [(type(step.action), step.action.node) for step in verdict.decision.plan.steps] == [(Start, "n2")]


def test_what_serves_waits_with_the_reason_when_no_other_node_takes_its_update(tmp_path: Path) -> None:
    loop, old = Loop(tmp_path, ("n1",)), copy_of(WEB, "n1", "running", "another")
    seen: dict[str, tuple[Container, ...]] = {"n1": (old,)}
    step = loop.look(1.0, WEB, seen=seen).decision.plan.steps[0]
    loop.reconciler.settle(step, path("n1"), 1.0, last=True)
    verdict = loop.look(1.1, WEB, seen=seen)
    assert verdict.decision.plan.steps == ()
    assert verdict.decision.plan.notes["web"] == "held back for 60 s: n1 refuses it: path /data is missing"
    assert [(row.node, row.state) for row in verdict.apps] == [("n1", "running")]


def test_what_exited_and_is_refused_where_it_was_starts_elsewhere(loop: Loop) -> None:
    seen: dict[str, tuple[Container, ...]] = {"n1": (copy_of(WEB, "n1", "exited"),), "n2": ()}
    step = loop.look(1.0, WEB, seen=seen).decision.plan.steps[0]
    loop.reconciler.settle(step, port("n1"), 1.0, last=True)
    assert loop.starts(1.1, WEB, seen=seen) == {"web": "n2"}


def test_a_refusal_by_a_node_that_is_silent_moves_nothing(loop: Loop) -> None:
    old = copy_of(WEB, "n1", "running", "another")
    step = loop.look(1.0, WEB, seen={"n1": (old,), "n2": ()}).decision.plan.steps[0]
    loop.reconciler.settle(step, path("n1"), 1.0, last=True)
    assert loop.starts(2.0, WEB, seen={"n2": ()}) == {}


def test_a_node_without_space_gets_no_other_app_until_its_pause_is_over_or_a_start_works(loop: Loop) -> None:
    step = loop.look(1.0, WEB).decision.plan.steps[0]
    full = step.action.node
    other = next(node for node in NODES if node != full)
    loop.reconciler.settle(step, NodeRefused(full, SPACE, "no space left on its disk", "no space"), 2.0, last=True)
    many = tuple(App("nginx", name) for name in "abcdef")
    placed = {step.action.node for step in loop.look(3.0, *many).decision.plan.steps}
    assert placed == {other}
    fresh = tuple(App("nginx", name) for name in "ghijkl")
    assert full in {step.action.node for step in loop.look(3.0 + LATER, *fresh).decision.plan.steps}
    loop.reconciler.settle(step, None, 70.0, last=True)
    assert loop.reconciler.refusals == {}


def test_a_start_of_the_spec_before_takes_nothing_back_that_was_said_against_this_one() -> None:
    before, after = App("web:1", "web"), App("web:1", "web", ports=("80:80",))
    known = {("n1", "web"): refused(None, after, port("n1"), 0.0), ("n2", "web"): refused(None, after, port("n2"), 0.0)}
    assert after_success(known, "n1", "web", spec_hash(before)) == known
    assert after_success(known, "n1", "web", spec_hash(after)).keys() == {("n2", "web")}


def test_refusals_go_on_in_the_next_process_with_the_pause_that_was_left() -> None:
    refusal = refused(None, WEB, path("n1"), 100.0)
    report = report_from_json(Report(refusals=(refusal,), clock=110.0).to_json())
    (moved,) = report.refusals_at(5.0).values()
    assert (moved.until, moved.spec, moved.reason) == (5.0 + LATER - 10.0, spec_hash(WEB), "path /data is missing")


def test_a_refusal_travels_with_the_seconds_that_are_left() -> None:
    refusal = refused(None, WEB, path("n1"), 100.0)
    there = refusal_from_json("n1", refusal_to_json(refusal, 130.0), 7.0)
    assert (there.until, there.app, there.kind, there.words) == (7.0 + LATER - 30.0, "web", PATH, refusal.words)


def test_a_node_that_is_too_small_is_passed_over_before_it_is_asked_and_what_is_unknown_excludes_nothing(loop: Loop) -> None:
    large = App("nginx", "large", cpus=8, memory="4g")
    small, big = Facts(cores=4, memory_total=8 * 2**30), Facts(cores=8, memory_total=2 * 2**30)
    assert loop.starts(1.0, large, facts={"n1": small}) == {"large": "n2"}
    verdict = loop.look(2.0, App("nginx", "larger", cpus=8, memory="4g"), facts={"n1": small, "n2": big})
    assert verdict.apps[0].note == "no node fits: 1 with fewer than 8 cores, 1 with less than 4.0G of memory"


def test_what_runs_on_a_node_that_is_too_small_stays(loop: Loop) -> None:
    large = App("nginx", "large", cpus=8)
    seen: dict[str, tuple[Container, ...]] = {"n1": (copy_of(large, "n1", "running"),), "n2": ()}
    verdict = loop.look(1.0, large, seen=seen, facts={"n1": Facts(cores=4)})
    assert (verdict.decision.plan.steps, verdict.decision.placements["large"].node) == ((), "n1")


def test_an_image_for_another_architecture_is_tried_on_one_node_of_each(loop: Loop) -> None:
    loop.nodes = ("n1", "n2", "n3", "n4")
    arm, amd = Facts(architecture="arm64"), Facts(architecture="amd64")
    facts = {"n1": amd, "n2": amd, "n3": amd, "n4": arm}
    step = loop.look(1.0, WEB, facts=facts).decision.plan.steps[0]
    assert step.action.node != "n4"
    wrong = NodeRefused(step.action.node, ARCHITECTURE, "the image is for another architecture", "exec format error")
    loop.reconciler.settle(step, wrong, 1.0, last=True)
    assert loop.starts(1.1, WEB, facts=facts) == {"web": "n4"}


@pytest.mark.parametrize(
    ("text", "count"), [("", 0), ("512", 512), ("512b", 512), ("512m", 2**29), ("1.5g", 3 * 2**29), ("512MiB", 2**29), ("x", 0)]
)
def test_sizes_are_understood_as_engines_take_them(text: str, count: int) -> None:
    assert size_in_bytes(text) == count


def test_an_app_is_not_started_where_it_is_larger_than_the_node() -> None:
    node = FakeNode("n1")
    node.answers["sh"] = Completed(0, "cores 0-1\nMemTotal 1048576 kB\n", "")
    with pytest.raises(NodeRefused, match="it has 2 cores, and the app asks for 64"):
        execute(Start("n1", "c", App("nginx", "web", cpus=64)), "demo", node)
    with pytest.raises(NodeRefused, match=r"it has 1\.0G of memory, and the app asks for 900G"):
        execute(Start("n1", "c", App("nginx", "web", memory="900g")), "demo", node)
    execute(Start("n1", "c", App("nginx", "web", cpus=2)), "demo", node)
    assert list(node.containers) == ["c"]


def test_an_app_that_was_started_again_says_in_its_log_that_it_is_for_another_architecture() -> None:
    node = FakeNode("n1", {"c": {"node": "n1", "duckconf.cluster": "demo"}})
    execute(Restart("n1", "c", "web"), "demo", node)
    node.log = "exec /app: exec format error\n"
    with pytest.raises(NodeRefused, match="the image is for another architecture"):
        execute(Restart("n1", "c", "web"), "demo", node)
    node.log = "the child said: exec format error\n"
    execute(Restart("n1", "c", "web"), "demo", node)


def test_a_newer_placement_is_tried_at_once_by_the_agent_that_refused_an_older_one(tmp_path: Path) -> None:
    loop = Loop(tmp_path, ("n1",))
    loop.reconciler.only_mine = True
    first = Instance(App("nginx", "web"), 1, "n1", 7)
    assert loop.starts(1.0, first)
    assert not loop.starts(1.1, first)
    assert not loop.starts(1.2)
    assert loop.starts(1.3, Instance(App("nginx", "web"), 1, "n1", 8))
    (refusal,) = loop.reconciler.refusals.values()
    assert refusal.strikes == 2


def test_a_person_who_asks_a_node_to_try_again_ends_the_pause_of_what_its_engine_said_no_to(loop: Loop) -> None:
    step = loop.look(1.0, WEB, asked={"n1": 4, "n2": 4}).decision.plan.steps[0]
    for now in (1.0, 3.0, 6.0):
        loop.reconciler.settle(step, EngineRefused("image not known", "", conflict=False), now, last=True)
    other = next(node for node in NODES if node != step.action.node)
    assert loop.starts(6.5, WEB, asked={step.action.node: 4, other: 5}) == {}
    assert loop.starts(6.6, WEB, asked={step.action.node: 5, other: 5}) == {"web": step.action.node}
