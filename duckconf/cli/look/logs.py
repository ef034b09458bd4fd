"""`./inv logs`: the log of a service, or what apps print. Control characters in either are shown and not executed."""

from __future__ import annotations

import codecs
import subprocess
import sys
from collections.abc import Sequence

from duckconf.cli.cluster.modes import AGENTS, mode_of
from duckconf.cli.cluster.services import Service, services
from duckconf.cli.look import control
from duckconf.cli.look.absent import require_mode_of_service
from duckconf.cli.look.app_logs import INTERRUPTED, Look, app_logs
from duckconf.errors import BadInput, Fault, NotFound
from duckconf.log_lines import ALL, since, tail
from duckconf.reach.inventory.project import Project
from duckconf.visible import visible

USUAL = "50"


def logs(
    project: Project, names: Sequence[str], typed_tail: str, typed_since: str, *,
    follow: bool, timestamps: bool, raw: bool, as_json: bool,
) -> int:  # fmt: skip
    lines = tail(typed_tail or (ALL if typed_since else USUAL))
    begin = since(typed_since)
    mode = mode_of(project)
    known = {service.name: service for service in services(project, mode)}
    for name in [name for name in names if name in known or (mode == AGENTS and control.is_service(name))]:
        if len(names) > 1 or typed_since or timestamps or as_json:
            raise BadInput(Fault("", f"the log of the service {name} is shown alone, and as it is: ./inv logs {name}"))
        return _service_log(project, name, known.get(name), lines, follow=follow, raw=raw)
    for name in names:
        require_mode_of_service(project, name, control.AGENT, control.CONTROL_UNITS)
    try:
        return app_logs(project, names, Look(follow, "" if lines == ALL else lines, begin, timestamps, raw, as_json))
    except NotFound as missing:
        if "did not answer" in missing.message or "declared" in missing.message:
            raise
        known_services = ", ".join(known or [*control.CONTROL_UNITS, f"{control.AGENT}NODE"])
        raise NotFound(missing.message, f"{missing.remedy}, or name a service: {known_services}") from None


def _service_log(project: Project, name: str, service: Service | None, lines: str, *, follow: bool, raw: bool) -> int:
    show = Shown(raw=raw)
    try:
        if service is None:
            return control.service_logs(project, name, lines, show, follow=follow)
        if not service.log.exists():
            raise NotFound(f"{name} has not written a log yet", f"see `./inv up {mode_of(project)}`")
        argv = ["tail", "-n", "+1" if lines == ALL else lines, *(["-F"] if follow else []), str(service.log)]
        with subprocess.Popen(argv, stdout=subprocess.PIPE) as process:
            try:
                while data := process.stdout.read1() if process.stdout else b"":  # type: ignore[attr-defined]
                    show(data)
            finally:
                process.terminate()
        return max(process.returncode, 0)
    except KeyboardInterrupt:
        return INTERRUPTED


class Shown:
    """Prints a log as it comes, in pieces."""

    def __init__(self, *, raw: bool) -> None:
        self._raw = raw
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def __call__(self, data: bytes) -> None:
        sys.stdout.buffer.write(data if self._raw else visible(self._decoder.decode(data)).encode())
        sys.stdout.buffer.flush()
