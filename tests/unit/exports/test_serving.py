"""After a failed update, what is exported for another program is what serves, and a compose file says what does."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from duckconf.by_revision import revision_to_json
from duckconf.cli.stacks import export
from duckconf.exports.serving import serving
from duckconf.model import App, parse_app
from duckconf.rollout import DONE, FAILED, Revision, spec_only

OLD, NEW = (
    parse_app({"name": "web", "image": f"web:{tag}", "replicas": 2, "routes": ["a.example.org"], "ports": ["80"]}) for tag in "12"
)
SERVED = Revision(1, spec_only(OLD), DONE)
BAD = Revision(2, spec_only(NEW), FAILED, "its check failed:\n connection refused")


def test_what_serves_has_the_service_of_what_is_declared() -> None:
    more = parse_app({"name": "web", "image": "web:2", "replicas": 3, "routes": ["b.example.org"], "ports": ["80"]})
    found = serving(more, (SERVED, BAD))
    assert found is not None
    assert (found.app.image, found.app.replicas, found.app.routes) == ("web:1", 3, ("b.example.org",))
    assert found.why.startswith("revision 2 failed: its check failed")


@pytest.mark.parametrize(
    "history", [(), (SERVED,), (Revision(1, spec_only(NEW), FAILED, "x"),), (SERVED, Revision(2, spec_only(NEW)))]
)
def test_what_may_still_serve_is_exported_as_it_is_declared(history: tuple[Revision, ...]) -> None:
    assert serving(NEW, history) is None


class Api:
    def __init__(self, declared: App, history: tuple[Revision, ...]) -> None:
        self._app, self._history = declared, history

    def call(self, verb: str, path: str) -> Mapping[str, Any]:
        if path.endswith("/history"):
            return {"revisions": [revision_to_json(item) for item in self._history]}
        return {"apps": [{"name": self._app.name, "image": self._app.image, "replicas": 2, "ports": ["80"]}]}


@pytest.mark.parametrize(("form", "image"), [("compose", "web:2"), ("kube", "web:1"), ("quadlet", "web:1")])
def test_programs_that_start_what_they_are_given_get_what_serves(
    form: str, image: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(export, "api_client", lambda project: Api(NEW, (SERVED, BAD)))
    monkeypatch.setattr(export, "require_state", lambda project: None)
    export.export(SimpleNamespace(cluster="demo"), form, "web", "", "")  # type: ignore[arg-type]
    told = capsys.readouterr()
    images = [line.split()[-1].rpartition("=")[2] for line in told.out.splitlines() if "image" in line.lower().partition("=")[0]]
    assert {found.rpartition("/")[2] for found in images if "web:" in found} == {image}
    assert "web: revision 2 failed: its check failed" in told.err
    assert ("# web: revision 2 failed: its check failed: connection refused; revision 1 serves" in told.out) == (
        form == "compose"
    )
