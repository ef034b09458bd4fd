"""Several compose files as one, `extends` and `include`."""

from __future__ import annotations

from pathlib import Path

import pytest

from duckconf.compose_file.loading import load
from duckconf.compose_file.tree import plain
from duckconf.errors import BadInput
from duckconf.reach.stacks.files import reader_for
from tests.unit.compose_file.reading import services, write

BASE = """
services:
  web:
    image: nginx:1
    command: [a, b]
    ports: ["8080:80", "443:443"]
    volumes: [data:/data, ./x:/x]
    environment: [A=1, B=2]
    dns: 192.0.2.1
    cap_add: [NET_ADMIN]
    depends_on: [db]
    healthcheck: {test: [CMD, a], retries: 3}
    labels: {one: "1"}
    logging: {driver: json-file, options: {max-size: 1m}}
    extra_hosts: ["a:192.0.2.9"]
  db: {image: postgres}
"""
OVER = """
services:
  web:
    image: nginx:2
    command: [c]
    ports: ["8080:80", "8081:81"]
    volumes: [other:/data:ro, {type: volume, source: y, target: /y}]
    environment: {B: 3, C: x}
    dns: [192.0.2.2]
    cap_add: [NET_ADMIN, SYS_TIME]
    depends_on: {cache: {condition: service_healthy}}
    healthcheck: {test: [CMD, b]}
    labels: [two=2]
    logging: {driver: none}
    extra_hosts: {b: 192.0.2.8}
  cache: {image: redis}
"""
MERGED = {
    "image": "nginx:2",
    "command": ["c"],
    "ports": ["8080:80", "443:443", "8081:81"],
    "volumes": ["other:/data:ro", "./x:/x", {"type": "volume", "source": "y", "target": "/y"}],
    "environment": {"A": "1", "B": 3, "C": "x"},
    "dns": ["192.0.2.1", "192.0.2.2"],
    "cap_add": ["NET_ADMIN", "SYS_TIME"],
    "depends_on": {"db": {"condition": "service_started"}, "cache": {"condition": "service_healthy"}},
    "healthcheck": {"test": ["CMD", "b"], "retries": 3},
    "labels": {"one": "1", "two": "2"},
    "logging": {"driver": "none"},
    "extra_hosts": {"a": "192.0.2.9", "b": "192.0.2.8"},
}


def test_two_files_are_merged_by_the_rules_of_the_spec(tmp_path: Path) -> None:
    write(tmp_path, compose=BASE, over=OVER)
    found = services(tmp_path, "compose.yaml", "over.yaml")
    assert found["web"] == MERGED
    assert list(found) == ["web", "db", "cache"]


def test_a_service_extends_another_by_the_same_rules(tmp_path: Path) -> None:
    over = OVER.replace("  web:\n", "  web:\n    extends: {file: base/compose.yaml, service: web}\n")
    write(tmp_path, base__compose=BASE, compose=over + "  db: {image: postgres}\n")
    assert services(tmp_path)["web"] == MERGED


def test_of_two_mounts_with_one_target_in_a_file_the_last_counts(tmp_path: Path) -> None:
    write(tmp_path, compose="services: {web: {image: x, volumes: ['./etc:/p', 'a:/q', 'data:/p'], cap_add: [ALL, ALL]}}\n")
    found = services(tmp_path)["web"]
    assert (found["volumes"], found["cap_add"]) == (["data:/p", "a:/q"], ["ALL"])


def test_reset_takes_away_and_override_replaces(tmp_path: Path) -> None:
    over = """
services:
  web:
    ports: !override ["9000:9000"]
    environment: {A: !reset null}
    volumes: !reset []
    dns: !reset null
  db: !reset null
  cache: !reset {image: x}
"""
    write(tmp_path, compose=BASE.replace("    depends_on: [db]\n", ""), over=over)
    found = services(tmp_path, "compose.yaml", "over.yaml")
    assert list(found) == ["web"]
    assert found["web"]["ports"] == ["9000:9000"]
    assert found["web"]["environment"] == {"B": "2"}
    assert not {"volumes", "dns"} & found["web"].keys()


