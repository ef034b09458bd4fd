"""What is true of health checks wherever apps are kept running: told, shown, restarted with backoff, and well again."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from duckconf.healthcheck import HEALTHY, UNHEALTHY
from duckconf.naming import WEB_IMAGE
from duckconf.reach.api.client import ApiClient
from tests.e2e.conftest import Live
from tests.waiting import until

# The image has nothing but busybox.
SICK = ["CMD", "/bin/busybox", "sh", "-c", "[ -e /well ] || { echo not yet \"'$((6*7))'\"; exit 4; }"]
APP = {"image": WEB_IMAGE, "stop_grace_period": "1s"}
FAST = {"interval": "1s", "start_interval": "200ms", "timeout": "5s", "retries": 2}
HANGS = ["CMD", "/bin/busybox", "sleep", "1000"]
# It hangs once, and fails as long as anything of that is left. Its own words do not have the number.
HANGS_ONCE = (
    "B=/bin/busybox N=43; [ -e /tried ] || { $B touch /tried; $B sleep ${N}21 & $B setsid $B sleep ${N}21; }; "
    "for p in /proc/[0-9]*; do $B grep -q ${N}21 $p/cmdline && exit 1; done; exit 0"
)


def check_health(live: Live, api: ApiClient, heal: Callable[[str, str], bool], *, reached: bool = True) -> None:
    """`heal` tries to make the file /well in a container on a node. Where the node has `reached` no container, HTTP is left
    out."""
    try:
        _check(live, api, heal, reached=reached)
    finally:
        for app in api.call("GET", "/apps")["apps"]:
            api.call("DELETE", f"/app/{app['name']}")


def _check(live: Live, api: ApiClient, heal: Callable[[str, str], bool], *, reached: bool) -> None:
    def is_healed() -> bool:
        # It is restarted again and again until then, and a container that is being restarted takes no command.
        found = told(api, "sick")
        healed = heal(found["node"], found.get("container", ""))
        return healed and told(api, "sick").get("health") == HEALTHY

    api.call("PUT", "/app/hanging", {**APP, "healthcheck": {"test": HANGS, **FAST, "timeout": "1s"}})
    once = {"test": ["CMD", "/bin/busybox", "sh", "-c", HANGS_ONCE], **FAST, "timeout": "1s", "retries": 100}
    api.call("PUT", "/app/once", {**APP, "healthcheck": once})
    api.call("PUT", "/app/sick", {**APP, "healthcheck": {"test": SICK, **FAST}})
    well = {"http": "/:80"} if reached else {"test": ["CMD", "/bin/busybox", "true"]}
    api.call("PUT", "/app/well", {**APP, "healthcheck": {**well, **FAST}})
    until("one is healthy", lambda: told(api, "well").get("health") == HEALTHY, 30)
    until("what hung is ended in the container", lambda: told(api, "once").get("health") == HEALTHY, 30)
    assert row(live, "once")["restarts"] == 0
    until("the events say why", lambda: any("sick is" in message for message in events_of(api, "unhealthy")), 30)
    (words,) = {message.partition(": ")[2] for message in events_of(api, "unhealthy") if message.startswith("sick ")}
    assert words == "its check failed 2 times in a row: exit code 4: not yet '42'"
    until("it is restarted", lambda: told(api, "sick").get("restarts", 0) >= 1, 40)
    until("its event says why", lambda: any(words in message for message in events_of(api, "restarted")))
    until("it is shown", lambda: told(api, "sick").get("health") == UNHEALTHY, 30)
    # It is restarted again and again meanwhile, and may be stopping at any one look.
    until("ps says so", lambda: "running (unhealthy)" in live.inv("ps").stdout, 30)
    until("it is healthy", is_healed, 30)
    until("one that hangs is restarted too", lambda: told(api, "hanging").get("restarts", 0) >= 1, 40)
    api.call("DELETE", "/app/hanging")
    steady = row(live, "sick")["restarts"], row(live, "well")["restarts"]
    live.settles(40)
    assert (row(live, "sick")["restarts"], row(live, "well")["restarts"]) == (steady[0], 0)
    # Its heartbeat and its events reach the server by two requests.
    until(
        "its event says so", lambda: any(message.startswith("sick is healthy on node-") for message in events_of(api, "healthy"))
    )


def row(live: Live, app: str) -> dict[str, Any]:
    """Of an app with one instance, as `ps --json` has it."""
    done = live.inv("ps", "--json")
    rows = [found for found in json.loads(done.stdout) if found["app"] == app]
    return rows[0] if rows else {"health": "", "restarts": 0, "node": "", "container": ""}


def told(api: ApiClient, app: str) -> dict[str, Any]:
    """Of an app with one instance, as the API tells it: that costs a tenth of a `ps`."""
    entry = api.call("GET", f"/app/{app}")
    return {**entry, **(entry["instances"] or [{}])[0]}


def events_of(api: ApiClient, kind: str) -> list[str]:
    page = api.call("GET", "/events?limit=200")
    return [event["message"] for event in page["events"] if event["kind"] == kind]
