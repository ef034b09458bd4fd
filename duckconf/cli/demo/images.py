"""The images of the demo: base (pulled, or bootstrapped where no registry answers), bare host, node, web, nginx.

Each is labelled with a hash of its sources, and of those of the image below it, and made again only when they change.
"""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from duckconf.cli.demo.local_engine import LocalEngine
from duckconf.cli.terminal.say import step
from duckconf.command import Command
from duckconf.engine import DOCKER
from duckconf.engine_output import last_line
from duckconf.errors import SetupError
from duckconf.naming import (
    BARE_IMAGE,
    BASE_IMAGE,
    DOCKER_NODE_IMAGE,
    LABEL_FOLDER,
    LABEL_SOURCE,
    NGINX_IMAGE,
    NODE_IMAGE,
    WEB_IMAGE,
)
from duckconf.reach.nodes.local import LocalRunner

PUBLIC_BASE = "docker.io/library/debian:{suite}-slim"
SUITE = "bookworm"
# The Debian after it, on which a machine may be too: the tests make bare hosts of both.
NEXT_SUITE = "trixie"
# What the registry's image is set to as well: an image that is being built need not survive a crash, nor are manuals read in it.
AS_IN_THE_REGISTRY = (
    "--dpkgopt=force-unsafe-io",
    "--dpkgopt=path-exclude=/usr/share/doc/*",
    "--dpkgopt=path-include=/usr/share/doc/*/copyright",
    "--dpkgopt=path-exclude=/usr/share/man/*",
    "--dpkgopt=path-exclude=/usr/share/locale/*",
    "--dpkgopt=path-include=/usr/share/locale/locale.alias",
    '--aptopt=Acquire::Languages "none"',
)
BUILD_DEADLINE = 900.0
# Those that stand on others come first, so that they are removed first.
ALL = (DOCKER_NODE_IMAGE, NODE_IMAGE, BARE_IMAGE, WEB_IMAGE, NGINX_IMAGE, BASE_IMAGE)


@dataclass(frozen=True)
class _Recipe:
    """An image that is built of `files` on the image `base`."""

    name: str
    what: str
    files: Sequence[Path]
    base: str = BASE_IMAGE


def ensure_images(engine: LocalEngine, root: Path, engines: Collection[str] = ()) -> None:
    """Everything that `up` needs is there and current, for nodes with these engines too."""
    if not engine.has_image(BASE_IMAGE):
        _make_base(engine, SUITE, BASE_IMAGE)
    # Hosts of this folder that run are proof enough, and the check costs half a second.
    if not engine.listing("ps", f"--filter=label={LABEL_FOLDER}={root}"):
        engine.check(BASE_IMAGE)
    built = _built(engine)
    digests: dict[str, str] = {}
    replaced = False
    for recipe in _recipes(root, docker=DOCKER in engines):
        source = digests[recipe.name] = _digest(recipe.files, digests.get(recipe.base, ""))
        if built.get(recipe.name) != source:
            _build(engine, recipe, source)
            replaced = replaced or recipe.name in built
    if replaced:
        # Those that have lost their names to newer ones, where nothing runs of them.
        engine.run("image", "prune", "-f", f"--filter=label={LABEL_SOURCE}")


def ensure_bare_host(engine: LocalEngine, root: Path, suite: str) -> str:
    """The image of a bare host with another Debian is there and current; returns its name."""
    base, recipe = f"{BASE_IMAGE}-{suite}", replace(_bare(root), name=f"{BARE_IMAGE}-{suite}", base=f"{BASE_IMAGE}-{suite}")
    if not engine.has_image(base):
        _make_base(engine, suite, base)
    source = _digest(recipe.files, suite)
    if _built(engine).get(recipe.name) != source:
        _build(engine, recipe, source)
    return recipe.name


def _bare(root: Path) -> _Recipe:
    return _Recipe(BARE_IMAGE, "the bare demo host's image", _files(root / "node-image" / "bare"))


