"""What a process of the API server serves, and what the modes of it share."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import urlsplit

from cheroot import wsgi
from flask import Flask

from duckconf.reach.inventory.project import Project
from duckconf.reach.state import cordons, desired_file, passings
from duckconf.reach.state import journal as journal_file
from duckconf.reach.state import reports as report_file
from duckconf.reach.state.journal import Journal
from duckconf.reach.state.news import of_folder

# The files of the state that show in the picture of the cluster.
SHOWN = (
    journal_file.FILE_NAME,
    report_file.FILE_NAME,
    passings.FILE_NAME,
    desired_file.FILE_NAME,
    cordons.FILE_NAME,
    cordons.DRAINS_NAME,
)


class Served(NamedTuple):
    """A mode's app and the server that listens for it."""

    app: Flask
    server: wsgi.Server


def names_of(server: wsgi.Server, project: Project) -> tuple[str, ...]:
    """What clients call the server: the address that it listens on, and the name for it in the settings."""
    return str(server.socket.getsockname()[0]), urlsplit(project.settings.api_url).hostname or ""


def open_journal(project: Project) -> Journal:
    """It is told of what other processes write that concerns the picture."""
    return Journal(project.state / journal_file.FILE_NAME, "api", news=of_folder(project.state, SHOWN))
