"""The secrets of apps in a compose file: from a file beside it where the value is at hand, else external. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any

from duckconf.errors import Fault
from duckconf.secret_kinds import SECRETS_KIND, USUAL_MODE, read_use

FOLDER = "secrets"


class Granting:
    """`uses` are those of all apps; `known` are the names of secrets whose value is at hand."""

    def __init__(self, stack: str, uses: Collection[str], known: Collection[str]) -> None:
        names = {read_use(text).source for text in uses}
        own = {name: name.removeprefix(f"{stack}.") for name in names if stack and name.startswith(f"{stack}.")}
        self._keys = {name: own[name] if name in known and own.get(name, name) not in names else name for name in names}
        self.files = {name: f"{FOLDER}/{key}" for name, key in sorted(self._keys.items()) if key != name}

    @property
    def declared(self) -> dict[str, Any]:
        return {key: self._declared(name, key) for name, key in sorted(self._keys.items())}

    def _declared(self, name: str, key: str) -> dict[str, Any]:
        return {"file": f"./{self.files[name]}"} if name in self.files else {"external": True, "name": name}

    def entries(self, uses: Sequence[str]) -> tuple[list[Any], bool]:
        """What the service says, and whether a reader of it would write down exactly these uses."""
        entries, again = [], []
        for text in uses:
            use = read_use(text)
            entry: dict[str, Any] = {"source": self._keys[use.source]}
            target = text.split(",")[0].partition(":")[2]
            entry |= {"target": target} if target and not use.variable else {}
            entry |= {key: str(value) for key, value in (("uid", use.uid), ("gid", use.gid)) if value}
            entry |= {"mode": f"{use.mode:04o}"} if use.mode != USUAL_MODE else {}
            entries.append(entry)
            again.append({"target": self._keys[use.source], **entry, "source": use.source})
        faults: list[Fault] = []
        return entries, SECRETS_KIND.check("", again, faults) == tuple(uses)

    def lost(self, uses: Sequence[str]) -> Iterator[tuple[str, str]]:
        for use in map(read_use, uses):
            if use.variable:
                yield "secrets", f"{use.source} is the variable {use.variable} here, and a file in /run/secrets there"
            if use.source not in self.files:
                yield "secrets", f"{use.source} is external: set its value there; Docker Compose wants a file of it"
