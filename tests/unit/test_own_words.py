"""What an app says of itself is not taken for what its engine says of its node."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from duckconf.actions import Restart
from duckconf.codec import to_label
from duckconf.command import Command, Completed
from duckconf.engine_output import run_failure
from duckconf.errors import EngineRefused, NodeRefused
from duckconf.model import App
from duckconf.own_words import GO_NAMES, blanked, own_words
from duckconf.reach.nodes.actuator import execute
from duckconf.refusal_words import SPACE
from tests.fakes import FakeNode

FULL = "Error: writing blob: write /var/lib/containers/storage/overlay: no space left on device"
# What the engines say of a node, or of another container, in pieces that an app can put together.
PIECES = (
    "no space left on device", "disk quota exceeded", "listen tcp :80", "address already in use", "port is already allocated",
    "Range of CPUs is from 0.01 to 2.00", "requested cpus are not available", "available: 3", "exec format error",
    "statfs /data", ": no such file or directory", "stat /dev/kvm", "mount source path '/data'", "is already in use",
    "bind source path does not exist: /x", "cannot connect to the docker daemon", "docker-wrapper:", "no such image",
    "cannot allocate memory", "Error response from daemon:", '"', "'", "\\", "`", "\n", "\t", " ", "/", "é", "1",
)  # fmt: skip
TEXTS = st.lists(st.sampled_from(PIECES), min_size=1, max_size=6).map("".join)


def go_quoted(text: str) -> str:
    return '"' + "".join(GO_NAMES.get(sign, sign) for sign in text) + '"'


def podman(text: str) -> str:
    return f"Error: crun: executable file `{text}` not found in $PATH: No such file or directory: OCI runtime attempted to invoke"


def docker(text: str) -> str:
    return (
        "docker: Error response from daemon: failed to create task for container: runc create failed: unable to start container "
        f"process: exec: {go_quoted(text)}: executable file not found in $PATH: unknown."
    )


def bare(text: str) -> str:
    return f"Error: runc: exec: {go_quoted(text)}: stat {text}: no such file or directory: OCI runtime attempted to invoke"


@settings(max_examples=300)
@given(text=TEXTS, engine=st.sampled_from([podman, docker, bare]))
@example(text="available: 3requested cpus are not available", engine=bare)
def test_whatever_a_command_says_its_failure_is_the_apps_own(text: str, engine: object) -> None:
    app = App("nginx", "web", command=(text,))
    failure = run_failure("n1", Completed(127, "", engine(text)), app.image, own_words(app))  # type: ignore[operator]
    assert isinstance(failure, EngineRefused)
    assert not failure.conflict
    assert not failure.remedy
    if not set(text) & {"\n", "\t", '"', "\\"}:
        assert text.strip() in failure.message


@given(command=st.lists(st.text(min_size=1), max_size=3), value=st.text())
def test_an_app_without_such_words_changes_nothing_of_what_the_engine_says(command: list[str], value: str) -> None:
    app = App("nginx", "web", command=tuple(command), env={"A": value}, volumes=("/data:/data",))
    failure = run_failure("n1", Completed(125, "", FULL), app.image, own_words(app))
    assert isinstance(failure, NodeRefused)
    assert failure.kind == SPACE


def test_a_path_that_is_missing_is_still_named_in_full() -> None:
    app = App("nginx", "web", volumes=("/srv/no space left on device:/data",))
    words = "Error: statfs /srv/no space left on device: no such file or directory"
    failure = run_failure("n1", Completed(125, "", words), app.image, own_words(app))
    assert isinstance(failure, NodeRefused)
    assert failure.why == "path /srv/no space left on device is missing"


@given(text=TEXTS)
def test_the_message_keeps_its_length(text: str) -> None:
    app = App("nginx", "web", command=(text,))
    assert len(blanked(docker(text), own_words(app), [])) == len(docker(text))


def test_a_container_that_is_started_again_is_judged_without_the_words_of_its_app() -> None:
    app = App("nginx", "web", command=("no space left on device",))

    class Refusing(FakeNode):
        def run(self, command: Command) -> Completed:
            if command.argv[:2] == ("docker", "start"):
                return Completed(125, "", podman(app.command[0]))
            return super().run(command)

    labels = {"node": "n1", "duckconf.cluster": "demo", "duckconf.manifest": to_label(app)}
    with pytest.raises(EngineRefused):
        execute(Restart("n1", "c", "web"), "demo", Refusing("n1", {"c": labels}))
