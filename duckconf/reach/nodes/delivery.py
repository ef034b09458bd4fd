"""Starts an app. If it has secrets, the container is made, they are put into it, and then it is started.

The values travel on stdin, through the engine's own commands: no argument, label, log or event has them, and the node needs
no place for them. A file stays in the container's layer, so that a restart and a reboot find it there, and goes with it.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Sequence

from duckconf import engine
from duckconf.command import Command, Completed, Runner
from duckconf.errors import DuckconfError
from duckconf.model import App
from duckconf.naming import LABEL_SECRETS
from duckconf.secret_kinds import FOLDER, Use, needs_volume
from duckconf.secrets import Values, uses


class Delivery:
    """The secrets of one app, read once. Raises DuckconfError for one that is not there or cannot be a variable."""

    def __init__(self, app: App, values: Values) -> None:
        found = [(use, values(use.source, app.secret_revisions.get(use.source, ""))) for use in uses(app)]
        self._volume = needs_volume(app.read_only, app.tmpfs, uses(app))
        self._variables = variables([(use, value) for use, value in found if use.variable])
        files = [(use, value) for use, value in found if use.path]
        self._folder = FOLDER if self._volume else "/"
        self._files = archive(files, self._folder) if files else b""

    @property
    def labels(self) -> dict[str, str]:
        """What its container must have beside the others."""
        return {LABEL_SECRETS: "volume"} if self._volume else {}

    def start(self, container: str, like: Command, runner: Runner) -> Completed:
        """As the `docker run` that is given. The outcome of the first step that failed, or of the last."""
        if not (self._files or self._variables):
            return runner.run(like)
        commands = [engine.create(container, like, self._variables, volume=self._volume)]
        if self._files:
            commands.append(engine.copy_in(container, self._folder, self._files))
        for command in commands:
            done = runner.run(command)
            if not (done.ok and done.ours):
                return done
        return runner.run(engine.start_again(container))


def variables(found: Sequence[tuple[Use, bytes]]) -> bytes:
    """Lines as the engines read them. The last line break of a value is none of it."""
    lines = []
    for use, value in found:
        text = value.removesuffix(b"\n").removesuffix(b"\r")
        if b"\n" in text or b"\r" in text or b"\0" in text or not _is_utf8(text):
            raise DuckconfError(
                f"the secret {use.source} cannot be the variable {use.variable}: it should be one line of text in UTF-8",
                f"give it to the app as a file: --secret {use.source}",
            )
        lines.append(use.variable.encode() + b"=" + text + b"\n")
    return b"".join(lines)


def archive(found: Sequence[tuple[Use, bytes]], folder: str) -> bytes:
    """A tar archive of the files, to be unpacked in `folder`."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for use, value in found:
            entry = tarfile.TarInfo(use.path[len(folder.rstrip("/")) + 1 :])
            entry.size, entry.mode, entry.uid, entry.gid = len(value), use.mode, use.uid, use.gid
            tar.addfile(entry, io.BytesIO(value))
    return buffer.getvalue()


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
