"""Compose files that are no compose files, and services that are not there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from duckconf.compose_file.loading import load
from duckconf.compose_file.tree import Scalar, faults_in, scalar
from duckconf.errors import BadInput
from duckconf.reach.stacks.files import reader_for
from duckconf.reach.stacks.schema import faults_of
from duckconf.reach.stacks.yaml_tree import LARGEST, parse_tree
from tests.unit.compose_file.reading import services, stack, write

BOMB = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"a{number}: &a{number} [{','.join([f'*a{number - 1}'] * 9)}]\n" for number in range(1, 12)
)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: [1\nb: 2\n", r"^f:2: is no YAML: while parsing a flow sequence"),
        ("a: 1\n b: 2\n", r"^f:2: is no YAML: mapping values are not allowed here"),
        ("", r"^f:1: is empty"),
        ("a: 1\n---\nb: 1\n", r"^f:3: should have one YAML document"),
        ("a: 1\nb: 2\na: 3\n", r"^f:3: has the key a twice; the first is in line 1"),
        ("a: *b\n", r"^f:1: is no YAML: found undefined alias"),
        ("a: !!python/object:os.system x\n", r"^f:1: has the tag .*python/object:os.system, which no compose file has"),
        ("[a]: 1\n", r"^f:1: has a key that is no text"),
        ("a:\n  <<: 3\n", r"^f:2: should merge a mapping"),
        (BOMB, r"^f:\d+: stands for more than 100000 values"),
        ("a: &a {b: *a}\n", r"^f:1: is nested deeper than 60"),
        ("a: &a\n  <<: *a\n", r"^f:1: is nested deeper than 60"),
        ("[" * 100_000, r"^f: is nested deeper than 60"),
        ("- " * 100_000, r"^f: is nested deeper than 60"),
    ],
)
def test_a_file_that_is_no_compose_file_is_refused_with_its_line(text: str, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        parse_tree(text, "f", "")


def test_a_large_file_and_one_that_is_no_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "compose.yaml").write_bytes(b"# " + b"x" * 10 * 1024 * 1024)
    with pytest.raises(BadInput, match=rf"compose.yaml: should have {LARGEST // 1024} KiB at most"):
        services(tmp_path)
    (tmp_path / "compose.yaml").write_bytes(b"a: 1\nb: \xff\n")
    with pytest.raises(BadInput, match=r"compose.yaml:2: should be text in UTF-8"):
        services(tmp_path)
    (tmp_path / "compose.yaml").write_text("- services\n")
    with pytest.raises(BadInput, match=r"compose.yaml:1: should be a compose file"):
        services(tmp_path)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("on", "on"),
        ("true", True),
        ("False", False),
        ("~", None),
        ("", None),
        ("22:22", "22:22"),
        ("0440", 288),
        ("0o440", 288),
        ("0x1F", 31),
        ("-7", -7),
        ("1.5", 1.5),
        (".5", 0.5),
        ("1e3", 1000.0),
        ("1.2.3", "1.2.3"),
        ("2024-01-01", "2024-01-01"),
        ("089", 89),
        ("1_000", "1_000"),
        ("9" * 5000, "9" * 5000),
    ],
)
def test_a_plain_scalar_means_what_it_does_in_yaml_1_2(text: str, value: Scalar) -> None:
    found = scalar(text)
    assert (found, type(found)) == (value, type(value))


def test_a_profile_brings_in_its_services(tmp_path: Path) -> None:
    write(
        tmp_path,
        compose="services:\n  web: {image: a}\n  debug: {image: b, profiles: [dev]}\n  more: {image: c, profiles: [x, all]}\n",
    )
    assert list(services(tmp_path)) == ["web"]
    assert list(services(tmp_path, profiles=["dev"])) == ["web", "debug"]
    assert list(services(tmp_path, environ={"COMPOSE_PROFILES": "dev,all"})) == ["web", "debug", "more"]
    assert list(services(tmp_path, profiles=["*"])) == ["web", "debug", "more"]


def test_a_missing_variable_counts_where_the_value_is_used(tmp_path: Path) -> None:
    write(
        tmp_path,
        compose="x-a: ${NONE}\nservices:\n  web:\n    image: ${NONE}\n    user: ${NO:?say who}\n"
        "  dev: {image: '$NO', profiles: [dev]}\n",
        over="services: {web: {image: nginx}}\n",
    )
    web = stack(tmp_path).services["web"]
    assert [str(fault).removeprefix(f"{tmp_path}/") for fault in faults_in(web, ("services", "web"))] == [
        "compose.yaml:4: services/web/image: needs the variable NONE, which is not set; set it in .env or the environment, or "
        "write ${NONE:-} where it may be empty",
        "compose.yaml:5: services/web/user: needs the variable NO: say who",
    ]
    merged = stack(tmp_path, "compose.yaml", "over.yaml").services["web"]
    assert len(faults_in(merged)) == 1


def test_variables_come_from_the_environment_before_the_file(tmp_path: Path) -> None:
    write(tmp_path, compose="services: {web: {image: '$A:$B'}}\n", dotenv="A=file\nB=file\n")
    assert services(tmp_path, environ={"B": "shell"})["web"]["image"] == "file:shell"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "services:\n  a: {image: x, depends_on: [b]}\n  b: {image: x, depends_on: [a]}\n",
            r":3: services/b/depends_on: is a cycle",
        ),
        (
            "services:\n  a:\n    image: x\n    depends_on:\n    - c\n",
            r":5: services/a/depends_on: needs c, but there is no such",
        ),
        (
            "services:\n  a: {image: x, depends_on: [b]}\n  b: {image: x, profiles: [dev]}\n",
            r":2: services/a/depends_on: needs b, but only a profile has it",
        ),
        ("services:\n  a: {image: x, network_mode: 'service:b'}\n", r":2: services/a/network_mode: there is no service b"),
        (
            "services:\n  a: {image: x, network_mode: 'service:b'}\n  b: {image: x, network_mode: 'service:a'}\n",
            r"/network_mode: is a cycle: a → b → a",
        ),
        ("services:\n  a_b: {image: x}\n  a.b: {image: x}\n", r":3: services/a.b: its app would be shop-a-b, as that of a_b"),
        ("services:\n  a: {image: x, profiles: [dev]}\n", r":1: has no service without a profile"),
        ("volumes: {}\n", r":1: has no service"),
    ],
)
def test_services_that_cannot_be_started_are_refused_with_their_line(tmp_path: Path, text: str, words: str) -> None:
    write(tmp_path, compose=text)
    with pytest.raises(BadInput, match=words):
        stack(tmp_path)


def test_a_dependency_that_is_not_required_may_be_missing(tmp_path: Path) -> None:
    depends = "{b: {condition: service_healthy, required: false}, c: {condition: service_started}}"
    write(tmp_path, compose=f"services:\n  a: {{image: x, depends_on: {depends}}}\n  c: {{image: x}}\n")
    assert services(tmp_path)["a"]["depends_on"] == {"c": {"condition": "service_started"}}


def test_a_stack_is_named_by_the_environment_the_file_or_its_folder(tmp_path: Path) -> None:
    folder = tmp_path / "My_Shop.1"
    write(folder, compose="services: {Web_1: {image: x}}\n", named="name: other\nservices: {web: {image: x}}\n")
    assert stack(folder, name="").name == "my-shop1"
    assert stack(folder, name="").app("Web_1") == "my-shop1-web-1"
    assert stack(folder, "named.yaml", name="").name == "other"
    assert stack(folder, "named.yaml", name="typed").name == "typed"
    for file in ("compose.yaml", "named.yaml"):
        assert stack(folder, file, name="", environ={"COMPOSE_PROJECT_NAME": "env"}).name == "env"
    with pytest.raises(BadInput, match="--stack: the name of the stack should have at most 40 of a-z"):
        stack(folder, name="No Name")


def test_the_schema_of_the_spec_finds_what_is_misspelled_and_misplaced(tmp_path: Path) -> None:
    write(
        tmp_path,
        compose="""\
