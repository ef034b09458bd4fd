"""How the docker-wrapper reads an argv and replaces a container, over a stub engine that records its calls.

The stub knows one container. Its name is taken until `rm` is called, in the words of podman or of docker.
"""

from __future__ import annotations

import os
import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pytest

WRAPPER = Path(__file__).parents[2] / "roles" / "node" / "files" / "docker-wrapper"
NODE = "node-1"
ODD_VALUES = ("a  b", " 'single' ", '"double"', "two\nlines\n", "$(id) `id` $HOME", "\\ \\n", "*", "", "ü")
PODMAN_SAYS = 'Error: creating storage: the container name "%s" is already in use by 0f10ad: it is in use'
DOCKER_SAYS = 'docker: Error from daemon: Conflict. The container name "/%s" is already in use by "0f10ad".'

# Files in STUB tell it what to do: `out`, `err` and `code` are what a start prints and returns, `facts` what
# inspect says of the container that is there, `taken` what a start says while the name is taken.
STUB = r"""#!/bin/sh
number=0
while [ -e "$STUB/call.$number" ]; do number=$((number + 1)); done
if [ $# -gt 0 ]; then printf '%s\0' "$@"; fi >"$STUB/call.$number"
echo $$ >"$STUB/pid"
starts=no
for argument in "$@"; do [ "$argument" != --label ] || starts=yes; done
[ "$starts" = yes ] || for argument in "$@"; do
  case $argument in inspect | stop | rm) [ ! -e "$STUB/reads" ] || cat >/dev/null ;; esac
  case $argument in
    inspect)
      [ ! -e "$STUB/facts" ] || exec cat "$STUB/facts"
      echo 'no such container' >&2
      exit 125
      ;;
    stop) echo stopped; echo 'took long' >&2; exit ;;
    rm)
      if [ -e "$STUB/stuck" ]; then cat "$STUB/stuck" >&2; exit 1; fi
      exec rm -f "$STUB/taken" "$STUB/facts" "$STUB/code"
      ;;
  esac
done
read -r code 2>/dev/null <"$STUB/code" || code=0
if [ -e "$STUB/taken" ]; then cat "$STUB/taken" >&2; exit "$code"; fi
if [ -e "$STUB/stays" ]; then sleep 60 >/dev/null & echo $! >"$STUB/stays"; fi
if [ -e "$STUB/reads" ]; then cat; fi
if [ -e "$STUB/lists" ]; then ls "/proc/$$/fd"; fi
if [ -e "$STUB/out" ]; then cat "$STUB/out"; fi
if [ -e "$STUB/err" ]; then cat "$STUB/err" >&2; fi
exit "$code"
"""


@dataclass(frozen=True)
class Stub:
    """A stub engine in its own folder, and a wrapper that is told to use it."""

    folder: Path

    @property
    def engine(self) -> Path:
        return self.folder / "engine"

    @property
    def env(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "TMPDIR": str(self.folder / "tmp"),
            "STUB": str(self.folder),
            "DUCKCONF_ENGINE": str(self.engine),
            "DUCKCONF_NODE_FILE": str(self.folder / "node"),
            "DUCKCONF_ENGINE_FILE": str(self.folder / "engine-path"),
        }

    def tell(self, **files: str | bytes) -> None:
        for name, content in files.items():
            (self.folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())

    def holds(self, name: str, *, says: str = PODMAN_SAYS, code: int = 125, facts: str = "") -> None:
        """There is a container of this name: ours and running, unless `facts` says otherwise."""
        self.tell(taken=says % name + "\n", code=f"{code}\n", facts=facts or f"0f10ad true -f {name} {NODE}\n")

    def wrap(self, *argv: str, stdin: bytes = b"", **env: str) -> subprocess.CompletedProcess[bytes]:
        command, environment = [str(WRAPPER), *argv], {**self.env, **env}
        return subprocess.run(command, input=stdin, env=environment, capture_output=True, timeout=20, check=False)

    @property
    def calls(self) -> list[tuple[str, ...]]:
        """Every argv the engine got, in order."""
        files = sorted(self.folder.glob("call.*"), key=lambda path: int(path.suffix[1:]))
        return [tuple(part.decode() for part in path.read_bytes().split(b"\0")[:-1]) for path in files]

    @property
    def verbs(self) -> list[str]:
        verbs = {"run", "create", "inspect", "stop", "rm"}
        return [next(word for word in call if word in verbs) for call in self.calls]


