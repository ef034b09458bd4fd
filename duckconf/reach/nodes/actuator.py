"""The actuator: makes one decided action happen on one node. It decides nothing.

Every destructive act asks first whether the container is ours and this node's: one without our labels is left alone,
and so is another node's on an engine that they share.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import replace

from duckconf import beside, engine, restart
from duckconf.actions import Action, Kill, Pin, Remove, Restart, Start
from duckconf.codec import app_of_label, read_manifest, spec_hash, stop_grace, to_label
from duckconf.command import Completed, Runner
from duckconf.engine_output import (
    another_architecture,
    asks_for_registry,
    does_not_run,
    engine_failure,
    engine_named,
    is_gone,
    lacks_image,
    require_ours,
    run_failure,
    unreadable,
)
from duckconf.errors import BadInput, Conflict, DuckconfError, EngineRefused, NodeFailure, NodeRefused, NotFound
from duckconf.facts import ask_machine, read_facts
from duckconf.fit import misfit
from duckconf.healthcheck_kind import label_of
from duckconf.image import LOCAL
from duckconf.last_run import once, since
from duckconf.model import App
from duckconf.naming import (
    LABEL_CLUSTER,
    LABEL_MANIFEST,
    LABEL_NODE,
    LABEL_SECRETS,
    LABEL_SPEC,
    app_env,
    app_labels,
    public_image,
    repository,
)
from duckconf.own_words import own_words
from duckconf.placement import ALIVE
from duckconf.reach.nodes.delivery import Delivery
from duckconf.reach.nodes.network import join
from duckconf.refusal_words import IMAGE, PORT
from duckconf.secrets import Values, no_values
from duckconf.spreading import host_ports
from duckconf.together import unit_of
from duckconf.visible import visible

MOST_WORDS = 400
NEVER = "never"


def execute(action: Action, cluster: str, runner: Runner, values: Values = no_values) -> None:
    """`values` gives those of the secrets that the app uses.

    Raises EngineRefused (the engine's no), NodeRefused (a no that is the node's), another NodeFailure (nobody there),
    NotFound (nothing of ours by that name) or Conflict (it is as it should be)."""
    if isinstance(action, Start):
        _start(action, cluster, runner, values)
    elif isinstance(action, Restart):
        labels = require_own(action.node, action.container, cluster, runner)
        if action.unhealthy:
            _must(action.node, runner.run(engine.stop(action.container, stop_grace(labels.get(LABEL_MANIFEST, "")))))
        done = runner.run(engine.start_again(action.container))
        require_ours(action.node, done)
        failure = None if done.ok else run_failure(action.node, done, own=_words_of(labels))
        if isinstance(failure, NodeRefused):
            raise failure
        _must(action.node, done)
        _require_architecture(action, runner)
    elif isinstance(action, Remove):
        labels = require_own(action.node, action.container, cluster, runner)
        grace = stop_grace(labels.get(LABEL_MANIFEST, ""))
        _must(action.node, runner.run(engine.stop(action.container, grace)))
        _must(action.node, runner.run(engine.remove(action.container, volumes=LABEL_SECRETS in labels)))
        if stack := _unit(labels):
            # Refused while another service is in it, and made again when one starts.
            runner.run(engine.drop_network(cluster, stack))
    elif isinstance(action, Kill):
        require_own(action.node, action.container, cluster, runner)
        done = runner.run(engine.kill(action.container))
        if does_not_run(done):
            raise Conflict(f"{action.container} on {action.node} does not run", "see `./inv ps`")
        _must(action.node, done)


def _start(action: Start, cluster: str, runner: Runner, values: Values) -> None:
    app = action.app
    delivery = Delivery(app, values)
    _require_room(action.node, app, runner)
    check, policy = label_of(app.healthcheck), restart.label(app)
    labels = app_labels(cluster, app.name, spec_hash(app), action.generation, to_label(app), action.slot, check, policy)
    labels |= delivery.labels
    env = app_env(app.name, action.node, action.slot)
    kind = engine_named(runner.run(engine.ask_version())) if engine.depends_on_engine(app) else ""

    network = join(action, cluster, runner)
    labels |= network.labels

    def begin(app: App) -> Completed:
        return delivery.start(action.container, engine.run(action.container, network.app(app), labels, env, kind), runner)

    first, *others = ways_to_image(action)
    done = begin(first)
    for other in others:
        if not lacks_image(done):
            break
        done = begin(other)
    last = others[-1] if others else first
    if asks_for_registry(done) and (public := public_image(last.image)):
        # On podman too a short name means what it means on docker; an image that is there under it has won before.
        done = begin(replace(last, image=public))
    require_ours(action.node, done)
    if done.ok:
        return
    if action.pin is not None and lacks_image(done):
        raise _other_image(action, action.pin)
    failure = run_failure(action.node, done, app.image, own_words(app))
    failure = _held_by_own_copy(action, failure, cluster, runner) or failure
    # The engine keeps a container whose start failed (a port taken, a command not found in the image).
    try:
        # Where the name was taken this start made nothing: what has the name was there before.
        if not (isinstance(failure, EngineRefused) and failure.conflict):
            with suppress(NotFound):
                _remove_half_made(action, cluster, runner)
    except NodeFailure as away:
        raise type(away)(action.node, away.reason, away.remedy, may_have_run=True) from failure
    raise failure


def ways_to_image(action: Start) -> list[App]:
    """The app with each name of its image, the surest first: the next one is tried where the node lacks it."""
    app, pin = action.app, action.pin
    if pin is not None:
        pulled = () if app.pull_policy == NEVER else pin.digests or ()
        # By the name that the app has: which registry is asked is not for the node to say that found the digest.
        names = dict.fromkeys(f"{repository(app.image)}@{digest.rpartition('@')[2]}" for digest in pulled)
        by_digest = [replace(app, image=name, pull_policy="") for name in names]
        return [replace(app, image=pin.reference, pull_policy=NEVER), *by_digest]
    if action.fresh and app.pull_policy != NEVER and not app.image.startswith(LOCAL):
        return [replace(app, pull_policy="always"), app]
    return [app]


def _other_image(action: Start, pin: Pin) -> NodeRefused:
    name, image = action.app.name, action.app.image
    why = (
        f"it lacks the image that this revision of {name} runs as {image} (id {pin.id[:12]}), and no registry has that one; "
        f"to copy it: ./inv push-image {image} --to {action.node}; to run what {image} is now: ./inv redeploy {name}"
    )
    return NodeRefused(action.node, IMAGE, why, "")


def _held_by_own_copy(action: Start, failure: DuckconfError, cluster: str, runner: Runner) -> NodeRefused | None:
    """Where nodes share an engine, the port or the name may be held by the app's copy on the node that it is to leave: no
    pause and no other node helps."""
    wanted = ", ".join(port.on_node for port in host_ports(action.app))
    in_use = isinstance(failure, NodeRefused) and failure.kind == PORT
    taken = isinstance(failure, EngineRefused) and failure.conflict
    if not wanted or not (in_use or taken):
        return None
    try:
        copies = beside.read(runner.run(beside.ask(cluster)).stdout)
    except NodeFailure:
        return None
    for copy in copies:
        if copy.app == action.app.name and copy.node != action.node and copy.state in ALIVE:
            why = (
                f"port {wanted} {beside.OWN_COPY} {copy.node}: in the shared topology all nodes use the ports of "
                "one engine; for nodes with ports of their own: ./inv up MODE --topology own"
            )
            return NodeRefused(action.node, PORT, why, failure.words if isinstance(failure, NodeRefused) else "")
    return None


def _unit(labels: Mapping[str, str]) -> str:
    """The stack whose network a container is in."""
    app = app_of_label(labels.get(LABEL_MANIFEST, ""))
    return unit_of(app) if app is not None else ""


def _words_of(labels: Mapping[str, str]) -> Collection[str]:
    """The app's own texts, of a container that is there."""
    try:
        return own_words(read_manifest(labels.get(LABEL_MANIFEST, "")))
    except (BadInput, ValueError):
        return ()


