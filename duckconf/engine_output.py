"""What the engines print, read into values. The only place that knows how podman's and docker's words differ."""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from duckconf.codec import from_label
from duckconf.command import Completed
from duckconf.errors import DuckconfError, EngineRefused, EngineUnavailable, NodeRefused, Unreadable
from duckconf.healthcheck import HEALTHY, NO_CHECK, STARTING
from duckconf.host_words import another_program
from duckconf.naming import (
    LABEL_APP,
    LABEL_CHECK,
    LABEL_GENERATION,
    LABEL_MANIFEST,
    LABEL_RESTART,
    LABEL_RUN,
    LABEL_SHARES,
    LABEL_SLOT,
    LABEL_SPEC,
    instance_name,
)  # fmt: skip
from duckconf.own_words import blanked
from duckconf.published import published
from duckconf.refusal_words import SIGNS, meaning

DOCTOR = "see ./inv doctor {}"
NOT_FOUND = 127
NOT_EXECUTABLE = 126

ENDED = frozenset({"exited", "stopped"})
EXIT_CODE = re.compile(r"Exited \((\d+)\)")
# Words that say "something else has this name": the same request can succeed once that is gone.
CONFLICTS = re.compile(r"is already in use", re.IGNORECASE)
# Words that say nothing about the request: the engine itself is not there.
NO_ENGINE = re.compile(
    r"cannot connect to (podman|the docker daemon)|unable to connect to podman|is the docker daemon running|"
    r"docker-wrapper:",
    re.IGNORECASE,
)
# Words of both engines that say "the image is not here and cannot be had": no name, no registry, no such thing in it.
NO_IMAGE = re.compile(
    r"short-name .* did not resolve|image not known|no such image|pinging container registry|initializing source docker:|"
    r"reading manifest|manifest (for .* )?(not found|unknown)|pull access denied|failed to resolve reference|"
    r"Get \"?https?://[^ ]*/v2/",
    re.IGNORECASE,
)
# Podman's words where no registry is set up in which it might look for an image whose name has none.
NO_REGISTRY = re.compile(r"short-name .*(did not resolve|resolution enforced)|no unqualified-search registries", re.IGNORECASE)
# Words of both engines about a container that is not there any more, or is just going.
GONE = re.compile(
    r"no such container|no container with (name|id)|is marked for removal|removal of container .* is already in progress",
    re.IGNORECASE,
)
# And about one that cannot be killed because it has ended.
NOT_RUNNING = re.compile(r"can only kill running containers|container \S+ is not running", re.IGNORECASE)
# What an app's own text must not be taken for.
JUDGED = (NO_ENGINE, CONFLICTS, NO_IMAGE, *(sign.words for sign in SIGNS))
# What runc leaves in the log of a container whose program is for another processor.
WRONG_PROGRAM = re.compile(r"^(exec /\S+|standard_init_linux\.go:\d+: exec user process caused): exec format error$", re.M)
# In a container's status, where its image has a check: `Up 2 minutes (healthy)`, docker's `(health: starting)`, and from
# podman's API the one word.
HEALTH = re.compile(r"(?:^|\((?:health: )?)(starting|healthy|unhealthy)\)?$")
# How the message of an engine begins, which a shell's about a missing command does not.
ENGINES_OWN = re.compile(r"error(?: response from daemon)?:", re.IGNORECASE)


@dataclass(frozen=True)
class Container:
    """One of our containers as the engine of `node` reports it; `started` is in seconds since the epoch, UTC."""

    id: str
    name: str
    node: str
    app: str
    spec: str
    image: str
    state: str
    started: float
    generation: int = 0
    manifest: str = ""
    slot: int = 1
    health: str = ""
    """The verdict of its check: "" without a check, starting, healthy or unhealthy."""
    check: str = ""
    """What its label says of the check that it was made with."""
    said: str = ""
    """Why it is unhealthy, or was before it was started again."""
    ports: tuple[str, ...] = ()
    """Published on the node, as the engine tells it."""
    exit_code: int | None = None
    """None while it has not ended, and where nobody saw its end: the node went down with it."""
    restart: str = ""
    """The restart policy that its app had when it was started."""
    shares: str = ""
    """The id of the container whose network it shares."""
    image_id: str = ""
    """What docker's command does not tell in a listing; its API does."""

    @property
    def instance(self) -> str:
        """The name of the instance that it is, "" when it is none."""
        return instance_name(self.app, self.slot) if self.app else ""

    @property
    def running(self) -> bool:
        return self.state == "running"

    @property
    def ready(self) -> bool:
        """Whether it runs and its check, if it has one, has passed."""
        return self.running and self.health in (NO_CHECK, HEALTHY)


