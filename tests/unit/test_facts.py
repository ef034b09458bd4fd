"""What nodes say of themselves, and what becomes of it when they say it strangely."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from duckconf import facts
from duckconf.command import Command, Completed
from duckconf.errors import EngineUnavailable, Unreachable
from duckconf.facts import Facts, ask, ask_beside, ask_machine, read_facts, short, size, split
from duckconf.inventory import Host
from duckconf.reach.nodes.facts import facts_of, observe_with_facts
from duckconf.reach.nodes.local import LocalRunner
from tests.fakes import FakeNode

SAID = """\
engine 4.3.1 /var/lib/containers/storage
cores 0-1
load 0.52 0.58 0.59 1/467 12345
MemTotal 8000000 kB
MemAvailable 5000000 kB
disk
Filesystem     1024-blocks     Used Available Capacity Mounted on
/dev/vda1         40000000 10000000  30000000      25% /
"""
DISK = "/dev/vda1         40000000 10000000  30000000      25% /"
ROOT = "/var/lib/containers/storage"
KNOWN = Facts("podman", "4.3.1", 30_720_000_000, 40_960_000_000, 5_120_000_000, 8_192_000_000, 0.52, 2, engine_root=ROOT)


def test_all_that_a_node_says_is_read() -> None:
    assert read_facts("podman", SAID) == KNOWN


@pytest.mark.parametrize(
    ("said", "lost"),
    [
        (("engine 4.3.1 /var/lib/containers/storage", "engine "), ("engine", "engine_version", "engine_root")),
        (("cores 0-1", "cores undefined"), ("cores",)),
        (("load 0.52 0.58 0.59 1/467 12345", "load nan"), ("load",)),
        (("MemAvailable 5000000 kB\n", ""), ("memory_free",)),
        (("MemTotal 8000000 kB", "MemTotal -1 kB"), ("memory_total",)),
        ((f"{DISK}\n", ""), ("disk_free", "disk_total")),
        ((DISK, "df: /: 5% of it"), ("disk_free", "disk_total")),
        (("disk\n", ""), ("disk_free", "disk_total")),
        (("30000000      25%", "much 25%"), ("disk_free",)),
    ],
)
def test_what_is_missing_or_strange_is_unknown_and_the_rest_is_read(said: tuple[str, str], lost: tuple[str, ...]) -> None:
    assert read_facts("podman", SAID.replace(*said)) == Facts(**{**KNOWN.to_json(), **dict.fromkeys(lost)})


@pytest.mark.parametrize("said", ["", "\n\n", "sh: 1: Syntax error", "engine\ncores\nload\ndisk\nMemTotal"])
def test_a_node_that_says_nothing_of_use_has_no_facts(said: str) -> None:
    assert read_facts("podman", said) == Facts()


def test_a_device_with_blanks_in_its_name_has_its_sizes_read() -> None:
    assert read_facts("podman", "cores 1\ndisk\n//nas/my share 100 40 60 40% /var\n").disk_free == 60 * 1024


@pytest.mark.parametrize(("online", "cores"), [("0", 1), ("0-3", 4), ("0-3,6", 5), ("0,2-3,8-15", 11), ("3-", None), ("", None)])
def test_the_processors_that_are_online_are_counted(online: str, cores: int | None) -> None:
    assert read_facts("podman", f"cores {online}\n").cores == cores


@pytest.mark.parametrize(
    ("machine", "architecture"),
    [("x86_64", "amd64"), ("aarch64", "arm64"), ("armv7l", "arm"), ("riscv64", "riscv64"), ("", None)],
)
def test_architectures_are_told_as_images_have_them(machine: str, architecture: str | None) -> None:
    assert read_facts("podman", f"architecture {machine}\n").architecture == architecture


def test_two_questions_to_one_machine_tell_that_it_is_one() -> None:
    first, second = (
        read_facts("", subprocess.run(ask_machine().argv, capture_output=True, text=True, check=True).stdout) for _ in "ab"
    )
    assert first.machine
    assert first.machine == second.machine
    assert (first.cores, first.memory_total) == (os.cpu_count(), second.memory_total)


def test_a_banner_of_the_login_before_it_does_no_harm() -> None:
    assert read_facts("podman", f"Welcome to node-1\n{SAID}") == KNOWN


def test_the_script_runs_without_an_engine_and_tells_the_rest() -> None:
    command = ask("podman")
    environ = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "CONTAINERS_CONF": "/nonexistent"}
    script = ("docker() { return 127; }\n" + command.argv[2], *command.argv[3:])
    done = subprocess.run(["sh", "-c", *script], env=environ, capture_output=True, text=True, check=False)
    found = read_facts("podman", done.stdout)
    assert (done.returncode, done.stderr, found.engine) == (0, "", None)
    assert None not in (found.cores, found.load, found.memory_free, found.memory_total, found.disk_free, found.disk_total)


def test_a_root_that_cannot_be_seen_gives_the_disk_of_the_machine() -> None:
    command = ask("docker")
    script = "docker() { echo 20.10.24 /nonexistent/root; }\n" + command.argv[2]
    done = subprocess.run(["sh", "-c", script, *command.argv[3:]], capture_output=True, text=True, check=True)
    found = read_facts("docker", done.stdout)
    assert (found.engine, found.engine_version) == ("docker", "20.10.24")
    assert found.disk_total


PODMAN_INFO = "info --format {{.Version.Version}} {{.Store.GraphRoot}}"
DOCKER_INFO = "info --format {{.ServerVersion}} {{.DockerRootDir}}"


@pytest.mark.parametrize(
    ("kind", "version", "there", "asked"),
    [("podman", "4.3.1", True, ["--version", "ps -q"]),
     ("podman", "5.4.2", True, ["--version", PODMAN_INFO]),
     ("podman", "4.3.1", False, ["--version", "ps -q", PODMAN_INFO]),
     ("docker", "4.3.1", True, ["version --format {{.Server.Version}}"]),
     ("docker", "5.4.2", True, ["version --format {{.Server.Version}}", DOCKER_INFO])],
)  # fmt: skip
def test_an_engine_of_the_same_version_is_not_asked_for_its_root_again(
    tmp_path: Path, kind: str, version: str, there: bool, asked: list[str]
) -> None:
    command = ask(kind, KNOWN)
    docker = f"""docker() {{
      echo "$@" >>{tmp_path}/asked
      case $1 in (--version) echo podman version {version}; return ;; esac
      {"true" if there else "return 125"}
      case $1 in (version) echo {version} ;; (ps) echo 0123456789ab ;; (*) echo {version} / ;; esac
    }}
    """
    done = subprocess.run(["sh", "-c", docker + command.argv[2], *command.argv[3:]], capture_output=True, text=True, check=True)
    found = read_facts(kind, done.stdout)
    root = ROOT if version == "4.3.1" else "/"
    assert (found.engine_version, found.engine_root) == ((version, root) if there else (None, None))
    assert (tmp_path / "asked").read_text().splitlines() == asked


@pytest.mark.parametrize(("code", "words"), [(0, '[{"Id": "1"}]\n'), (125, ""), (0, "\nfacts\nengine 1 /\n")])
def test_another_command_in_one_go_keeps_its_answer_and_the_facts_are_there(code: int, words: str) -> None:
    beside = Command(("sh", "-c", 'printf %s "$1"; echo complaint >&2; exit "$2"', "sh", words, str(code)))
    command = ask_beside(beside, "docker")
    script = f"docker() {{ echo 20.10.24 /; }}\n{command.argv[2]}"
    done = subprocess.run(["sh", "-c", script, *command.argv[3:]], capture_output=True, text=True, check=False)
    answer, known = split("docker", Completed(done.returncode, done.stdout, done.stderr))
    assert answer == Completed(code, words, "complaint\n")
    assert (known.engine_version, known.cores) == ("20.10.24", os.cpu_count())


def test_another_command_that_does_not_exist_is_told_as_by_itself_and_the_facts_are_there() -> None:
    command = ask_beside(Command(("no-such-program",)), "podman")
    done = subprocess.run(command.argv, capture_output=True, text=True, check=False)
    answer, known = split("podman", Completed(done.returncode, done.stdout, done.stderr))
    assert (answer.code, answer.stdout) == (127, "")
    assert "no-such-program" in answer.stderr
    assert known.disk_total


def test_what_ends_before_its_facts_has_none() -> None:
    cut_off = Completed(128, "[]\n", "")
    assert split("podman", cut_off) == (cut_off, Facts())


def test_a_table_shows_them_short_and_nothing_for_what_is_unknown() -> None:
    assert short(KNOWN.to_json()) == {
        "engine": "podman 4.3.1",
        "disk": "29G free (75%)",
        "mem": "4.8G free (62%)",
        "load": "0.5/2",
    }
    assert set(short(Facts().to_json()).values()) == {""}


@pytest.mark.parametrize(("count", "text"), [(0, "0B"), (1023, "1023B"), (1536, "1.5K"), (12 * 2**30, "12G"), (2**70, "1024E")])
def test_sizes_are_short(count: int, text: str) -> None:
    assert size(count) == text


class Talking(FakeNode):
    """A node that says this."""

    def run(self, command: Command) -> Completed:
        if self.failure is not None:
            raise self.failure
        return Completed(0, SAID, "")


def test_a_node_that_does_not_answer_has_no_facts_and_the_others_have_theirs() -> None:
    hosts = {"node-1": Talking("node-1"), "node-2": Talking("node-2", failure=Unreachable("node-2", "frozen"))}
    found = facts_of({name: (Host(name, "localhost"), runner) for name, runner in hosts.items()})
    assert found == {"node-1": KNOWN, "node-2": Facts()}


class Stub:
    """This machine with a `docker` that answers `ps` and `info` as these lines of sh do."""

    def __init__(self, folder: Path) -> None:
        self._docker = folder / "docker"
        environ = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"}
        self.pairs = {"node-1": (Host("node-1", "localhost", engine="docker"), LocalRunner("node-1", environ))}

    def answers(self, listing: str, info: str = "echo 20.10.24 /") -> None:
        self._docker.write_text(f"#!/bin/sh\ncase $1 in\n  ps) {listing} ;;\n  info) {info} ;;\nesac\n")
        self._docker.chmod(0o755)


@pytest.fixture
def stub(tmp_path: Path) -> Stub:
    return Stub(tmp_path)


def test_containers_and_facts_come_in_one_go(stub: Stub) -> None:
    stub.answers("echo")
    seen, known = observe_with_facts("demo", stub.pairs)
    assert (seen, known["node-1"].engine_version) == ({"node-1": ()}, "20.10.24")


def test_a_node_whose_engine_lists_nothing_has_its_facts_all_the_same(stub: Stub) -> None:
    stub.answers("echo the daemon is away >&2; exit 1", info="exit 1")
    seen, known = observe_with_facts("demo", stub.pairs)
    assert isinstance(seen["node-1"], EngineUnavailable)
    assert "the daemon is away" in str(seen["node-1"])
    assert (known["node-1"].engine, known["node-1"].disk_total is None) == (None, False)


def test_facts_that_hang_cost_only_themselves(stub: Stub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(facts, "SECONDS", 0.5)
    stub.answers("echo", info="sleep 5")
    assert observe_with_facts("demo", stub.pairs) == ({"node-1": ()}, {"node-1": Facts()})


def test_a_node_that_is_away_is_asked_once(stub: Stub) -> None:
    away = FakeNode("node-2", failure=Unreachable("node-2", "frozen"))
    stub.answers("echo")
    seen, known = observe_with_facts("demo", {**stub.pairs, "node-2": (Host("node-2", "localhost"), away)})
    assert (seen["node-1"], seen["node-2"], known["node-2"]) == ((), away.failure, Facts())
    assert len(away.asked) == 1