def _require_room(node: str, app: App, runner: Runner) -> None:
    """Podman starts what asks for more cores or memory than there are, and nobody knows the node better than itself."""
    if app.cpus or app.memory:
        lacks = misfit(app, read_facts("", runner.run(ask_machine()).stdout))
        if lacks is not None:
            raise NodeRefused(node, lacks.kind, lacks.alone, "")


def _require_architecture(action: Restart, runner: Runner) -> None:
    """With runc, podman and docker start an image of another architecture, and only its log says why it ended at once.

    Asked after the start, so that it delays no app that crashed for another reason.
    """
    said = runner.run(engine.last_words(action.container, 1))
    if words := another_architecture(said.stdout + said.stderr):
        raise NodeRefused(action.node, *words)


def _remove_half_made(action: Start, cluster: str, runner: Runner) -> None:
    """A refused replacement must not cost the copy that still runs under the same name with the old spec."""
    labels = _labels(action.node, action.container, runner)
    if _ours(labels, action.node, cluster) and labels.get(LABEL_SPEC) == spec_hash(action.app):
        _must(action.node, runner.run(engine.remove(action.container, volumes=LABEL_SECRETS in labels)))
        if stack := _unit(labels):
            # Refused while another service is in it, and made again when one starts.
            runner.run(engine.drop_network(cluster, stack))


