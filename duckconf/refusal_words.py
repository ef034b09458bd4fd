"""Which words of an engine are about its node and not about the app: another node may run it. Pure.

The patterns are words that podman 4.3 to 5.4 and docker 20 to 29 print, with crun and runc under them. What is in none of them is
taken as the app's own fault.
"""

from __future__ import annotations

import re
from typing import NamedTuple

PORT = "port"
ADDRESS = "address"
SPACE = "space"
CORES = "cores"
MEMORY = "memory"
ARCHITECTURE = "architecture"
PATH = "path"
DEVICE = "device"
RUNTIME = "runtime"
IMAGE = "image"

# An engine says it in fewer; what an app put into its own command may be long.
MOST_WORDS = 4000
NO_SPACE = "no space left on its disk"
WHERE = r"(?P<what>(?:[\d.]+|\[[\da-f:]*\])?:?\d+(?:/(?:tcp|udp|sctp))?)"


class Sign(NamedTuple):
    """Words of an engine, and in ours what they mean; `{what}` is what the pattern found under that name."""

    kind: str
    words: re.Pattern[str]
    meaning: str


def _sign(kind: str, words: str, meaning: str) -> Sign:
    return Sign(kind, re.compile(words, re.IGNORECASE), meaning)


SIGNS = (
    _sign(SPACE, r"no space left on device|disk quota exceeded", NO_SPACE),
    _sign(
        PORT,
        rf"(?:listen (?:tcp|udp|sctp)[46]? |bind for |host port (?:for )?){WHERE}[^\n]*"
        r"(?:address already in use|port is already allocated)",
        "port {what} is in use",
    ),
    _sign(
        PORT,
        r"address already in use|port is already allocated|ports are not available|already exposed|rootlessport listen",
        "a port of the app is in use",
    ),
    _sign(PORT, r"cannot expose privileged port (?P<what>\d+)", "port {what} is reserved for root"),
    _sign(ADDRESS, rf"{WHERE}: bind: cannot assign requested address", "{what} is not an address of this node"),
    _sign(ADDRESS, r"cannot assign requested address", "an address of the app's ports is not on this node"),
    _sign(CORES, r"range of cpus is from [\d.]+ to (?P<what>\d+)", "it has {what} cores, fewer than the app asks for"),
    _sign(CORES, r"requested cpus are not available[^\n]*available: (?P<what>[\d,-]+)", "it has only the cores {what}"),
    _sign(MEMORY, r"cannot allocate memory", "no memory left"),
    _sign(
        ARCHITECTURE,
        r"exec format error|no matching manifest for|no image found in (?:manifest list|image index) for architecture|"
        r"does not match the specified platform",
        "the image is for another architecture",
    ),
    _sign(DEVICE, r"error gathering device information[^\n]*device \"(?P<what>[^\"]+)\"", "it has no device {what}"),
    _sign(DEVICE, r"stat (?P<what>/dev/[^:\s]+): no such file or directory", "it has no device {what}"),
    _sign(DEVICE, r"could not select device driver[^\n]*capabilities: (?P<what>\S+\])", "it has no device with {what}"),
    _sign(PATH, r"statfs (?P<what>/[^:]*): no such file or directory", "path {what} is missing"),
    _sign(PATH, r"mount source path '(?P<what>[^']+)'", "path {what} is missing and cannot be created"),
    _sign(PATH, r"bind source path does not exist: (?P<what>\S+)", "path {what} is missing"),
    _sign(
        RUNTIME,
        r"requested cgroup controller `(?P<what>\w+)` is not available",
        "its kernel does not limit {what}: the cgroup controller is missing",
    ),
    _sign(
        RUNTIME,
        r"container-init binary not found|lookup init binary|exec: \"docker-init\"",
        "it has no program for init; ./inv provision installs catatonit",
    ),
)


def meaning(words: str, said: str = "") -> tuple[str, str] | None:
    """The kind of refusal and the reason in our words; None when the words are not about the node. `words` may be what the
    engine `said` with something blanked in it."""
    for sign in SIGNS:
        found = sign.words.search(words[:MOST_WORDS])
        if found:
            what = (said or words)[slice(*found.span("what"))] if "what" in sign.words.groupindex else ""
            return sign.kind, sign.meaning.format(what=what.lstrip(":"))
    return None
