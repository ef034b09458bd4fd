"""The files that go onto hosts: equal sources give equal bytes, and a bare interpreter runs them."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from duckconf.cli.roles import build_agent as builder
from tests.interpreters import EACH_VERSION, interpreter

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sources, with a build folder of their own."""
    folder = tmp_path_factory.mktemp("root")
    for package in builder.OURS:
        (folder / package).symlink_to(ROOT / package)
    return folder


def run(argv: Sequence[str], folder: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return subprocess.run(argv, cwd=folder, env={**clean, **environ}, capture_output=True, text=True, timeout=60, check=False)


def test_equal_sources_give_equal_bytes_and_are_not_written_twice(root: Path) -> None:
    first = builder.build_agent(root)
    content, stamp = first.read_bytes(), first.stat().st_mtime_ns
    assert builder.build_agent(root).stat().st_mtime_ns == stamp
    first.unlink()
    assert builder.build_agent(root).read_bytes() == content


def test_two_tasks_of_one_checkout_build_at_once(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    others: list[subprocess.CompletedProcess[str]] = []

    def half_way(archive: zipfile.ZipFile, *words: Any) -> None:
        if not others:
            program = "import sys, pathlib, duckconf.cli.roles.build_agent as it; it.build_agent(pathlib.Path(sys.argv[1]))"
            others.append(run([sys.executable, "-c", program, str(root)], ROOT))
        writestr(archive, *words)

    writestr = zipfile.ZipFile.writestr
    monkeypatch.setattr(zipfile.ZipFile, "writestr", half_way)
    (root / builder.FOLDER / "agent.pyz").unlink(missing_ok=True)
    built = builder.build_agent(root)
    assert [(other.returncode, other.stderr) for other in others] == [(0, "")]
    assert zipfile.ZipFile(built).testzip() is None
    assert list(built.parent.glob("*.new")) == []


def test_the_agent_carries_what_it_needs_and_little_else(root: Path) -> None:
    names = [name for name in zipfile.ZipFile(builder.build_agent(root)).namelist() if not name.endswith("c")]
    assert {name.split("/")[0].split("-")[0] for name in names} == {
        "__main__.py",
        "controllers",
        "duckconf",
        "urllib3",
    }
    assert not {"controllers/scheduler.py", "duckconf/reach/ssh/runner.py", "duckconf/cli/roles/build_agent.py"} & set(names)


def test_the_control_plane_carries_no_way_to_a_node(root: Path) -> None:
    names = {name.split("/")[0] for name in zipfile.ZipFile(builder.build_control_plane(root)).namelist()}
    assert {"api", "controllers", "duckconf", "flask", "cheroot"} <= names
    assert not {"paramiko", "fabric", "invoke", "cryptography"} & names


def test_what_this_python_has_compiled_is_not_compiled_at_each_start(root: Path, tmp_path: Path) -> None:
    spoilt = tmp_path / "spoilt.pyz"
    with zipfile.ZipFile(builder.build_agent(root)) as agent, zipfile.ZipFile(spoilt, "w") as other:
        for name in agent.namelist():
            other.writestr(name, b"this is no Python" if name.endswith(".py") else agent.read(name))
    done = run([sys.executable, "-I", str(spoilt), "--help"], tmp_path)
    assert (done.returncode, done.stdout[:6]) == (0, "usage:"), done.stderr


@pytest.mark.parametrize("version", EACH_VERSION)
def test_the_agent_runs_on_a_bare_interpreter(version: str, root: Path, tmp_path: Path) -> None:
    agent = builder.build_agent(root)
    python = interpreter(version)
    done = run([python, "-I", str(agent), "--config", str(tmp_path / "none.json")], tmp_path)
    assert done.returncode == 1
    assert "none.json cannot be read" in done.stderr
    assert "Traceback" not in done.stderr
    modules = ", ".join(_modules(agent, "controllers/", "duckconf/"))
    loaded = run([python, "-I", "-c", f"import sys; sys.path[:0] = [{str(agent)!r}]; import {modules}"], tmp_path)
    assert loaded.returncode == 0, loaded.stderr


@pytest.mark.parametrize("version", EACH_VERSION[1:])
def test_the_control_plane_runs_on_a_bare_interpreter(version: str, root: Path, tmp_path: Path) -> None:
    services = builder.build_control_plane(root)
    assert not any(name.endswith((".so", ".pyd")) for name in zipfile.ZipFile(services).namelist())
    python = interpreter(version)
    for module in builder.CONTROL_PLANE:
        more = ["--into-etcd", "."] if module == "api.move" else []
        done = run([python, "-S", "-m", module, "--config", "none.json", *more], tmp_path, PYTHONPATH=str(services))
        assert done.returncode == 1, done.stderr
        assert "none.json cannot be read" in done.stderr


def _modules(archive: Path, *folders: str) -> list[str]:
    names = [name for name in zipfile.ZipFile(archive).namelist() if name.startswith(folders) and name.endswith(".py")]
    return [name[:-3].replace("/", ".") for name in names if not name.endswith("__init__.py")]
