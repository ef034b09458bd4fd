"""`./inv export`: apps as a file for another program. What a field loses there is said on stderr."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from duckconf.cli.apps.declare import fields_of, past_of
from duckconf.cli.cluster.api import api_client
from duckconf.cli.cluster.modes import RECONCILE, mode_of
from duckconf.cli.look.front import FORMS as FRONTS
from duckconf.cli.look.front import export as export_front
from duckconf.cli.stacks.apply import require_state
from duckconf.cli.terminal.edge import typed_path
from duckconf.errors import BadInput, Conflict, Fault, NotFound
from duckconf.exports.compose import Compose
from duckconf.exports.granting import FOLDER
from duckconf.exports.kube import manifests
from duckconf.exports.quadlet import units
from duckconf.exports.serving import Served, serving
from duckconf.model import App, parse_app
from duckconf.reach.inventory.project import Project
from duckconf.reach.stacks.yaml_text import yaml_text
from duckconf.reach.state.secrets import FILE_NAME, SecretFile
from duckconf.stacks import of_stack
from duckconf.suggest import meant

HEAD = "# What runs in the Duckconf cluster {}: ./inv export {} writes it anew.\n"
COMPOSE_FILE = "compose.yaml"
KUBE_FILE = "kube.yaml"


class Chosen(NamedTuple):
    """`stack` is "" where the apps are not those of one stack. `serving` are those whose update failed, as they serve."""

    apps: Mapping[str, App]
    stack: str
    serving: Mapping[str, Served]

    @property
    def as_they_serve(self) -> Mapping[str, App]:
        return {**self.apps, **{name: served.app for name, served in self.serving.items()}}


def export(project: Project, form: str, app: str, stack: str, folder: str) -> None:
    """Raises BadInput for a form that there is not, and for what it cannot be asked."""
    if form in FRONTS:
        if app or stack or folder:
            raise BadInput(Fault(form, "is of all routes, and is printed; omit --app, --stack and --folder"))
        export_front(project, form)
    elif form in FORMS:
        FORMS[form](project, app, stack, folder)
    else:
        raise BadInput(Fault("form", f"should be {', '.join((*FORMS, *FRONTS))}, got {form}"))


def export_compose(project: Project, app: str, stack: str, folder: str) -> None:
    """Raises NotFound where nothing is exported, Conflict where a file of somebody else's would be overwritten."""
    chosen = choose(project, app, stack)
    values = _values(project) if folder else {}
    written = Compose(chosen.apps, chosen.stack, values)
    head = HEAD.format(project.cluster, "compose")
    notes = [f"{name}: {served.why}; this is what is declared" for name, served in chosen.serving.items()]
    text = head + "".join(f"# {' '.join(note.split())}\n" for note in notes) + yaml_text(written.model())
    say(notes)
    say(written.lost)
    if not chosen.stack and len(chosen.apps) > 1:
        print("they are not of one stack here; applied again, they become one: --stack exports one", file=sys.stderr)
    if not folder:
        print(text, end="")
        return
    below = Path(typed_path(folder))
    write_ours(below / COMPOSE_FILE, text)
    _write_secrets(below, {path: values[name] for name, path in written.files.items()})
    print(f"written to {folder}: {COMPOSE_FILE}" + (f" and {len(written.files)} files in {FOLDER}" if written.files else ""))


def export_kube(project: Project, app: str, stack: str, folder: str) -> None:
    """For Kubernetes, and for `podman kube play`."""
    made, lost = manifests(_as_they_serve(project, app, stack))
    text = HEAD.format(project.cluster, "kube") + yaml_text(*made)
    say(lost)
    _give({KUBE_FILE: text}, folder)


def export_quadlet(project: Project, app: str, stack: str, folder: str) -> None:
    """For /etc/containers/systemd of a machine with podman 5."""
    made = units(_as_they_serve(project, app, stack))
    head = HEAD.format(project.cluster, "quadlet")
    say(made.lost)
    _give({name: head + text for name, text in made.files.items()}, folder)


def _as_they_serve(project: Project, app: str, stack: str) -> Mapping[str, App]:
    """For a program that starts what it is given: nothing that has failed here. A compose file is what is declared, because
    `./inv apply` reads it again."""
    chosen = choose(project, app, stack)
    say(f"{name}: {served.why}; this is what serves" for name, served in chosen.serving.items())
    return chosen.as_they_serve


def _give(files: Mapping[str, str], folder: str) -> None:
    """Several that are printed are told apart by a line with the name of each."""
    if folder:
        for name, text in files.items():
            write_ours(Path(typed_path(folder)) / name, text)
        print(f"written to {folder}: {', '.join(files)}")
        return
    several = len(files) > 1
    print("\n".join((f"# {name}\n" if several else "") + text for name, text in files.items()), end="")


def choose(project: Project, app: str, stack: str) -> Chosen:
    """The apps that were asked for. Raises NotFound."""
    require_state(project)
    api = api_client(project)
    listed = api.call("GET", "/apps")["apps"]
    apps = {entry["name"]: parse_app(fields_of(entry)) for entry in sorted(listed, key=lambda entry: str(entry["name"]))}
    stacks, all_apps = {one.stack for one in apps.values()}, apps
    if stack:
        apps = of_stack(apps, stack)
    if app:
        apps = {name: one for name, one in apps.items() if name == app}
    if not apps:
        no_stack = f"there is no stack {stack}{meant(stack, stacks)}"
        what = f"there is no app {app}{meant(app, all_apps)}" if app else no_stack if stack else "no app is declared"
        raise NotFound(what, "see ./inv apps" if app else "see ./inv stacks" if stack else "./inv start-app IMAGE")
    stacks = {one.stack for one in apps.values()}
    found = {name: serving(one, past_of(api, name)) for name, one in apps.items()}
    return Chosen(
        apps, stacks.pop() if len(stacks) == 1 else "", {name: served for name, served in found.items() if served is not None}
    )


def say(lost: Iterable[object]) -> None:
    for one in lost:
        print(one, file=sys.stderr)


def write_ours(path: Path, text: str) -> None:
    """Raises Conflict for a file that is there and not from an export."""
    first = path.read_text("utf-8", "replace")[:200] if path.exists() else HEAD
    if not first.startswith(HEAD[: HEAD.index("{")]):
        raise Conflict(f"{path} is there and was not written by export", "name another folder")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def _values(project: Project) -> Mapping[str, bytes]:
    """Of the secrets; in agents mode they are told to nodes only."""
    if mode_of(project) != RECONCILE:
        return {}
    return {name: kept.value for name, kept in SecretFile(project.state / FILE_NAME).current().items()}


def _write_secrets(folder: Path, values: Mapping[str, bytes]) -> None:
    """Readable in the containers, whoever runs there, and on this machine for nobody but their owner."""
    for path, value in values.items():
        file = folder / path
        file.parent.mkdir(mode=0o700, exist_ok=True)
        file.unlink(missing_ok=True)
        file.write_bytes(value)
        file.chmod(0o444)


FORMS: Mapping[str, Callable[[Project, str, str, str], None]] = {
    "compose": export_compose,
    "kube": export_kube,
    "quadlet": export_quadlet,
}
