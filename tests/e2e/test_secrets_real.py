"""Secrets as a person sets them in reconcile mode: from a file, from a vault, in an app, and told by nobody."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from duckconf.cli.cluster import modes
from duckconf.naming import NGINX_IMAGE
from duckconf.reach.state import secrets
from duckconf.reach.state.secrets import SecretFile
from tests.e2e.conftest import Declared
from tests.e2e.lost_machine import backed_up, lose_the_operators_machine, restored
from tests.e2e.updated import revisions
from tests.e2e.watched import in_no_command_line, telltale
from tests.waiting import until

pytestmark = pytest.mark.slow

# `sleep` as the first process hears no other signal: each stop would take its ten seconds.
AT_ONCE = ("--stop-signal", "SIGKILL")


def test_a_secret_is_set_from_a_variable_of_the_vault(declared: Declared, tmp_path: Path) -> None:
    cluster = declared.cluster
    value = telltale()
    key, vault = tmp_path / "key", tmp_path / "group_vars" / "nodes" / "vault.yml"
    key.write_text("open sesame\n")
    vault.parent.mkdir(parents=True)
    vault.write_text(f"db_password: {value}\n")
    tool = [str(Path(sys.executable).with_name("ansible-vault")), "encrypt", "--vault-password-file", str(key), str(vault)]
    subprocess.run(tool, check=True, capture_output=True)
    (tmp_path / "hosts.ini").write_text(cluster.project.inventory_path.read_text())
    environ = {**cluster.environ, "DUCKCONF_INVENTORY": str(tmp_path / "hosts.ini")}
    vaulted = replace(cluster, environ={**environ, "ANSIBLE_VAULT_PASSWORD_FILE": str(key)})
    with in_no_command_line(value):
        said = [vaulted.inv("secret", "set", "db", "--from-vault", "db_password")]
    assert said[0].returncode == 0, said[0].stderr
    kept = SecretFile(cluster.project.state / secrets.FILE_NAME)
    assert kept.value("db", kept.revisions()["db"]) == value.encode()
    said += [vaulted.inv("secret", "set", "db", "--from-vault", "no_such"), cluster.inv("secret", "remove", "db")]
    said.append(replace(cluster, environ=environ).inv("secret", "set", "db", "--from-vault", "db_password"))
    assert [done.returncode for done in said] == [0, 1, 0, 1]
    assert [done.stderr for done in said if value in done.stdout + done.stderr or "Traceback" in done.stderr] == []
    assert "no_such" in said[1].stderr


def test_a_secret_is_set_used_updated_and_only_then_removed_and_nobody_tells_it(declared: Declared, tmp_path: Path) -> None:
    inv, project = declared.cluster.inv, declared.cluster.project
    first, second = tmp_path / "first", tmp_path / "second"
    value = telltale()
    first.write_text(f"{value}-first")
    second.write_text(f"{value}-second")
    said = [inv("start-app", NGINX_IMAGE, "--name", "web", "--secret", "db")]
    assert (said[0].returncode, "./inv secret set db" in said[0].stderr) == (1, True)
    with in_no_command_line(value):
        said.append(inv("secret", "set", "db", "--from-file", str(first)))
        words = ("--name", "web", "--secret", "db", "--secret", "db:env=DB", "--command", "sleep 1000", *AT_ONCE, "--wait")
        said.append(inv("start-app", NGINX_IMAGE, *words))
        assert said[-1].returncode == 0, said[-1].stderr
        show = ("exec", declared.cluster.ids()["web"], "sh", "-c", 'cat /run/secrets/db; printf %s "$DB"')
        assert declared.cluster.engine.must(*show) == f"{value}-first" * 2
        before = declared.cluster.ids()
        said.append(inv("secret", "set", "db", "--from-file", str(first)))
        said.append(inv("diff"))
        assert said[-1].returncode == 0, said[-1].stdout
        said.append(inv("secret", "set", "db", "--from-file", str(second)))
        until("it is replaced", lambda: declared.cluster.ids() != before and declared.cluster.once_each(["web"]), 40)
    show = ("exec", declared.cluster.ids()["web"], "sh", "-c", 'cat /run/secrets/db; printf %s "$DB"')
    assert declared.cluster.engine.must(*show) == f"{value}-second" * 2
    said += [inv("secret", "list"), inv("secret", "list", "--json"), inv("secret", "remove", "db")]
    assert (said[-1].returncode, "used by web" in said[-1].stderr) == (1, True)
    said += [inv(*words) for words in (("ps", "--json"), ("events", "--json"), ("status", "--json"), ("logs", "reconciler"))]
    said += [inv("stop-app", "web"), inv("secret", "remove", "db"), inv("secret", "set", "db", "--from-file", "/no/such")]
    assert [done.returncode for done in said[-3:]] == [0, 0, 1]
    assert [done for done in said if value in done.stdout + done.stderr] == []
    told = json.dumps(declared.api.call("GET", "/events?limit=500"))
    kept = {path.name for path in project.state.rglob("*") if path.is_file() and value.encode() in path.read_bytes()}
    assert (value in told, kept) == (False, set())


def test_a_lost_state_folder_is_restored_and_no_app_restarts(declared: Declared, tmp_path: Path) -> None:
    cluster, inv = declared.cluster, declared.cluster.inv
    value = telltale()
    (tmp_path / "value").write_text(value)
    assert inv("secret", "set", "db", "--from-file", str(tmp_path / "value")).returncode == 0
    words = ("--name", "web", "--secret", "db", "--command", "sleep 1000", *AT_ONCE, "--wait")
    started = inv("start-app", NGINX_IMAGE, *words)
    assert started.returncode == 0, started.stderr
    until("its first revision has served", lambda: revisions(cluster, "web") == [(1, "done")], 40)
    file = backed_up(cluster, tmp_path)
    assert value.encode() not in file.read_bytes()
    history = json.loads(inv("history", "web", "--json").stdout)
    # What was started later is not in it, and is adopted.
    late = inv("start-app", NGINX_IMAGE, "--name", "late", *AT_ONCE, "--wait")
    assert late.returncode == 0, late.stderr
    before = cluster.instances()
    lose_the_operators_machine(cluster)
    restored(cluster, file, modes.RECONCILE)
    cluster.settles()
    assert cluster.instances() == before
    assert json.loads(inv("history", "web", "--json").stdout) == history
    scaled = inv("scale", "web=2", "--wait")
    assert scaled.returncode == 0, scaled.stderr
    after = cluster.instances()
    assert before.items() <= after.items()
    assert cluster.engine.must("exec", after["web.2"][0], "cat", "/run/secrets/db") == value
    for app in ("web", "late"):
        assert inv("stop-app", app).returncode == 0
    assert inv("secret", "remove", "db").returncode == 0
