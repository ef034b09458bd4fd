"""Logging in by password, real machines, and what `up` says when something stands in its way."""

from __future__ import annotations

import dataclasses
import json
import socket
import subprocess
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from duckconf.cli.demo.demo_roles import require_free
from duckconf.cli.demo.host_files import new_key
from duckconf.command import Command
from duckconf.errors import HostKeyRefused, LoginRefused, SetupError
from duckconf.inventory import Host
from duckconf.reach.ssh.fleet import Fleet
from duckconf.reach.ssh.host_keys import KnownHosts
from tests.e2e.conftest import ROOT, Live, write_inventory

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("pushing")]

# The file of a key whose secret is in a security key, as ssh-keygen writes it; made of counted bytes.
SECURITY_KEY = """\
-----BEGIN OPENSSH PRIVATE KEY-----
b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAASgAAABpzay1zc2
gtZWQyNTUxOUBvcGVuc3NoLmNvbQAAACAAAQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRob
HB0eHwAAAARzc2g6AAAAcAAAAAEAAAABAAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY2
9tAAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4fAAAABHNzaDoBAAAAEGho
aGhoaGhoaGhoaGhoaGgAAAAAAAAAAWM=
-----END OPENSSH PRIVATE KEY-----
"""


def inv(live: Live, inventory: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environ = {**live.environ, "DUCKCONF_INVENTORY": str(inventory)}
    return subprocess.run([str(ROOT / "inv"), *words], env=environ, capture_output=True, text=True, timeout=60, check=False)


def ports(live: Live) -> list[int]:
    return [host.port for host in live.project.inventory().node_hosts()]


def test_a_password_from_the_inventory_logs_in(live: Live, tmp_path: Path) -> None:
    path = write_inventory(tmp_path, live.project.cluster, ports(live), "ansible_password=root")
    done = inv(live, path, "nodes", "--json")
    assert done.returncode == 0, done.stderr
    assert {row["status"] for row in json.loads(done.stdout)} == {"ready"}


def test_a_wrong_password_is_told_apart_from_silence_and_not_printed(live: Live, tmp_path: Path) -> None:
    path = write_inventory(tmp_path, live.project.cluster, ports(live), "ansible_password=hunter2")
    done = inv(live, path, "nodes")
    assert done.returncode == 4
    assert done.stderr.count("the password of root") == 3
    assert "hunter2" not in done.stdout + done.stderr


def test_a_login_that_is_refused_leaves_no_connection_open(live: Live, tmp_path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "stranger")], check=True)
    host = next(iter(live.project.inventory().node_hosts()))
    stranger = dataclasses.replace(host, key_file=str(tmp_path / "stranger"), user="root")
    with closing(Fleet([stranger], KnownHosts(live.project.pins), tmp_path, 5.0)) as fleet:
        for _ in range(3):
            with pytest.raises(LoginRefused):
                fleet.runner(host.name).open()
        held = [link for link in psutil.Process().net_connections("tcp") if link.raddr and link.raddr.port == host.port]
        assert [link for link in held if link.status == psutil.CONN_ESTABLISHED] == []


def test_a_real_machine_is_not_frozen_but_drained(live: Live, tmp_path: Path) -> None:
    (tmp_path / "hosts.ini").write_text("[nodes]\nweb-1 ansible_host=127.0.0.1 ansible_port=9\n")
    refused = inv(live, tmp_path / "hosts.ini", "stop-node", "web-1")
    assert refused.returncode == 1
    assert "drain web-1" in refused.stderr
    away = inv(live, tmp_path / "hosts.ini", "ps")
    assert away.returncode == 4
    assert "nothing listens on 127.0.0.1:9" in away.stderr


def test_a_port_that_is_taken_is_named_with_its_host() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SetupError, match=f"node-1: 127.0.0.1:{port} cannot be used: Address already in use"):
            require_free(Host("node-1", "127.0.0.1", port), lambda _: "")


