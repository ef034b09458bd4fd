"""Where a host name is, with a deadline: the resolver of the system has none that the caller could set."""

from __future__ import annotations

import ipaddress
import json
import logging
import socket
import threading
from pathlib import Path

from duckconf.reach.state.files import write_durably

log = logging.getLogger(__name__)

# Seconds that the resolver has when an address is known that was reached before.
KNOWN_SECONDS = 0.5


class _Question:
    """One lookup, in a thread of its own, which the resolver may hold for long."""

    def __init__(self, host: str) -> None:
        self.answered = threading.Event()
        self.found: list[str] = []
        self.error: OSError | None = None
        self._host = host
        threading.Thread(target=self._ask, name=f"lookup-{host}", daemon=True).start()

    def _ask(self) -> None:
        try:
            found = socket.getaddrinfo(self._host, None, type=socket.SOCK_STREAM)
            self.found = list(dict.fromkeys(str(entry[4][0]) for entry in found))
        except OSError as error:
            self.error = error
        except UnicodeError as error:
            self.error = socket.gaierror(socket.EAI_NONAME, str(error))
        self.answered.set()


class Lookup:
    """For many threads. What was reached last stands in when the name server does not answer; the file `kept`, where there is
    one, remembers it."""

    def __init__(self, kept: Path | None = None) -> None:
        self._lock = threading.Lock()
        self._asked: dict[str, _Question] = {}
        self._kept = kept
        self._reached = {} if kept is None else _read(kept)

    def find(self, host: str, seconds: float) -> list[str]:
        """The IP addresses of a host. Raises OSError as the resolver does, TimeoutError after `seconds`."""
        if _is_address(host):
            return [host]
        known = self._reached.get(host)
        with self._lock:
            question = self._asked.get(host) or _Question(host)
            self._asked[host] = question
        answered = question.answered.wait(min(seconds, KNOWN_SECONDS) if known else seconds)
        if answered:
            with self._lock:
                if self._asked.get(host) is question:
                    del self._asked[host]
        if question.found:
            return question.found
        # The last is what a resolver says that got no answer itself; any other error is an answer.
        if known and (not answered or getattr(question.error, "errno", None) == socket.EAI_AGAIN):
            return [known]
        if question.error is not None:
            raise question.error
        raise TimeoutError(f"the name server does not say within {seconds:g} s where {host} is")

    def reached(self, host: str, address: str) -> None:
        """A connection to `host` was made at this address."""
        if _is_address(host) or self._reached.get(host) == address:
            return
        with self._lock:
            self._reached[host] = address
            try:
                if self._kept is not None:
                    write_durably(self._kept, json.dumps(self._reached).encode() + b"\n")
            except OSError as error:
                log.warning("%s cannot be written: %s", self._kept, error.strerror)


def _read(path: Path) -> dict[str, str]:
    """What cannot be read is asked for again."""
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    pairs = content.items() if isinstance(content, dict) else ()
    return {host: address for host, address in pairs if isinstance(address, str) and _is_address(address)}


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True