version: "3"
services:
  web:
    image: nginx
    retart: always
    ports: 80
    healthcheck: {retries: [], intervall: 3s}
    depends_on: {db: {}}
    x-own: {any: thing}
    build: {contxt: .}
  "a b": {image: x}
volumess: {}
""",
    )
    model, _ = load(reader_for(str(tmp_path)), [str(tmp_path / "compose.yaml")], str(tmp_path), {})
    assert [str(fault).removeprefix(f"{tmp_path}/") for fault in faults_of(model)] == [
        "compose.yaml:5: services/web/retart: is no key of the Compose Spec; is restart meant?",
        "compose.yaml:6: services/web/ports: should be a list, got a number",
        "compose.yaml:7: services/web/healthcheck/retries: should be a number or text, got a list",
        "compose.yaml:7: services/web/healthcheck/intervall: is no key of the Compose Spec; is interval meant?",
        "compose.yaml:8: services/web/depends_on/db: lacks the key condition",
        "compose.yaml:10: services/web/build/contxt: is no key of the Compose Spec; is context meant?",
        "compose.yaml:11: services/a b: is a name with other signs than letters, digits, '.', '_' and '-'",
        "compose.yaml:12: volumess: is no key of the Compose Spec; is volumes meant?",
    ]


def test_what_is_no_plain_file_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "compose.yaml")
    with pytest.raises(BadInput, match="is no plain file"):
        services(tmp_path)