def test_anchors_and_merge_keys_are_followed(tmp_path: Path) -> None:
    text = """
x-one: &one {image: a, restart: always}
x-two: &two {image: b, user: "1"}
services:
  web: {<<: [*one, *two], hostname: h}
  db: {<<: *two, image: c}
"""
    write(tmp_path, compose=text)
    found = services(tmp_path)
    assert found["web"] == {"image": "a", "restart": "always", "user": "1", "hostname": "h"}
    assert found["db"] == {"image": "c", "user": "1"}


def test_extends_goes_over_several_services_and_files(tmp_path: Path) -> None:
    write(
        tmp_path,
        compose="services:\n  web: {extends: {service: mid, file: sub/a.yaml}, user: '1'}\n",
        sub__a="services:\n  mid: {extends: {service: top, file: b.yaml}, tty: true}\n",
        sub__b="services:\n  top: {extends: base}\n  base: {image: nginx}\n",
    )
    assert services(tmp_path) == {"web": {"image": "nginx", "tty": True, "user": "1"}}


def test_included_files_have_variables_and_a_folder_of_their_own(tmp_path: Path) -> None:
    write(
        tmp_path,
        compose="include: [sub/compose.yaml, {path: other.yaml, env_file: other.env.yaml}]\n"
        "services: {web: {image: 'web:${TAG}'}}\n",
        dotenv="TAG=outer\n",
        sub__compose="services: {db: {image: 'db:${TAG}-${MORE}', volumes: ['./d:/d']}}\nvolumes: {v: }\n",
        other="services: {cache: {image: 'cache:${MORE}'}}\n",
    )
    (tmp_path / "sub/.env").write_text("TAG=inner\nMORE=more\n")
    (tmp_path / "other.env.yaml").write_text("MORE=1\n")
    model, _ = load(reader_for(str(tmp_path)), [str(tmp_path / "compose.yaml")], str(tmp_path), {})
    found = plain(model)
    assert {name: one["image"] for name, one in found["services"].items()} == {
        "cache": "cache:1",
        "db": "db:outer-more",
        "web": "web:outer",
    }
    assert model.entries["services"].entries["db"].entries["volumes"].items[0].place.folder == str(tmp_path / "sub")
    assert "include" not in found


@pytest.mark.parametrize(
    ("files", "words"),
    [
        (
            {"compose": "services:\n  a: {extends: b}\n  b: {extends: a}\n"},
            r"compose.yaml:2: services/a extends itself: a → b → a",
        ),
        ({"compose": "services:\n  a: {extends: b}\n"}, r"compose.yaml:2: services/a extends b: there is no such service"),
        ({"compose": "services:\n  a: {extends: {service: b, file: ../b.yaml}}\n"}, r"compose.yaml:2: \.\./b.yaml is outside"),
        ({"compose": "services:\n  a: {extends: {service: b, file: no.yaml}}\n"}, r"no.yaml: cannot be read: No such file"),
        (
            {"compose": "include: [a.yaml]\n", "a": "include: [compose.yaml]\n"},
            r"a.yaml: includes .*compose.yaml, which includes it",
        ),
        (
            {"compose": "include:\n- a.yaml\nservices: {a: {image: x}}\n", "a": "services: {a: {image: y}}\n"},
            r"compose.yaml:2: services/a is declared by the included file .*a.yaml:1 and at .*compose.yaml:3 too",
        ),
        ({"compose": "include: [/etc/passwd]\n"}, r"compose.yaml:1: /etc/passwd is outside of the folder"),
    ],
)
def test_what_leads_nowhere_is_refused_with_its_line(tmp_path: Path, files: dict[str, str], words: str) -> None:
    write(tmp_path, **files)
    with pytest.raises(BadInput, match=words):
        services(tmp_path)


def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    write(inner, compose="services: {a: {extends: {service: b, file: link.yaml}}}\n")
    write(tmp_path, outside="services: {b: {image: x}}\n")
    (inner / "link.yaml").symlink_to(tmp_path / "outside.yaml")
    with pytest.raises(BadInput, match=r"link.yaml: is a link to a place outside"):
        services(inner)
