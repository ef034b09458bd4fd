"""The docker-wrapper with real containers, once over podman and once over the docker command line.

docker has no daemon of its own here: it speaks to a podman service that the module starts on a socket.
Containers have no network and names of this run only, and are removed again.
"""

from __future__ import annotations

import shutil
import subprocess
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from duckconf.naming import WEB_IMAGE

pytestmark = pytest.mark.slow

WRAPPER = Path(__file__).parents[2] / "roles" / "node" / "files" / "docker-wrapper"
IMAGE = "localhost/duckconf/wrapper-test"
DEADLINE = 60.0
# Ends as soon as it is asked to, as an app should, and tells of it.
POLITE = 'trap "echo asked; exit 7" TERM; echo ready; busybox sleep 1000 & wait'
ODD_VALUES = [
    "a  b",
    " 'single' ",
    '"double"',
    "two\nlines",
    "ends\n",
    "$(id) `id` $HOME ${X}",
    "\\ \\n",
    "*",
    "",
    "ü",
]

Finished = subprocess.CompletedProcess[str]


@dataclass
class Machine:
    """Nodes that share one engine, each with a wrapper that knows its node's name."""

    engine: str
    env: dict[str, str]
    folder: Path
    prefix: str = field(default_factory=lambda: f"wrapper-{uuid.uuid4().hex[:8]}")

    def name(self, app: str) -> str:
        return f"{self.prefix}-{app}"

    def command(self, node: str, *argv: str) -> tuple[list[str], dict[str, str]]:
        file = self.folder / node
        file.write_text(f"{node}\n")
        return [str(WRAPPER), *argv], self.env | {
            "DUCKCONF_ENGINE": self.engine,
            "DUCKCONF_NODE_FILE": str(file),
        }

    def on(self, node: str, *argv: str, stdin: str = "") -> Finished:
        """A docker command on this node."""
        command, env = self.command(node, *argv)
        return subprocess.run(command, env=env, input=stdin, capture_output=True, text=True, timeout=DEADLINE, check=False)

    def start(self, node: str, app: str, *options: str) -> str:
        """A polite container, detached; its id."""
        done = self.on(node, "run", "-d", "--network=none", "--name", self.name(app), *options, IMAGE, "sh", "-c", POLITE)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def ask(self, *argv: str) -> str:
        """What the bare engine says, without any wrapper."""
        done = subprocess.run([self.engine, *argv], env=self.env, capture_output=True, text=True, timeout=DEADLINE, check=True)
        return done.stdout.strip()

    def inspect(self, app: str, what: str) -> str:
        return self.ask("inspect", "--type", "container", "--format", f"{{{{{what}}}}}", self.name(app))

    def remove_all(self) -> None:
        ids = self.ask("ps", "-aq", "--filter", f"name={self.prefix}").split()
        if ids:
            self.ask("rm", "-f", *ids)


