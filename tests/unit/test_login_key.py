"""The cluster's own key in a process that runs: the file counts, as it is now."""

from __future__ import annotations

from pathlib import Path

from duckconf.cli.demo import keys_given
from duckconf.cli.demo.host_files import new_key
from duckconf.inventory import Host
from duckconf.reach.ssh.fleet import Fleet
from duckconf.reach.ssh.host_keys import KnownHosts

HOST = Host("n", "192.0.2.1")


def written(path: Path) -> str:
    private, public = new_key()
    path.write_bytes(private)
    return public


def test_a_key_that_was_changed_is_read_anew_and_while_it_is_away_the_last_one_counts(tmp_path: Path) -> None:
    path = tmp_path / "id_ed25519"
    fleet = Fleet([HOST], KnownHosts(tmp_path / "pins"), path, 1.0)

    def used() -> str:
        return f"ssh-ed25519 {fleet._key(HOST, str(path))['pkey'].get_base64()}"

    first = written(path)
    assert used() == first
    path.unlink()
    assert used() == first
    second = written(path)
    assert used() == second != first


def test_a_host_has_been_given_the_key_that_was_noted_and_no_other(tmp_path: Path) -> None:
    (tmp_path / "host-keys").mkdir()
    assert not keys_given.has_been_given(tmp_path, "n", "one")
    keys_given.note(tmp_path, "n", "one")
    assert keys_given.has_been_given(tmp_path, "n", "one")
    assert not keys_given.has_been_given(tmp_path, "n", "two")
    assert not keys_given.has_been_given(tmp_path, "m", "one")
