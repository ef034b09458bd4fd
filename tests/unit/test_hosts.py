"""Inventories of every shape through Ansible's own resolver, and what is remembered of them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from duckconf.errors import DuckconfError
from duckconf.reach.inventory import hosts
from duckconf.reach.inventory.hosts import load_inventory


def test_ranges_templates_and_group_vars_are_resolved_and_then_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "hosts.ini").write_text('[nodes]\nweb-[1:3] ansible_port="{{ base + 5 }}"\n')
    (tmp_path / "group_vars").mkdir()
    (tmp_path / "group_vars" / "nodes.yml").write_text("base: 22\nansible_host: 192.0.2.1\n")
    first = load_inventory(tmp_path / "hosts.ini", tmp_path)
    assert [(host.name, host.where) for host in first.node_hosts()] == [(f"web-{number}", "192.0.2.1:27") for number in (1, 2, 3)]

    def not_again(*_: object) -> None:
        raise AssertionError("Ansible was asked again")

    with monkeypatch.context() as patch:
        patch.setattr(hosts, "_resolve", not_again)
        assert load_inventory(tmp_path / "hosts.ini", tmp_path) == first
    (tmp_path / "group_vars" / "nodes.yml").write_text("base: 23\nansible_host: 192.0.2.1\n")
    assert load_inventory(tmp_path / "hosts.ini", tmp_path).node("web-1").port == 28


def test_a_folder_with_children_groups_is_an_inventory(tmp_path: Path) -> None:
    folder = tmp_path / "inventory"
    folder.mkdir()
    (folder / "a.yml").write_text("nodes:\n  children:\n    web:\n      hosts:\n        w1:\n")
    (folder / "b.ini").write_text("[web]\nw2\n")
    assert set(load_inventory(folder, tmp_path).nodes) == {"w1", "w2"}


def test_a_password_from_a_vault_is_used_and_never_kept_in_clear(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "hosts.ini").write_text("[nodes]\nn1\n")
    (tmp_path / "group_vars").mkdir()
    variables, key = tmp_path / "group_vars" / "nodes.yml", tmp_path / "key"
    variables.write_text("ansible_password: hunter2\n")
    key.write_text("open sesame\n")
    subprocess.run(
        ["ansible-vault", "encrypt", "--vault-password-file", str(key), str(variables)], check=True, capture_output=True
    )
    monkeypatch.setenv("ANSIBLE_VAULT_PASSWORD_FILE", str(key))
    assert load_inventory(tmp_path / "hosts.ini", tmp_path, secrets=True).node("n1").password == "hunter2"
    assert load_inventory(tmp_path / "hosts.ini", tmp_path).node("n1").password is None
    assert not any(b"hunter2" in file.read_bytes() for file in (tmp_path / ".duckconf").iterdir())
    key.unlink()
    opened_before = load_inventory(tmp_path / "hosts.ini", tmp_path, secrets=True)
    assert opened_before.node("n1").password == "hunter2"


@pytest.mark.parametrize(
    ("name", "content", "word"),
    [
        ("bad.yml", "all:\n  hosts: [\n", "bad.yml:"),
        ("bad.yml", "all:\n  hosts:\n    - x\n", "requires a dictionary"),
        ("bad.ini", "[nodes:bars]\nx\n", "unknown type: bars"),
        ("bad.ini", "[web]\nx\n", "group nodes"),
    ],
)
def test_a_malformed_inventory_says_what_is_wrong_in_one_line(tmp_path: Path, name: str, content: str, word: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(DuckconfError, match=word) as caught:
        load_inventory(tmp_path / name, tmp_path)
    assert "\n" not in str(caught.value)


def test_what_is_wrong_with_one_host_refuses_that_host_and_one_that_is_not_used_is_not_judged(tmp_path: Path) -> None:
    (tmp_path / "hosts.ini").write_text(
        '[nodes]\ngood\nx ansible_port="{{ nope }}"\ny ansible_port=70000\n_odd_\n'
        '[office]\n2001:db8::1\nprinter ansible_host="{{ nope }}" duckconf_cluster=other\n'
    )
    found = load_inventory(tmp_path / "hosts.ini", tmp_path)
    refused = {host.name: host.refused.reason if host.refused else "" for host in found.node_hosts()}
    assert refused["good"] == ""
    assert "a template fails: " in refused["x"]
    assert "nope" in refused["x"]
    assert "ansible_port: should be a port from 1 to 65535, got 70000" in refused["y"]
    assert "_odd_: should be letters" in refused["_odd_"]
    assert found.cluster == "demo"


def test_a_missing_inventory_is_named(tmp_path: Path) -> None:
    with pytest.raises(DuckconfError, match="no inventory at"):
        load_inventory(tmp_path / "nowhere", tmp_path)


def test_an_inventory_whose_first_node_is_to_come_knows_its_cluster(tmp_path: Path) -> None:
    (tmp_path / "hosts.yml").write_text(
        "all:\n  vars:\n    duckconf_cluster: ducks\n    ansible_host: '{{ addresses[inventory_hostname] }}'\n"
        "  children:\n    nodes:\n"
    )
    found = load_inventory(tmp_path / "hosts.yml", tmp_path)
    assert (found.cluster, found.nodes, list(found.hosts)) == ("ducks", (), [])
