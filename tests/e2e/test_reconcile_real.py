"""The control loop on real sshd and real containers: what stands in the file runs, once, whatever is broken."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from duckconf.naming import WEB_IMAGE
from duckconf.reach.state.desired_file import FILE_NAME
from tests.e2e.conftest import ROOT, Live
from tests.waiting import until

THREE = f"name,image\na,{WEB_IMAGE}\nb,{WEB_IMAGE}\nc,{WEB_IMAGE}\n"


def start_loop(cluster: Live) -> subprocess.Popen[bytes]:
    environ = {**cluster.environ, "PYTHONPATH": str(ROOT)}
    with (cluster.project.state / "reconciler.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "controllers.loop", "--project", str(ROOT)], env=environ, stdout=log, stderr=log, cwd=ROOT
        )


@pytest.fixture
def desired(cluster: Live) -> Iterator[Path]:
    """The desired state's file, with a loop that makes it true."""
    path = cluster.project.state / FILE_NAME
    process = start_loop(cluster)
    yield path
    process.terminate()
    process.wait(timeout=20)
    for name in (FILE_NAME, "placements.json"):
        (cluster.project.state / name).unlink(missing_ok=True)


def declare(path: Path, text: str) -> None:
    """Put the file there whole, as an editor that renames does."""
    temporary = path.with_suffix(".new")
    temporary.write_text(text)
    os.replace(temporary, path)


def running(cluster: Live) -> Counter[str]:
    return Counter(row["Labels"]["duckconf.app"] for row in cluster.apps() if row["State"] == "running")


def ids(cluster: Live) -> dict[str, str]:
    return {row["Labels"]["duckconf.app"]: row["Id"] for row in cluster.apps()}


def once_each(cluster: Live, *names: str) -> bool:
    return running(cluster) == Counter(names) and len(cluster.apps()) == len(names)


def test_declared_apps_run_spread_and_crashed_removed_and_changed_ones_come_back(
    cluster: Live, desired: Path, stranger: str
) -> None:
    declare(desired, THREE)
    until("three apps run", lambda: once_each(cluster, "a", "b", "c"))
    assert len({row["Labels"]["node"] for row in cluster.apps()}) == 3
    before = ids(cluster)
    cluster.engine.must("kill", before["a"])
    cluster.engine.must("rm", "-f", "-t", "0", before["b"])
    until("both are back", lambda: once_each(cluster, "a", "b", "c"))
    assert ids(cluster)["c"] == before["c"]
    declare(desired, THREE.replace("name,image", "name,image,env").replace(f"c,{WEB_IMAGE}", f"c,{WEB_IMAGE},MODE=fast"))
    until("c is replaced", lambda: ids(cluster).get("c", before["c"]) != before["c"] and once_each(cluster, "a", "b", "c"))
    declare(desired, f"name,image\na,{WEB_IMAGE}\n")
    until("b and c are gone", lambda: once_each(cluster, "a"))
    assert cluster.state_of(stranger) == "running"


def test_a_bad_row_or_a_missing_file_stops_nothing_and_a_hopeless_image_delays_nobody(cluster: Live, desired: Path) -> None:
    declare(desired, THREE)
    until("three apps run", lambda: once_each(cluster, "a", "b", "c"))
    before = ids(cluster)
    declare(desired, f"a,NOT AN IMAGE\nhopeless,localhost/there/is/none\nd,{WEB_IMAGE}\n# b and c were here\n???\n")
    until("d runs", lambda: running(cluster)["d"] == 1)
    assert {name: ids(cluster)[name] for name in before} == before
    desired.unlink()
    words = "is missing"
    log = cluster.project.state / "reconciler.log"
    until("the loss is noticed", lambda: words in log.read_text())
    assert once_each(cluster, "a", "b", "c", "d")
    declare(desired, THREE)
    until("d goes when the file is whole again", lambda: once_each(cluster, "a", "b", "c"))
    assert ids(cluster) == before


def test_a_frozen_nodes_app_runs_elsewhere_and_once_when_it_thaws(cluster: Live, desired: Path) -> None:
    declare(desired, THREE)
    until("three apps run", lambda: once_each(cluster, "a", "b", "c"))
    frozen = next(row["Labels"]["duckconf.app"] for row in cluster.apps() if row["Labels"]["node"] == "node-2")
    assert cluster.inv("stop-node", "node-2").returncode == 0
    try:
        until("it runs elsewhere", lambda: running(cluster)[frozen] == 1, 40)
    finally:
        assert cluster.inv("start-node", "node-2").returncode == 0
    until("one copy is left", lambda: once_each(cluster, "a", "b", "c"))
    assert "node-2" not in {row["Labels"]["node"] for row in cluster.apps()}


def test_a_second_loop_is_refused_and_no_app_starts_twice(cluster: Live, desired: Path) -> None:
    declare(desired, THREE)
    until("three apps run", lambda: once_each(cluster, "a", "b", "c"))
    assert start_loop(cluster).wait(timeout=20) == 1
    # One stays: an edit by hand that withdraws all three would wait for a person.
    names = ["a", *(f"k{number}" for number in range(6))]
    declare(desired, "name,image\n" + "".join(f"{name},{WEB_IMAGE}\n" for name in names))
    until("a and six others run", lambda: once_each(cluster, *names))
