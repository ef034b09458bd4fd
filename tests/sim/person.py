"""The person who edits the desired state: a text, as on disk, that the real reader reads."""

from __future__ import annotations

from dataclasses import replace

from controllers.cycle import Setpoint
from duckconf.desired import COLUMNS, UNKNOWN, Document, desired_of, encode, read_document
from duckconf.errors import BadInput
from duckconf.model import App
from duckconf.seal import EMPTY_END, end_line, mark_line


class Person:
    """`apps` is what they mean; `slips` are rows typed badly (app, or "" for one without a name) and `missing` says
    that the file is not there. `cut` is the share that is left of the file that the API wrote, when it was cut."""

    def __init__(self) -> None:
        self.apps: dict[str, App] = {}
        self.slips: set[str] = set()
        self.missing = False
        self.cut: float | None = None
        self.secrets: dict[str, str] = {}
        """The revision of the secret that an app uses."""
        self._encoded: dict[str, tuple[App, str]] = {}
        self._document: Document | None = None
        self._read: tuple[str, Setpoint] | None = None
        self._resolved_as: tuple[object, Setpoint] | None = None

    def meant(self) -> dict[str, App]:
        """The apps with the revisions of their secrets, as the loop resolves them."""
        return {name: self._resolved(app) for name, app in self.apps.items()}

    def _resolved(self, app: App) -> App:
        return replace(app, secret_revisions={"s": self.secrets[app.name]}) if app.name in self.secrets else app

    def text(self) -> str:
        header = ",".join(COLUMNS) + "\n"
        rows = self._rows()
        if self.cut is not None:
            whole = "".join([header, mark_line(1, 1, len(rows)), *rows, end_line(1)])
            return whole[: int(self.cut * len(whole))]
        # A header alone may be a file that was cut: nothing declared is written as such.
        return "".join([header, *(rows or [EMPTY_END])])

    def _rows(self) -> list[str]:
        rows = [f"{name},NOT AN IMAGE\n" if name in self.slips else self._row(app) for name, app in self.apps.items()]
        return rows + (["no name!,nginx\n"] if "" in self.slips else [])

    def _row(self, app: App) -> str:
        known = self._encoded.get(app.name)
        if known is None or known[0] is not app:
            known = self._encoded[app.name] = (app, encode(app, COLUMNS))
        return known[1]

    def setpoint(self) -> Setpoint:
        text = "" if self.missing else self.text()
        if self._read is None or self._read[0] != text:
            try:
                self._document = read_document(text, self._document)
                now = Setpoint(desired_of(self._document), [str(fault) for fault in self._document.faults])
            except BadInput as bad:
                now = Setpoint(UNKNOWN, [str(bad)])
            self._read = (text, now)
        known = self._read[1]
        if not self.secrets:
            return known
        resolved = (text, dict(self.secrets))
        if self._resolved_as is None or self._resolved_as[0] != resolved:
            self._resolved_as = (resolved, self._with_secrets(known))
        return self._resolved_as[1]

    def _with_secrets(self, known: Setpoint) -> Setpoint:
        found = {name: replace(instance, app=self._resolved(instance.app)) for name, instance in known.desired.instances.items()}
        return known._replace(desired=replace(known.desired, instances=found))
