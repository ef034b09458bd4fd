"""The cluster's own login key: made once, and put on demo hosts and on nodes that have the login `duckconf`."""

from __future__ import annotations

from duckconf.cli.demo.host_files import new_key
from duckconf.reach.inventory.project import Project
from duckconf.reach.state.files import write_durably


def ensure_login_key(project: Project) -> str:
    """The public key's line for authorized_keys; its file lies beside the private one."""
    path = project.login_key
    if not path.exists():
        private, public = new_key()
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.with_suffix(".pub").write_text(f"{public} duckconf-{project.cluster}\n")
        write_durably(path, private)
    return path.with_suffix(".pub").read_text()
