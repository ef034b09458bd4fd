"""The name of the node and the engine that the docker-wrapper goes by, and what it refuses."""

from __future__ import annotations

import os

import pytest

from tests.unit.wrapper.stub import (
    WRAPPER,
    Stub,
    split_table,
)

NEEDS_A_NAME = "run w | create w | ps | container run w | container create w | container ls | container list"
NO_NAME = {"missing": None, "empty": "", "blank": "\n", "second line": "  \nnode-1\n"}


@pytest.mark.parametrize("line", split_table(NEEDS_A_NAME))
@pytest.mark.parametrize("content", NO_NAME.values(), ids=NO_NAME.keys())
def test_a_node_without_a_name_starts_and_lists_nothing(stub: Stub, line: str, content: str | None) -> None:
    (stub.folder / "node").unlink()
    if content is not None:
        stub.tell(node=content)
    result = stub.wrap(*line.split())
    assert stub.calls == []
    assert result.returncode == 125
    assert result.stderr.decode() == (
        f"docker-wrapper: this node has no name: write it as the first line of {stub.folder}/node\n"
    )


@pytest.mark.parametrize("argv", [("images",), ("stop", "x"), (), ("container", "rm", "x")], ids=" ".join)
def test_a_node_without_a_name_can_do_the_rest(stub: Stub, argv: tuple[str, ...]) -> None:
    (stub.folder / "node").unlink()
    assert stub.wrap(*argv).returncode == 0
    assert stub.calls == [argv]


@pytest.mark.parametrize("content", ["node-1", "node-1\nnode-2\n", "  node-1  \n"])
def test_the_nodes_name_is_the_first_line(stub: Stub, content: str) -> None:
    stub.tell(node=content)
    stub.wrap("ps")
    assert stub.calls == [("ps", "--filter", "label=node=node-1")]


def test_the_engine_can_be_named_in_a_file(stub: Stub) -> None:
    stub.tell(**{"engine-path": f"{stub.engine}\n"})
    assert stub.wrap("images", DUCKCONF_ENGINE="").returncode == 0
    assert stub.calls == [("images",)]


def test_the_environment_comes_before_the_file(stub: Stub) -> None:
    stub.tell(**{"engine-path": "/nowhere\n"})
    assert stub.wrap("images").returncode == 0


@pytest.mark.parametrize("place", ["DUCKCONF_ENGINE", "engine-path"])
@pytest.mark.parametrize("kind", ["missing", "folder", "not executable", "wrapper", "link to the wrapper"])
def test_what_is_no_engine_is_refused_with_the_place_to_correct(stub: Stub, kind: str, place: str) -> None:
    path = stub.folder / "other"
    if kind == "folder":
        path.mkdir()
    elif kind == "not executable":
        stub.tell(other="")
    elif kind == "wrapper":
        path = WRAPPER
    elif kind == "link to the wrapper":
        path.symlink_to(WRAPPER)
    if place == "engine-path":
        stub.tell(**{"engine-path": f"{path}\n"})
    result = stub.wrap("images", DUCKCONF_ENGINE=str(path) if place == "DUCKCONF_ENGINE" else "")
    named_in = place if place == "DUCKCONF_ENGINE" else stub.folder / place
    assert result.returncode == 125
    assert result.stderr.decode() == (f"docker-wrapper: {path} is no container engine: correct its path in {named_in}\n")


SUDO = """#!/bin/sh
[ "$1 $2" = "-n --" ] || exit 9
shift 2
chmod 600 "$DUCKCONF_BECOME_FILE"
exec "$@"
"""


@pytest.mark.skipif(os.geteuid() == 0, reason="root can read every file; tests/e2e/test_real_hosts.py sees it with a login")
def test_who_may_not_read_the_mark_becomes_root_first(stub: Stub) -> None:
    """As the login `duckconf`, for whom the file is unreadable; here it is so until sudo was called."""
    stub.tell(become="x\n", sudo=SUDO)
    (stub.folder / "become").chmod(0)
    (stub.folder / "sudo").chmod(0o755)
    path = f"{stub.folder}:{os.environ['PATH']}"
    assert stub.wrap("images", "a b", PATH=path, DUCKCONF_BECOME_FILE=str(stub.folder / "become")).returncode == 0
    assert stub.calls == [("images", "a b")]


def test_root_goes_straight_to_the_engine(stub: Stub) -> None:
    stub.tell(become="x\n", sudo="#!/bin/sh\nexit 9\n")
    (stub.folder / "sudo").chmod(0o755)
    path = f"{stub.folder}:{os.environ['PATH']}"
    assert stub.wrap("images", PATH=path, DUCKCONF_BECOME_FILE=str(stub.folder / "become")).returncode == 0
