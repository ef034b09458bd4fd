"""Tells systemd that a service is up, so that who starts it knows at once whether it is: see sd_notify(3)."""

from __future__ import annotations

import logging
import os
import socket

VARIABLE = "NOTIFY_SOCKET"

log = logging.getLogger(__name__)


class Readiness:
    """To be made before any program is started: a container's monitor that inherits the variable takes it for its own."""

    def __init__(self) -> None:
        self._address = os.environ.pop(VARIABLE, "")

    def tell(self) -> None:
        """The first time; nothing where no systemd has asked."""
        address, self._address = self._address, ""
        if not address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notifier:
                # A name that begins with @ is one without a file, whose first byte is 0.
                notifier.sendto(b"READY=1", "\0" + address[1:] if address.startswith("@") else address)
        except OSError as error:
            log.warning("systemd cannot be told that this service is ready: %s", error)