def engine_named(version: Completed) -> str:
    """The engine that answered `engine.ask_version`; "" when it is not known."""
    words = version.stdout.lower() if version.ok else ""
    return next((name for name in ("podman", "docker") if name in words), "")


def read_containers(node: str, completed: Completed) -> tuple[Container, ...]:
    """The answer to `engine.list_ours`, ordered by name; raises EngineUnavailable when it is not one."""
    require_ours(node, completed)
    if not completed.ok:
        raise engine_failure(node, completed)
    text = completed.stdout.strip()
    if text and text[0] not in "[{":
        raise unreadable(node, completed)
    return _containers(node, text if text.startswith("[") else f"[{','.join(text.splitlines())}]")


def require_ours(node: str, completed: Completed) -> None:
    """Raises Unreadable when another program than the one that was sent has answered."""
    if not completed.ours:
        raise unreadable(node, completed)


def unreadable(node: str, completed: Completed) -> Unreadable:
    strange = another_program(node, completed)
    return Unreadable(node, strange.reason, strange.remedy)


def read_listing(node: str, body: bytes) -> tuple[Container, ...]:
    """The answer to `engine.listing_path`, as `read_containers` gives it."""
    return _containers(node, body)


def _containers(node: str, rows: str | bytes) -> tuple[Container, ...]:
    try:
        containers = [_container(node, row) for row in json.loads(rows) if not (row["Labels"] or {}).get(LABEL_RUN)]
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise Unreadable(node, f"the engine's list of containers cannot be read: {error}", DOCTOR.format(node)) from error
    return tuple(sorted(containers, key=lambda container: container.name))


def _container(node: str, row: Mapping[str, Any]) -> Container:
    names, labels = row["Names"], row["Labels"] or {}
    name = names[0] if isinstance(names, list) else names
    return Container(
        id=row.get("Id") or row["ID"],
        name=name.removeprefix("/"),
        node=node,
        app=labels.get(LABEL_APP, ""),
        spec=labels.get(LABEL_SPEC, ""),
        image=_image(row["Image"], labels),
        state=row["State"],
        started=_started(row),
        generation=_number(labels.get(LABEL_GENERATION, "")),
        manifest=labels.get(LABEL_MANIFEST, ""),
        slot=_number(labels.get(LABEL_SLOT, "")) or 1,
        ports=published(row.get("Ports")),
        health=_health(row, labels),
        check=labels.get(LABEL_CHECK, ""),
        exit_code=_exit_code(row),
        restart=labels.get(LABEL_RESTART, ""),
        shares=labels.get(LABEL_SHARES, ""),
        image_id=(row.get("ImageID") or "").removeprefix("sha256:"),
    )


def _image(said: str, labels: Mapping[str, str]) -> str:
    """As the app calls it. One that was started by the id of its image, or by its digest, is listed by that."""
    if not said.startswith("sha256:") and "@" not in said:
        return said
    try:
        return str(dict(from_label(labels[LABEL_MANIFEST]))["image"])  # type: ignore[call-overload]
    except (KeyError, ValueError, TypeError):
        return said


def _health(row: Mapping[str, Any], labels: Mapping[str, str]) -> str:
    """What the engine says of the check of its image. It does not know of ours, on which it says nothing."""
    found = HEALTH.search(row.get("Status") or "")
    return found[1] if found else STARTING if labels.get(LABEL_CHECK) and row["State"] == "running" else NO_CHECK


