"""What a compose file names of the machine where it lies: other files, below its own folder and nowhere else."""

from __future__ import annotations

import stat
from pathlib import Path

from duckconf.compose_file.loading import Reader
from duckconf.compose_file.tree import Node
from duckconf.errors import BadInput, Fault
from duckconf.reach.stacks.yaml_tree import read_text, read_tree
from duckconf.secrets import LARGEST

MOST_FILES = 64
BY_HAND = "copy it to the nodes, for instance with Ansible, and name its whole path there"


def reader_for(root: str) -> Reader:
    """Raises BadInput for what lies elsewhere, also by a link."""

    def tree(path: str, folder: str) -> Node:
        _require_below(path, root)
        return read_tree(path, folder)

    def text(path: str) -> str | None:
        if not Path(path).exists():
            return None
        _require_below(path, root)
        return read_text(path)

    def files(path: str) -> list[tuple[str, bytes, int]] | None:
        if not Path(path).exists():
            return None
        _require_below(path, root)
        return _files(Path(path))

    return Reader(tree, text, files, root)


def _files(path: Path) -> list[tuple[str, bytes, int]] | None:
    """Raises BadInput for what is too much to bring to a node. A folder without files is none."""
    found: list[tuple[str, bytes, int]] = []
    try:
        for file in [path] if path.is_file() else sorted(path.rglob("*")):
            if file.is_dir():
                continue
            content = _content(file)
            found.append(
                ("" if file == path else str(file.relative_to(path)), content, stat.S_IMODE(file.stat().st_mode) & 0o777)
            )
            if len(found) > MOST_FILES:
                raise BadInput(Fault(str(path), f"has more than {MOST_FILES} files; {BY_HAND}"))
    except OSError as error:
        raise BadInput(Fault(str(error.filename or path), f"cannot be read: {error.strerror}")) from None
    return found or None


def _content(file: Path) -> bytes:
    if not file.is_file() or file.is_symlink():
        raise BadInput(Fault(str(file), f"is no plain file; {BY_HAND}"))
    with file.open("rb") as opened:
        content = opened.read(LARGEST + 1)
    if not content:
        raise BadInput(Fault(str(file), f"is empty; {BY_HAND}"))
    if len(content) > LARGEST:
        raise BadInput(Fault(str(file), f"has more than {LARGEST // 1024} KiB; {BY_HAND}"))
    return content


def _require_below(path: str, root: str) -> None:
    if not Path(path).resolve().is_relative_to(Path(root).resolve()):
        raise BadInput(Fault(path, f"is a link to a place outside of the folder {root}"))
