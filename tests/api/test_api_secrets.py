"""Secrets in the API of agents mode: values go to the nodes whose apps use them, and nowhere else."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from duckconf.codec import spec_hash
from duckconf.model import App
from duckconf.secrets import LARGEST
from tests.api.agents_api import TOGETHER, Client, agent, app, apps_found, beat, copy, operator
from tests.api.test_api_push import problem

__all__ = ["agent", "app", "operator"]


class TestSecrets:
    """Set by the operator, told to the agents of their apps, and to nobody else."""

    VALUE = "aHVudGVyMg=="

    def put(self, operator: Client, name: str = "db", value: str = VALUE) -> dict[str, Any]:
        answer = operator("PUT", f"/secret/{name}", {"value": value})
        assert answer.status_code in (200, 201), answer.get_data(as_text=True)
        return dict(answer.json or {})

    def test_a_value_that_is_set_is_never_told_to_its_operator(self, operator: Client) -> None:
        told = self.put(operator)
        assert told["changed"]
        operator("PUT", "/app/web", {"image": "nginx", "secrets": ["db"]})
        (row,) = (operator("GET", "/secrets").json or {})["secrets"]
        assert (row["name"], row["revision"], row["apps"]) == ("db", told["revision"], ["web"])
        problem(operator("GET", "/node/node-1/secrets"), 403)
        for path in ("/secrets", "/apps", "/app/web", "/events", "/metrics", "/apps?nodeName="):
            text = operator("GET", path).get_data(as_text=True)
            assert self.VALUE not in text
            assert "hunter2" not in text

    def test_the_same_value_again_changes_nothing(self, operator: Client) -> None:
        first, again = self.put(operator), self.put(operator)
        assert (again["changed"], again["revision"]) == (False, first["revision"])

    def test_an_agent_is_told_those_of_its_own_apps_alone(self, app: Flask, operator: Client, agent: Client) -> None:
        for name in ("db", "key"):
            self.put(operator, name)
        operator("PUT", "/app/web", {"image": "nginx", "secrets": ["db"], "node": "node-1"})
        operator("PUT", "/app/api", {"image": "nginx", "secrets": ["key"], "node": "node-2"})
        told = (agent("GET", "/node/node-1/secrets").json or {})["secrets"]
        assert {name: entry["value"] for name, entry in told.items()} == {"db": self.VALUE}
        problem(agent("GET", "/node/node-2/secrets"), 403)
        for method, path in (("PUT", "/secret/db"), ("DELETE", "/secret/db"), ("GET", "/secrets")):
            problem(agent(method, path, {"value": self.VALUE}), 403)

    def test_a_new_value_wakes_the_agents_of_its_apps_and_no_other(self, app: Flask, operator: Client, agent: Client) -> None:
        other = Client(app, "token of node-2")
        self.put(operator)
        operator("PUT", "/app/web", {"image": "nginx", "secrets": ["db"], "node": "node-1"})
        before = agent("GET", "/apps?nodeName=node-1").json or {}
        others = other("GET", "/apps?nodeName=node-2").json or {}
        told = self.put(operator, value="bmV3")
        assert told["apps"] == ["web"]
        after = agent("GET", f"/apps?nodeName=node-1&since={before['revision']}&wait=5").json or {}
        assert before["apps"][0]["secret_revisions"] != after["apps"][0]["secret_revisions"] == {"db": told["revision"]}
        assert (other("GET", "/apps?nodeName=node-2").json or {})["revision"] == others["revision"]

    def test_one_that_is_used_is_not_removed(self, operator: Client) -> None:
        self.put(operator)
        operator("PUT", "/app/web", {"image": "nginx", "secrets": ["db"]})
        assert "used by web" in problem(operator("DELETE", "/secret/db"), 409)["detail"]
        operator("DELETE", "/app/web")
        assert operator("DELETE", "/secret/db").status_code == 200
        problem(operator("DELETE", "/secret/db"), 404)

    def test_an_app_cannot_use_one_that_is_not_set(self, operator: Client) -> None:
        refused = problem(operator("PUT", "/app/web", {"image": "nginx", "secrets": ["db"]}), 422)
        assert "./inv secret set db" in refused["detail"]
        problem(operator("POST", "/app/start", {"name": "web", "image": "nginx", "secrets": ["db"]}), 422)

    @pytest.mark.parametrize(
        "body",
        [
            {},
            {"value": ""},
            {"value": "not base64!"},
            {"value": 1},
            {"value": "aA==", "more": 1},
            ["aA=="],
            {"value": "aA==", "salt": "?"},
        ],
    )
    def test_a_bad_value_is_refused_and_not_quoted(self, operator: Client, body: Any) -> None:
        assert "base64!" not in problem(operator("PUT", "/secret/db", body), 422)["detail"]

    def test_names_and_sizes_have_limits(self, operator: Client) -> None:
        problem(operator("PUT", "/secret/a%20b", {"value": self.VALUE}), 422)
        assert self.put(operator, "large", base64.b64encode(bytes(LARGEST)).decode())["changed"]
        problem(operator("PUT", "/secret/larger", {"value": base64.b64encode(bytes(LARGEST + 1)).decode()}), 422)
        problem(operator("PUT", "/secret/huge", {"value": base64.b64encode(bytes(LARGEST * 2)).decode()}), 413)

    def test_its_state_is_in_no_other_file_than_its_own(self, operator: Client, tmp_path: Path) -> None:
        self.put(operator)
        operator("PUT", "/app/web", {"image": "nginx", "secrets": ["db"], "node": "node-1"})
        files = [path for path in tmp_path.iterdir() if path.is_file() and not path.name.startswith(".")]
        holding = [path.name for path in files if self.VALUE in path.read_text()]
        if holding == [TOGETHER]:
            entries = json.loads((tmp_path / TOGETHER).read_text())
            assert [name for name, entry in entries.items() if self.VALUE in json.dumps(entry)] == ["secrets/db"]
        else:
            assert holding == ["secrets.json"]

    def test_the_end_of_a_job_with_secrets_is_recorded(self, operator: Client, agent: Client, tmp_path: Path) -> None:
        revision = self.put(operator)["revision"]
        operator("PUT", "/app/job", {"image": "nginx", "restart": "no", "secrets": ["db"], "node": "node-1"})
        ran = App("nginx", "job", restart="no", secrets=("db",), secret_revisions={"db": revision})
        beat(agent, "node-1", copy("job", "done") | {"end": f"{spec_hash(ran)}:0:0"})
        assert apps_found(tmp_path)["job"].ended == (f"{spec_hash(ran)}:0:0",)
        assert (operator("GET", "/app/job").json or {})["status"] == "done"
