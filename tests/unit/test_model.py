"""What is an app and what is not, and where the message points."""

from __future__ import annotations

from typing import Any

import pytest

from duckconf.codec import to_json
from duckconf.errors import BadInput, Fault
from duckconf.field_kinds import absolute
from duckconf.model import DECLARED, parse_app

BAD: list[tuple[dict[str, Any], str]] = [
    ({}, "image"),
    ({"image": 7}, "image"),
    ({"image": "a", "color": "red"}, "color"),
    ({"image": "a", "name": "a" * 64}, "name"),
    ({"image": "a", "name": "-a"}, "name"),
    ({"image": "a", "command": "sh '"}, "command"),
    ({"image": "a", "command": 1}, "command"),
    ({"image": "a", "command": ["ok", 1]}, "command/1"),
    ({"image": "a", "command": ["a\0b"]}, "command/0"),
    ({"image": "a", "env": "A=b"}, "env"),
    ({"image": "a", "env": ["A=b", 1]}, "env"),
    ({"image": "a", "env": ["A"]}, "env/A"),
    ({"image": "a", "env": {"A": None}}, "env/A"),
    ({"image": "a", "environment": {"A": []}}, "environment/A"),
    ({"image": "a", "env": {}, "environment": {}}, "environment"),
    ({"image": "a", "memory": "1g", "mem_limit": "1g"}, "mem_limit"),
    ({"image": "a", "env": {"A=B": "x"}}, "env/A=B"),
    ({"image": "a", "env": {"A": "\ud800"}}, "env/A"),
    ({"image": "a", "ports": [True]}, "ports/0"),
    ({"image": "a", "ports": [{"published": "80"}]}, "ports/0"),
    ({"image": "a", "ports": [{"target": 80, "mode": "other"}]}, "ports/0"),
    ({"image": "a", "ports": ["80:80"], "network_mode": "host"}, "ports"),
    ({"image": "a", "volumes": [{"type": "bind", "source": "data", "target": "/x"}]}, "volumes/0"),
    ({"image": "a", "volumes": [{"type": "volume", "source": "/data", "target": "/x"}]}, "volumes/0"),
    ({"image": "a", "volumes": [{"type": "volume", "target": "/x"}]}, "volumes/0"),
    ({"image": "a", "volumes": [{"type": "npipe", "source": "x", "target": "/x"}]}, "volumes/0"),
    (
        {"image": "a", "volumes": [{"type": "bind", "source": "/a", "target": "/x", "bind": {"create_host_path": False}}]},
        "volumes/0",
    ),
    ({"image": "a", "volumes": [{"type": "tmpfs", "target": "x"}]}, "tmpfs/0"),
    ({"image": "a", "tmpfs": ["run"]}, "tmpfs/0"),
    ({"image": "a", "tmpfs": ["/run", "/run/:size=1m"]}, "tmpfs/1"),
    ({"image": "a", "volumes": ["data:/run"], "tmpfs": ["/x", "/run/"]}, "tmpfs/1"),
    ({"image": "a", "user": "a b"}, "user"),
    ({"image": "a", "user": "a:b:c"}, "user"),
    ({"image": "a", "group_add": ["a,b"]}, "group_add/0"),
    ({"image": "a", "working_dir": "srv"}, "working_dir"),
    ({"image": "a", "hostname": "-x"}, "hostname"),
    ({"image": "a", "hostname": "x" * 64}, "hostname"),
    ({"image": "a", "init": "yes"}, "init"),
    ({"image": "a", "tty": 1}, "tty"),
    ({"image": "a", "cap_add": ["NET ADMIN"]}, "cap_add/0"),
    ({"image": "a", "cap_drop": "ALL"}, "cap_drop"),
    ({"image": "a", "devices": ["dev/x"]}, "devices/0"),
    ({"image": "a", "devices": ["/dev/x,/dev/y"]}, "devices/0"),
    ({"image": "a", "devices": [{"target": "/dev/x"}]}, "devices/0"),
    ({"image": "a", "shm_size": "much"}, "shm_size"),
    ({"image": "a", "ulimits": {"nofile": {"soft": 2, "hard": 1}}}, "ulimits/nofile"),
    ({"image": "a", "ulimits": {"nofile": {"soft": 2}}}, "ulimits/nofile"),
    ({"image": "a", "ulimits": {"nofile": "-1:5"}}, "ulimits/nofile"),
    ({"image": "a", "ulimits": {"no file": 1}}, "ulimits/no file"),
    ({"image": "a", "sysctls": {"somaxconn": 1}}, "sysctls/somaxconn"),
    ({"image": "a", "sysctls": ["net.core.somaxconn"]}, "sysctls/net.core.somaxconn"),
    ({"image": "a", "extra_hosts": ["db"]}, "extra_hosts/0"),
    ({"image": "a", "extra_hosts": {"db": "300.1.1.1"}}, "extra_hosts/0"),
    ({"image": "a", "dns": "one.one"}, "dns"),
    ({"image": "a", "dns": ["1.1.1.1", 2]}, "dns/1"),
    ({"image": "a", "network_mode": "container:web"}, "network_mode"),
    ({"image": "a", "network_mode": "service:Web"}, "network_mode"),
    ({"image": "a", "network_mode": "service:web", "ports": ["80:80"]}, "ports"),
    ({"image": "a", "network_mode": "service:web", "hostname": "x"}, "hostname"),
    ({"image": "a", "network_mode": "service:web", "healthcheck": {"tcp": 80}}, "healthcheck/tcp"),
    ({"image": "a", "network_mode": "my net"}, "network_mode"),
    ({"image": "a", "security_opt": ["--privileged"]}, "security_opt/0"),
    ({"image": "a", "stop_signal": "quit"}, "stop_signal"),
    ({"image": "a", "stop_grace_period": 10}, "stop_grace_period"),
    ({"image": "a", "stop_grace_period": "10"}, "stop_grace_period"),
    ({"image": "a", "stop_grace_period": "2h"}, "stop_grace_period"),
    ({"image": "a", "pull_policy": "build"}, "pull_policy"),
    ({"image": "a", "secrets": "db"}, "secrets"),
    ({"image": "a", "secrets": ["a b"]}, "secrets/0"),
    ({"image": "a", "secrets": ["x" * 64]}, "secrets/0"),
    ({"image": "a", "secrets": ["db", "key:db"]}, "secrets/1"),
    ({"image": "a", "secrets": ["db:../db"]}, "secrets/0"),
    ({"image": "a", "secrets": ["db:/etc/"]}, "secrets/0"),
    ({"image": "a", "secrets": ["db:,mode=0400"]}, "secrets/0"),
    ({"image": "a", "secrets": ["db,mode=0999"]}, "secrets/0"),
    ({"image": "a", "secrets": ["db,uid=root"]}, "secrets/0"),
    ({"image": "a", "secrets": ["db:env=1"]}, "secrets/0"),
    ({"image": "a", "secrets": ["db:env=A,mode=0400"]}, "secrets/0"),
    ({"image": "a", "secrets": ["db:env=A"], "env": {"A": "x"}}, "secrets/0"),
    ({"image": "a", "secrets": [{"target": "db"}]}, "secrets/0"),
    ({"image": "a", "secrets": [{"source": "db", "file": "x"}]}, "secrets/0"),
    ({"image": "a", "secrets": [{"source": "db", "target": "x", "environment": "X"}]}, "secrets/0"),
    ({"image": "a", "secrets": ["db"], "volumes": ["data:/run"]}, "secrets/0"),
    ({"image": "a", "secrets": ["db"], "tmpfs": ["/run/secrets"]}, "secrets/0"),
    ({"image": "a", "secrets": ["db:/etc/db"], "tmpfs": ["/etc"]}, "secrets/0"),
    ({"image": "a", "secrets": ["db:/etc/db"], "read_only": True}, "secrets/0"),
    ({"image": "a", "secret_revisions": {"db": "0"}}, "secret_revisions"),
    ({"image": "a", "pull_policy": "daily"}, "pull_policy"),
    ({"image": "a", "ports": ["80-81:80"]}, "ports/0"),
    ({"image": "a", "ports": ["0:80"]}, "ports/0"),
    ({"image": "a", "ports": ["80:80", "65536:80"]}, "ports/1"),
    ({"image": "a", "ports": ["300.0.0.1:80:80"]}, "ports/0"),
    ({"image": "a", "volumes": ["relative/x:/y"]}, "volumes/0"),
    ({"image": "a", "volumes": ["/x"]}, "volumes/0"),
    ({"image": "a", "volumes": ["a\ud800/x:/b"]}, "volumes/0"),
    ({"image": "a", "ports": ["8080:80", "8081:80", "8080:81"]}, "ports/2"),
    ({"image": "a", "ports": ["8000-8010:80-90", "127.0.0.1:8005:1"]}, "ports/1"),
    ({"image": "a", "memory": "9" * 400}, "memory"),
    ({"image": "a", "cpus": True}, "cpus"),
    ({"image": "a", "cpus": 0}, "cpus"),
    ({"image": "a", "volumes": ["./data:/y"]}, "volumes/0"),
    ({"image": "a", "cpus": "many"}, "cpus"),
    ({"image": "a", "memory": "lots"}, "memory"),
    ({"image": "a", "memory": "0m"}, "memory"),
    ({"image": "a", "memory": "1k"}, "memory"),
    ({"image": "a", "memory": 6 * 1024**2 - 1}, "memory"),
    ({"image": "a", "volumes": ["a:/data", "b:/data/"]}, "volumes/1"),
    ({"image": "a", "volumes": ["a:/data", "/srv:/x/../data:ro"]}, "volumes/1"),
    ({"image": "a", "memory": True}, "memory"),
    ({"image": "a", "labels": {"node": "x"}}, "labels/node"),
    ({"image": "a", "labels": {"duckconf.app": "x"}}, "labels/duckconf.app"),
    ({"image": "a", "labels": {"a b": "x"}}, "labels/a b"),
    ({"image": "a", "labels": {"a=b": "x"}}, "labels/a=b"),
    ({"image": "a", "labels": {"": "x"}}, "labels/''"),
]
FULL: dict[str, Any] = {
    "restart": "on-failure:3",
    "restart_policy": {"condition": "any"},
    "replicas": 3,
    "mode": "replicated",
    "on": "web:!node-3",
    "stack": "shop",
    "depends_on": {"db": "service_healthy"},
    "routes": ["shop.example.org/api=80"],
    "max_per_node": 1,
    "reserve_cpus": 0.5,
    "reserve_memory": "1g",
    "update_config": {"parallelism": "2", "delay": "1m30s"},
    "paused": True,
    "healthcheck": {"test": ["CMD", "curl", "-f", "http://localhost"], "interval": "1m30s", "retries": 2, "start_period": "40s"},
    "image": "registry.example:5000/team/web:1.2@sha256:" + "a" * 64,
    "name": "web",
    "command": ["sh", "-c", "echo $HOME; exit"],
    "env": {"A": "b=c", "E": ""},
    "ports": ["8080:80", "127.0.0.1:53:53/udp", "[::1]:1:2"],
    "volumes": ["/srv/a b:/data:ro", "named:/x"],
    "cpus": 0.5,
    "memory": "512m",
    "labels": {"team/x": "y z"},
    "entrypoint": ["/bin/sh", "-c"],
    "user": "1000:audio",
    "group_add": ["44"],
    "working_dir": "/srv/a b",
    "hostname": "web.example.org",
    "init": True,
    "read_only": True,
    "stdin_open": True,
    "tty": True,
    "tmpfs": ["/run:size=64m,mode=1777", "/tmp"],
    "shm_size": "128m",
    "ulimits": {"nofile": {"soft": 1024, "hard": 4096}, "nproc": 64, "core": -1},
    "sysctls": {"net.core.somaxconn": "1024", "net.ipv4.ip_local_reserved_ports": "80,443"},
    "cap_add": ["NET_ADMIN", "CAP_SYS_TIME"],
    "cap_drop": ["ALL"],
    "security_opt": ["no-new-privileges:true", "label=disable"],
    "privileged": True,
    "devices": ["/dev/fuse:/dev/fuse:rw", "nvidia.com/gpu=all"],
    "network_mode": "stack:shop",
    "aliases": ["web"],
    "dns": ["192.0.2.53", "2001:db8::53"],
    "extra_hosts": ["db.local=192.0.2.7", "six=2001:db8::7", "up=host-gateway"],
    "stop_signal": "SIGRTMIN+3",
    "stop_grace_period": "1m30s",
    "pull_policy": "never",
    "secrets": ["db:db.key,uid=1000,gid=1001,mode=0400", "token:env=API_TOKEN"],
}


