"""What is put on hosts, each as one file that a bare python3 runs: the agent, and the control plane's services.

The content is what they import, found in the sources and in this project's `.venv`. Equal sources give equal bytes.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import os
import re
import zipfile
from collections.abc import Iterable
from pathlib import Path, PurePath

import grimp
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from duckconf.cli.roles.bytecode import compiled
from duckconf.errors import SetupError

FOLDER = Path(".duckconf", "build")
OURS = ("duckconf", "controllers", "api")
AGENT = ("controllers.app_controller",)
CONTROL_PLANE = ("api.agents", "api.move", "controllers.scheduler", "controllers.node_controller")
MAIN = b"import sys\n\nfrom controllers.app_controller import main\n\nsys.exit(main(sys.argv[1:]))\n"
# The first moment that a zip file can name.
DATE = (1980, 1, 1, 0, 0, 0)
MODE = 0o100644 << 16
# The folder of files that a package serves.
STATIC = "static"
UNIX = 3
LICENSES = re.compile(r"\.dist-info/(METADATA|(licenses/.*|LICEN[CS]E|NOTICE|COPYING)[^/]*)$", re.IGNORECASE)

Files = dict[str, bytes]


def build_agent(root: Path) -> Path:
    """The agent's file, built again when its content has changed: `python3 -I agent.pyz --config FILE`."""
    return _write(root / FOLDER / "agent.pyz", {**_closure(root, AGENT), "__main__.py": MAIN})


def build_control_plane(root: Path) -> Path:
    """The control plane's file, to be used as `PYTHONPATH=control-plane.pyz python3 -m api.agents --config FILE`."""
    return _write(root / FOLDER / "control-plane.pyz", _closure(root, CONTROL_PLANE))


def _closure(root: Path, modules: Iterable[str]) -> Files:
    """Every file that these modules import, of ours and of others."""
    graph = grimp.build_graph(*OURS, include_external_packages=True, exclude_type_checking_imports=True, cache_dir=None)
    found = {*modules}.union(*(graph.find_upstream_modules(module) for module in modules))
    files: Files = {}
    for module in sorted(found):
        if module.split(".")[0] in OURS:
            files.update(_own(root, module))
    owners = importlib.metadata.packages_distributions()
    names = {name for module in found for name in owners.get(module.split(".")[0], ())}
    for distribution in _with_needs(names):
        files.update(_pure(distribution))
    return files


def _own(root: Path, module: str) -> Files:
    """The module's file, the empty ones of the packages around it, and what its package serves as it is."""
    parts = module.split(".")
    paths = [PurePath(*parts[:depth], "__init__.py") for depth in range(1, len(parts))]
    package = PurePath(*parts, "__init__.py")
    paths.append(package if (root / package).is_file() else PurePath(*parts).with_suffix(".py"))
    static = root.joinpath(*parts[:-1], STATIC)
    paths += [path.relative_to(root) for path in static.iterdir()] if static.is_dir() else []
    return {path.as_posix(): (root / path).read_bytes() for path in paths if (root / path).is_file()}


def _with_needs(names: Iterable[str]) -> list[importlib.metadata.Distribution]:
    """These distributions and all that they need here, by name."""
    found: dict[str, importlib.metadata.Distribution] = {}
    queue = [canonicalize_name(name) for name in names]
    while queue:
        name = queue.pop()
        if name not in found:
            try:
                found[name] = importlib.metadata.distribution(name)
            except importlib.metadata.PackageNotFoundError as error:
                raise SetupError(f"{name} is missing in .venv", "remove .venv; the next ./inv makes it again") from error
            needs = [Requirement(line) for line in found[name].requires or ()]
            queue += [
                canonicalize_name(need.name) for need in needs if need.marker is None or need.marker.evaluate({"extra": ""})
            ]
    return [found[name] for name in sorted(found)]


def _pure(distribution: importlib.metadata.Distribution) -> Files:
    """Its Python files and its licence. What is compiled stays out: those who have such parts can do without."""
    wanted = [file for file in distribution.files or () if file.suffix == ".py" or LICENSES.search(file.as_posix())]
    inside = [file for file in wanted if ".." not in file.parts]
    return {file.as_posix(): Path(str(distribution.locate_file(file))).read_bytes() for file in inside}


def _write(path: Path, files: Files) -> Path:
    """Compiled by this Python too, whose version most hosts have: others compile the sources when they start."""
    mark = _mark(files)
    if path.is_file() and zipfile.is_zipfile(path) and zipfile.ZipFile(path).comment == mark:
        return path
    files = files | compiled({name: content for name, content in files.items() if name.endswith(".py")})
    path.parent.mkdir(parents=True, exist_ok=True)
    # A name of its own: two tasks of one checkout may build at once.
    temporary = path.with_suffix(f".{os.getpid()}.new")
    with zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.comment = mark
        # A package without an __init__.py is found by the entry of its folder.
        folders = {f"{folder}/" for name in files for folder in PurePath(name).parents if folder.name}
        for name in sorted({*folders, *files}):
            entry = zipfile.ZipInfo(name, DATE)
            entry.compress_type, entry.external_attr, entry.create_system = zipfile.ZIP_DEFLATED, MODE, UNIX
            archive.writestr(entry, files.get(name, b""))
    temporary.replace(path)
    return path


def _mark(files: Files) -> bytes:
    """The same for the same sources and version of Python."""
    digest = hashlib.sha256(importlib.util.MAGIC_NUMBER)
    for name, content in sorted(files.items()):
        digest.update(f"{name}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest().encode()
