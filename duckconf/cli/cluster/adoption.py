"""Takes over what runs: each app of ours on the nodes becomes a row of the desired state, and none is restarted."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from duckconf.cli.cluster.nodes import open_cluster
from duckconf.cli.terminal.say import say, step
from duckconf.codec import from_label
from duckconf.counts import counted
from duckconf.desired import Document, changed, empty_document, marked, read_document, with_unclear
from duckconf.engine_output import Container
from duckconf.errors import BadInput, NodeFailure
from duckconf.model import App, parse_app
from duckconf.reach.inventory.project import Project
from duckconf.reach.state.desired_file import FILE_NAME
from duckconf.reach.state.files import write_durably


def adopt(project: Project) -> None:
    """Write the desired state, with every app of ours that is on a node added to it.

    Raises NodeFailure when a node does not answer: its apps would be strangers to the loop, and removed. Raises
    BadInput when there is a desired state that cannot be read.
    """
    with step("adopting the running containers"), open_cluster(project) as cluster:
        seen = cluster.observe()
    for found in seen.values():
        if isinstance(found, NodeFailure):
            remedy = "make it reachable, or remove it from the inventory"
            raise type(found)(found.node, f"{found.reason}, so its apps cannot be adopted", remedy)
    path = project.state / FILE_NAME
    before = read_document(path.read_text("utf-8")) if path.exists() else empty_document()
    after = adopted(before, [container for found in seen.values() if isinstance(found, tuple) for container in found])
    if after != before or not path.exists():
        write_durably(path, marked(after, after.revision + 1, after.next_number).text().encode())
    count = len(after.apps())
    say(f"  {counted(count, 'app')} in {path.relative_to(project.root)}")


def adopted(document: Document, containers: Iterable[Container]) -> Document:
    """The document with a row for each app that has none. Rows that are there hold: they are what someone wants."""
    apps: dict[str, App | None] = {}
    unclear: list[str] = []
    highest: dict[str, int] = {}
    for container in sorted(containers, key=lambda item: (item.app, item.running)):
        name = container.app
        if not name or document.app(name) is not None or document.names_badly(name):
            continue
        highest[name] = max(container.slot, highest.get(name, 1))
        try:
            apps[name] = replace(_app(container), replicas=highest[name])
        except (BadInput, ValueError, TypeError):
            if name not in apps and name not in unclear:
                unclear.append(name)
    return with_unclear(changed(document, apps), [name for name in unclear if name not in apps])


def _app(container: Container) -> App:
    spec = from_label(container.manifest)
    restart = {"restart": container.restart} if container.restart else {}
    app = parse_app({**(spec if isinstance(spec, dict) else {}), "name": container.app, **restart}, placed=True)
    # The revisions of its secrets are whoever's who keeps them.
    return replace(app, secret_revisions={})
