"""What `update` declares: keys of mappings change one by one, and a failed revision is not built on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

import pytest

from duckconf.by_revision import revision_to_json
from duckconf.cli.apps.declare import declare
from duckconf.cli.apps.history import rows
from duckconf.cli.apps.redeploy import said
from duckconf.edit import Edit, edited
from duckconf.errors import BadInput
from duckconf.model import App
from duckconf.reach.api.client import ApiClient, ApiRefused
from duckconf.rollout import DONE, FAILED, Revision, spec_only

WEB = App("web:1", "web", env={"A": "1", "LOG": "secret"}, ports=("80:80", "81:81"), replicas=3)


def made(typed: Mapping[str, Any], *unset: str, app: App = WEB) -> tuple[dict[str, Any], tuple[str, ...]]:
    found = edited(app, (), Edit(typed, unset))
    return found.body(app), found.said


def test_the_keys_of_a_mapping_that_are_typed_change_and_the_others_stay() -> None:
    assert made({"env": {"A": "2", "B": "3"}}) == ({"env": {"A": "2", "LOG": "secret", "B": "3"}}, ())
    assert made({"labels": {"team": "x"}}) == ({"labels": {"team": "x"}}, ())
    limited = replace(WEB, ulimits={"nofile": "10:20"}, update_config={"monitor": "1s"})
    assert made({"update_config": {"parallelism": "2"}}, app=limited)[0]["update_config"] == {"monitor": "1s", "parallelism": "2"}
    assert set(edited(limited, (), Edit({"ulimits": {"nproc": "9"}})).app.ulimits) == {"nofile", "nproc"}


def test_another_check_takes_the_place_of_the_one_before_and_keeps_its_times() -> None:
    checked = replace(WEB, healthcheck={"http": "/up:80", "interval": "5s"})
    assert made({"healthcheck": {"tcp": "80"}}, app=checked)[0] == {"healthcheck": {"interval": "5s", "tcp": 80}}
    assert made({"healthcheck": {"retries": "2"}}, app=checked)[0]["healthcheck"]["http"] == "/up:80"


def test_a_list_is_replaced_and_what_goes_is_told() -> None:
    assert made({"ports": ["81:81", "82:82"]}) == (
        {"ports": ["81:81", "82:82"]},
        ("ports: 80:80 goes, because a list is replaced as a whole",),
    )
    assert made({"ports": ["80:80", "81:81", "82:82"]})[1] == ()


def test_a_field_or_a_key_is_taken_away_by_its_name_or_that_of_its_option() -> None:
    assert made({}, "env.LOG") == ({"env": {"A": "1"}}, ())
    assert made({"env": {"B": "1"}}, "env.A", "env.LOG") == ({"env": {"B": "1"}}, ())
    for name in ("ports", "port"):
        assert made({}, name) == ({"ports": None}, ())
    assert made({}, "environment") == ({"env": None}, ())
    dotted = replace(WEB, labels={"com.example.team": "x"})
    assert made({}, "labels.com.example.team", app=dotted) == ({"labels": None}, ())


def test_what_is_not_there_is_told_and_what_cannot_be_there_is_refused() -> None:
    assert made({}, "env.LGO") == ({}, ("web has no env.LGO; its keys are A, LOG",))
    assert made({}, "memory") == ({}, ("web has no memory",))
    for wrong in ("image", "name", "node", "nothing", ""):
        with pytest.raises(BadInput, match="should be a field"):
            made({}, wrong)
    with pytest.raises(BadInput, match="ports has no keys"):
        made({}, "ports.80")


def test_restart_takes_its_long_form_away_which_would_override_it() -> None:
    job = replace(WEB, restart_policy={"condition": "any"})
    assert made({"restart": "no"}, app=job) == (
        {"restart": "no", "restart_policy": None},
        ("restart_policy goes: it would override restart",),
    )


def past(outcome: str, failed: App) -> tuple[Revision, ...]:
    return (Revision(1, spec_only(WEB), DONE), Revision(2, spec_only(failed), outcome, "no such image"))


def test_after_a_failed_update_the_next_one_builds_on_what_serves_and_says_what_does_not_come_again() -> None:
    bad = replace(WEB, image="web:bad", env={"A": "9", "LOG": "secret"}, memory="64m", replicas=5)
    found = edited(bad, past(FAILED, bad), Edit({"env": {"B": "1"}, "memory": "64m"}))
    assert found.app == replace(WEB, env={"A": "1", "LOG": "secret", "B": "1"}, memory="64m", replicas=5)
    assert found.said == (
        "revision 2 failed, so the update builds on what serves; of what failed, this does not come again unless it is typed: "
        "image, env.A",
    )
    assert found.body(bad) == {"image": "web:1", "env": {"A": "1", "LOG": "secret", "B": "1"}}


def test_what_was_found_out_of_the_failed_one_does_not_hide_it() -> None:
    bad = replace(WEB, image="web:bad", secrets=("db",))
    resolved = replace(bad, secret_revisions={"db": "0123456789abcdef"})
    assert edited(bad, past(FAILED, resolved), Edit({"env": {"A": "2"}})).app.image == "web:1"


@pytest.mark.parametrize("outcome", [DONE, ""])
def test_an_update_builds_on_what_is_declared_when_that_has_not_failed(outcome: str) -> None:
    new = replace(WEB, image="web:2")
    assert edited(new, past(outcome, new), Edit({"env": {"A": "2"}})).app.image == "web:2"


def test_it_builds_on_what_is_declared_too_where_nothing_is_taken_back_or_it_was_changed_since() -> None:
    bad = replace(WEB, image="web:bad")
    resting = replace(bad, update_config={"failure_action": "pause"})
    assert edited(resting, past(FAILED, resting), Edit({"memory": "64m"})).app.image == "web:bad"
    assert edited(replace(bad, image="web:3"), past(FAILED, bad), Edit({"memory": "64m"})).app.image == "web:3"


class Busy:
    """An API where somebody else changes the app once before we do."""

    def __init__(self) -> None:
        self.app: dict[str, Any] = {"name": "web", "image": "web:1", "env": {"A": "1"}, "revision": "r1"}

    def call(self, method: str, path: str, body: Any = None, at: str = "") -> dict[str, Any]:
        if path.endswith("/history"):
            return {"revisions": []}
        if method == "PUT" and self.app["revision"] == "r1":
            self.app |= {"env": {"A": "1", "THEIRS": "1"}, "revision": "r2"}
        if method == "PUT" and at != self.app["revision"]:
            raise ApiRefused(412, {})
        self.app = {**self.app, **(body or {})}
        return self.app


def test_what_somebody_else_changes_meanwhile_is_not_lost() -> None:
    answer = declare(cast(ApiClient, Busy()), "web", Edit({"env": {"B": "2"}}))
    assert answer["env"] == {"A": "1", "THEIRS": "1", "B": "2"}


def told(*revisions: Revision) -> list[tuple[Any, ...]]:
    shown = rows([{**revision_to_json(one), "since": 1.0} for one in revisions])
    return [(row["revision"], row["state"], row["changed"]) for row in shown]


def test_what_was_built_on_what_serves_is_not_compared_with_what_failed() -> None:
    good, broken, other = (spec_only(one) for one in (WEB, replace(WEB, image="nginx:none"), replace(WEB, memory="64m")))
    shown = told(Revision(1, good, DONE), Revision(2, broken, FAILED, "no such image"), Revision(3, other))
    assert shown[0] == (3, "under way", "memory added since revision 1")


def test_the_history_says_what_each_revision_changed_and_never_a_value() -> None:
    first, second = spec_only(WEB), spec_only(replace(WEB, env={"A": "1", "B": "hidden"}, memory="64m"))
    third = replace(second, labels={"redeployed": "today"}, secret_revisions={"db": "0" * 16})
    shown = told(
        Revision(1, first, DONE), Revision(2, second, DONE), Revision(3, third, FAILED, "why"), Revision(4, second, DONE)
    )
    assert shown == [
        (4, "runs", "as revision 2"),
        (3, "failed", "redeployed, secret revisions changed"),
        (2, "served", "env LOG removed, env B added, memory added"),
        (1, "served", "first"),
    ]


def test_the_revision_that_serves_is_shown_as_running_while_another_is_under_way_or_has_failed() -> None:
    first, second = spec_only(WEB), spec_only(replace(WEB, image="web:2"))
    assert told(Revision(1, first, DONE), Revision(2, second)) == [(2, "under way", "image changed"), (1, "runs", "first")]
    assert told(Revision(1, first, DONE), Revision(2, second, FAILED))[1][1] == "runs"
    assert told(Revision(3, first, DONE), Revision(12, second)) == [
        (12, "under way", "image changed since revision 3"),
        (3, "runs", "-"),
    ]


def test_a_redeploy_names_all_nodes() -> None:
    at = [{"node": node} for node in ("node-2", "node-1", "node-2", "")]
    assert said({"name": "web", "instances": at}, "the loop") == (
        "web: the loop starts it from the image that is there now, in place of its 3 containers, step by step: node-1, node-2 (2)"
    )
    assert said({"name": "web", "instances": at[:1]}, "the loop").endswith("in place of its container: node-2")
