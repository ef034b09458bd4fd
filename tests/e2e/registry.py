"""A registry for the tests: the docker-registry of apt, on an address of the cluster's own network, and images to move a tag."""

from __future__ import annotations

import shutil
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from duckconf.cli.demo.local_engine import LocalEngine, install
from duckconf.naming import WEB_IMAGE
from tests.waiting import until

PROGRAM = "docker-registry"
CONFIG = """\
version: 0.1
log: {{level: warn}}
storage:
  filesystem: {{rootdirectory: {folder}/images}}
http: {{addr: "{address}"}}
"""
# Inside a node, where docker needs no TLS for it, and everybody needs a password.
PRIVATE = """\
version: 0.1
log: {level: warn}
storage:
  filesystem: {rootdirectory: /srv/registry/images}
http: {addr: "127.0.0.1:5000"}
auth:
  htpasswd: {realm: private, path: /srv/registry/users}
"""
# What a node's podman needs for one that speaks plain HTTP.
INSECURE = '[[registry]]\nlocation = "{}"\ninsecure = true\n'


def registry_program() -> str:
    if shutil.which(PROGRAM) is None:
        install((PROGRAM,), "a registry is needed")
    return shutil.which(PROGRAM) or ""


@contextmanager
def served(address: str, folder: Path) -> Iterator[None]:
    """A registry that anybody may use, at HOST:PORT."""
    config = folder / "registry.yml"
    config.write_text(CONFIG.format(folder=folder, address=address))
    process = subprocess.Popen([registry_program(), "serve", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def answers() -> bool:
        assert process.poll() is None, "the registry has ended"
        try:
            with urllib.request.urlopen(f"http://{address}/v2/", timeout=5):
                return True
        except (urllib.error.URLError, ConnectionError):
            return False

    try:
        until("the registry answers", answers)
        yield
    finally:
        process.terminate()
        process.wait(10)


def publish(engine: LocalEngine, tag: str, version: str, folder: Path) -> str:
    """Another image for each version under this tag in its registry, and nowhere else; its id."""
    file = folder / "Containerfile"
    file.write_text(f"FROM {WEB_IMAGE}\nLABEL version={version}\n")
    engine.must("build", "-q", "-t", tag, "-f", str(file), str(folder))
    engine.must("push", "--tls-verify=false", tag)
    image = engine.must("image", "inspect", "--format={{.Id}}", tag).strip()
    engine.must("rmi", tag)
    return image
