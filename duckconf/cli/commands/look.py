"""The tasks that look and change nothing.

Thin: parse, call, print. Imports wait until a task needs them, so that `./inv --list` is quick.
"""

from __future__ import annotations

from typing import Any

from duckconf.cli.apps.letters import DockersLetters
from duckconf.cli.terminal.edge import command, project


@command(help={"json": "print JSON"})
def status(_: Any, json: bool = False) -> int:
    """Show services, nodes and problems on one screen. Exit code 4 if a node is unreachable."""
    from duckconf.cli.look import tasks as look

    return look.status(project(), as_json=json)


@command()
def watch(_: Any) -> int:
    """Show the live picture of the cluster on the whole terminal, with keys to act from; ? shows them. Example: ./inv watch"""
    from duckconf.cli.watch.watch import watch as look

    return look(project())


FRESH = "connect to the nodes instead of asking the running loop or API, whose connections are open"


@command(
    help={
        "node": "only these nodes: names, groups, globs, !exceptions, separated by commas",
        "fresh": FRESH,
        "json": "print JSON",
    }
)
def ps(_: Any, node: str = "", fresh: bool = False, json: bool = False) -> int:
    """Show all apps, desired and observed. Exit code 4 if a node is unreachable. Example: ./inv ps --node node-1"""
    from duckconf.cli.look import tasks as look

    return look.ps(project(), node, fresh=fresh, as_json=json)


@command(help={"json": "print JSON"})
def apps(_: Any, json: bool = False) -> int:
    """Show one line for each app: how many of its instances run, and where. Exit code 4 if a node is unreachable (push)."""
    from duckconf.cli.look.apps import apps as look

    return look(project(), as_json=json)


@command(help={"json": "print JSON"})
def routes(_: Any, json: bool = False) -> None:
    """Show which app is served under which address, and by which containers (reconcile, agents)."""
    from duckconf.cli.look.front import routes as look

    look(project(), as_json=json)


@command(
    help={
        "limit": "only these nodes: names, groups, globs, !exceptions, separated by commas",
        "fresh": FRESH,
        "json": "print JSON",
    }
)
def nodes(_: Any, limit: str = "", fresh: bool = False, json: bool = False) -> int:
    """Show the nodes and their status. Exit code 4 if one is unreachable. Example: ./inv nodes --limit 'nodes:!node-3'"""
    from duckconf.cli.look import tasks as look

    return look.nodes(project(), limit, fresh=fresh, as_json=json)


@command(positional=["what"], help={"what": "an app, an instance (web.2) or a node", "json": "print JSON"})
def explain(_: Any, what: str, json: bool = False) -> None:
    """Say why an app or node is where and as it is, what was tried, what happens next and when, and which command changes it.
    Example: ./inv explain web"""
    from duckconf.cli.look.explain import explain as look

    look(project(), what, as_json=json)


@command(help={"json": "print JSON"})
def diff(_: Any, json: bool = False) -> int:
    """Show what the loop would do now and why, and what it leaves unchanged. Exit code 2 if there is something to do."""
    from duckconf.cli.look import tasks as look

    return look.diff(project(), as_json=json)


@command(
    help={
        "follow": "print new events until interrupted",
        "limit": "number of events, the newest",
        "id": "only what goes back to this request: the id at the end of a line, which the API's answer bears as X-Request-Id",
        "json": "print one JSON object per line",
    }
)
def events(_: Any, follow: bool = False, limit: int = 50, id: str = "", json: bool = False) -> int:
    """Show the events of the cluster, oldest first: who decided what, when and why. Example: ./inv events -f"""
    from duckconf.cli.look import tasks as look

    return look.events(project(), limit, id, follow=follow, as_json=json)


@command(
    klass=DockersLetters,
    positional=["names"],
    help={
        "names": "apps, instances (web.2) or stacks, or one service: api, reconciler, scheduler, node-controller, agent@NODE",
        "follow": "print new lines until interrupted, also of instances that move; an event is told first",
        "since": "only lines that are not older: 10m, 2h30m, 3d, or a time such as 2026-01-31T10:00:00Z",
        "tail": "number of lines of each instance, the newest, or all. Default: 50, and all with --since",
        "timestamps": "begin each line with its time",
        "raw": "print control characters as they are, instead of showing them",
        "json": "print one JSON object per line",
    },
)
def logs(
    _: Any,
    names: str,
    follow: bool = False,
    since: str = "",
    tail: str = "",
    timestamps: bool = False,
    raw: bool = False,
    json: bool = False,
) -> int:
    """Show what apps print, all instances merged by time, or the log of a service. Exit code 4 if a node is unreachable.
    Example: ./inv logs web db -f --since 10m"""
    from duckconf.cli.look.logs import logs as show

    return show(project(), names.split(), tail, since, follow=follow, timestamps=timestamps, raw=raw, as_json=json)


@command(
    positional=["node"],
    optional=["node"],
    help={
        "node": "check only these hosts, from name to disk: names, groups, globs, !exceptions",
        "json": "print JSON",
    },
)
def doctor(_: Any, node: str = "", json: bool = False) -> int:
    """Check everything that Duckconf needs, and print what to do about each problem. Example: ./inv doctor node-2"""
    from duckconf.cli.machine.doctor import examine
    from duckconf.cli.terminal.tables import print_json, print_table

    if node:
        from duckconf.cli.fleet.doctor_host import examine_hosts

        return examine_hosts(project(), node, as_json=json)
    findings = examine(project)
    rows = [finding._asdict() for finding in findings]
    print_json(rows) if json else print_table(rows, ("check", "result", "detail"), "")
    return 0 if all(finding.result == "ok" for finding in findings) else 1
