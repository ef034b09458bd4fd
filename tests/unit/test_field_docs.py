"""docs/fields.md says what the declaration of the fields says; the command line has an option for each field."""

from __future__ import annotations

from pathlib import Path

import pytest

import tasks
from api.openapi import document
from duckconf.cli.apps.field_docs import COMPOSE_PAGE, PAGE, compose_page, page
from duckconf.cli.apps.request import app_request
from duckconf.codec import to_json
from duckconf.compose import ALIASES
from duckconf.desired import COLUMNS, PLACED_COLUMNS
from duckconf.errors import BadInput
from duckconf.model import DECLARED, FIELDS, PLACEMENT, parse_app

ROOT = Path(__file__).parents[2]


def test_the_page_on_fields_is_current() -> None:
    assert (ROOT / PAGE).read_text("utf-8") == page(), "write it again: ./inv field-docs"
    assert (ROOT / COMPOSE_PAGE).read_text("utf-8") == compose_page(), "write it again: ./inv field-docs"


def test_every_field_has_a_column_a_schema_and_an_option() -> None:
    assert set(COLUMNS) == set(FIELDS)
    assert set(PLACED_COLUMNS) == {*FIELDS, *PLACEMENT}
    assert set(document("agents")["components"]["schemas"]["App"]["properties"]) == {*FIELDS, *ALIASES, "deploy"}
    options = {argument.names[0] for argument in tasks.namespace["start-app"].get_arguments()}
    assert {
        DECLARED[name].option or name for name in FIELDS if name not in ("paused", "healthcheck", "stack", "depends_on")
    } < options
    assert set(DECLARED["healthcheck"].options) < options


def test_options_become_the_body_of_a_request() -> None:
    typed = {"port": ["80", "53:53/udp"], "env": ["A=b=c"], "cpus": "0.5", "memory": "1.5g", "command": "sh -c 'a b'", "name": ""}
    assert app_request("nginx", typed) == {
        "image": "nginx",
        "command": ["sh", "-c", "a b"],
        "env": {"A": "b=c"},
        "ports": ["80", "53:53/udp"],
        "cpus": "0.5",
        "memory": "1.5g",
    }


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ({"port": ["80:80", "x"]}, r"^--port: should be HOST:CONTAINER .* got x$"),
        ({"label": ["node=x"]}, r"^--label node: is reserved"),
        ({"env": ["X"]}, r"^--env: should be NAME=VALUE, got 'X'$"),
        ({"command": "'"}, r"^--command: No closing quotation"),
        ({"stop_timeout": "2h"}, r"^--stop-timeout: should be a duration of at most 1h"),
        ({"ulimit": ["nofile=x"]}, r"^--ulimit nofile: should be a number"),
        ({"add_host": ["db"]}, r"^--add-host: should be NAME=ADDRESS"),
        ({"cpus": "many"}, r"^--cpus: should be a number of cores"),
    ],
)
def test_a_fault_names_the_option_that_was_typed(typed: dict[str, object], words: str) -> None:
    with pytest.raises(BadInput, match=words):
        app_request("nginx", typed)


def test_a_relative_volume_is_answered_with_the_absolute_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DUCKCONF_TYPED_IN", str(tmp_path))
    with pytest.raises(BadInput, match=rf"--volume: .* such as {tmp_path}/data:/d:ro, got \./data:/d:ro"):
        app_request("nginx", {"volume": ["./data:/d:ro"]})


def test_options_have_dockers_names_and_letters() -> None:
    arguments = {name: argument.kind for argument in tasks.namespace["start-app"].get_arguments() for name in argument.names}
    assert {"read-only", "shm-size", "add-host", "e", "v", "p", "u", "w", "i", "t"} < set(arguments)
    assert (arguments["init"], arguments["cap-add"], arguments["shm-size"]) == (bool, list, str)


def test_switches_lists_and_durations_are_typed_as_for_docker() -> None:
    typed = {
        "init": True,
        "tty": False,
        "cap_add": ["ALL"],
        "stop_timeout": "30",
        "ulimit": ["nofile=1:2"],
        "entrypoint": "a 'b c'",
    }
    assert to_json(parse_app(app_request("nginx", typed))) == {
        "image": "nginx",
        "entrypoint": ["a", "b c"],
        "init": True,
        "ulimits": {"nofile": {"soft": 1, "hard": 2}},
        "cap_add": ["ALL"],
        "stop_grace_period": "30s",
    }


def test_files_of_variables_come_before_those_that_are_typed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DUCKCONF_TYPED_IN", str(tmp_path))
    monkeypatch.setenv("TAKEN", "t")
    monkeypatch.delenv("ABSENT", raising=False)
    (tmp_path / "one").write_text("\ufeff# comment\n\n  A = 1 '2'\nB=b=c\nTAKEN\nABSENT\n".replace("A = ", "A="))
    (tmp_path / "two").write_bytes(b"B=other\r\nC=\r\n")
    body = app_request("nginx", {"env_file": ["one", "two"], "env": ["A=typed"]})
    assert body["env"] == {"A": "typed", "B": "other", "TAKEN": "t", "C": ""}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"A=1\n=x\n", r"--env-file: vars, line 2: has no name before the =, got '=x'"),
        (b"A=1\nB C=x\n", r"--env-file: vars, line 2: a variable's name has no spaces, got 'B C'"),
        (b"\xff\n", r"--env-file: vars should be text in UTF-8"),
        (None, r"--env-file: vars cannot be read: No such file"),
    ],
)
def test_a_bad_file_of_variables_is_named_with_its_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: bytes | None, words: str
) -> None:
    monkeypatch.setenv("DUCKCONF_TYPED_IN", str(tmp_path))
    if content is not None:
        (tmp_path / "vars").write_bytes(content)
    with pytest.raises(BadInput, match=words):
        app_request("nginx", {"env_file": ["vars"]})
