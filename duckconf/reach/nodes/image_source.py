"""Images of this machine's engine, podman or docker, packed into one compressed file each.

The file stays until every node has the image, so that a push that was cut off goes on where it was.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import json
import os
import shutil
import subprocess
import tarfile
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from duckconf.command import Command
from duckconf.engine import DOCKER, PODMAN
from duckconf.errors import DuckconfError, NotFound, SetupError
from duckconf.image import bare_id, id_in_archive
from duckconf.reach.nodes.local import LocalRunner
from duckconf.reach.ssh.transport import PACKET
from duckconf.reach.state.files import write_durably

MANIFEST = "manifest.json"
IDS_FILE = "ids.json"
MOST_IDS = 200
PIECE = 4 * PACKET
LOOK_AGAIN = 0.02
BLOCK = 1 << 20
# Nobody goes on with a push after so long.
KEPT_SECONDS = 7 * 86400
GZIP, ZSTD = "gz", "zst"


@dataclass(frozen=True)
class SourceImage:
    """An image as this machine has it."""

    name: str
    id: str
    program: str
    architecture: str = ""


class Archive:
    """The packed image, which may still be growing; `key` names it here and on the nodes."""

    def __init__(self, path: Path) -> None:
        """`path` is the file that is written now or was before; it may get another name."""
        self.key = path.name
        self.packed = threading.Event()
        self.failure: DuckconfError | None = None
        self._file = os.open(path, os.O_RDONLY)

    @property
    def size(self) -> int:
        """How much there is until now."""
        return os.fstat(self._file).st_size

    def size_if_known(self) -> int | None:
        """The size when it is complete, None before."""
        return self.size if self.packed.is_set() and self.failure is None else None

    def whole(self) -> int:
        """The size when it is complete; raises what went wrong."""
        self.packed.wait()
        if self.failure is not None:
            raise self.failure
        return self.size

    def digest_of_first(self, size: int) -> str:
        digest = hashlib.sha256()
        for piece in self.pieces(0, BLOCK):
            digest.update(piece[:size])
            size -= len(piece[:size])
            if not size:
                break
        return digest.hexdigest()

    def pieces(self, begin: int, length: int = PIECE) -> Iterator[bytes]:
        """From `begin` to the end, waiting for what is not yet there."""
        while True:
            last = self.packed.is_set()
            if piece := os.pread(self._file, length, begin):
                yield piece
                begin += len(piece)
            elif last:
                self.whole()
                return
            else:
                self.packed.wait(LOOK_AGAIN)

    def close(self) -> None:
        os.close(self._file)


class ImageSource:
    """This machine's images, and the folder in which they are packed."""

    def __init__(self, folder: Path, environ: Mapping[str, str]) -> None:
        self._folder = folder
        self._environ = environ
        self._learning = threading.Lock()

    def find(self, name: str) -> SourceImage:
        """Raises NotFound when no engine here has it, SetupError when there is no engine."""
        programs = [program for program in (PODMAN, DOCKER) if shutil.which(program)]
        if not programs:
            raise SetupError("this machine has neither podman nor docker to take an image from", "see `./inv doctor`")
        runner = LocalRunner("this machine's engine", self._environ)
        for program in programs:
            done = runner.run(Command((program, "image", "inspect", "--format", "{{.Id}} {{.Architecture}}", name)))
            if done.ok:
                found, _, architecture = done.stdout.strip().partition(" ")
                return SourceImage(name, bare_id(found), program, architecture)
        verb = "has" if len(programs) == 1 else "have"
        remedy = f"see `{programs[0]} images`; build or pull it there first"
        raise NotFound(f"this machine's {' and '.join(programs)} {verb} no image {name}", remedy)

    def known_ids(self, image: SourceImage) -> frozenset[str]:
        """Every id under which a node may have this very image: packing and loading can give it another one."""
        return frozenset([image.id, *self._ids().get(image.id, ())])

    def learn(self, image: SourceImage, *ids: str) -> None:
        with self._learning:
            known = self._ids()
            before = known.pop(image.id, [])
            if set(ids) <= {image.id, *before}:
                return
            newest = dict([*known.items(), (image.id, sorted({*before, *ids} - {image.id}))][-MOST_IDS:])
            self._make_folder()
            write_durably(self._folder / IDS_FILE, json.dumps(newest, indent=1).encode())

    @contextlib.contextmanager
    def packing(self, image: SourceImage, packing: str) -> Iterator[Archive]:
        """The archive, being made or kept from a push that was cut off. It is complete, or given up, at the end."""
        self._make_folder()
        self._sweep()
        path = self._folder / f"{image.id}.tar.{packing}"
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        kept = path.exists()
        if not kept:
            temporary.touch(0o600)
        archive = Archive(path if kept else temporary)
        archive.key = path.name
        writer = threading.Thread(target=self._pack, args=(image, packing, temporary, path, archive), name="pack", daemon=True)
        try:
            archive.packed.set() if kept else writer.start()
            yield archive
            archive.whole()
        finally:
            archive.close()

    def forget(self, image: SourceImage) -> None:
        """Every node has it: it need not be sent again."""
        for path in self._folder.glob(f"{image.id}.tar.*"):
            path.unlink(missing_ok=True)

    def _pack(self, image: SourceImage, packing: str, temporary: Path, path: Path, archive: Archive) -> None:
        try:
            self._save(image, packing, temporary)
            os.replace(temporary, path)
        except DuckconfError as error:
            archive.failure = error
        except OSError as error:
            archive.failure = SetupError(f"{image.name} cannot be packed: {error.strerror or error}", f"is {path.parent} full?")
        finally:
            temporary.unlink(missing_ok=True)
            archive.packed.set()

    def _save(self, image: SourceImage, packing: str, path: Path) -> None:
        argv = [image.program, "save", *(("-q", "--format=docker-archive") if image.program == PODMAN else ()), image.name]
        with _packed(path, packing) as sink:
            saving = subprocess.Popen(
                argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=dict(self._environ), pipesize=BLOCK
            )
            with saving:
                try:
                    manifest = _copy(cast(IO[bytes], saving.stdout), sink)
                except BaseException:
                    saving.kill()
                    raise
                words = cast(IO[bytes], saving.stderr).read().decode(errors="replace").strip()
            if saving.returncode:
                raise SetupError(f"{image.program} save failed: {words.splitlines()[-1] if words else 'without a word'}")
        try:
            self.learn(image, id_in_archive(manifest))
        except ValueError as error:
            raise SetupError(f"{image.program} save gave an archive that cannot be read: {error}") from error

    def _ids(self) -> dict[str, list[str]]:
        try:
            ids: dict[str, list[str]] = json.loads((self._folder / IDS_FILE).read_bytes())
            return ids
        except (OSError, ValueError):
            return {}

    def _make_folder(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def _sweep(self) -> None:
        for path in self._folder.glob("*.tar.*"):
            with contextlib.suppress(FileNotFoundError):
                if path.stat().st_mtime < time.time() - KEPT_SECONDS:
                    path.unlink()


def best_packing(engines: set[str]) -> str:
    """Older dockers do not know zstd, which costs a fifth of gzip's time."""
    return ZSTD if engines <= {PODMAN} and shutil.which("zstd") else GZIP


@contextlib.contextmanager
def _packed(path: Path, packing: str) -> Iterator[IO[bytes]]:
    """What is written is compressed into `path`, the same bytes for the same input."""
    with path.open("wb") as file:
        if packing == GZIP:
            with gzip.GzipFile("", "wb", 1, file, mtime=0) as sink:
                yield cast(IO[bytes], sink)
            return
        # Without a checksum, which costs a third of it: the engine compares the layers with their digests.
        packer = subprocess.Popen(("zstd", "-q", "-1", "--no-check", "-c"), stdin=subprocess.PIPE, stdout=file, pipesize=BLOCK)
        try:
            with cast(IO[bytes], packer.stdin) as sink:
                yield sink
        finally:
            code = packer.wait()
        if code:
            raise SetupError(f"zstd failed with code {code}", "is the disk full?")


class _Tee:
    """Hands on all that is read."""

    def __init__(self, stream: IO[bytes], sink: IO[bytes]) -> None:
        self._stream = stream
        self._sink = sink

    def read(self, size: int) -> bytes:
        data = self._stream.read(size)
        self._sink.write(data)
        return data


def _copy(stream: IO[bytes], sink: IO[bytes]) -> bytes:
    """Copies a tar archive to its end; returns its manifest, b"" when there is none."""
    tee, manifest = _Tee(stream, sink), b""
    try:
        with tarfile.open(fileobj=cast(IO[bytes], tee), mode="r|", bufsize=BLOCK) as archive:
            for member in archive:
                if member.name == MANIFEST and (found := archive.extractfile(member)):
                    manifest = found.read()
    except tarfile.TarError:
        pass
    while tee.read(BLOCK):
        pass
    return manifest
