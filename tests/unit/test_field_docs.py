"""docs/fields.md says what the declaration of the fields says; the command line has an option for each field."""

from __future__ import annotations

from pathlib import Path

import pytest

import tasks
from api.openapi import document
from duckconf.cli.apps.field_docs import PAGE, page
from duckconf.cli.apps.request import app_request
from duckconf.desired import COLUMNS, PLACED_COLUMNS
from duckconf.errors import BadInput
from duckconf.model import DECLARED, FIELDS, PLACEMENT

ROOT = Path(__file__).parents[2]


def test_the_page_on_fields_is_current() -> None:
    assert (ROOT / PAGE).read_text("utf-8") == page(), "write it again: ./inv field-docs"


def test_every_field_has_a_column_a_schema_and_an_option() -> None:
    assert set(COLUMNS) == set(FIELDS)
    assert set(PLACED_COLUMNS) == {*FIELDS, *PLACEMENT}
    assert set(document("agents")["components"]["schemas"]["App"]["properties"]) == set(FIELDS)
    options = {argument.name for argument in tasks.namespace["start-app"].get_arguments()}
    assert {DECLARED[name].option or name for name in FIELDS} < options


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
