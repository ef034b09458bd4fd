"""The images of the demo: base (pulled, or bootstrapped where no registry answers), node, web, nginx.

Each is labelled with a hash of its sources and made again only when they change.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterable
from pathlib import Path

from duckconf.cli.local_engine import LocalEngine
from duckconf.cli.say import step
from duckconf.command import Command
from duckconf.engine_output import last_line
from duckconf.errors import SetupError
from duckconf.naming import BASE_IMAGE, LABEL_FOLDER, LABEL_SOURCE, NGINX_IMAGE, NODE_IMAGE, WEB_IMAGE
from duckconf.reach.local import LocalRunner

PUBLIC_BASE = "docker.io/library/debian:bookworm-slim"
SUITE = "bookworm"
BUILD_DEADLINE = 900.0
ALL = (NODE_IMAGE, WEB_IMAGE, NGINX_IMAGE, BASE_IMAGE)


def ensure_images(engine: LocalEngine, root: Path) -> None:
    """Everything that `up` needs is there and current."""
    source = root / "node-image"
    wrapper = root / "roles" / "node" / "files" / "docker-wrapper"
    if not engine.has_image(BASE_IMAGE):
        _make_base(engine)
    # Hosts of this folder that run are proof enough, and the check costs half a second.
    if not engine.listing("ps", f"--filter=label={LABEL_FOLDER}={root}"):
        engine.check(BASE_IMAGE)
    node_files = [*sorted(file for file in source.iterdir() if file.is_file()), wrapper]
    _build(engine, NODE_IMAGE, node_files, "the demo host's image")
    _build(engine, WEB_IMAGE, sorted((source / "web").iterdir()), "the sample app's image")
    # So that `start-app nginx` works on a machine that cannot pull one.
    _build(engine, NGINX_IMAGE, sorted((source / "nginx").iterdir()), "an nginx image")


def _make_base(engine: LocalEngine) -> None:
    with step("looking for a Debian image in a registry"):
        if engine.run("pull", "-q", PUBLIC_BASE, deadline=120).ok:
            engine.must("tag", PUBLIC_BASE, BASE_IMAGE)
            return
    with (
        step("no registry answers: bootstrapping Debian from this machine's package mirror"),
        tempfile.TemporaryDirectory() as folder,
    ):
        tarball = f"{folder}/base.tar"
        # The machine's own sources, so that mirrors and proxies it is set up with are used.
        sources = _apt_sources()
        done = LocalRunner().run(Command(("mmdebstrap", "--variant=minbase", SUITE, tarball, *sources), deadline=BUILD_DEADLINE))
        if not done.ok:
            raise SetupError(f"mmdebstrap failed: {last_line(done)}", "is a Debian package mirror reachable?")
        engine.must("import", "-q", tarball, BASE_IMAGE, deadline=BUILD_DEADLINE)


def _apt_sources() -> list[str]:
    folder = Path("/etc/apt/sources.list.d")
    found = [Path("/etc/apt/sources.list"), *sorted(folder.glob("*.sources")), *sorted(folder.glob("*.list"))]
    return [str(path) for path in found if path.is_file() and SUITE in path.read_text()]


def _build(engine: LocalEngine, name: str, files: Iterable[Path], what: str) -> None:
    files = list(files)
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{file.name}\0".encode() + file.read_bytes())
    source = digest.hexdigest()[:16]
    current = engine.run("image", "inspect", "--format", f'{{{{index .Config.Labels "{LABEL_SOURCE}"}}}}', name)
    if current.ok and current.stdout.strip() == source:
        return
    with step(f"building {what} ({name})"), tempfile.TemporaryDirectory() as context:
        for file in files:
            (Path(context) / file.name).write_bytes(file.read_bytes())
        argv = (
            "build",
            "-q",
            "--network=host",
            f"--build-arg=BASE={BASE_IMAGE}",
            f"--label={LABEL_SOURCE}={source}",
            "-t",
            name,
            context,
        )
        engine.must(*argv, deadline=BUILD_DEADLINE)