def last_words(container: str, runner: Runner) -> str:
    """The last lines that it printed in its last run, in one line, "" where there is nothing to read."""
    try:
        began = since(runner.run(engine.ask_started(container)).stdout)
        words = _printed(container, runner, began)
        return words or (_printed(container, runner) if began else "")
    except NodeFailure:
        return ""


def _printed(container: str, runner: Runner, began: str = "") -> str:
    said = runner.run(engine.last_words(container, 10, began))
    return f"{once(said.stdout)} {once(said.stderr)}".strip()[-MOST_WORDS:] if said.ok else ""


def printed(node: str, container: str, cluster: str, runner: Runner, lines: int) -> str:
    """Its last lines, each with its time, with nothing in them that a terminal would act upon. Raises NotFound, NodeFailure or
    EngineRefused."""
    require_own(node, container, cluster, runner)
    done = runner.run(engine.words(container, tail=str(lines)))
    _must(node, done)
    return visible(done.stdout)


def clean_up(node: str, container: str, cluster: str, runner: Runner) -> bool:
    """Remove what a start that failed or was cut off may have left; says whether there was anything."""
    if not _ours(_labels(node, container, runner), node, cluster):
        return False
    _must(node, runner.run(engine.remove(container)))
    return True


def require_own(node: str, container: str, cluster: str, runner: Runner) -> Mapping[str, str]:
    """Its labels; raises NotFound."""
    labels = _labels(node, container, runner)
    if not _ours(labels, node, cluster):
        raise NotFound(f"{node} has no container {container} of cluster {cluster}")
    return labels


def _ours(labels: Mapping[str, str], node: str, cluster: str) -> bool:
    return (labels.get(LABEL_NODE), labels.get(LABEL_CLUSTER)) == (node, cluster)


def _labels(node: str, container: str, runner: Runner) -> dict[str, str]:
    """The container's labels, empty when there is no such container; raises Unreadable."""
    done = runner.run(engine.inspect_labels(container))
    require_ours(node, done)
    try:
        labels = (json.loads(done.stdout) or {}) if done.ok else {}
    except ValueError:
        raise unreadable(node, done) from None
    if not isinstance(labels, dict):
        raise unreadable(node, done)
    return labels


def _must(node: str, done: Completed) -> None:
    require_ours(node, done)
    if is_gone(done):
        raise NotFound(f"{node} has the container no more")
    if not done.ok:
        failure = run_failure(node, done)
        if isinstance(failure, NodeRefused):
            failure = EngineRefused(f"{node}: {failure.words}", conflict=False)
        raise failure if isinstance(failure, EngineRefused) else engine_failure(node, done)
