"""Services as apps: what is taken, what is ignored, what is refused, each with its line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from duckconf.codec import to_json
from duckconf.compose_file.loading import load
from duckconf.compose_file.stack import stack_of
from duckconf.compose_file.translation import Translated, translate
from duckconf.compose_file.verdicts import IGNORED, TRANSLATED, why_refused
from duckconf.model import FIELDS
from duckconf.reach.stacks.files import reader_for
from duckconf.reach.stacks.schema import _properties, _schema
from tests.unit.compose_file.reading import write

HEAD = "services:\n  web:\n    image: nginx\n"


def translated(folder: Path, **environ: str) -> Translated:
    reader = reader_for(str(folder))
    model, known = load(reader, [str(folder / "compose.yaml")], str(folder), environ)
    return translate(stack_of(model, "shop", known, str(folder), []), reader, known)


def bodies(folder: Path, **environ: str) -> dict[str, Any]:
    found = translated(folder, **environ)
    assert not found.refused, [str(finding) for finding in found.refused]
    return {name: to_json(app) for name, app in found.apps.items()}


def said(folder: Path) -> list[str]:
    return [str(finding).replace(f"{folder}/", "") for finding in translated(folder).findings]


def test_services_of_a_stack_have_names_in_its_network_and_start_in_order(tmp_path: Path) -> None:
    text = """
services:
  web:
    image: nginx
    container_name: front
    depends_on: {db: {condition: service_healthy}}
    links: [db:database]
  db: {image: postgres, networks: {default: {aliases: [store]}}}
  side: {image: x, network_mode: host}
"""
    write(tmp_path, compose=text)
    found = bodies(tmp_path)
    assert (found["shop-web"]["network_mode"], found["shop-web"]["aliases"]) == ("stack:shop", ["web", "front"])
    assert found["shop-db"]["aliases"] == ["db", "store", "database"]
    assert found["shop-web"]["depends_on"] == {"shop-db": "service_healthy"}
    assert (found["shop-side"]["network_mode"], "aliases" in found["shop-side"]) == ("host", False)


def test_a_service_alone_is_spread_and_one_among_others_is_not(tmp_path: Path) -> None:
    write(tmp_path, compose="services:\n  web: {image: nginx, scale: 3}\n")
    assert "network_mode" not in bodies(tmp_path)["shop-web"]
    write(tmp_path, compose="services:\n  web: {image: nginx, scale: 3}\n  db: {image: postgres}\n")
    assert said(tmp_path) == [
        "compose.yaml:2: services/web/scale: refused: db and this one find each other by name on one node, and this one would "
        "run on several (3 instances). Leave this out for one instance, or spread it with network_mode: bridge: it is reached at "
        "a route then (labels: {duckconf.route: HOST}), and reaches the others at ports that they publish"
    ]


def test_a_service_is_spread_beside_others_in_the_way_that_its_refusal_names(tmp_path: Path) -> None:
    web = "{image: nginx, scale: 3, network_mode: bridge, ports: ['80'], labels: {duckconf.route: shop.example.org}}"
    write(tmp_path, compose=f"services:\n  web: {web}\n  db: {{image: postgres, ports: ['5432:5432']}}\n  cache: {{image: x}}\n")
    found = bodies(tmp_path)
    assert (found["shop-web"]["replicas"], found["shop-web"]["routes"]) == (3, ["shop.example.org"])
    assert (found["shop-db"]["network_mode"], found["shop-cache"]["network_mode"]) == ("stack:shop", "stack:shop")


@pytest.mark.parametrize("mode", ["bridge", "host", "none"])
def test_the_network_of_a_service_that_may_run_elsewhere_is_not_shared(tmp_path: Path, mode: str) -> None:
    services = f"  web: {{image: nginx, network_mode: {mode}}}\n  side: {{image: x, network_mode: 'service:web'}}\n"
    write(tmp_path, compose=f"services:\n{services}")
    (told,) = said(tmp_path)
    assert told == (
        "compose.yaml:3: services/side/network_mode: refused: web is in no network of the stack, and may run on another node; "
        "leave out its network_mode"
    )


@pytest.mark.parametrize("spread", ["web", "side"])
def test_one_network_of_two_services_is_on_one_node(tmp_path: Path, spread: str) -> None:
    services = {"web": "image: nginx", "side": "image: x, network_mode: 'service:web'"}
    lines = (f"  {name}: {{{text}{', deploy: {mode: global}' if name == spread else ''}}}" for name, text in services.items())
    write(tmp_path, compose="\n".join(["services:", *lines, ""]))
    (told,) = said(tmp_path)
    assert told.endswith("would run on several (one on each). Leave this out for one instance")


def test_every_key_of_the_spec_has_one_verdict() -> None:
    keys = set(_properties({"$ref": "#/$defs/service"}))
    refused = {key for key in keys if why_refused(key)}
    taken = {*FIELDS, "environment", "mem_limit", "scale", "deploy"}
    assert not keys - refused - set(IGNORED) - set(TRANSLATED) - taken
    assert not refused & taken
    assert not set(IGNORED) & set(TRANSLATED)
    assert _schema()["title"] == "Compose Specification"


def test_a_service_becomes_an_app_of_its_stack(tmp_path: Path) -> None:
    text = """
