"""Changes what an app runs, without downtime: update, rollback, pause and resume. In the modes reconcile and agents."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

from duckconf.by_revision import is_rolled_out
from duckconf.cli.apps.declare import declare, fields_of
from duckconf.cli.cluster.api import api_client
from duckconf.cli.cluster.modes import PUSH, mode_of
from duckconf.cli.terminal.tables import print_json
from duckconf.codec import spec_hash
from duckconf.counts import counted
from duckconf.edit import Edit
from duckconf.errors import BadInput, DuckconfError, Fault, NotFound
from duckconf.model import parse_app
from duckconf.overview import BACKOFF
from duckconf.reach.api.client import ApiClient, path_of
from duckconf.reach.inventory.project import Project
from duckconf.rollout import DONE, FAILED

# An update pulls images and waits for health checks, one instance after the other.
PATIENCE = 3600.0
HELD = 25.0
AT_ONCE = 2.0


def update(project: Project, name: str, edit: Edit, *, wait: bool, dry_run: bool, as_json: bool) -> None:
    """Declare the edit. With `wait`, follow the update to its end: DuckconfError when it failed. With `dry_run`, only show
    what would follow."""
    if not (edit.typed or edit.unset):
        raise BadInput(Fault("", f"say what to change, for example: ./inv update {name} --image nginx:1.25"))
    if dry_run:
        from duckconf.cli.apps import dry_run as dry

        dry.update(project, name, edit, as_json=as_json)
        return
    _change(project, name, lambda api: declare(api, name, edit), wait=wait, as_json=as_json)


def rollback(project: Project, name: str, to: int, *, wait: bool, as_json: bool) -> None:
    """Declare an earlier revision again, the last that served when `to` is 0."""
    asked = {"to": to} if to else {}
    _change(project, name, lambda api: api.call("POST", path_of("app", name, "rollback"), asked), wait=wait, as_json=as_json)


def pause(project: Project, name: str, *, paused: bool) -> None:
    api = api_of(project)
    before = api.call("GET", path_of("app", name))
    if bool(before.get("paused")) == paused:
        print(f"{name} was {'already paused' if paused else 'not paused'}", file=sys.stderr)
        return
    api.call("PUT", path_of("app", name), {"paused": paused or None})
    goes_on = f"{name} goes on with its update; see it: ./inv apps"
    print(f"{name} is paused: no instance is replaced until ./inv resume {name}" if paused else goes_on)


def _change(project: Project, name: str, ask: Any, *, wait: bool, as_json: bool) -> None:
    api = api_of(project)
    before = api.call("GET", path_of("app", name))
    cursor = api.call("GET", "/events?limit=0")["cursor"]
    answer = ask(api)
    if answer["revision"] == before["revision"]:
        print(f"{name} is declared so already{_why_not_again(api, name, answer)}", file=sys.stderr)
    elif wait and not is_rolled_out(parse_app(fields_of(answer))):
        print(f"{name} is declared: a job is not rolled out, and an app without instances has nothing to replace")
    elif wait:
        follow(api, name, cursor)
        answer = api.call("GET", path_of("app", name))
    if as_json:
        print_json(answer)
    elif not wait:
        print(f"{name} is declared; its instances are replaced step by step: ./inv apps, ./inv history {name}")


def _why_not_again(api: ApiClient, name: str, entry: Mapping[str, Any]) -> str:
    last = _present(api.call("GET", path_of("app", name, "history"))["revisions"], entry)
    if last is None or last["outcome"] != FAILED:
        return ""
    return f", and failed as revision {last['number']}: {last['why']}; to try it again: ./inv redeploy {name}"


def follow(api: ApiClient, name: str, cursor: str) -> None:
    """Print how far the update is whenever that changes, until its revision has ended: the history decides, events only wake."""
    end, said, words, late = time.monotonic() + PATIENCE, "", "", False
    while time.monotonic() < end:
        entry = api.call("GET", path_of("app", name))
        past = api.call("GET", path_of("app", name, "history"))["revisions"]
        last = _present(past, entry)
        # Until the new revision is seen, it is about the one before.
        if last is not None and entry.get("rollout", "") not in ("", said):
            said = entry["rollout"]
            # That it failed is said at the end, with the way back.
            if last["outcome"] != FAILED:
                print(f"{name}: {said}", file=sys.stderr, flush=True)
        if last is not None and last["outcome"] == DONE and not entry.get("rollout"):
            print(f"{name}: revision {last['number']} runs on {counted(len(entry['instances']), 'instance')}")
            return
        if last is not None and last["outcome"] == FAILED and (words or late):
            back = f"to declare what serves again: ./inv rollback {name}; all revisions: ./inv history {name}"
            remedy = back if any(item["outcome"] == DONE for item in past) else _no_way_back(name)
            raise DuckconfError(words or f"{name}: revision {last['number']} failed: {last['why']}", remedy)
        if last is not None and not last["outcome"]:
            _require_hope(name, entry, past)
        # The event with the container's last output comes a moment after the verdict.
        late = last is not None and last["outcome"] == FAILED
        page = api.call("GET", f"/events?since={cursor}&wait={AT_ONCE if late else HELD:g}")
        cursor = page["cursor"]
        failed = [event["message"] for event in page["events"] if (event.get("app"), event["kind"]) == (name, "update-failed")]
        words = failed[-1] if failed else words
    raise DuckconfError(f"the update of {name} did not end within {PATIENCE:g} s", f"see ./inv apps and ./inv history {name}")


def _present(past: Sequence[dict[str, Any]], entry: Mapping[str, Any]) -> dict[str, Any] | None:
    """The newest revision, when it is what the app asks for now; None until the loop has seen it."""
    mine = bool(past) and past[-1]["declared"] == spec_hash(parse_app(fields_of(entry)))
    return past[-1] if mine else None


def _require_hope(name: str, entry: Mapping[str, Any], past: Sequence[Mapping[str, Any]]) -> None:
    """Raises DuckconfError where nobody will take back what cannot run: no revision has served yet."""
    stuck = next((one for one in entry["instances"] if one["status"] == BACKOFF), None)
    if stuck is not None and not any(item["outcome"] == DONE for item in past):
        raise DuckconfError(f"{name} on {stuck['node']}: {stuck.get('note', 'it is held back')}", _no_way_back(name))


def _no_way_back(name: str) -> str:
    return f"no revision of it has served yet, so that none comes back; it is tried again. Change it: ./inv update {name}"


def api_of(project: Project) -> ApiClient:
    """Raises NotFound in push mode."""
    if mode_of(project) == PUSH:
        raise NotFound("push mode keeps no state to update", "move the cluster to a mode that does: ./inv up reconcile")
    return api_client(project)