@pytest.mark.parametrize(("body", "path"), BAD)
def test_a_fault_is_found_at_its_path(body: dict[str, Any], path: str) -> None:
    with pytest.raises(BadInput) as caught:
        parse_app(body)
    assert [fault.path for fault in caught.value.faults] == [path]


def test_every_fault_is_reported_at_once() -> None:
    with pytest.raises(BadInput) as caught:
        parse_app({"image": "a b", "ports": ["x"], "zzz": 1})
    assert [fault.path for fault in caught.value.faults] == ["zzz", "image", "ports/0"]


@pytest.mark.parametrize("data", [None, [], "nginx", 3])
def test_what_is_no_object_is_refused(data: object) -> None:
    with pytest.raises(BadInput):
        parse_app(data)


def test_a_full_app_survives_the_way_to_json_and_back() -> None:
    assert to_json(parse_app(FULL)) == FULL


@pytest.mark.parametrize("label", ["team/x", "a,b", "-x", "com.example.A:1", "ü"])
def test_a_label_has_any_name_that_engines_take(label: str) -> None:
    assert parse_app({"image": "a", "labels": {label: "x"}}).labels == {label: "x"}


@pytest.mark.parametrize("size", ["512m", "512M", "1.5g", "512MiB", "512 mb", "6291456b", "1T"])
def test_a_size_is_kept_as_it_was_typed(size: str) -> None:
    assert parse_app({"image": "a", "memory": size}).memory == size


def test_a_relative_volume_is_refused_with_an_absolute_path() -> None:
    with pytest.raises(BadInput, match=r"such as /srv/data:/y:ro, got \./data:/y:ro"):
        parse_app({"image": "a", "volumes": ["./data:/y:ro"]})


@pytest.mark.parametrize(
    ("volume", "proposed"),
    [
        ("./data:/y", "/home/me/data:/y"),
        ("../data:/y:ro", "/home/data:/y:ro"),
        ("a/b:/y", "/home/me/a/b:/y"),
        (".:/y", "/home/me:/y"),
        ("~/x:/y", ""),
        ("named:/y", ""),
        ("/x:/y", ""),
    ],
)
def test_a_relative_path_is_one_in_the_folder_where_it_was_typed(volume: str, proposed: str) -> None:
    assert absolute(volume, "/home/me") == proposed


@pytest.mark.parametrize("field", DECLARED)
def test_each_field_survives_the_way_through_a_cell_and_has_an_example_that_is_valid(field: str) -> None:
    declared = DECLARED[field]
    faults: list[Fault] = []
    value = declared.kind.check(field, declared.example, faults)
    assert value
    assert declared.kind.check(field, declared.kind.from_cell(declared.kind.cell(value)), faults) == value
    assert not faults
