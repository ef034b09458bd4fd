"""What a backup of a cluster is: its first line, the names in it, and why a file is none. Pure.

The file begins with one line in clear, so that a cut file, a newer format and a wrong passphrase are told apart; the rest is
one archive, encrypted as Ansible's vault does it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from duckconf.control_plane import ETCD, FILES
from duckconf.desired import PLACED_COLUMNS, empty_document, marked, read_document
from duckconf.errors import BadInput, Fault, SetupError

FORMAT = 1
HEADER = re.compile(rb"duckconf-backup (?P<format>[0-9]{1,9}) (?P<digest>[0-9a-f]{64}) (?P<size>[0-9]{1,12})\n")
LONGEST_HEADER = 128
# The vault doubles what it encrypts twice. A cluster of 2 000 apps has some megabytes.
LARGEST_FILE = 512 * 1024 * 1024
LARGEST_CONTENT = 256 * 1024 * 1024
SHORTEST_PASSPHRASE = 8
MANIFEST = "manifest.json"
# What should run, where it is and how it came to that, as the loop keeps it; agents mode is written so too.
STATE = ("desired_state.csv", "history.json", "placements.json", "data.json", "secrets.json", "cordoned", "draining")
KEYS = ("id_ed25519", "id_ed25519.pub", "known_hosts", "operator.token", "tokens.json", "topology", "control-planes.json")
TLS = ("tls/ca.pem", "tls/ca.key", "tls/api.pem", "tls/api.key", "tls/etcd/ca.pem", "tls/etcd/ca.key")
CONTROL = ("control/state.csv", "control/nodes.json")
BY_HOST = re.compile(r"(tokens|host-keys)/[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
# The generations that a control plane gave out after the backup was made are not given again. With files it counted them; with
# etcd, and with files that came from there, they follow the seconds since the epoch.
AHEAD = 1_000_000
SECONDS = 1_000_000_000
# Of a host that has data of a member of etcd which cannot be read now.
UNREAD = "unread"
NOT_IN_IT = "the data in volumes, the images, the events and the inventory are not in it"


@dataclass(frozen=True)
class Manifest:
    """Of which cluster, in which mode, when (seconds since the epoch) and by which Duckconf a backup was made."""

    cluster: str
    mode: str
    made: float
    duckconf: str

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def may_hold(name: str) -> bool:
    """Whether a file of this name, below the state folder, belongs into a backup."""
    return name in (*STATE, *KEYS, *TLS, *CONTROL) or bool(BY_HOST.fullmatch(name))


def with_header(sealed: bytes) -> bytes:
    digest = hashlib.sha256(sealed).hexdigest()
    return f"duckconf-backup {FORMAT} {digest} {len(sealed)}\n".encode() + sealed


def without_header(content: bytes, what: str) -> bytes:
    """The encrypted part of the file `what`. Raises BadInput for one that is cut, damaged, of a newer Duckconf or none at all."""
    found = HEADER.match(content[:LONGEST_HEADER])
    if found is None:
        raise BadInput(Fault(what, "is no backup of Duckconf: its first line should begin with `duckconf-backup`"))
    if int(found["format"]) > FORMAT:
        number = int(found["format"])
        raise BadInput(Fault(what, f"has format {number}, and this Duckconf reads up to {FORMAT}; use a newer Duckconf"))
    sealed = content[found.end() :]
    if len(sealed) != int(found["size"]):
        raise BadInput(Fault(what, f"is cut: it should have {int(found['size'])} bytes after its first line, got {len(sealed)}"))
    if hashlib.sha256(sealed).hexdigest() != found["digest"].decode():
        raise BadInput(Fault(what, "is damaged: its content is not what was written"))
    return sealed


def read_manifest(content: bytes, what: str, modes: tuple[str, ...]) -> Manifest:
    """Raises BadInput."""
    try:
        told = json.loads(content)
        manifest = Manifest(str(told["cluster"]), str(told["mode"]), float(told["made"]), str(told["duckconf"]))
    except (ValueError, KeyError, TypeError) as error:
        raise BadInput(Fault(what, f"has a {MANIFEST} that cannot be read: {type(error).__name__} {error}")) from None
    if manifest.mode not in modes:
        raise BadInput(Fault(what, f"was made in mode {manifest.mode!r}, which this Duckconf does not know"))
    return manifest


def require_cluster(manifest: Manifest, cluster: str, what: str) -> None:
    """Raises BadInput: what runs on the nodes has the name of its cluster, and would be strangers to another."""
    if manifest.cluster != cluster:
        words = f"is of cluster {manifest.cluster}, and this is cluster {cluster}"
        remedy = f"restore it with the inventory of {manifest.cluster}, or DUCKCONF_CLUSTER={manifest.cluster}"
        raise BadInput(Fault(what, f"{words}; {remedy}"))


def require_readable(files: Mapping[str, bytes], what: str) -> None:
    """The parts that are read at the next `up` can be read. Raises BadInput."""
    for name, content in files.items():
        try:
            if name.endswith(".json"):
                json.loads(content)
            elif name.endswith(".csv"):
                read_document(content.decode())
        except (ValueError, BadInput) as error:
            raise BadInput(Fault(what, f"holds a {name} that cannot be read: {error}")) from None


def surviving(found: Mapping[str, str]) -> str:
    """The store in which a control plane has its state still, "" where it has none. `found` has by host FILES or ETCD where apps
    are there, UNREAD, or "". Raises SetupError where it cannot be known."""
    # Files with apps next to etcd: a move between them has not come to its end.
    for store in (FILES, ETCD):
        if store in found.values():
            return store
    if unread := sorted(host for host, what in found.items() if what == UNREAD):
        raise SetupError(
            f"{', '.join(unread)} has data of etcd, which no majority of its members serves: it may be newer than the backup",
            "bring a majority back, or give up what is there: docs/operations.md, A lost control machine",
        )
    return ""


def continued(state: str, now: float) -> str:
    """The state file, with no app in it, of a control plane that gives out only revisions which `state` and what was written
    after it, until `now` (seconds since the epoch), never had. Raises BadInput."""
    before = read_document(state, layout=PLACED_COLUMNS)
    ahead = AHEAD if before.revision < SECONDS else 1
    return marked(empty_document(), max(before.revision + ahead, int(now)), before.next_number).text()
