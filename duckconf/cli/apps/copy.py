"""`./inv cp`: files into a container and out of it, as a tar stream over SSH; nothing of it lies on the node meanwhile.

What comes out of a container is not trusted: nothing is written outside the folder that was named, no device is made, and
nothing belongs to anybody else.
"""

from __future__ import annotations

import os
import posixpath
import sys
import tarfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from duckconf import copying
from duckconf.cli.apps.inside import own_container
from duckconf.cli.apps.run import writer
from duckconf.cli.cluster.nodes import open_cluster
from duckconf.cli.terminal.edge import typed_path
from duckconf.cli.terminal.own_terminal import typed
from duckconf.command import Command
from duckconf.copying import STREAM, Copy, Place
from duckconf.counts import counted
from duckconf.engine_output import Container, engine_words
from duckconf.errors import DuckconfError, NotFound
from duckconf.reach.inventory.project import Project
from duckconf.reach.ssh.runner import SshRunner

CHUNK = 65536
ROOT = "root"


def copy(project: Project, source: str, target: str) -> int:
    """The exit code: 1 where something was left out."""
    wanted = copying.parse_copy(source, target)
    with open_cluster(project, warm=True) as cluster:
        container, runner = own_container(project, cluster, wanted.source.app or wanted.target.app)
        if wanted.source.app:
            return _take_out(container, runner, wanted)
        _put_in(container, runner, wanted)
    return 0


def _take_out(container: Container, runner: SshRunner, copy: Copy) -> int:
    path = copy.source.path
    command = copying.take_out(container.name, posixpath.normpath(path))
    if copy.target.path == STREAM:
        _pour_out(runner, command, writer(sys.stdout.buffer), copy.source)
        return 0
    target = Path(typed_path(copy.target.path)).expanduser()
    if copy.target.path.endswith("/") and not target.is_dir():
        raise NotFound(f"there is no folder {target}", f"make it: mkdir -p {target}")
    if not target.is_dir() and not target.parent.is_dir():
        raise NotFound(f"there is no folder {target.parent}", f"make it: mkdir -p {target.parent}")
    contents = path.endswith("/.") or is_root(path)
    if contents:
        target.mkdir(exist_ok=True)
    folder, name = copying.named(path, str(target), folder_there=target.is_dir())
    # All paths in the archive begin with the name of what is copied, except for those of the root.
    unpacking = Unpacking(target, "", 0 if is_root(path) else 1) if contents else Unpacking(Path(folder), name, 1)
    with unpacking.fed() as feed:
        _pour_out(runner, command, feed, copy.source)
    unpacking.require_done()
    print(
        f"{copy.source.app}:{path} on {container.node} is copied to {target} ({counted(unpacking.files, 'file')})",
        file=sys.stderr,
    )
    for left in unpacking.left:
        print(f"left out: {left}", file=sys.stderr)
    return 1 if unpacking.left else 0


def is_root(path: str) -> bool:
    return posixpath.normpath(path) == "/"


def _pour_out(runner: SshRunner, command: Command, out: Callable[[bytes], None], source: Place) -> None:
    said: list[bytes] = []
    attended = runner.attend(command)
    try:
        code = attended.pump(out, said.append)
    finally:
        attended.close()
    if code != 0:
        words = engine_words(b"".join(said).decode("utf-8", errors="replace"))
        raise DuckconfError(f"{source.app}:{source.path} cannot be copied: {words}", f"look: ./inv exec {source.app} -- ls /")


def _put_in(container: Container, runner: SshRunner, copy: Copy) -> None:
    app, path = copy.target
    there = runner.run(copying.is_folder(container.name, path)).stdout.strip() == "1"
    if copy.source.path == STREAM:
        if not there:
            raise NotFound(f"there is no folder {path} in {app}", f"make it: ./inv exec {app} -- mkdir -p {path}")
        folder, pieces = path, typed()
    else:
        source = Path(typed_path(copy.source.path)).expanduser()
        if not source.exists():
            raise NotFound(f"there is no {source} here", "see the path")
        if path.endswith("/") and not there:
            raise NotFound(f"there is no folder {path} in {app}", f"make it: ./inv exec {app} -- mkdir -p {path}")
        folder, name = copying.named(source.name, path, folder_there=there)
        pieces = packed(source, "." if there and copy.source.path.endswith("/.") else name)
    done = runner.pour(copying.put_in(container.name, folder), pieces)
    if not done.ok:
        words = engine_words(done.stderr or done.stdout)
        raise DuckconfError(f"nothing can be copied to {app}:{path}: {words}", f"look: ./inv exec {app} -- ls -ld {folder}")
    print(f"{copy.source.path} is copied to {app}:{path} on {container.node}", file=sys.stderr)


