"""What to install or set on this machine when its podman cannot do what the demo needs. Pure; the words are podman's own."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

# Podman's words (4.3 to 5), and what to do about them. The first that fits counts.
HINTS = (
    (r"newuidmap|newgidmap", "install the package uidmap: sudo apt-get install uidmap"),
    (
        r"no subuid ranges|insufficient UIDs|subuid|subgid",
        "give your user ids of its own: sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 $USER, then "
        "podman system migrate",
    ),
    (
        r"/dev/net/tun",
        "rootless networks need the device /dev/net/tun, open to your user: sudo modprobe tun, and sudo chmod 666 /dev/net/tun",
    ),
    (r"slirp4netns|pasta", "install the packages slirp4netns and passt: sudo apt-get install slirp4netns passt"),
    (r"fuse-overlayfs|/dev/fuse", "install the package fuse-overlayfs: sudo apt-get install fuse-overlayfs"),
    (
        r"XDG_RUNTIME_DIR|/run/user/|dbus-user-session|Failed to connect to bus",
        "log in as this user directly instead of by su or sudo, so that systemd makes its session; or: sudo loginctl "
        "enable-linger $USER",
    ),
)
DELEGATE = (
    "a demo host runs systemd, for which a rootless podman needs cgroup v2 with controllers delegated to your user: boot with "
    "systemd.unified_cgroup_hierarchy=1, set Delegate=yes for user@.service (systemctl edit user@.service), and log in again; "
    "or run Duckconf as root"
)


def hint(words: str) -> str:
    """What to do about these words; "" when that is not known."""
    return next((remedy for pattern, remedy in HINTS if re.search(pattern, words)), "")


def why_no_systemd(info: Mapping[str, Any]) -> str:
    """What podman says of this machine that keeps systemd from running in a container; "" when nothing is known.

    `info` is the answer of `podman info --format json`.
    """
    host = info.get("host") or {}
    rootless = bool((host.get("security") or {}).get("rootless"))
    delegated = set(host.get("cgroupControllers") or ())
    if rootless and (host.get("cgroupVersion") != "v2" or not {"memory", "pids"} <= delegated):
        return f"cgroup {host.get('cgroupVersion') or 'unknown'}, delegated: {', '.join(sorted(delegated)) or 'nothing'}"
    return ""
