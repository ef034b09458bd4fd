"""pyinfra's API with persistent connections: `python -m benchmarks.clients.with_pyinfra TARGET`, in the bench's own venv."""

from __future__ import annotations

import sys

from gevent import joinall, monkey

monkey.patch_all()

from pyinfra.api import Config, Inventory, State  # noqa: E402
from pyinfra.api.connect import connect_all  # noqa: E402

from benchmarks.clients.passes import check_answers, read_target, serve  # noqa: E402


def main(path: str) -> None:
    target = read_target(path)
    hosts = [
        (f"{host}-{port}", {"ssh_hostname": host, "ssh_port": port, "ssh_user": target.user, "ssh_key": target.key})
        for host, port in target.hosts
    ]
    known = {"ssh_known_hosts_file": target.known_hosts}
    state = State(Inventory((hosts, known)), Config(PARALLEL=len(hosts)))

    def look() -> None:
        if not state.active_hosts:
            connect_all(state)
        asked = [state.pool.spawn(host.run_shell_command, target.command) for host in state.inventory.get_active_hosts()]
        joinall(asked, raise_error=True)
        check_answers([output.stdout for _, output in (one.value for one in asked)], target)

    serve({"connect": look, "look": look})


if __name__ == "__main__":
    main(sys.argv[1])