@pytest.fixture(scope="module")
def image(engine_env: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An image of nothing but busybox."""
    context = tmp_path_factory.mktemp("image")
    copies = "".join(f"COPY --from={WEB_IMAGE} /bin/busybox /bin/{name}\n" for name in ("busybox", "sh"))
    (context / "Containerfile").write_text(f"FROM scratch\n{copies}")
    build = ["podman", "build", "--quiet", "--tag", IMAGE, str(context)]
    subprocess.run(build, env=engine_env, check=True, capture_output=True, timeout=DEADLINE)
    yield IMAGE
    subprocess.run(["podman", "rmi", IMAGE], env=engine_env, check=True, capture_output=True, timeout=DEADLINE)


@pytest.fixture(scope="module")
def docker_env(engine_env: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment in which the docker command finds a podman service, for as long as the module runs."""
    socket = f"unix://{tmp_path_factory.mktemp('socket')}/podman.sock"
    env = engine_env | {"DOCKER_HOST": socket}
    with subprocess.Popen(["podman", "system", "service", "--time=0", socket], env=engine_env) as service:
        try:
            deadline = time.monotonic() + DEADLINE
            ready = ["docker", "version"]
            while subprocess.run(ready, env=env, capture_output=True, timeout=DEADLINE, check=False).returncode != 0:
                assert service.poll() is None, "the podman service ended"
                assert time.monotonic() < deadline, "the podman service does not answer"
            yield env
        finally:
            service.terminate()


@pytest.fixture(params=["podman", "docker"])
def machine(request: pytest.FixtureRequest, image: str, tmp_path: Path) -> Iterator[Machine]:
    engine = shutil.which(request.param)
    assert engine is not None, f"needs the {request.param} command, which `./inv test` installs"
    env: dict[str, str] = request.getfixturevalue("docker_env" if request.param == "docker" else "engine_env")
    made = Machine(engine, env, tmp_path)
    yield made
    made.remove_all()


@pytest.mark.parametrize("verb", ["run -d", "container run -d", "--log-level error run -d", "create", "container create"])
def test_a_container_carries_the_name_of_its_node(machine: Machine, verb: str) -> None:
    done = machine.on("node-1", *verb.split(), "--network=none", "--name", machine.name("web"), IMAGE, "sh", "-c", ":")
    assert done.returncode == 0, done.stderr
    assert machine.inspect("web", 'index .Config.Labels "node"') == "node-1"


@pytest.mark.parametrize("verb", ["ps", "container ls", "container ps", "container list", "--log-level error ps"])
def test_a_node_lists_its_own_containers_only(machine: Machine, verb: str) -> None:
    machine.start("node-1", "web")
    machine.start("node-2", "db")
    listing = (*verb.split(), "--filter", f"name={machine.prefix}", "--format", "{{.Names}}")
    assert machine.on("node-1", *listing).stdout.split() == [machine.name("web")]
    assert machine.on("node-2", *listing).stdout.split() == [machine.name("db")]
    assert machine.on("node-3", *listing).stdout.split() == []


@pytest.mark.parametrize("options", [(), ("--rm",)], ids=["kept", "with --rm"])
def test_a_running_container_of_this_node_is_replaced(machine: Machine, options: tuple[str, ...]) -> None:
    old = machine.start("node-1", "web", *options)
    new = machine.start("node-1", "web", *options)
    assert new != old
    assert machine.inspect("web", ".Id") == new
    assert machine.ask("ps", "-aq", "--no-trunc", "--filter", f"name={machine.prefix}") == new


def test_the_replaced_container_was_asked_to_stop(machine: Machine) -> None:
    said = machine.folder / "said"
    said.mkdir()
    told = 'trap "echo asked >/said/it; exit" TERM; echo ready; busybox sleep 1000 & wait'
    options = (
        "-d",
        "--network=none",
        "--stop-timeout=10",
        "-v",
        f"{said}:/said",
        "--name",
        machine.name("web"),
    )
    first = machine.on("node-1", "run", *options, IMAGE, "sh", "-c", told)
    assert first.returncode == 0, first.stderr
    machine.start("node-1", "web")
    assert (said / "it").read_text() == "asked\n"


@pytest.mark.parametrize("verb", ["run", "create"])
def test_a_container_that_never_started_is_replaced(machine: Machine, verb: str) -> None:
    argv = ("--network=none", "--name", machine.name("web"), IMAGE, "sh", "-c", ":")
    old = machine.on("node-1", "create", *argv).stdout.strip()
    done = machine.on("node-1", verb, *argv)
    assert done.returncode == 0, done.stderr
    assert machine.inspect("web", ".Id") != old


@pytest.mark.parametrize("start", ["run -d", "run", "create"])
def test_a_foreign_container_survives_and_the_engine_refuses(machine: Machine, start: str) -> None:
    theirs = machine.start("node-2", "web")
    argv = (*start.split(), "--network=none", "--name", machine.name("web"), IMAGE, "sh", "-c", ":")
    done = machine.on("node-1", *argv)
    bare = subprocess.run(
        [machine.engine, *argv],
        env=machine.env,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (bare.returncode, bare.stdout, bare.stderr)
    assert "is already in use" in done.stderr
    assert done.returncode == (1 if start == "create" and machine.engine.endswith("docker") else 125)
    assert machine.inspect("web", ".Id") == theirs
    assert machine.inspect("web", ".State.Running") == "true"


def test_a_container_without_a_node_is_foreign(machine: Machine) -> None:
    theirs = machine.ask("create", "--network=none", "--name", machine.name("web"), IMAGE, "sh")
    done = machine.on("node-1", "run", "-d", "--network=none", "--name", machine.name("web"), IMAGE, "sh")
    assert done.returncode == 125
    assert machine.inspect("web", ".Id") == theirs


def test_a_name_that_is_the_start_of_our_containers_id_removes_nothing(machine: Machine) -> None:
    ours = machine.start("node-1", "web")
    done = machine.on("node-1", "run", "--rm", "--network=none", "--name", ours[:12], IMAGE, "sh", "-c", "echo hello")
    assert (done.returncode, done.stdout) == (0, "hello\n")
    assert machine.inspect("web", ".State.Running") == "true"


@pytest.mark.parametrize("taken", [False, True], ids=["free name", "taken name"])
def test_values_reach_the_container_byte_for_byte(machine: Machine, taken: bool) -> None:
    if taken:
        machine.start("node-1", "web")
    given = [f"VALUE_{number}={value}" for number, value in enumerate(ODD_VALUES)]
    options = [f"--env={item}" for item in given[::2]] + [word for item in given[1::2] for word in ("-e", item)]
    show = ("busybox", "env", "-0")
    done = machine.on("node-1", "run", "--network=none", "--name", machine.name("web"), *options, IMAGE, *show)
    assert done.returncode == 0, done.stderr
    assert sorted(item for item in done.stdout.split("\0") if item.startswith("VALUE_")) == sorted(given)


def test_a_command_reaches_the_container_byte_for_byte(machine: Machine) -> None:
    show = (
        "sh",
        "-c",
        'for word; do busybox printf "%s\\0" "$word"; done',
        "--",
        "run",
        "--name",
        *ODD_VALUES,
    )
    done = machine.on("node-1", "run", "--network=none", "--name", machine.name("web"), IMAGE, *show)
    assert done.stdout.split("\0") == ["run", "--name", *ODD_VALUES, ""]


@pytest.mark.parametrize("taken", [False, True], ids=["free name", "taken name"])
def test_a_foreground_container_has_its_streams_and_exit_code(machine: Machine, taken: bool) -> None:
    if taken:
        machine.start("node-1", "web")
    script = "busybox cat; echo oops >&2; exit 42"
    argv = ("run", "-i", "--network=none", "--name", machine.name("web"), IMAGE, "sh", "-c", script)
    done = machine.on("node-1", *argv, stdin="to the container\n")
    assert (done.returncode, done.stdout) == (42, "to the container\n")
    assert done.stderr.endswith("oops\n")


def test_a_foreground_command_becomes_the_engine_and_so_gets_its_signals(machine: Machine) -> None:
    """A signal itself is no test: podman dies of one that comes before its proxy is up, with or without wrapper."""
    argv = ("run", "--network=none", "--name", machine.name("web"), IMAGE, "sh", "-c", POLITE)
    command, env = machine.command("node-1", *argv)
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        assert Path(f"/proc/{process.pid}/exe").readlink() == Path(machine.engine).resolve()
        machine.ask("kill", "--signal=TERM", machine.name("web"))
        assert process.stdout.read() == "asked\n"
        assert process.wait(timeout=DEADLINE) == 7


def test_other_commands_reach_any_container_by_name(machine: Machine) -> None:
    machine.start("node-2", "web")
    done = machine.on("node-1", "exec", machine.name("web"), "busybox", "echo", "ps", "run", "--name")
    assert (done.returncode, done.stdout) == (0, "ps run --name\n")


def test_a_machine_without_an_engine_is_told_so(machine: Machine) -> None:
    """busybox' own sh runs the wrapper in a container that holds no engine."""
    argv = ("run", "--network=none", "--name", machine.name("bare"), "-v", f"{WRAPPER}:/bin/docker:ro", IMAGE)
    done = machine.on("node-1", *argv, "sh", "/bin/docker", "version")
    assert done.returncode == 125
    assert "docker-wrapper: no container engine found: install podman or docker" in done.stderr
