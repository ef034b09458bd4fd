"""Tells systemd that a service is up, so that who starts it knows at once whether it is: see sd_notify(3)."""

from __future__ import annotations

import os
import socket

VARIABLE = "NOTIFY_SOCKET"


def tell_ready() -> None:
    """Nothing without a systemd that asked. To be called once and before any program is started: a container's monitor
    that inherits the variable takes it for its container's."""
    address = os.environ.pop(VARIABLE, "")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notifier:
        # A name that begins with @ is one without a file, whose first byte is 0.
        notifier.sendto(b"READY=1", "\0" + address[1:] if address.startswith("@") else address)