def packed(source: Path, name: str) -> Iterator[bytes]:
    """A tar archive of what is at `source`, under this name and as root's, while it is being read."""
    reading, writing = os.pipe()
    failures: list[OSError] = []

    def pack() -> None:
        # Also what is still to be written when it is closed finds nobody.
        with suppress(BrokenPipeError), os.fdopen(writing, "wb") as stream:
            try:
                with tarfile.open(mode="w|", fileobj=stream) as archive:
                    archive.add(source, name, filter=_as_root)
            except BrokenPipeError:
                raise
            except OSError as error:
                failures.append(error)

    thread = threading.Thread(target=pack, daemon=True)
    thread.start()
    with os.fdopen(reading, "rb") as stream:
        while piece := stream.read(CHUNK):
            yield piece
    thread.join()
    if failures:
        raise DuckconfError(f"{failures[0].filename or source} cannot be read: {failures[0].strerror}", "copy as who may read it")


def _as_root(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ROOT
    return member


class Unpacking:
    """Writes a tar stream below `folder`, without the first `cut` parts of every path and with `name` before the rest."""

    def __init__(self, folder: Path, name: str, cut: int) -> None:
        self._folder = folder
        self._name = name
        self._cut = cut
        self._failure: Exception | None = None
        self.files = 0
        self.left: list[str] = []

    @contextmanager
    def fed(self) -> Iterator[Callable[[bytes], None]]:
        """What is given to the function within the block is unpacked."""
        reading, writing = os.pipe()
        thread = threading.Thread(target=self._unpack, args=(reading,), daemon=True)
        thread.start()
        try:
            with os.fdopen(writing, "wb", buffering=0) as stream:
                yield lambda data: self._feed(stream, data)
        finally:
            thread.join()

    def require_done(self) -> None:
        """Raises DuckconfError."""
        if isinstance(self._failure, OSError):
            raise DuckconfError(f"{self._failure.filename or self._folder} cannot be written: {self._failure.strerror}")
        if self._failure is not None:
            raise DuckconfError(f"what came from the node is no archive: {self._failure}", "try again")

    def place(self, member: tarfile.TarInfo, folder: str) -> tarfile.TarInfo | None:
        """Where it goes; None for what is left out."""
        try:
            moved = member.replace(name=self._moved(member.name), deep=False)
            if member.islnk():
                moved = moved.replace(linkname=self._moved(member.linkname), deep=False)
            placed = tarfile.data_filter(moved, folder)
        except tarfile.FilterError as error:
            self.left.append(f"{member.name}: {_why(error)}")
            return None
        self.files += member.isreg()
        return placed

    def _moved(self, name: str) -> str:
        parts = [part for part in name.split("/") if part not in ("", ".")]
        return "/".join([*([self._name] if self._name else []), *parts[self._cut :]]) or "."

    def _feed(self, stream: BinaryIO, data: bytes) -> None:
        rest = memoryview(data)
        # Who unpacks has failed, or is done before the padding at the end.
        with suppress(BrokenPipeError):
            while rest:
                rest = rest[stream.write(rest) :]

    def _unpack(self, reading: int) -> None:
        with os.fdopen(reading, "rb") as stream:
            try:
                with tarfile.open(mode="r|", fileobj=stream) as archive:
                    archive.extractall(self._folder, filter=self.place)  # noqa: S202 (that is what the filter is for)
                while stream.read(CHUNK):
                    pass
            except (OSError, tarfile.TarError) as error:
                self._failure = error


def _why(error: tarfile.FilterError) -> str:
    if isinstance(error, tarfile.SpecialFileError):
        return "it is a device or a pipe"
    if isinstance(error, (tarfile.LinkOutsideDestinationError, tarfile.AbsoluteLinkError)):
        return "the link leads out of the copy"
    return "it would be written outside the folder"
