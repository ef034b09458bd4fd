"""A `docker` that is a file: an engine for tests that need none. Run as a program; `FakeEngine` is how a test sees it.

The environment says where the engine's folder is and which node asks. As the docker-wrapper, it labels and lists by
node, and replaces a container of the same name of the same node only.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

FOLDER, NODE = "FAKE_ENGINE", "FAKE_NODE"
Boxes = dict[str, dict[str, Any]]


class FakeEngine:
    """The engine in a folder. `broken` makes every command fail, `slow` has the seconds that a start takes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.broken = folder / "broken"
        self.slow = folder / "slow"
        self._ends = folder / "ends"
        self._ends.touch()
        (folder / "calls").touch()

    def look(self) -> Boxes:
        """All containers by name."""
        with contextlib.suppress(FileNotFoundError):
            found: Boxes = json.loads((self.folder / "boxes").read_text())
            return found
        return {}

    @contextlib.contextmanager
    def change(self) -> Iterator[Boxes]:
        """All containers by name, for one at a time; what is made of them holds afterwards."""
        with (self.folder / "lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            found = self.look()
            yield found
            (self.folder / "boxes.new").write_text(json.dumps(found))
            (self.folder / "boxes.new").replace(self.folder / "boxes")

    def seen(self) -> dict[str, str]:
        """Container to state."""
        return {name: box["State"] for name, box in self.look().items()}

    def ids(self) -> dict[str, str]:
        return {name: box["Id"] for name, box in self.look().items()}

    def labels(self, name: str) -> dict[str, str]:
        return dict(self.look()[name]["Labels"])

    def put(self, name: str, labels: dict[str, str], image: str = "web", state: str = "running") -> None:
        with self.change() as boxes:
            stamp = time.time()
            boxes[name] = {
                "Id": f"{stamp}",
                "Names": [name],
                "Image": image,
                "Labels": labels,
                "State": state,
                "StartedAt": int(stamp),
            }

    def end(self, name: str) -> None:
        """The container's process ends, and the engine tells of it."""
        with self.change() as boxes:
            boxes[name]["State"] = "exited"
        self.tell(name)

    def tell(self, name: str) -> None:
        with self._ends.open("a") as stream:
            stream.write(f"{name} ended\n")

    def calls(self, verb: str = "") -> list[str]:
        lines = (self.folder / "calls").read_text().splitlines()
        return [line for line in lines if line.startswith(verb)]

    def note(self, argv: list[str]) -> None:
        with (self.folder / "calls").open("a") as stream:
            stream.write(" ".join(argv) + "\n")

    def follow(self) -> None:
        with self._ends.open() as stream:
            stream.seek(0, os.SEEK_END)
            while True:
                sys.stdout.write(stream.read())
                sys.stdout.flush()
                time.sleep(0.02)


def run(engine: FakeEngine, node: str, argv: list[str]) -> int:
    name = argv[argv.index("--name") + 1]
    options = [word for word in argv if word.startswith("--label=")]
    image = next(word for word in argv[argv.index("--name") + 2 :] if not word.startswith("--"))
    if engine.slow.exists():
        time.sleep(float(engine.slow.read_text()))
    if image.startswith("large"):
        return fail("Error: writing blob: no space left on device")
    if image.startswith("refused"):
        return fail(f"Error: {image}: image not known")
    there = engine.look().get(name)
    if there is not None and there["Labels"].get("node") != node:
        return fail(f'Error: the container name "{name}" is already in use by {there["Id"]}')
    made = "running" if argv[0] == "run" else "created"
    engine.put(name, {**dict(word[8:].split("=", 1) for word in options), "node": node}, image, made)
    if "--env-file=/dev/stdin" in argv:
        (engine.folder / f"{name}.env").write_text(Path("/dev/stdin").read_text())
    return 0


def act(engine: FakeEngine, node: str, argv: list[str]) -> int:
    verb, name = argv[0], argv[-1]
    if verb == "ps":
        cluster = next(word.rpartition("=")[2] for word in argv if "duckconf.cluster=" in word)
        mine = {"node": node, "duckconf.cluster": cluster}.items()
        print(json.dumps([box for box in engine.look().values() if mine <= box["Labels"].items()]))
        return 0
    if verb == "cp":
        (engine.folder / f"{name.partition(':')[0]}.tar").write_bytes(sys.stdin.buffer.read())
        return 0
    if name not in engine.look():
        return fail(f"Error: no such container {name}")
    if verb == "inspect":
        print(json.dumps(engine.labels(name)))
        return 0
    if verb == "logs":
        print(f"2026-01-01T00:00:00Z {name} says hello")
        return 0
    with engine.change() as boxes:
        if verb == "rm":
            del boxes[name]
        else:
            boxes[name]["State"] = {"start": "running", "stop": "exited", "kill": "exited"}[verb]
    if verb in ("stop", "kill", "rm"):
        engine.tell(name)
    return 0


def fail(words: str) -> int:
    print(words, file=sys.stderr)
    return 125


def main(argv: list[str]) -> int:
    engine, node = FakeEngine(Path(os.environ[FOLDER])), os.environ[NODE]
    engine.note(argv)
    if engine.broken.exists():
        return fail("Cannot connect to podman")
    if argv[0] == "events":
        engine.follow()
    return run(engine, node, argv) if argv[0] in ("run", "create") else act(engine, node, argv)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