def _exit_code(row: Mapping[str, Any]) -> int | None:
    """After a reboot, podman says 0 of what ran until then, with the end before the start. Docker has the code in words."""
    if row["State"] not in ENDED:
        return None
    if "ExitCode" in row:
        was_seen = row["ExitCode"] >= 0 and row.get("ExitedAt", 0) >= row.get("StartedAt", 0)
        return int(row["ExitCode"]) if was_seen else None
    code = EXIT_CODE.match(str(row.get("Status", "")))
    return int(code[1]) if code else None


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() else 0


def _started(row: Mapping[str, Any]) -> float:
    """Docker tells when the container was made: its API in seconds, its command in words."""
    if "StartedAt" in row:
        return float(row["StartedAt"])
    return _docker_time(row["CreatedAt"]) if "CreatedAt" in row else float(row["Created"])


def _docker_time(text: str) -> float:
    """Docker's `2026-01-31 10:00:00 +0000 UTC`; the zone's name is dropped, its offset is enough."""
    stamp = " ".join(text.split()[:3])
    return datetime.datetime.strptime(stamp, "%Y-%m-%d %H:%M:%S %z").timestamp()


def engine_failure(node: str, completed: Completed) -> EngineUnavailable:
    if completed.code in (NOT_FOUND, NOT_EXECUTABLE):
        return EngineUnavailable(node, "has no docker command", f"to install it: ./inv provision --limit {node}")
    return EngineUnavailable(node, f"the container engine does not answer: {last_line(completed)}")


def is_gone(completed: Completed) -> bool:
    """Whether the engine refused only because there is no such container."""
    return not completed.ok and GONE.search(completed.stderr or completed.stdout) is not None


def does_not_run(completed: Completed) -> bool:
    """Whether the engine refused to kill a container only because it has ended."""
    return not completed.ok and NOT_RUNNING.search(completed.stderr or completed.stdout) is not None


def run_failure(node: str, completed: Completed, image: str = "", own: Collection[str] = ()) -> DuckconfError:
    """Why a `docker run` (of `image`) failed: the node's fault (another node may do it) or the request's. `own` are texts of
    the app, which the engine may quote."""
    said = completed.stderr or completed.stdout
    words = blanked(said, own, JUDGED) if own else said
    # An engine gives the same codes for a program that the image lacks.
    no_docker = completed.code in (NOT_FOUND, NOT_EXECUTABLE) and "docker" in words and not ENGINES_OWN.search(words)
    if no_docker or NO_ENGINE.search(words):
        return engine_failure(node, completed)
    refusal = meaning(words, said)
    if refusal is not None:
        return NodeRefused(node, *refusal, engine_words(said))
    remedy = f"if this machine has it: ./inv push-image {image} --to {node}" if image and NO_IMAGE.search(words) else ""
    return EngineRefused(f"{node}: {engine_words(said)}", remedy, conflict=bool(CONFLICTS.search(words)))


def asks_for_registry(completed: Completed) -> bool:
    """Whether a start failed only because the image's name has no registry and the engine knows none to look in."""
    return not completed.ok and NO_REGISTRY.search(completed.stderr or completed.stdout) is not None


def lacks_image(completed: Completed) -> bool:
    """Whether a start failed because the image is not there and cannot be had."""
    said = completed.stderr or completed.stdout
    return not completed.ok and NO_IMAGE.search(said) is not None and meaning(said) is None


def another_architecture(log: str) -> tuple[str, str, str] | None:
    """Kind, reason and words, when the last line of a container's log is runc's about a program that the kernel refused."""
    found = WRONG_PROGRAM.search(log.strip())
    told = meaning(found[0]) if found else None
    return (*told, found[0]) if found and told else None


def engine_words(text: str) -> str:
    """The engine's own message without its log prefixes, usage hints and the id of a container that is gone."""
    lines = [line.strip() for line in text.splitlines()]
    lines = [line for line in lines if line and not line.startswith(("time=", "See '", "Run 'docker", "Trying to pull"))]
    return re.sub(r"^(Error: |docker: )+", "", "; ".join(lines)) or "the engine gave no reason"


def last_line(completed: Completed) -> str:
    lines = (completed.stderr or completed.stdout).strip().splitlines()
    return lines[-1].strip() if lines else f"exit code {completed.code} without a word"
