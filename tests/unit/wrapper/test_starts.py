"""How the docker-wrapper reads the argv of a start, and replaces a container."""

from __future__ import annotations

import shlex
from typing import NamedTuple

import pytest

from tests.unit.wrapper.stub import (
    NODE,
    ODD_VALUES,
    Stub,
    line_of,
    split_table,
)


class Start(NamedTuple):
    """A start of a container, and what the wrapper should see in it."""

    argv: tuple[str, ...]
    name: str | None = None
    detached: bool = False
    verb_at: int = 1
    options: tuple[str, ...] = ()

    @property
    def labelled(self) -> tuple[str, ...]:
        return (*self.argv[: self.verb_at], "--label", f"node={NODE}", *self.argv[self.verb_at :])


def detached(line: str, name: str = "x") -> Start:
    return Start(tuple(shlex.split(line)), name, detached=True)


def foreground(line: str, name: str = "x") -> Start:
    return Start(tuple(shlex.split(line)), name)


def unnamed(line: str) -> Start:
    return Start(tuple(shlex.split(line)))


def behind(options: str, group: str = "", rest: str = "run -d --name x web") -> Start:
    """A start behind global options and perhaps `container`."""
    words = (*shlex.split(options), *shlex.split(group))
    return Start((*words, *shlex.split(rest)), "x", True, len(words) + 1, tuple(shlex.split(options)))


NAMES = [
    detached("run -d --name x web"),
    detached("run -d --name=x web"),
    detached("run --name x -d web sleep 9"),
    detached("run -d -p 80:80 -e A=b -v a:/b --restart no --name x web"),
    detached("run -d --name y --name=x web"),
    detached("run -d --name x --name= --name x web"),
    detached("run -d --name 'a b*$(id)' web", "a b*$(id)"),
    detached("run -d --name /x web", "/x"),
    detached("run -d --name --rm web", "--rm"),
    unnamed("run -d web"),
    unnamed("run -d --name= web"),
    unnamed("run -d --name '' web"),
    unnamed("run -d --name x --name= web"),
]
NOTHING_TO_START = """
    run | run --name | run --name x | run --name=x | run --name x -e | run --name x -it | run --name x --
    run --name x --help web
"""
NOT_A_NAME = [
    unnamed("run -d -e --name x web"),
    detached("run -d --env --name --name=x web"),
    unnamed("run -d web --name x"),
    detached("run -d --name x web --name y --name=z"),
    foreground("run --name x web -d --detach"),
    detached("run -d --name x web run ps create container run"),
    detached("run -d --name x run"),
    unnamed("run -d ps --name x"),
    detached("run -d --name x -- web -it"),
    unnamed("run -d -- web --name x"),
    unnamed("run -d - --name x"),
]
DETACHING = [
    foreground("run --name x web"),
    detached("run --detach --name x web"),
    detached("run --detach=true --name x web"),
    foreground("run --detach=false --name x web"),
    foreground("run --detach=0 --name x web"),
    foreground("run -itd=false --name x web"),
    detached("run -d=true --name x web"),
    foreground("run -d --detach=false --name x web"),
    detached("run --detach=false --name x -d web"),
    foreground("run --detach-keys -d --name x web"),
]
CLUSTERS = [
    detached("run -itd --name x web"),
    detached("run -dit=false --name x web"),
    detached("run -dp 80:80 --name x web"),
    detached("run -dp80:80 --name x web"),
    foreground("run -edd=d -w/d -ud --name x web"),
    detached("run -de=K=V --name x web"),
    detached("run -dh --name --name x web"),
    detached("run -ditPq --name x web"),
]
BOOLEANS = """
    --rm | --init | --privileged | --publish-all | --no-healthcheck | --tty | --interactive | --read-only
    --sig-proxy | --sig-proxy=false | --oom-kill-disable | --disable-content-trust | --quiet
    --use-api-socket
    --env-host | --http-proxy | --no-hosts | --passwd | --read-only-tmpfs | --replace | --rmi | --rootfs
    --tls-verify | --unsetenv-all | --noout | --syslog | --log-level=debug
"""
TO_ANOTHER_ENGINE = """
    --url unix:/y | --url=unix:/y | --connection y | --remote | -r | -tr | --root=/y | --runroot /y
"""
VALUES = [
    Start(("run", "-d", "-e", value, f"--env=A={value}", "--name", "x", "web", value, "--", value), "x", True)
    for value in ODD_VALUES
]
GLOBAL_OPTIONS = """
    --log-level debug | --log-level=debug | --remote | -r | -D | --debug | --debug=true | --url run | -c run
    -H unix:///x.sock | -Hunix:///x.sock | -H=unix:///x.sock | --host create | --context ps | -crun | -rc run
    --config run | -l error | -Dl error | --root '/a b' | --runroot /x | --runtime runc | --runtime-flag debug
    --storage-driver vfs | --storage-opt a=b | --cgroup-manager cgroupfs | --connection run | --identity run
    --tmpdir /t | --noout | --syslog | --transient-store | --tls | --tlsverify | --tlsverify=false
    --conmon /c | --tlscacert ca | --tlscert run | --tlskey run | --ssh native | --volumepath /v | --
    --log-level debug -r --url run --root=/x
"""
BEHIND_OPTIONS = [
    behind("--url 'a  b\n'"),
    behind("", "container"),
    behind("--log-level debug", "container"),
    behind("--url container", "container"),
    Start(("container", "-l", "debug", "run", "--name", "x", "web"), "x", False, 4, ("-l", "debug")),
]
CREATE_NEVER_WAITS = [
    detached("create --name x web run"),
    behind("", "container", "create -it --name=x web"),
    unnamed("create web --name x"),
]
STARTS = [
    *(NAMES + NOT_A_NAME + DETACHING + CLUSTERS + VALUES + BEHIND_OPTIONS + CREATE_NEVER_WAITS),
    *(unnamed(line) for line in split_table(NOTHING_TO_START)),
    *(detached(f"run {option} -d --name x web") for option in split_table(BOOLEANS)),
    *(unnamed(f"run -d --name x {option} web") for option in split_table(TO_ANOTHER_ENGINE)),
    *(behind(options) for options in split_table(GLOBAL_OPTIONS)),
]


@pytest.mark.parametrize("start", STARTS, ids=line_of)
def test_a_start_is_labelled_and_takes_the_place_of_our_container(stub: Stub, start: Start) -> None:
    stub.holds(start.name or "x")
    result = stub.wrap(*start.argv)
    if start.name is None:
        assert stub.calls == [start.labelled]
        return
    inspect = next(call for call in stub.calls if "inspect" in call)
    own = [
        (*start.options, "inspect", "--type", "container", "--format", inspect[-2], start.name),
        (*start.options, "stop", "0f10ad"),
        (*start.options, "rm", "-f", "0f10ad"),
    ]
    first_try = [start.labelled] if start.detached else []
    assert stub.calls == [*first_try, *own, start.labelled]
    assert (result.returncode, result.stdout, result.stderr) == (0, b"", b"")


@pytest.mark.parametrize("start", [start for start in STARTS if start.name], ids=line_of)
def test_a_free_name_costs_no_look_unless_in_the_foreground(stub: Stub, start: Start) -> None:
    assert stub.wrap(*start.argv).returncode == 0
    assert stub.calls[-1] == start.labelled
    assert len(stub.calls) == (1 if start.detached else 2)
