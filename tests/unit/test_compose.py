"""A service of a Compose file as the body of a request: its forms, its other names, what is refused and what is left out."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openapi_schema_validator import OAS31Validator

from api.schemas import APP
from duckconf import engine
from duckconf.actions import Start
from duckconf.codec import spec_hash, stop_grace, to_json, to_label
from duckconf.command import Completed
from duckconf.compose import REFUSED, merged
from duckconf.desired import PLACED_COLUMNS, changed, empty_document, read_document
from duckconf.durations import seconds_in
from duckconf.engine import DOCKER, PODMAN
from duckconf.errors import BadInput
from duckconf.model import DECLARED, FIELDS, App, parse_app
from duckconf.naming import LABEL_CLUSTER
from duckconf.reach.nodes.actuator import execute
from tests.fakes import FakeNode
from tests.unit.test_model import FULL

# As `docker compose config --format json` prints it.
PRINTED: dict[str, Any] = {
    "command": None,
    "entrypoint": None,
    "environment": {"A": "1"},
    "image": "nginx",
    "mem_limit": "536870912",
    "networks": {"default": None},
    "ports": [{"mode": "ingress", "target": 80, "published": "8080", "protocol": "tcp"}, {"target": 53, "protocol": "udp"}],
    "volumes": [
        {"type": "bind", "source": "/srv/x", "target": "/x", "read_only": True, "bind": {"create_host_path": True}},
        {"type": "volume", "source": "data", "target": "/d", "volume": {"nocopy": True}},
        {"type": "tmpfs", "target": "/t", "tmpfs": {"size": "67108864", "mode": 1023}},
    ],
    "ulimits": {"nofile": {"soft": 20000, "hard": 40000}, "nproc": 65535},
    "extra_hosts": ["db=192.0.2.7"],
    "stop_grace_period": "1m30s",
    "x-mine": {"any": "thing"},
}
SHORT = {
    "image": "nginx",
    "env": {"A": "1"},
    "memory": "536870912",
    "ports": ["8080:80", "53/udp"],
    "volumes": ["/srv/x:/x:ro", "data:/d:nocopy"],
    "tmpfs": ["/t:size=67108864,mode=1777"],
    "ulimits": {"nofile": {"soft": 20000, "hard": 40000}, "nproc": 65535},
    "extra_hosts": ["db=192.0.2.7"],
    "stop_grace_period": "1m30s",
}
FORMS: list[tuple[str, object, object]] = [
    ("command", "sh -c 'echo a'", ["sh", "-c", "echo a"]),
    ("entrypoint", "", [""]),
    ("entrypoint", [], [""]),
    ("env", ["A=b=c", "E="], {"A": "b=c", "E": ""}),
    ("env", {"A": 1, "B": True, "C": 1.5}, {"A": "1", "B": "true", "C": "1.5"}),
    ("labels", ["com.example.a=1", "com.example.b"], {"com.example.a": "1", "com.example.b": ""}),
    ("labels", {"a": None, "b": False}, {"a": "", "b": "false"}),
    ("ports", [3000], ["3000"]),
    ("ports", [{"target": 80, "published": 8080, "host_ip": "::1"}], ["[::1]:8080:80"]),
    ("ports", [{"target": "80-81", "published": "8080-8081", "name": "web", "app_protocol": "http"}], ["8080-8081:80-81"]),
    ("ports", [{"target": 80, "host_ip": "127.0.0.1"}], ["127.0.0.1::80"]),
    (
        "volumes",
        [{"type": "bind", "source": "/a", "target": "/b", "bind": {"propagation": "rslave", "selinux": "z"}}],
        ["/a:/b:rslave,z"],
    ),
    ("volumes", [{"type": "bind", "source": "/a", "target": "/b", "read_only": "true"}], ["/a:/b:ro"]),
    ("tmpfs", "/run", ["/run"]),
    ("user", 1000, "1000"),
    ("group_add", [44, "audio"], ["44", "audio"]),
    ("devices", [{"source": "/dev/a", "target": "/dev/b", "permissions": "r"}], ["/dev/a:/dev/b:r"]),
    ("devices", [{"source": "/dev/a", "permissions": "r"}], ["/dev/a:/dev/a:r"]),
    ("devices", [{"source": "nvidia.com/gpu=all"}], ["nvidia.com/gpu=all"]),
    ("ulimits", {"nofile": "1024:2048"}, {"nofile": {"soft": 1024, "hard": 2048}}),
    ("sysctls", ["net.core.somaxconn=1024"], {"net.core.somaxconn": "1024"}),
    ("sysctls", {"net.core.somaxconn": 1024}, {"net.core.somaxconn": "1024"}),
    ("extra_hosts", {"a": "192.0.2.1", "b": ["192.0.2.2", "[::1]"]}, ["a=192.0.2.1", "b=192.0.2.2", "b=::1"]),
    ("extra_hosts", ["a:192.0.2.1", "b:::1", "c=host-gateway"], ["a=192.0.2.1", "b=::1", "c=host-gateway"]),
    ("dns", "192.0.2.53", ["192.0.2.53"]),
    ("init", "true", True),
    ("secrets", [{"source": "db"}, "key"], ["db", "key"]),
    ("secrets", [{"source": "db", "target": "/run/secrets/db"}], ["db:/run/secrets/db"]),
    (
        "secrets",
        [{"source": "db", "target": "k", "uid": "103", "gid": 103, "mode": 288}, {"source": "x", "mode": "0400"}],
        ["db:k,uid=103,gid=103,mode=0440", "x,mode=0400"],
    ),
    ("secrets", [{"source": "token", "environment": "TOKEN"}], ["token:env=TOKEN"]),
    ("shm_size", 65536, "65536"),
]
WORD = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12)
FLAGS = st.booleans()
SOME = {
    "command": st.lists(WORD, max_size=3),
    "entrypoint": st.lists(WORD, max_size=3),
    "env": st.dictionaries(st.from_regex(r"[A-Z_]{1,5}", fullmatch=True), WORD, max_size=3),
    "labels": st.dictionaries(st.from_regex(r"[a-z]{1,5}", fullmatch=True), WORD, max_size=3),
    "user": st.sampled_from(["1000", "a:b", "0:0"]),
    "working_dir": WORD.map(lambda word: f"/{word.strip()}"),
    "read_only": FLAGS,
    "init": FLAGS,
    "tmpfs": st.lists(st.sampled_from(["/run", "/a b:size=1m"]), max_size=2, unique=True),
    "ulimits": st.dictionaries(st.sampled_from(["nofile", "core"]), st.sampled_from([5, -1, {"soft": 1, "hard": 2}, "3:-1"])),
    "sysctls": st.dictionaries(st.sampled_from(["net.a", "kernel.b"]), WORD),
    "extra_hosts": st.dictionaries(st.sampled_from(["a", "b"]), st.ip_addresses().map(str)),
    "security_opt": st.lists(st.sampled_from(["no-new-privileges", "label:disable", "seccomp=/a, b"]), max_size=2),
    "stop_grace_period": st.sampled_from(["0s", "1m30s", "500ms"]),
    "pull_policy": st.sampled_from(["always", "if_not_present"]),
}
BODIES = st.fixed_dictionaries({"image": st.just("nginx"), "name": st.just("web")}, optional=SOME)


def test_a_service_as_docker_compose_prints_it_is_an_app() -> None:
    assert to_json(parse_app(PRINTED)) == SHORT
    assert spec_hash(parse_app(PRINTED)) == spec_hash(parse_app(SHORT))


@pytest.mark.parametrize(("field", "form", "kept"), FORMS)
def test_each_form_of_the_spec_is_kept_as_one(field: str, form: object, kept: object) -> None:
    assert to_json(parse_app({"image": "a", field: form}))[field] == kept


@pytest.mark.parametrize("body", [PRINTED, SHORT, FULL, *({"image": "a", field: form} for field, form, _ in FORMS)])
def test_the_schema_has_every_form(body: dict[str, Any]) -> None:
    known = {key: value for key, value in body.items() if key not in REFUSED and value is not None}
    OAS31Validator(APP).validate(known)


@pytest.mark.parametrize("field", FIELDS)
def test_the_schema_takes_the_example_of_each_field(field: str) -> None:
    OAS31Validator(APP).validate({"image": "a", field: DECLARED[field].example})


@pytest.mark.parametrize("key", REFUSED)
def test_a_key_that_is_not_supported_is_refused_with_what_to_use_instead(key: str) -> None:
    with pytest.raises(BadInput) as caught:
        parse_app({"image": "a", key: "x"})
    (fault,) = caught.value.faults
    assert (fault.path, fault.message.removeprefix("is not supported: ")) == (key, REFUSED[key])
    assert parse_app({"image": "a", key: None}) == App("a")


def test_no_field_is_refused() -> None:
    assert set(REFUSED).isdisjoint(DECLARED)


def test_scale_is_the_number_of_replicas_and_none_is_a_number() -> None:
    assert [parse_app({"image": "a", "scale": number}).replicas for number in (3, 0)] == [3, 0]


def test_a_typing_mistake_is_answered_with_the_field_that_was_meant() -> None:
    with pytest.raises(BadInput, match="enviroment: is not a field of an app; is environment meant"):
        parse_app({"image": "a", "enviroment": {}})


def test_a_change_under_the_other_name_changes_the_same_field() -> None:
    before = to_json(parse_app({"image": "a", "env": {"A": "1"}, "memory": "1g", "tmpfs": ["/x"]}))
    after = parse_app(merged(before, {"environment": {"B": "2"}, "mem_limit": None}))
    assert to_json(after) == {"image": "a", "env": {"B": "2"}, "tmpfs": ["/x"]}
    mounted = parse_app(merged(before, {"volumes": [{"type": "tmpfs", "target": "/y"}]}))
    assert mounted.tmpfs == ("/y",)


def test_a_state_file_may_have_the_names_of_compose() -> None:
    document = read_document("name,image,environment,mem_limit\nweb,nginx,A=b,1g\n")
    assert document.apps() == {"web": App("nginx", "web", env={"A": "b"}, memory="1g")}


def test_a_state_file_gets_a_column_when_an_app_needs_it() -> None:
    plain = changed(empty_document(), {"a": App("nginx", "a")})
    assert "user" not in plain.columns
    after = changed(plain, {"b": parse_app({"image": "nginx", "name": "b", "user": 5, "init": True})})
    assert after.columns == (*plain.columns, "user", "init")
    assert read_document(after.text()).apps() == after.apps()
    bare = changed(read_document("a,nginx\n"), {"b": after.apps()["b"]})
    assert bare.text().splitlines()[1:] == ["a,nginx", "b,nginx,,,,,,,,,5,true"]
    assert read_document(bare.text()).apps() == after.apps()


@given(BODIES)
def test_every_app_survives_json_and_a_line_of_the_state_file(body: dict[str, Any]) -> None:
    app = parse_app(body)
    assert parse_app(to_json(app)) == app
    assert to_json(parse_app(to_json(app))) == to_json(app)
    for layout in (PLACED_COLUMNS, ("name", "image", *FIELDS[2:])):
        written = changed(empty_document(layout), {"web": app})
        assert read_document(written.text(), layout=layout).apps() == {"web": app}


@given(BODIES, st.sampled_from([DOCKER, PODMAN, ""]))
def test_no_value_becomes_an_option_of_the_engine(body: dict[str, Any], kind: str) -> None:
    app = parse_app(body)
    argv = list(engine.run("c", app, {}, {}, kind).argv)
    flags = {declared.flag for declared in DECLARED.values() if declared.flag} | {"--read-only-tmpfs"}
    before = argv[5 : len(argv) - len(app.command) - len(app.entrypoint[1:]) - 1]
    assert argv[5 + len(before) :] == ["nginx", *app.entrypoint[1:], *app.command]
    assert all(word.partition("=")[0] in flags and "=" in word for word in before)


def test_the_engine_gets_each_field_as_both_engines_take_it() -> None:
    argv = engine.run("c", parse_app(FULL), {LABEL_CLUSTER: "demo"}, {}, DOCKER).argv
    assert {
        "--network=duckconf-demo-stack-shop",
        "--network-alias=web",
        "--entrypoint=/bin/sh",
        "--user=1000:audio",
        "--init=true",
        "--ulimit=nofile=1024:4096",
        "--ulimit=core=-1",
        "--sysctl=net.ipv4.ip_local_reserved_ports=80,443",
        "--security-opt=no-new-privileges",
        "--add-host=six:2001:db8::7",
        "--stop-timeout=90",
        "--pull=never",
    } < set(argv)
    assert argv[-4:] == ("-c", "sh", "-c", "echo $HOME; exit")
    podmans = set(engine.run("c", parse_app(FULL), {LABEL_CLUSTER: "demo"}, {}, PODMAN).argv) - set(argv)
    assert podmans == {'--sysctl="net.ipv4.ip_local_reserved_ports=80,443"', "--read-only-tmpfs=false"}
    assert engine.depends_on_engine(parse_app(FULL))
    assert not engine.depends_on_engine(App("nginx"))


@pytest.mark.parametrize(
    ("body", "version", "asked", "told"),
    [
        ({}, "podman version 4.3.1", False, False),
        ({"read_only": True}, "podman version 4.3.1", True, True),
        ({"read_only": True}, "Docker version 28.2.2, build e6534b4", True, False),
        ({"sysctls": ["net.a=1,2"]}, "podman version 4.3.1", True, False),
    ],
)
def test_only_an_app_that_the_engines_read_differently_asks_for_the_engine(
    body: dict[str, Any], version: str, asked: bool, told: bool
) -> None:
    node = FakeNode("n1", answers={"docker": Completed(0, version, "")})
    execute(Start("n1", "c", parse_app({"image": "nginx", "name": "web", **body})), "demo", node)
    assert (engine.ask_version() in node.asked) is asked
    (run,) = (command.argv for command in node.asked if command.argv[1] == "run")
    assert ("--read-only-tmpfs=false" in run) is told


@pytest.mark.parametrize(
    ("text", "seconds"), [("10s", 10), ("1m30s", 90), ("1h", 3600), ("500ms", 0.5), ("1.5s", 1.5), ("0", 0), ("20us", 0.00002)]
)
def test_a_duration_is_the_sum_of_its_parts(text: str, seconds: float) -> None:
    assert seconds_in(text) == seconds


@pytest.mark.parametrize("text", ["", "10", "s", "1d", "-1s", "1 s", "1s "])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="should be a duration"):
        seconds_in(text)


def test_the_deadline_of_a_stop_is_longer_than_what_the_container_may_take() -> None:
    slow = parse_app({"image": "a", "stop_grace_period": "10m"})
    assert [stop_grace(label) for label in (to_label(slow), to_label(App("a")), "", "no manifest")] == [600, 10, 10, 10]
    assert engine.stop("c", stop_grace(to_label(slow))).deadline == 650
    assert engine.run("c", slow, {}, {}).deadline == engine.RUN_DEADLINE + 600
    half = parse_app({"image": "a", "stop_grace_period": "500ms"})
    assert "--stop-timeout=1" in engine.run("c", half, {}, {}).argv


def test_what_stands_in_deploy_is_a_field_like_others() -> None:
    app = parse_app({"image": "nginx", "deploy": {"replicas": 3, "update_config": {"parallelism": 2, "order": "stop-first"}}})
    assert (app.replicas, app.update_config) == (3, {"parallelism": "2", "order": "stop-first"})
    assert parse_app(to_json(app)) == app


@pytest.mark.parametrize(
    ("deploy", "path", "words"),
    [
        (3, "deploy", "should be an object"),
        ({"replicas": -1}, "deploy/replicas", "should be a whole number"),
        ({"resources": {"limits": {"pids": 5}}}, "deploy/resources/limits/pids", "use ulimits"),
        ({"resources": {"limits": {"memory": "1k"}}}, "deploy/resources/limits/memory", "should be 6m or more"),
        ({"resources": {"limits": 5}}, "deploy/resources/limits", "is not a key of deploy"),
        ({"resources": {"reservations": {"cpus": -1}}}, "deploy/resources/reservations/cpus", "should be a number of cores"),
        ({"endpoint_mode": "vip"}, "deploy/endpoint_mode", "makes no networks"),
        ({"zzz": 1}, "deploy/zzz", "known are replicas"),
        ({"update_config": {"order": "both"}}, "deploy/update_config/order", "should be start-first or stop-first, got both"),
        ({"update_config": {"delay": "soon"}}, "deploy/update_config/delay", "should be a duration"),
        ({"update_config": {"max_failure_ratio": "0.5"}}, "deploy/update_config/max_failure_ratio", "is not supported"),
        ({"update_config": {"parallelism": "x"}}, "deploy/update_config/parallelism", "should be a whole number"),
    ],
)
def test_what_is_wrong_in_deploy_is_named_with_its_path(deploy: Any, path: str, words: str) -> None:
    with pytest.raises(BadInput) as caught:
        parse_app({"image": "nginx", "deploy": deploy})
    assert [fault.path for fault in caught.value.faults] == [path]
    assert words in str(caught.value)


def test_limits_in_deploy_are_those_of_the_app_and_stand_once() -> None:
    deploy = {"resources": {"limits": {"cpus": "0.50", "memory": "64M"}, "reservations": {}}, "x-mine": 1, "placement": {}}
    app = parse_app({"image": "nginx", "deploy": deploy})
    assert (app.cpus, app.memory) == (0.5, "64M")
    OAS31Validator(APP).validate({"image": "nginx", "deploy": deploy})
    with pytest.raises(BadInput) as caught:
        parse_app({"image": "nginx", "deploy": deploy, "mem_limit": "64M", "cpus": 1})
    assert [fault.path for fault in caught.value.faults] == ["deploy/resources/limits/cpus", "deploy/resources/limits/memory"]


def test_a_field_that_stands_twice_is_refused() -> None:
    with pytest.raises(BadInput, match="deploy/replicas: is another name of replicas; give one of them"):
        parse_app({"image": "nginx", "replicas": 2, "deploy": {"replicas": 3}})