@pytest.fixture
def stub(tmp_path: Path) -> Stub:
    made = Stub(tmp_path)
    made.tell(engine=STUB, node=f"{NODE}\n")
    made.engine.chmod(0o755)
    (tmp_path / "tmp").mkdir()
    return made


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


def split_table(text: str) -> list[str]:
    """The cells of a text whose lines hold cells between bars."""
    return [cell.strip() for line in text.strip().splitlines() for cell in line.split("|")]


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


def line_of(case: Start | Passing) -> str:
    return shlex.join(case.argv).replace("\n", "\\n")


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


class Passing(NamedTuple):
    """A command that is no start, and how many words stand before the filter that it gets, if it gets one."""

    argv: tuple[str, ...]
    filter_at: int | None = None


LISTS = [
    Passing(("ps",), 1),
    Passing(("ps", "-a", "--filter", "label=a=b", "--filter=status=running", "--format", "{{.Names}}"), 1),
    Passing(("--log-level", "debug", "-r", "ps", "-q"), 4),
    Passing(("-H", "ps", "ps", "--no-trunc"), 3),
    Passing(("container", "ls", "-a"), 2),
    Passing(("container", "ps"), 2),
    Passing(("container", "list"), 2),
    Passing(("--debug", "container", "--log-level", "debug", "ls"), 5),
]
OTHER_COMMANDS = """
    --log-level debug | --log-level | -D --tls=false | --version | --help run --name x web | '' | -
    -v run --name x web | container | container container run | container rm run | ls | list
    image ls | pod ps | pod create --name x | network create run | exec x ps | stop run
    exec -it x docker run --name x web | rm -f ps | --url run inspect run
"""
OTHERS = [Passing(()), *(Passing(tuple(shlex.split(line))) for line in split_table(OTHER_COMMANDS))]
ODD_ARGUMENTS = [Passing(("exec", "x", "echo", value, "run")) for value in ODD_VALUES]


@pytest.mark.parametrize("passing", [*LISTS, *OTHERS, *ODD_ARGUMENTS], ids=line_of)
def test_anything_else_reaches_the_engine_as_it_came(stub: Stub, passing: Passing) -> None:
    stub.wrap(*passing.argv)
    expected = list(passing.argv)
    if passing.filter_at is not None:
        expected[passing.filter_at : passing.filter_at] = ["--filter", f"label=node={NODE}"]
    assert stub.calls == [tuple(expected)]


DETACHED = ("run", "-d", "--name", "x", "web")
FOREGROUND = ("run", "--name", "x", "web")
CREATE = ("create", "--name", "x", "web")


@dataclass(frozen=True)
class Foreign:
    id: str
    argv: tuple[str, ...]
    says: str = PODMAN_SAYS
    code: int = 125
    facts: str = "0f10ad true -f x node-2\n"


FOREIGN = [
    Foreign("detached", DETACHED),
    Foreign("foreground", FOREGROUND),
    Foreign("create", CREATE),
    Foreign("docker", DETACHED, DOCKER_SAYS, facts="0f10ad true -f /x node-2\n"),
    Foreign("docker's create", CREATE, DOCKER_SAYS, 1, facts="0f10ad true -f /x node-2\n"),
    Foreign("no label", DETACHED, facts="0f10ad true -f x \n"),
    Foreign("no label as docker shows it", DETACHED, facts="0f10ad true -f /x <no value>\n"),
    Foreign("name begins like ours", DETACHED, facts="0f10ad true -f x node-10\n"),
    Foreign("name ends like ours", DETACHED, facts="0f10ad true -f x other node-1\n"),
    Foreign("another, found by its id", FOREGROUND, facts="x0f10ad true -f y node-1\n"),
    Foreign("empty answer", FOREGROUND, facts="\n"),
]


@pytest.mark.parametrize("foreign", FOREIGN, ids=lambda foreign: foreign.id)
def test_a_foreign_container_is_left_alone_and_the_engine_says_why(stub: Stub, foreign: Foreign) -> None:
    stub.holds("x", says=foreign.says, code=foreign.code, facts=foreign.facts)
    result = stub.wrap(*foreign.argv)
    assert not {"stop", "rm"} & set(stub.verbs)
    assert (result.returncode, result.stderr.decode()) == (foreign.code, foreign.says % "x" + "\n")


@pytest.mark.parametrize(("argv", "code"), [(DETACHED, 125), (CREATE, 1)], ids=["run", "create"])
def test_dockers_words_for_a_taken_name_are_known(stub: Stub, argv: tuple[str, ...], code: int) -> None:
    stub.holds("x", says=DOCKER_SAYS, code=code, facts=f"0f10ad true -f /x {NODE}\n")
    stub.wrap(*argv)
    assert stub.verbs == [argv[0], "inspect", "stop", "rm", argv[0]]


