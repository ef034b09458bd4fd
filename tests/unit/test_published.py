"""Published ports as the engines tell them, and labels that no value can pass for."""

from __future__ import annotations

import json
from typing import Any

import pytest

from duckconf import engine
from duckconf.command import Completed
from duckconf.engine_output import read_containers
from duckconf.published import published

TOLD: list[tuple[Any, tuple[str, ...]]] = [
    (None, ()),
    ("", ()),
    ([], ()),
    ("443/tcp", ()),
    ("0.0.0.0:32768->80/tcp, [::]:32768->80/tcp, 443/tcp", ("32768:80",)),
    (":::32768->80/tcp", ("32768:80",)),
    ("127.0.0.1:53->53/udp", ("127.0.0.1:53:53/udp",)),
    ("[::1]:81->80/tcp", ("[::1]:81:80",)),
    ("0.0.0.0:8000-8002->80-82/tcp", ("8000-8002:80-82",)),
    ([{"host_ip": "", "container_port": 80, "host_port": 41234, "range": 1, "protocol": "tcp"}], ("41234:80",)),
    ([{"host_ip": "127.0.0.1", "container_port": 80, "host_port": 8000, "range": 3, "protocol": "sctp"}],
     ("127.0.0.1:8000-8002:80-82/sctp",)),
    ([{"IP": "0.0.0.0", "PrivatePort": 80, "PublicPort": 9, "Type": "tcp"},
      {"IP": "::", "PrivatePort": 80, "PublicPort": 9, "Type": "tcp"}, {"PrivatePort": 81, "Type": "tcp"}], ("9:80",)),
    ([{"container_port": "x"}, 7, {"container_port": 80, "host_port": "y"}], ()),
]  # fmt: skip


@pytest.mark.parametrize(("told", "ports"), TOLD)
def test_the_ports_that_an_engine_published(told: Any, ports: tuple[str, ...]) -> None:
    assert published(told) == ports


def test_docker_is_asked_for_each_label_so_that_no_value_passes_for_one() -> None:
    asked = next(word for word in engine.list_ours("demo", engine.DOCKER).argv if word.startswith("--format="))
    assert '"duckconf.app":{{json (.Label "duckconf.app")}}' in asked
    assert ".Labels" not in asked
    labels = {"duckconf.app": "web,duckconf.app=other", "duckconf.spec": "", "duckconf.generation": "7", "duckconf.manifest": ""}
    row = {"ID": "1", "Names": "c", "Image": "nginx", "State": "running", "CreatedAt": "2026-01-31 10:00:00 +0000 UTC"}
    (found,) = read_containers("n", Completed(0, json.dumps({**row, "Ports": "0.0.0.0:9->80/tcp", "Labels": labels}), ""))
    assert (found.app, found.generation, found.ports) == ("web,duckconf.app=other", 7, ("9:80",))