services:
  web:
    image: nginx
    command: sh -c "echo $$HOME"
    environment: {A: 1, B: , C: "${SET}"}
    env_file: [one.env.yaml]
    ports: ["8080:80"]
    volumes: ["data:/data", "/srv/x:/x:ro", {type: tmpfs, target: /t}, "kept:/k"]
    mem_limit: 64m
    scale: 2
    x-note: mine
volumes:
  data:
  kept: {name: elsewhere}
"""
    write(tmp_path, compose=text, dotenv="SET=s\n")
    (tmp_path / "one.env.yaml").write_text("A=file\nD=d # comment\n")
    assert bodies(tmp_path, B="shell") == {
        "shop-web": {
            "name": "shop-web",
            "stack": "shop",
            "image": "nginx",
            "command": ["sh", "-c", "echo $HOME"],
            "env": {"A": "1", "B": "shell", "C": "s", "D": "d"},
            "ports": ["8080:80"],
            "volumes": ["shop_data:/data", "/srv/x:/x:ro", "elsewhere:/k"],
            "tmpfs": ["/t"],
            "memory": "64m",
            "replicas": 2,
        }
    }


def test_a_service_whose_end_another_waits_for_is_a_job(tmp_path: Path) -> None:
    depends = "depends_on: {migrate: {condition: service_completed_successfully}}"
    write(tmp_path, compose=f"services:\n  web: {{image: a, {depends}}}\n  migrate: {{image: b}}\n")
    assert bodies(tmp_path)["shop-migrate"]["restart"] == "no"
    assert "restart" not in bodies(tmp_path)["shop-web"]


def test_files_beside_the_compose_file_are_carried_under_names_of_their_content(tmp_path: Path) -> None:
    write(tmp_path, compose=HEAD + "    volumes: ['./web.conf:/etc/web.conf:ro', './conf:/etc/conf.d', './data:/var/lib/data']\n")
    (tmp_path / "web.conf").write_text("listen 80")
    (tmp_path / "conf/sub").mkdir(parents=True)
    (tmp_path / "conf/a.conf").write_text("a")
    (tmp_path / "conf/sub/run.sh").write_text("b")
    (tmp_path / "conf/sub/run.sh").chmod(0o755)
    (tmp_path / "web.conf").chmod(0o640)
    found = translated(tmp_path)
    names = [one.name for one in found.carried]
    assert to_json(found.apps["shop-web"])["secrets"] == [
        f"{names[0]}:/etc/web.conf,mode=0640",
        f"{names[1]}:/etc/conf.d/a.conf,mode=0644",
        f"{names[2]}:/etc/conf.d/sub/run.sh,mode=0755",
    ]
    assert found.apps["shop-web"].volumes == ("shop_data:/var/lib/data",)
    assert all(name.startswith("shop.") and len(name) <= 63 for name in names)
    assert "listen" not in repr(found.carried)
    (tmp_path / "web.conf").write_text("listen 81")
    changed, *others = (one.name for one in translated(tmp_path).carried)
    assert changed != names[0]
    assert others == names[1:]


def test_configs_and_secrets_are_carried_or_those_of_the_cluster(tmp_path: Path) -> None:
    text = (
        HEAD
        + """\
    configs: [one, {source: two, target: /etc/two, mode: 0440}]
    secrets: [own, {source: given, target: /run/given, uid: "7"}, theirs]
configs:
  one: {content: "port ${PORT:-80}"}
  two: {file: ./two.conf}
secrets:
  own: {file: ./own.key}
  given: {environment: TOKEN}
  theirs: {external: true}
"""
    )
    write(tmp_path, compose=text)
    (tmp_path / "two.conf").write_text("2")
    (tmp_path / "own.key").write_text("k")
    found = translated(tmp_path, TOKEN="t")
    contents = {one.content: one for one in found.carried}
    names = {content: one.name for content, one in contents.items()}
    assert list(contents) == [b"port 80", b"2", b"k", b"t"]
    assert [one.secret for one in contents.values()] == [False, False, True, True]
    assert to_json(found.apps["shop-web"])["secrets"] == [
        f"{names[b'port 80']}:/one",
        f"{names[b'2']}:/etc/two,mode=0440",
        "shop.own:own",
        "shop.given:/run/given,uid=7",
        "theirs:theirs",
    ]


def test_what_makes_no_difference_is_named_and_ignored(tmp_path: Path) -> None:
    text = (
        HEAD
        + """\
    container_name: web
    logging: {driver: json-file}
    expose: [80]
    networks: [front, default, back]
    deploy: {labels: {a: b}, placement: {preferences: [{spread: node.labels.zone}]}, replicas: 2}
    build: {context: ./app}
    read_only: false
    privileged: false
    pid: ""
