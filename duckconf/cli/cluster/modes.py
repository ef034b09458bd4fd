"""The three modes by name, and the one that a cluster is in."""

from __future__ import annotations

from duckconf.errors import BadInput, Fault, NotFound, SetupError
from duckconf.reach.inventory.project import Project
from duckconf.suggest import meant

PUSH = "push"
RECONCILE = "reconcile"
AGENTS = "agents"
# A file in the state folder from `down` until `up`.
DOWN = "down"
MODES = (PUSH, RECONCILE, AGENTS)


def check_mode(mode: str) -> str:
    if mode not in MODES:
        raise BadInput(Fault("MODE", f"should be {' or '.join(MODES)}, got {mode!r}{meant(mode, MODES)}"))
    return mode


def is_down(project: Project) -> bool:
    """Whether the cluster was taken down since it was last brought up."""
    return (project.state / DOWN).exists()


def require_mode(project: Project, wanted: str, what: str) -> None:
    """Raises NotFound when `what` is only there in the mode `wanted`, and the cluster is in another one or never was up."""
    if not (project.state / "mode").exists():
        raise NotFound(f"cluster {project.cluster} is not up, and {what} needs mode {wanted}", f"start it: ./inv up {wanted}")
    if (mode := mode_of(project)) != wanted:
        raise NotFound(f"{what} needs mode {wanted}, and cluster {project.cluster} is in mode {mode}", f"see ./inv up {wanted}")


def mode_of(project: Project) -> str:
    """The mode that the cluster was last brought up in; push for one that never was. Raises SetupError for a cut file."""
    path = project.state / "mode"
    try:
        mode = path.read_text("utf-8", errors="replace").strip()
    except FileNotFoundError:
        return PUSH
    if mode not in MODES:
        raise SetupError(
            f"{path} should hold the mode of the cluster, and holds {mode!r}",
            f"write {', '.join(MODES[:-1])} or {MODES[-1]} into it",
        )
    return mode
