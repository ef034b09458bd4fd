"""What an app loses where it is exported to: said once for each app and field. Pure."""

from __future__ import annotations

from typing import NamedTuple


class Lost(NamedTuple):
    """`why` is what becomes of the field there, and the reason."""

    app: str
    field: str
    why: str

    def __str__(self) -> str:
        return f"{self.app}: {self.field}: {self.why}"


# Of no file: they say where something runs now, or what is said by another command.
NOT_EXPORTED = {
    "node": "the place of an instance is the cluster's",
    "generation": "the place of an instance is the cluster's",
    "ended": "how a job ended is the cluster's",
    "spec": "what an instance was placed to run is the cluster's",
    "secret_revisions": "it is found out from the secrets of a cluster",
    "paused": "an update rests until ./inv resume",
}