networks: {front: , back: {internal: true}}
"""
    )
    write(tmp_path, compose=text)
    assert said(tmp_path) == [
        "compose.yaml:4: services/web/container_name: ignored: a container is named after its app",
        "compose.yaml:5: services/web/logging: ignored: the role limits the logs of all apps (duckconf_log_size_mb)",
        "compose.yaml:6: services/web/expose: ignored: it publishes nothing, and services of a stack reach each other's ports",
        "compose.yaml:7: services/web/networks/front: ignored: the services of a stack share one network of their node",
        "compose.yaml:7: services/web/networks/back: ignored: the services of a stack share one network of their node, which "
        "reaches other addresses too",
        "compose.yaml:8: services/web/deploy/labels: ignored: they are for the service of a swarm, which has no container",
        "compose.yaml:8: services/web/deploy/placement/preferences: ignored: instances are spread over the zones of the "
        "inventory (duckconf_zone)",
        "compose.yaml:9: services/web/build: ignored: Duckconf builds no images. Build it here and send it: podman build "
        "-t nginx ./app && ./inv push-image nginx",
    ]
    assert bodies(tmp_path)["shop-web"]["replicas"] == 2


def test_all_that_cannot_be_is_refused_at_once_with_file_and_line(tmp_path: Path) -> None:
    text = """\
services:
  web:
    build: .
    pid: host
    volumes:
      - ./big:/big
      - ../up:/up
      - undeclared:/x
      - /nameless
      - /a:/b
      - rel/path:/b
    ports: ["80:80", nonsense]
    networks: {default: {ipv4_address: 192.0.2.3}, ext: }
    configs: [none]
  db:
    image: postgres
    volumes: [nfs:/n]
    cap_add: [NOT A CAP]
    environment: {P: "${NOPE}"}
    env_file: absent.env
networks: {ext: {external: true}}
volumes: {nfs: {driver_opts: {type: nfs}}}
models: {m: {model: x}}
"""
    write(tmp_path, compose=text)
    (tmp_path / "big").mkdir()
    (tmp_path / "big/dump").write_bytes(b"x" * 100_000)
    found = said(tmp_path)
    assert [line.split(": refused: ")[0] for line in found] == [
        f"{tmp_path}/big/dump: services/web/volumes/0".replace(f"{tmp_path}/", ""),
        "compose.yaml:3: services/web/build",
        "compose.yaml:4: services/web/pid",
        "compose.yaml:7: services/web/volumes/1",
        "compose.yaml:8: services/web/volumes/2",
        "compose.yaml:9: services/web/volumes/3",
        "compose.yaml:13: services/web/networks/default/ipv4_address",
        "compose.yaml:13: services/web/networks/ext",
        "compose.yaml:14: services/web/configs/0",
        "compose.yaml:19: services/db/environment/P",
        "compose.yaml:23: models",
    ]
    assert "podman build -t localhost/shop/web . && ./inv push-image localhost/shop/web; then write image:" in found[1]


def test_a_fault_of_a_field_has_the_line_of_the_entry(tmp_path: Path) -> None:
    text = (
        HEAD
        + """\
    volumes:
      - ./web.conf:/etc/web.conf
      - data:/data
      - /x:relative
    ports:
      - "80:80"
      - nonsense
    deploy:
      resources:
        limits: {cpus: lots}
volumes: {data: }
"""
    )
    write(tmp_path, compose=text)
    (tmp_path / "web.conf").write_text("x")
    assert [line.split(": refused: ")[0] for line in said(tmp_path)] == [
        "compose.yaml:7: services/web/volumes/2",
        "compose.yaml:10: services/web/ports/1",
        "compose.yaml:13: services/web/deploy/resources/limits/cpus",
    ]


@pytest.mark.parametrize("mount", ["./none:/x:ro,z", "{type: bind, source: ./none, target: /x, read_only: true}"])
def test_a_missing_file_that_is_only_read_is_refused(tmp_path: Path, mount: str) -> None:
    write(tmp_path, compose=HEAD + f"    volumes:\n    - {mount}\n")
    assert said(tmp_path) == [
        "compose.yaml:5: services/web/volumes/0: refused: there is no ./none, and nobody could write into a volume in its place"
    ]


@pytest.mark.parametrize("name", ["own.key", "conf"])
def test_a_missing_file_of_a_secret_is_refused_with_the_line_of_its_declaration(tmp_path: Path, name: str) -> None:
    write(tmp_path, compose=HEAD + f"    secrets: [own]\nsecrets:\n  own:\n    file: ./{name}\n")
    (tmp_path / "conf").mkdir()
    assert said(tmp_path) == [f"compose.yaml:7: services/web/secrets/0: refused: secrets/own: there is no file ./{name}"]
