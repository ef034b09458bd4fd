"""Where the certificates of a front come from, as the inventory says. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from duckconf.errors import Fault

INTERNAL = "internal"
EMAIL = re.compile(r"[^@\s]+@[^@\s]+")


@dataclass(frozen=True)
class Acme:
    """The directory "" is Let's Encrypt, `internal` the front's own authority, else the URL of an ACME directory."""

    directory: str = ""
    email: str = ""


LETS_ENCRYPT = Acme()


def read_acme(host: str, variables: Mapping[str, Any], faults: list[Fault]) -> Acme:
    directory, email = (str(variables.get(key) or "") for key in ("duckconf_acme", "duckconf_acme_email"))
    if directory not in ("", INTERNAL) and not directory.startswith("https://"):
        wanted = f"should be absent (Let's Encrypt), {INTERNAL}, or the https:// URL of an ACME directory, got {directory!r}"
        faults.append(Fault(f"{host}/duckconf_acme", wanted))
    if email and not EMAIL.fullmatch(email):
        faults.append(Fault(f"{host}/duckconf_acme_email", f"should be an e-mail address, got {email!r}"))
    return Acme(directory, email)
