"""A machine whose podman cannot run the demo names the package or the setting."""

from __future__ import annotations

import pytest

from duckconf.engine_hints import hint, why_no_systemd

# As podman 4.3 said it on a machine that lacked each of these.
NO_NEWUIDMAP = (
    'Error: command required for rootless mode with multiple IDs: exec: "newuidmap": executable file not found in $PATH'
)
NO_TUN = r'Error: /usr/bin/slirp4netns failed: "open(\"/dev/net/tun\"): Permission denied\nchild failed(1)\n"'


@pytest.mark.parametrize(
    ("words", "remedy"),
    [
        (NO_NEWUIDMAP, "install the package uidmap"),
        (NO_TUN, "/dev/net/tun, open to your user"),
        ('Error: could not find slirp4netns, the network namespace can\'t be configured: exec: "slirp4netns"', "slirp4netns and"),
        ("Error: cannot find UID/GID for user kim: no subuid ranges found for user", "usermod --add-subuids"),
        ("Error: something else", ""),
    ],
)
def test_podmans_words_name_what_is_missing(words: str, remedy: str) -> None:
    found = hint(words)
    assert remedy in found
    assert bool(found) == bool(remedy)


@pytest.mark.parametrize(
    ("rootless", "version", "controllers", "told"),
    [
        (True, "v1", [], "cgroup v1, delegated: nothing"),
        (True, "v2", ["cpu"], "cgroup v2, delegated: cpu"),
        (True, "v2", ["cpu", "memory", "pids"], ""),
        (False, "v1", ["memory", "pids"], ""),
    ],
)
def test_systemd_in_a_rootless_container_needs_delegated_controllers(
    rootless: bool, version: str, controllers: list[str], told: str
) -> None:
    info = {"host": {"cgroupVersion": version, "cgroupControllers": controllers, "security": {"rootless": rootless}}}
    assert why_no_systemd(info) == told
    assert why_no_systemd({}) == ""
