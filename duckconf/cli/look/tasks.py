"""The tasks that look and change nothing: status, ps, nodes, diff, events.

What only one mode needs is imported where it is needed: a look should not take longer than the nodes do.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from duckconf.cli.cluster.modes import AGENTS, RECONCILE, mode_of, require_mode
from duckconf.cli.cluster.nodes import Cluster, app_row, node_row, open_cluster
from duckconf.cli.look.event_source import event_line, event_source
from duckconf.cli.look.node_table import print_nodes, say_uneven
from duckconf.cli.look.notes import grouped
from duckconf.cli.look.trouble import Seen, none_of, say_faults, unreachable
from duckconf.cli.look.waiting import say_instances, say_unknown, waiting_row
from duckconf.cli.terminal.edge import DIFFERENCES
from duckconf.cli.terminal.tables import age, print_apps, print_json, print_table, status_word
from duckconf.cli.terminal.times import stamp
from duckconf.events import Event
from duckconf.healthcheck import UNHEALTHY
from duckconf.overview import AppView
from duckconf.pins import digest_of
from duckconf.reach.inventory.project import Project
from duckconf.reach.state import cordons, reports
from duckconf.reach.state.cordons import Cordons
from duckconf.reach.state.reports import ReportFile
from duckconf.rebalancing import uneven
from duckconf.report import Report
from duckconf.restart import DONE
from duckconf.rollout import History

# As many as the API tells at once.
MOST_EVENTS = 10_000


def status(project: Project, *, as_json: bool) -> int:
    """Services, nodes and what is wrong on one screen."""
    mode = mode_of(project)
    if mode == AGENTS:
        from duckconf.cli.look import agents as agents_look

        return agents_look.status(project, as_json=as_json)
    from duckconf.cli.cluster.services import services
    from duckconf.cli.look.picture import take_picture

    rows = [_service_row(project, service) for service in services(project, mode)]
    with open_cluster(project, warm=True) as cluster:
        picture = take_picture(cluster) if mode == RECONCILE else None
        seen = picture.seen if picture else cluster.observe()
        over = [(one.place.node, one.keeps) for one in picture.decision.over.values()] if picture else []
        nodes = _node_rows(cluster, seen, over)
    faults = list(picture.faults) if picture else []
    wanted = [view for view in picture.apps if view.desired == "yes"] if picture else []
    sight = picture.decision.sight if picture else None
    lean = uneven(sight) if sight is not None else []
    waiting = [waiting_row(view.instance, view.state, view.note) for view in wanted if view.state not in ("running", DONE)]
    if as_json:
        told = {"cluster": project.cluster, "mode": mode, "services": rows, "nodes": nodes, "faults": faults}
        print_json(told | {"uneven": lean, "waiting": waiting})
    else:
        print(f"cluster {project.cluster}, mode {mode}\n")
        print_table(rows, ("service", "state", "pid", "address", "since"), "")
        print()
        print_table(nodes, ("name", "status", "address", "apps", "cordoned"), "no nodes")
        if picture:
            done = sum(view.state == DONE for view in wanted)
            say_instances(len(wanted), waiting, done) if picture.known else say_unknown()
            say_uneven(lean)
    say_faults(faults)
    return unreachable(seen)


def ps(project: Project, nodes: str, *, fresh: bool = False, as_json: bool) -> int:
    """The apps, of the nodes that the pattern means; in reconcile mode what is desired beside what is seen. With `fresh`, over
    connections of its own."""
    if mode_of(project) == AGENTS:
        from duckconf.cli.look import agents as agents_look

        return agents_look.ps(project, nodes, as_json=as_json)
    with open_cluster(project, warm=not fresh) as cluster:
        if mode_of(project) != RECONCILE:
            return _ps_push(cluster.observe(nodes), as_json=as_json)
        from duckconf.cli.look.picture import take_picture

        meant = cluster.names(nodes)
        picture = take_picture(cluster)
    views = [view for view in picture.apps if not nodes or view.node in meant]
    if as_json:
        print_json([_view_row(view, picture.decision.history.get(view.app, ())) for view in views])
    else:
        columns = ("app", "node", "desired", "status", "restarts", "image", "age")
        print_apps([_view_line(view) for view in views], columns, none_of(picture.seen))
        told = [view for view in views if view.note and (view.state != "running" or view.health == UNHEALTHY)]
        for names, note in grouped((view.instance, view.note) for view in told):
            print(f"{names}: {note}", file=sys.stderr)
        say_faults(picture.faults)
    return unreachable({name: found for name, found in picture.seen.items() if name in meant})


def _ps_push(seen: Seen, *, as_json: bool) -> int:
    containers = [container for found in seen.values() if isinstance(found, tuple) for container in found]
    if as_json:
        print_json([app_row(container) for container in containers])
    else:
        rows = [
            {
                **app_row(container),
                "app": container.instance,
                "state": status_word(container.state, container.health),
                "age": age(container.started),
            }
            for container in containers
        ]
        print_apps(rows, ("app", "node", "state", "image", "age"), none_of(seen))
    return unreachable(seen)


def nodes(project: Project, limit: str = "", *, fresh: bool = False, as_json: bool) -> int:
    """With `fresh`, over connections of its own, and what each node has left as it is now."""
    if mode_of(project) == AGENTS:
        from duckconf.cli.look import agents as agents_look

        return agents_look.nodes(project, limit, as_json=as_json)
    with open_cluster(project, warm=not fresh) as cluster:
        seen, known = cluster.observe_with_facts(limit)
        ages = cluster.ages
        rows = [row | known[row["name"]].to_json() | _measured(ages, row["name"]) for row in _node_rows(cluster, seen)]
    if mode_of(project) == RECONCILE:
        report = ReportFile(project.state / reports.FILE_NAME).read() or Report()
        rows = [row | {"full": row["name"] in report.full_nodes()} for row in rows]
    print_nodes(rows, as_json=as_json)
    return unreachable(seen)


def diff(project: Project, *, as_json: bool) -> int:
    """What the loop would do now and why, and why it leaves the rest."""
    if mode_of(project) == AGENTS:
        from duckconf.cli.look import agents as agents_look

        return agents_look.diff(project, as_json=as_json)
    require_mode(project, RECONCILE, "`diff`, which compares with the desired state,")
    from duckconf.cli.look.picture import picture_of, survey
    from duckconf.cli.look.steps import step_line, step_row
    from duckconf.cli.look.under_way import foretold, goes_on, say_foretold, told

    with open_cluster(project, warm=True) as cluster:
        scene = survey(cluster)
        picture = picture_of(cluster, scene)
    plan = picture.decision.plan
    later = foretold(project.cluster, scene, picture.decision.rollouts)
    if as_json:
        steps = {"steps": [step_row(step) for step in plan.steps], "notes": dict(plan.notes)}
        print_json(steps | {"updates": told(later), "faults": list(picture.faults)})
    else:
        for step in plan.steps:
            print(step_line(step))
        for names, note in grouped(plan.notes.items()):
            print(f"{names}: left unchanged, because: {note}")
        say_foretold(later)
        say_faults(picture.faults)
        if not plan.steps:
            now = " now" if goes_on(later) else ""
            print(f"nothing to do{now}" + (", except for the apps above" if plan.notes or later else ""), file=sys.stderr)
    code = unreachable(picture.seen)
    return DIFFERENCES if plan.steps or goes_on(later) else code


def events(project: Project, limit: int, number: str, *, follow: bool, as_json: bool) -> int:
    """Events, oldest first; only those that go back to the request `number`, where it is not ""."""
    tail, after = event_source(project)
    page = tail(MOST_EVENTS if number else limit)
    show = print_events_json if as_json else print_events
    found = [event for event in page.events if number in ("", event.id)][-limit:]
    if not found and not follow:
        print(f"no event has the id {number}" if number else "no events yet", file=sys.stderr)
    show(found)
    while follow:
        page = after(page.cursor)
        show(event for event in page.events if number in ("", event.id))
    return 0


def print_events(found: Iterable[Event]) -> None:
    for event in found:
        print(event_line(event), flush=True)


def print_events_json(found: Iterable[Event]) -> None:
    """One object per line, so that a program can follow."""
    for event in found:
        print(json.dumps(event.to_json(), ensure_ascii=False), flush=True)


def _service_row(project: Project, service: Any) -> dict[str, Any]:
    process = service.process()
    row = {"service": service.name, "pid": process.pid if process else None}
    row["address"] = project.settings.api_url if service.name == "api" else None
    return row | {"state": "running" if process else "stopped", "since": age(process.create_time()) if process else None}


def _measured(ages: Mapping[str, float], node: str) -> dict[str, float]:
    """How old the facts are, in seconds."""
    return {"facts_age": round(ages.get(node, 0.0), 1)}


def _node_rows(cluster: Cluster, seen: Seen, over: Collection[tuple[str, str]] = ()) -> list[dict[str, Any]]:
    cordoned = Cordons(cluster.project.state / cordons.FILE_NAME).names()
    return [
        node_row(host, seen[host.name], cordoned=host.name in cordoned, over={name for node, name in over if node == host.name})
        for host in cluster.inventory.node_hosts()
        if host.name in seen
    ]


def _view_row(view: AppView, past: History) -> dict[str, Any]:
    started = stamp(view.started) if view.started else None
    row: dict[str, Any] = {
        "app": view.app,
        "slot": view.slot,
        "container": view.container,
        "image": view.image,
        "node": view.node,
        "state": view.state,
        "health": view.health,
    }
    row |= {"started": started, "desired": view.desired, "restarts": view.restarts, "note": view.note}
    digest = digest_of(past, view.image_id) if view.image_id else ""
    return row | {"ports": list(view.ports), "image_id": view.image_id, "digest": digest}


def _view_line(view: AppView) -> dict[str, Any]:
    line = {"app": view.instance, "node": view.node, "desired": view.desired, "image": view.image}
    line |= {"status": status_word(view.state, view.health)}
    return line | {"restarts": view.restarts, "age": age(view.started) if view.started else "-", "ports": list(view.ports)}
