"""What a compose file names of the machine where it lies: other files, below its own folder and nowhere else."""

from __future__ import annotations

from pathlib import Path

from duckconf.compose_file.loading import Reader
from duckconf.compose_file.tree import Node
from duckconf.errors import BadInput, Fault
from duckconf.reach.stacks.yaml_tree import read_text, read_tree


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

    return Reader(tree, text, root)


def _require_below(path: str, root: str) -> None:
    if not Path(path).resolve().is_relative_to(Path(root).resolve()):
        raise BadInput(Fault(path, f"is a link to a place outside of the folder {root}"))
