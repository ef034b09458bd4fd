"""What a cluster keeps, as files: for a server that goes on alone with them, and for a backup.

Nothing is served from them here, and what they are read from is left as it is.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from api.known import Known, knowing
from api.mirrored import require_whole
from api.nodes import read_report
from api.stores.kept import NODES, STATE, Kept, in_files, together
from api.stores.relay import PART as HEARD
from api.stores.relay import reports_in
from duckconf.codec import to_json
from duckconf.desired import PLACED_COLUMNS, changed, empty_document, marked
from duckconf.errors import BadInput
from duckconf.model import FIELDS, App, parse_app
from duckconf.placement import Placement
from duckconf.reach.api.control_config import ControlConfig
from duckconf.reach.state import data, desired_file, placements, revisions, secrets
from duckconf.reach.state.entries import Mirror
from duckconf.reach.state.files import write_durably
from duckconf.reach.state.placements import PlacementBook

# In a backup, what only a control plane understands.
CONTROL = "control"

log = logging.getLogger("move")


def write_files(config: ControlConfig, source: Kept, folder: Path) -> Mapping[str, App]:
    """All of it into an empty folder, as one server alone keeps it: the apps that there are. What it counts goes on above all
    that was given. Raises OSError."""
    store = source.store(lambda *_: None)
    apps, counts = store.listing().apps, store.counts
    copy_books(config, source, in_files(folder, log.warning))
    document = changed(empty_document(PLACED_COLUMNS), dict(apps))
    write_durably(folder / STATE, marked(document, counts.revision, counts.number).text().encode())
    return apps


def copy_books(config: ControlConfig, source: Kept, target: Kept) -> None:
    """All but the apps, which come after their past. Raises NotNow, OSError."""
    target.revisions.replace(source.revisions.revisions, source.revisions.since)
    target.data.keep(source.data.held)
    target.nodes.begin(source.nodes.epoch)
    for name in config.nodes:
        closed = source.nodes.of(name)
        target.nodes.change(name, lambda _, closed=closed: closed)  # type: ignore[misc]
    for name, secret in source.secrets.current().items():
        target.secrets.put(name, secret.value, secret.since, secret.salt)
    while target.rebalances.asked() < source.rebalances.asked():
        target.rebalances.ask()
    target.rebalances.keep(source.rebalances.progress)


def exported(config: ControlConfig, mirror: Mirror) -> dict[str, str]:
    """The files of a backup by their names: what the loop would keep, and below `control` what a control plane counts on from.
    Raises SetupError, OSError."""
    require_whole(mirror)
    known = _with_reports(knowing(together(mirror, str), config), mirror)
    # Where nobody else may read the secrets, and no other disk ever has them.
    with TemporaryDirectory(prefix=".export-", dir=config.state_dir) as name:
        folder = Path(name)
        apps = write_files(config, known.kept, folder)
        document = changed(empty_document(), {name: _declared(app) for name, app in apps.items()})
        write_durably(folder / desired_file.FILE_NAME, marked(document, 1, document.next_number).text().encode())
        PlacementBook(folder / placements.FILE_NAME).keep(_placements(known))
        files = {f"{CONTROL}/{name}": folder / name for name in (STATE, NODES)}
        for name in (desired_file.FILE_NAME, placements.FILE_NAME, revisions.FILE_NAME, data.FILE_NAME, secrets.FILE_NAME):
            files[name] = folder / name
        return {name: path.read_text("utf-8") for name, path in files.items() if path.exists()}


def _with_reports(known: Known, mirror: Mirror) -> Known:
    """What nodes told a server last is known too."""
    for name, told in reports_in(mirror.part(HEARD)).items():
        if name in known.nodes.nodes:
            try:
                known.nodes.told(name, read_report(name, told))
            except BadInput as error:
                log.warning("what %s reported last was not understood: %s", name, error)
    return known


def _placements(known: Known) -> dict[str, Placement]:
    """Of an instance that has neither a container nor an end, nothing is there yet."""
    found = {}
    for app in known.store.listing().apps:
        for one in known.index.instances(app):
            seen = known.index.seen(one)
            if one.node and (one.ended or seen is not None):
                container = seen.container if seen is not None else ""
                found[one.name] = Placement(one.node, container, one.generation, one.ended, one.spec)
    return found


def _declared(app: App) -> App:
    """Without what the control plane adds to it."""
    return parse_app({field: value for field, value in to_json(app).items() if field in FIELDS})
