"""A stub engine that records its calls, and the wrapper over it.

The stub knows one container. Its name is taken until `rm` is called, in the words of podman or of docker.
"""

from __future__ import annotations

import os
import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

WRAPPER = Path(__file__).parents[3] / "roles" / "node" / "files" / "docker-wrapper"
NODE = "node-1"
ODD_VALUES = ("a  b", " 'single' ", '"double"', "two\nlines\n", "$(id) `id` $HOME", "\\ \\n", "*", "", "ü")
PODMAN_SAYS = 'Error: creating storage: the container name "%s" is already in use by 0f10ad: it is in use'
DOCKER_SAYS = 'docker: Error from daemon: Conflict. The container name "/%s" is already in use by "0f10ad".'
# Files in STUB tell it what to do: `out`, `err` and `code` are what a start prints and returns, `facts` what
# inspect says of the container that is there, `taken` what a start says while the name is taken.
STUB = r"""#!/bin/sh
number=0
while [ -e "$STUB/call.$number" ]; do number=$((number + 1)); done
if [ $# -gt 0 ]; then printf '%s\0' "$@"; fi >"$STUB/call.$number"
echo $$ >"$STUB/pid"
starts=no
for argument in "$@"; do [ "$argument" != --label ] || starts=yes; done
[ "$starts" = yes ] || for argument in "$@"; do
  case $argument in inspect | stop | rm) [ ! -e "$STUB/reads" ] || cat >/dev/null ;; esac
  case $argument in
    inspect)
      [ ! -e "$STUB/facts" ] || exec cat "$STUB/facts"
      echo 'no such container' >&2
      exit 125
      ;;
    stop) echo stopped; echo 'took long' >&2; exit ;;
    rm)
      if [ -e "$STUB/stuck" ]; then cat "$STUB/stuck" >&2; exit 1; fi
      exec rm -f "$STUB/taken" "$STUB/facts" "$STUB/code"
      ;;
  esac
done
read -r code 2>/dev/null <"$STUB/code" || code=0
if [ -e "$STUB/taken" ]; then cat "$STUB/taken" >&2; exit "$code"; fi
if [ -e "$STUB/stays" ]; then sleep 60 >/dev/null & echo $! >"$STUB/stays"; fi
if [ -e "$STUB/reads" ]; then cat; fi
if [ -e "$STUB/lists" ]; then ls "/proc/$$/fd"; fi
if [ -e "$STUB/out" ]; then cat "$STUB/out"; fi
if [ -e "$STUB/err" ]; then cat "$STUB/err" >&2; fi
exit "$code"
"""


@dataclass(frozen=True)
class Stub:
    """A stub engine in its own folder, and a wrapper that is told to use it."""

    folder: Path

    @property
    def engine(self) -> Path:
        return self.folder / "engine"

    @property
    def env(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "TMPDIR": str(self.folder / "tmp"),
            "STUB": str(self.folder),
            "DUCKCONF_ENGINE": str(self.engine),
            "DUCKCONF_NODE_FILE": str(self.folder / "node"),
            "DUCKCONF_ENGINE_FILE": str(self.folder / "engine-path"),
        }

    def tell(self, **files: str | bytes) -> None:
        for name, content in files.items():
            (self.folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())

    def holds(self, name: str, *, says: str = PODMAN_SAYS, code: int = 125, facts: str = "") -> None:
        """There is a container of this name: ours and running, unless `facts` says otherwise."""
        self.tell(taken=says % name + "\n", code=f"{code}\n", facts=facts or f"0f10ad true -f {name} {NODE}\n")

    def wrap(self, *argv: str, stdin: bytes = b"", **env: str) -> subprocess.CompletedProcess[bytes]:
        command, environment = [str(WRAPPER), *argv], {**self.env, **env}
        return subprocess.run(command, input=stdin, env=environment, capture_output=True, timeout=20, check=False)

    @property
    def calls(self) -> list[tuple[str, ...]]:
        """Every argv the engine got, in order."""
        files = sorted(self.folder.glob("call.*"), key=lambda path: int(path.suffix[1:]))
        return [tuple(part.decode() for part in path.read_bytes().split(b"\0")[:-1]) for path in files]

    @property
    def verbs(self) -> list[str]:
        verbs = {"run", "create", "inspect", "stop", "rm"}
        return [next(word for word in call if word in verbs) for call in self.calls]


def split_table(text: str) -> list[str]:
    """The cells of a text whose lines hold cells between bars."""
    return [cell.strip() for line in text.strip().splitlines() for cell in line.split("|")]


class Line(Protocol):
    @property
    def argv(self) -> tuple[str, ...]: ...


def line_of(case: Line) -> str:
    return shlex.join(case.argv).replace("\n", "\\n")


DETACHED = ("run", "-d", "--name", "x", "web")
FOREGROUND = ("run", "--name", "x", "web")
CREATE = ("create", "--name", "x", "web")