def _recipes(root: Path, *, docker: bool) -> list[_Recipe]:
    """Each after the one that it stands on."""
    source = root / "node-image"
    files = root / "roles" / "node" / "files"
    wrapper = files / "docker-wrapper"
    recipes = [
        _bare(root),
        _Recipe(NODE_IMAGE, "the demo node's image", [*_files(source), files / "bridges.conf", wrapper], BARE_IMAGE),
        _Recipe(WEB_IMAGE, "the sample app's image", _files(source / "web")),
        # So that `start-app nginx` works on a machine that cannot pull one.
        _Recipe(NGINX_IMAGE, "an nginx image", _files(source / "nginx")),
    ]
    if docker:
        recipes.append(
            _Recipe(DOCKER_NODE_IMAGE, "the image of a demo node with docker", [*_files(source / "docker"), wrapper], BARE_IMAGE)
        )
    return recipes


def _files(folder: Path) -> list[Path]:
    return sorted(file for file in folder.iterdir() if file.is_file())


def _built(engine: LocalEngine) -> dict[str, str]:
    """The images that this made, and the sources that each was made of."""
    rows = engine.listing("images", f"--filter=label={LABEL_SOURCE}")
    return {name.removesuffix(":latest"): row["Labels"][LABEL_SOURCE] for row in rows for name in row.get("Names") or ()}


def _make_base(engine: LocalEngine, suite: str, name: str) -> None:
    public = PUBLIC_BASE.format(suite=suite)
    with step(f"looking for a Debian image ({suite}) in a registry"):
        if engine.run("pull", "-q", public, deadline=120).ok:
            engine.must("tag", public, name)
            return
    with (
        step("no registry answers: bootstrapping Debian from this machine's package mirror"),
        tempfile.TemporaryDirectory() as folder,
    ):
        tarball = f"{folder}/base.tar"
        sources = _apt_sources(suite, Path(folder))
        argv = ("mmdebstrap", "--variant=minbase", *AS_IN_THE_REGISTRY, suite, tarball, *sources)
        done = LocalRunner().run(Command(argv, deadline=BUILD_DEADLINE))
        if not done.ok:
            raise SetupError(f"mmdebstrap failed: {last_line(done)}", "is a Debian package mirror reachable?")
        engine.must("import", "-q", tarball, name, deadline=BUILD_DEADLINE)


def _apt_sources(suite: str, folder: Path) -> list[str]:
    """This machine's own sources, so that mirrors and proxies it is set up with are used; for `suite`, as copies in `folder`.

    On a machine with another system there are none, and mmdebstrap takes Debian's.
    """
    own = Path("/etc/apt/sources.list.d")
    copies = []
    for path in (Path("/etc/apt/sources.list"), *sorted(own.glob("*.sources")), *sorted(own.glob("*.list"))):
        text = path.read_text() if path.is_file() else ""
        if used := re.search(rf"\b({SUITE}|{NEXT_SUITE})\b", text):
            copies.append(folder / path.name)
            copies[-1].write_text(text.replace(used[0], suite))
    return [str(copy) for copy in copies]


def _digest(files: Sequence[Path], below: str) -> str:
    digest = hashlib.sha256(below.encode())
    for file in files:
        digest.update(f"{file.name}\0".encode() + file.read_bytes())
    return digest.hexdigest()[:16]


def _build(engine: LocalEngine, recipe: _Recipe, source: str) -> None:
    with step(f"building {recipe.what} ({recipe.name})"), tempfile.TemporaryDirectory() as context:
        for file in recipe.files:
            (Path(context) / file.name).write_bytes(file.read_bytes())
        # Without layers, what a build goes through does not stay behind as images that have no name.
        options = ("--network=host", "--layers=false", f"--build-arg=BASE={recipe.base}", f"--label={LABEL_SOURCE}={source}")
        engine.must("build", "-q", *options, "-t", recipe.name, context, deadline=BUILD_DEADLINE)
