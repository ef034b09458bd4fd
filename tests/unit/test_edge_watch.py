"""Which upstreams of a front are silent, so that their requests are taken back: the program that the role puts beside Caddy."""

from __future__ import annotations

import json
import socket
import subprocess
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest

from tests.interpreters import VERSIONS, interpreter

FILE = Path(__file__).resolve().parents[2] / "roles/edge/files/watch.py"


def loaded() -> Any:
    spec = spec_from_file_location("edge_watch", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


watch = loaded()


def test_an_upstream_that_twice_takes_no_connection_is_silent_while_another_answers() -> None:
    silence, seen = watch.Silence(), {"a:80": False, "b:80": True}
    assert [silence.judge(seen, False) for _ in range(3)] == [[], ["a:80"], ["a:80"]]


def test_one_that_answers_between_two_misses_is_not_silent() -> None:
    silence = watch.Silence()
    answers = (False, True, False)
    assert [silence.judge({"a:80": one, "b:80": True}, False) for one in answers] == [[], [], []]


def test_nothing_is_taken_back_while_nobody_answers_and_idle_upstreams_count_as_others() -> None:
    silence = watch.Silence()
    assert [silence.judge({"a:80": False}, elsewhere) for elsewhere in (False, False, True)] == [[], [], ["a:80"]]


def test_a_host_that_refuses_a_connection_lives_and_one_whose_instance_has_a_full_queue_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        closed = socket.create_server(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        closed.close()
        assert [watch.answers("127.0.0.1", one) for one in (listening.getsockname()[1], port)] == [True, True]
    alive = {("192.0.2.1", watch.OF_THE_HOST), ("192.0.2.2", 80)}
    monkeypatch.setattr(watch, "answers", lambda host, port: (host, port) in alive)
    with ThreadPoolExecutor(4) as pool:
        seen = watch.reached(["192.0.2.1:8080", "192.0.2.2:80", "[2001:db8::1]:8080"], pool)
    assert seen == {"192.0.2.1:8080": True, "192.0.2.2:80": True, "[2001:db8::1]:8080": False}


def test_an_address_has_a_host_and_a_port() -> None:
    assert [watch.parts(text) for text in ("n1:80", "[2001:db8::1]:443")] == [("n1", 80), ("2001:db8::1", 443)]


@pytest.fixture
def caddy(tmp_path: Path) -> Iterator[tuple[str, dict[str, int]]]:
    """The admin socket of a Caddy with these upstreams, by their open requests."""
    path, known = str(tmp_path / "admin.sock"), {"a:80": 2, "b:80": 0}
    server = socket.socket(socket.AF_UNIX)
    server.bind(path)
    server.listen()

    def answer() -> None:
        while True:
            try:
                talk, _ = server.accept()
            except OSError:
                return
            with talk:
                talk.recv(4096)
                body = json.dumps([{"address": one, "num_requests": count, "fails": 0} for one, count in known.items()])
                talk.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())

    threading.Thread(target=answer, daemon=True).start()
    yield path, known
    server.shutdown(socket.SHUT_RDWR)
    server.close()


def test_connections_to_the_silent_are_ended_and_no_others(
    caddy: tuple[str, dict[str, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, known = caddy
    reached: Mapping[str, bool] = {"a:80": False, "b:80": True}
    asked, ended = list[str](), list[str]()

    def are_reached(addresses: list[str], _: object) -> Mapping[str, bool]:
        asked.extend(addresses)
        return {address: reached[address] for address in addresses}

    def end(address: str) -> int:
        ended.append(address)
        return 1

    monkeypatch.setattr(watch, "reached", are_reached)
    monkeypatch.setattr(watch, "end", end)
    silence = watch.Silence()
    with ThreadPoolExecutor(2) as pool:
        for _ in range(2):
            watch.look(silence, path, pool)
        assert (ended, set(asked)) == (["a:80"], {"a:80", "b:80"})
        # Where nothing is under way, nobody is asked.
        known["a:80"] = 0
        asked.clear()
        watch.look(silence, path, pool)
    assert (ended, asked) == (["a:80"], [])


def test_the_kernel_is_told_which_connections_to_end(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[list[str]] = []

    def run(argv: list[str], **_: object) -> subprocess.CompletedProcess[bytes]:
        told.append(argv)
        return subprocess.CompletedProcess(argv, 0, b"ESTAB 0 0 a b\nESTAB 0 0 c d\n")

    monkeypatch.setattr(subprocess, "run", run)
    assert watch.end("192.0.2.7:8080") == 2
    assert told[0][-5:] == ["dst", "192.0.2.7", "dport", "=", ":8080"]


@pytest.mark.parametrize("version", VERSIONS)
def test_it_runs_on_the_interpreters_of_edge_hosts(version: str) -> None:
    done = subprocess.run(
        [interpreter(version), "-I", "-c", f"import ast, sys; compile(open({str(FILE)!r}).read(), 'watch.py', 'exec')"],
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