def test_up_names_the_other_cluster_that_has_a_port(live: Live, tmp_path: Path) -> None:
    cluster = f"{live.project.cluster}-other"
    environ = {**live.environ, "DUCKCONF_INVENTORY": str(write_inventory(tmp_path, cluster, ports(live)))}
    environ["DUCKCONF_CLUSTER"] = cluster
    up, down = (
        subprocess.run([str(ROOT / "inv"), *words], env=environ, capture_output=True, text=True, timeout=120, check=False)
        for words in (("up", "push"), ("down", "--purge"))
    )
    assert (up.returncode, down.returncode) == (1, 0)
    assert f"node-1 of cluster {live.project.cluster} in {ROOT} has it" in up.stderr


def test_an_api_that_does_not_run_and_a_missing_inventory_are_one_line(live: Live, tmp_path: Path) -> None:
    environ = {**live.environ, "DUCKCONF_API": "http://127.0.0.1:9"}
    done = subprocess.run([str(ROOT / "inv"), "start-app", "nginx"], env=environ, capture_output=True, text=True, check=False)
    missing = inv(live, tmp_path / "nowhere", "ps")
    for failed, word in ((done, "no API answers"), (missing, "no inventory at")):
        assert (failed.returncode, failed.stderr.count("\n")) == (1, 1)
        assert word in failed.stderr


def test_a_login_file_that_prints_is_not_taken_for_an_answer(live: Live) -> None:
    prints = "echo Welcome; echo Bonjour >&2"
    live.engine.must("exec", live.host("node-1"), "sh", "-c", f"echo '{prints}' >/root/.bashrc")
    try:
        with closing(
            Fleet(live.project.inventory().node_hosts(), KnownHosts(live.project.pins), live.project.login_key, 5.0)
        ) as fleet:
            done = fleet.runner("node-1").run(Command(("echo", "hi")))
            assert (done.code, done.stdout) == (0, "hi\n")
            assert "Bonjour" in done.stderr
        for words in (("nodes", "--json"), ("ps", "--json"), ("doctor", "node-1", "--json")):
            looked = inv(live, live.project.inventory_path, *words)
            assert looked.returncode == 0, looked.stdout + looked.stderr
    finally:
        live.engine.must("exec", live.host("node-1"), "rm", "/root/.bashrc")


def test_a_known_hosts_file_with_a_bad_line_and_two_keys_of_one_type_lets_everybody_in(live: Live, tmp_path: Path) -> None:
    pinned = [line for line in live.project.pins.read_text().splitlines() if line]
    stale = [f"{line.split()[0]} {new_key()[1]}" for line in pinned]
    own = tmp_path / "known_hosts"
    own.write_text("\n".join(["web ssh-ed25519 not-base64!", *stale, *pinned, ""]))
    known = KnownHosts(tmp_path / "none", own)
    with closing(Fleet(live.project.inventory().node_hosts(), known, live.project.login_key, 5.0)) as fleet:
        for host in live.project.inventory().node_hosts():
            fleet.runner(host.name).open()
    assert [fault.partition(":")[2] for fault in known.faults()] == ["1: the key is not base64"]


def test_a_host_whose_key_is_not_among_the_known_ones_is_refused(live: Live, tmp_path: Path) -> None:
    first = live.project.inventory().node_hosts()[0]
    own = tmp_path / "known_hosts"
    own.write_text(f"[{first.address}]:{first.port} {new_key()[1]}\n")
    with (
        closing(Fleet([first], KnownHosts(tmp_path / "none", own), live.project.login_key, 5.0)) as fleet,
        pytest.raises(HostKeyRefused, match="its host key has changed"),
    ):
        fleet.runner(first.name).open()


def test_a_key_of_a_security_key_is_a_result_of_its_host(live: Live, tmp_path: Path) -> None:
    private = tmp_path / "id_ed25519_sk"
    private.write_text(SECURITY_KEY)
    private.chmod(0o600)
    first, *others = live.project.inventory().node_hosts()
    hosts = [dataclasses.replace(first, key_file=str(private)), *others]
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("SSH_AUTH_SOCK", raising=False)
        with closing(Fleet(hosts, KnownHosts(live.project.pins), live.project.login_key, 5.0)) as fleet:
            with pytest.raises(LoginRefused, match="ed25519"):
                fleet.runner(first.name).open()
            fleet.runner(others[0].name).open()
