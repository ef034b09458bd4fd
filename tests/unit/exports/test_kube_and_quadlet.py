"""Apps as Kubernetes objects and as quadlet units: each field is there, or said to be lost."""

from __future__ import annotations

import json
import shlex
from typing import Any

import pytest
from hypothesis import given

from duckconf.exports.kube import manifests
from duckconf.exports.lost import NOT_EXPORTED, Lost
from duckconf.exports.quadlet import units, word
from duckconf.model import DECLARED, App, parse_app
from tests.unit.test_compose import WORD


def app(**body: Any) -> App:
    return parse_app({"image": "nginx", "name": "web", **body}, placed=True)


def objects(one: App) -> tuple[str, list[Lost]]:
    made, lost = manifests({one.name: one})
    return json.dumps(made), lost


def files(one: App) -> tuple[str, list[Lost]]:
    made = units({one.name: one})
    return json.dumps(made.files), made.lost


def only(kind: str, **body: Any) -> dict[str, Any]:
    made, _ = manifests({"web": app(**body)})
    (found,) = [one for one in made if one["kind"] == kind]
    return found


@pytest.mark.parametrize("form", ["kube", "quadlet"])
@pytest.mark.parametrize("field", sorted(DECLARED.keys() - NOT_EXPORTED.keys() - {"name", "image"}))
def test_each_field_is_there_or_said_to_be_lost(field: str, form: str) -> None:
    write = {"kube": objects, "quadlet": files}[form]
    needs: dict[str, dict[str, Any]] = {"routes": {"ports": ["8080"]}, "aliases": {"network_mode": "stack:shop"}}
    more = needs.get(field, {})
    text, lost = write(app(**more, **{field: DECLARED[field].example}))
    there = text != write(app(**more))[0]
    said = field in {one.field.partition("/")[0] for one in lost}
    # A unit has no stack: what it means is its network.
    assert there or said or (field, form) == ("stack", "quadlet"), text


def test_a_job_is_a_pod_and_another_app_a_deployment_of_its_instances() -> None:
    assert only("Pod", restart="on-failure:3")["spec"]["restartPolicy"] == "OnFailure"
    deployment = only("Deployment", replicas=3, update_config={"parallelism": "2", "order": "stop-first"})
    assert deployment["spec"]["replicas"] == 3
    assert deployment["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 0, "maxUnavailable": 2}


def test_a_check_that_podman_would_run_wrongly_restarts_nothing() -> None:
    def container(**check: str) -> dict[str, Any]:
        return dict(only("Deployment", healthcheck=check)["spec"]["template"]["spec"]["containers"][0])

    assert container(test="curl -f localhost")["livenessProbe"]["exec"]["command"] == ["curl", "-f", "localhost"]
    assert "livenessProbe" not in container(test="curl -f localhost || exit 1")
    assert container(http="/up:80", interval="500ms")["readinessProbe"] == {
        "httpGet": {"path": "/up", "port": 80},
        "periodSeconds": 1,
    }


def test_values_are_not_taken_for_variables() -> None:
    spec = only("Deployment", env={"A": "$(A) $(B)"}, command=["sh", "-c", "echo $(A) $A"])["spec"]["template"]["spec"]
    assert spec["containers"][0]["env"] == [{"name": "A", "value": "$$(A) $(B)"}]
    assert spec["containers"][0]["args"][2] == "echo $$(A) $A"


def test_names_of_volumes_and_secrets_are_valid_there() -> None:
    made, _ = manifests({"web": app(volumes=["shop_Data:/data:ro"], secrets=["Db_key:/etc/key,mode=0400"])})
    spec = made[-1]["spec"]["template"]["spec"]
    assert made[0]["metadata"]["name"] == "shop-data"
    assert [volume.get("secret") for volume in spec["volumes"]] == [None, {"secretName": "db-key", "defaultMode": 0o400}]
    mount = {"name": "secret-0", "mountPath": "/etc/key", "subPath": "Db_key", "readOnly": True}
    assert spec["containers"][0]["volumeMounts"] == [{"name": "volume-0", "mountPath": "/data", "readOnly": True}, mount]


def test_units_wait_for_what_they_depend_on() -> None:
    web = app(depends_on={"db": "service_healthy", "job": "service_completed_successfully", "gone": "service_started"})
    db = parse_app({"image": "db", "name": "db", "healthcheck": {"test": "pg_isready"}})
    job = parse_app({"image": "db", "name": "job", "restart": "no"})
    made = units({"web": web, "db": db, "job": job})
    assert "Requires=db.service\nAfter=db.service\nRequires=job.service\n" in made.files["web.container"]
    assert "Notify=healthy" in made.files["db.container"]
    assert "Type=oneshot\nRemainAfterExit=yes\nRestart=no" in made.files["job.container"]
    assert ("web", "depends_on") in {(one.app, one.field) for one in made.lost}


def test_instances_are_units_where_one_machine_can_have_them() -> None:
    assert set(units({"web": app(replicas=2, ports=["80"])}).files) == {"web-1.container", "web-2.container"}
    made = units({"web": app(replicas=2, ports=["8080:80"])})
    assert (set(made.files), [one.field for one in made.lost]) == ({"web.container"}, ["replicas"])


@given(WORD)
def test_a_word_of_a_unit_is_one_line_and_one_word(text: str) -> None:
    told = word(text)
    assert "\n" not in told
    if text.isascii() and text.isprintable():
        assert shlex.split(told.replace("$$", "S").replace("%%", "P")) == [text.replace("$", "S").replace("%", "P")]