def test_a_container_that_has_ended_is_not_stopped_again(stub: Stub) -> None:
    stub.holds("x", facts=f"0f10ad false -f x {NODE}\n")
    stub.wrap(*DETACHED)
    assert stub.verbs == ["run", "inspect", "rm", "run"]


def test_a_container_that_cannot_be_removed_is_tried_once_and_named(stub: Stub) -> None:
    stub.holds("x")
    stub.tell(stuck="device is busy\n")
    result = stub.wrap(*DETACHED)
    assert stub.verbs == ["run", "inspect", "stop", "rm", "run"]
    assert (result.returncode, result.stderr.decode()) == (125, "device is busy\n" + PODMAN_SAYS % "x" + "\n")


@pytest.mark.parametrize(
    ("code", "err"),
    [
        (125, 'Error: the container name "y" is already in use by 1'),
        (125, "docker: Error: Bind for 0.0.0.0:80 failed: port is already allocated."),
        (125, "Error: no such image\n\n\n"),
        (126, "listen tcp4 0.0.0.0:80: bind: address already in use\n"),
        (127, PODMAN_SAYS % "x"),
        (0, PODMAN_SAYS % "x" + "\n"),
        (0, "  warning: \\n %s $HOME\n"),
    ],
)
def test_any_other_outcome_of_a_detached_start_is_passed_on(stub: Stub, code: int, err: str) -> None:
    stub.tell(err=err, code=f"{code}\n")
    result = stub.wrap(*DETACHED)
    assert len(stub.calls) == 1
    assert (result.returncode, result.stderr.decode()) == (code, err)


@pytest.mark.parametrize("argv", [DETACHED, FOREGROUND, CREATE, ("ps",), ("logs", "x"), ("run", "web")], ids=" ".join)
def test_streams_and_exit_code_pass_unchanged(stub: Stub, argv: tuple[str, ...]) -> None:
    every_byte = bytes(range(256)) * 40
    stub.tell(out=every_byte, err=every_byte[1:256] + b"\n\n", code="42\n", reads="")
    result = stub.wrap(*argv, stdin=every_byte)
    assert result.stdout == every_byte * 2
    assert result.stderr == every_byte[1:256] + b"\n\n"
    assert result.returncode == 42


@pytest.mark.parametrize("argv", [FOREGROUND, DETACHED], ids=["foreground", "detached"])
def test_the_input_is_for_the_new_container_and_not_for_a_look(stub: Stub, argv: tuple[str, ...]) -> None:
    stub.holds("x")
    stub.tell(reads="")
    assert stub.wrap(*argv, stdin=b"for the new one").stdout == b"for the new one"


@pytest.mark.parametrize("argv", [FOREGROUND, ("run", "-d", "web"), ("ps",), ("exec", "x", "ps")], ids=" ".join)
def test_the_engine_takes_the_wrappers_place_and_so_its_signals(stub: Stub, argv: tuple[str, ...]) -> None:
    with subprocess.Popen([WRAPPER, *argv], env=stub.env, stdin=subprocess.DEVNULL) as process:
        assert process.wait(timeout=20) == 0
    assert int((stub.folder / "pid").read_text()) == process.pid


def test_a_child_of_the_engine_that_keeps_stderr_open_delays_nobody(stub: Stub) -> None:
    stub.tell(stays="", err="started\n")
    try:
        assert stub.wrap(*DETACHED).stderr == b"started\n"
    finally:
        os.kill(int((stub.folder / "stays").read_text()), 9)


def test_the_engine_inherits_none_of_the_wrappers_files(stub: Stub) -> None:
    stub.tell(lists="")
    assert not {"8", "9"} & set(stub.wrap(*DETACHED).stdout.decode().split())


def test_nothing_is_left_in_the_temporary_folder(stub: Stub) -> None:
    stub.holds("x")
    stub.wrap(*DETACHED)
    assert list((stub.folder / "tmp").iterdir()) == []


def test_without_a_temporary_folder_it_looks_before_it_starts(stub: Stub) -> None:
    stub.holds("x")
    result = stub.wrap(*DETACHED, TMPDIR=str(stub.folder / "nowhere"))
    assert stub.verbs == ["inspect", "stop", "rm", "run"]
    assert result.stderr == b""


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
