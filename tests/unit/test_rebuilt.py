"""Which apps run an older image than their tag means now."""

from __future__ import annotations

import json

import pytest

from duckconf.codec import to_label
from duckconf.command import Completed
from duckconf.model import App
from duckconf.rebuilt import apps_on_old


def line(app: str, used: str, named: str, spec: str = "") -> str:
    labels = {"duckconf.app": app} | ({"duckconf.manifest": to_label(App(spec))} if spec else {})
    return json.dumps([used, named, labels])


def test_only_apps_of_this_name_with_another_id_are_old() -> None:
    lines = [
        "sha256:new",
        line("current", "new", "localhost/web:latest"),
        line("b-old", "sha256:old", "localhost/web"),
        line("other", "old", "localhost/api:latest"),
        line("a-old", "old", "sha256:old", "localhost/web"),
        "Error: no such container",
        "[1]",
    ]
    assert apps_on_old("localhost/web", Completed(0, "\n".join(lines), "")) == ["a-old", "b-old"]


@pytest.mark.parametrize("named", ["nginx", "nginx:latest", "docker.io/library/nginx:latest", "docker.io/nginx"])
def test_a_name_means_the_same_with_what_goes_without_saying(named: str) -> None:
    assert apps_on_old("nginx", Completed(0, f"new\n{line('web', 'old', named)}", "")) == ["web"]


def test_a_node_without_the_image_has_no_old_app() -> None:
    assert apps_on_old("nginx", Completed(1, "", "no such image")) == []
