"""The roles keep their own rules: documented variables of one name space, Ansible's own modules, secrets kept out of logs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from duckconf.cli.roles.role_docs import PAGE, page

ROLES = Path(__file__).resolve().parents[2] / "roles"
NAMES = ("agent", "control_plane", "edge", "etcd", "node")
# What a task may have beside its module.
KEYWORDS = {
    "environment", "name", "changed_when", "check_mode", "delay", "diff", "failed_when", "listen", "loop", "loop_control",
    "no_log", "notify", "register", "retries", "tags", "until", "vars", "when",
}  # fmt: skip
# Those that a timer starts come to an end by themselves.
UNITS = [path for path in sorted(ROLES.glob("*/templates/*.service.j2")) if "Type=oneshot" not in path.read_text()]


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text()) if path.exists() else None


def tasks(role: str) -> Iterator[dict[str, Any]]:
    for part in ("tasks", "handlers"):
        for path in sorted((ROLES / role / part).glob("*.yml")):
            yield from read(path)


def options(role: str) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = read(ROLES / role / "meta" / "argument_specs.yml")["argument_specs"]["main"]["options"]
    return found


@pytest.mark.parametrize("role", NAMES)
def test_defaults_and_documentation_agree(role: str) -> None:
    documented = {name: option["default"] for name, option in options(role).items() if "default" in option}
    assert (read(ROLES / role / "defaults" / "main.yml") or {}) == documented


@pytest.mark.parametrize("role", NAMES)
def test_a_variable_without_a_default_is_required(role: str) -> None:
    for name, option in options(role).items():
        assert option["description"], name
        assert option.get("required", False) is ("default" not in option), name


@pytest.mark.parametrize("role", NAMES)
def test_every_variable_is_called_duckconf(role: str) -> None:
    names = set(options(role))
    for task in tasks(role):
        names |= {task["register"]} if "register" in task else set()
        names |= set(task.get("vars", {}))
    assert [name for name in sorted(names) if not name.startswith("duckconf_")] == []


@pytest.mark.parametrize("role", NAMES)
def test_only_modules_that_come_with_ansible_are_used(role: str) -> None:
    for task in tasks(role):
        (module,) = set(task) - KEYWORDS
        assert module.startswith("ansible.builtin."), task["name"]


@pytest.mark.parametrize("role", ["agent", "control_plane", "etcd"])
def test_what_is_secret_stays_out_of_logs_and_diffs(role: str) -> None:
    written = [task for task in tasks(role) if "ansible.builtin.copy" in task]
    secret = [task for task in written if "token" in str(task).lower() or "_key_source" in str(task)]
    assert secret
    for task in secret:
        assert task["no_log"] is True, task["name"]
        assert task["diff"] is False, task["name"]


def test_the_passwords_of_registries_are_in_no_log_and_no_diff() -> None:
    found = [task for task in tasks("node") if "config.json" in str(task) and "ansible.builtin.file" not in task]
    assert found
    for task in found:
        assert task["no_log"] is True, task["name"]
        assert "ansible.builtin.copy" not in task or task["diff"] is False, task["name"]
    assert options("node")["duckconf_registries"]["options"]["password"]["no_log"] is True


def test_whatever_two_roles_share_means_the_same_in_both() -> None:
    seen: dict[str, dict[str, Any]] = {}
    for role in NAMES:
        for name, option in options(role).items():
            facts = {key: option.get(key) for key in ("type", "default", "required")}
            assert seen.setdefault(name, facts) == facts, name


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.parts[-3])
def test_a_service_comes_back_and_never_gives_up(unit: Path) -> None:
    lines = unit.read_text().splitlines()
    assert "Restart=always" in lines
    assert "StartLimitIntervalSec=0" in lines


def test_an_agents_end_is_not_the_end_of_what_it_started() -> None:
    lines = (ROLES / "agent" / "templates" / "duckconf-agent.service.j2").read_text().splitlines()
    assert {"KillMode=process", "OOMPolicy=continue"} <= set(lines)
    inherited = ("Private", "Protect", "NoNewPrivileges", "SystemCallFilter", "CapabilityBoundingSet")
    assert [line for line in lines if line.startswith(inherited)] == []


def test_the_page_about_the_roles_is_what_they_say_now() -> None:
    root = ROLES.parent
    assert (root / PAGE).read_text() == page(root), "write it with ./inv role-docs"
