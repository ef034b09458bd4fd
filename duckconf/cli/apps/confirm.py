"""Confirms an edit by hand that withdraws most apps: the API takes it, or the file is sealed here when no API runs."""

from __future__ import annotations

from duckconf.cli.cluster.api import api_client
from duckconf.cli.cluster.modes import PUSH, RECONCILE, mode_of
from duckconf.cli.cluster.services import api_service
from duckconf.desired import marked, read_document
from duckconf.errors import NotFound
from duckconf.reach.inventory.project import Project
from duckconf.reach.state.desired_file import FILE_NAME
from duckconf.reach.state.files import FolderLock, write_durably


def confirm_edit(project: Project) -> None:
    """Raises BadInput for a file that cannot be read, NotFound in push mode."""
    mode = mode_of(project)
    if mode == PUSH:
        raise NotFound("mode push has no desired state to edit", "see `./inv up reconcile`")
    if mode == RECONCILE and api_service(project).process() is None:
        _seal(project)
        confirmed = True
    else:
        confirmed = bool(api_client(project).call("POST", "/apps/confirm")["confirmed"])
    print("the edit is confirmed: the apps that it withdraws are removed" if confirmed else "no edit waits for confirmation")


def _seal(project: Project) -> None:
    """As the API writes it: with the number of apps that it has now."""
    lock = FolderLock(project.state / "api.lock", "`./inv confirm-edit`", "try again: it writes the file")
    try:
        path = project.state / FILE_NAME
        document = read_document(path.read_text("utf-8"))
        write_durably(path, marked(document, document.revision + 1, document.next_number).text().encode())
    finally:
        lock.release()
