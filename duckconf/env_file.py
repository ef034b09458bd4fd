"""A file of variables as `docker run --env-file` reads it: `NAME=VALUE` lines, comments and blank lines. Pure.

Nothing is unquoted or replaced. A name alone takes the variable of the one who types, and is left out where there is none.
"""

from __future__ import annotations

from collections.abc import Mapping


def read_variables(text: str, environ: Mapping[str, str]) -> dict[str, str]:
    """Raises ValueError, which begins with the number of the line."""
    found: dict[str, str] = {}
    for number, line in enumerate(text.removeprefix("\ufeff").splitlines(), 1):
        line = line.lstrip()
        if not line or line.startswith("#"):
            continue
        name, equals, value = line.partition("=")
        if not name:
            raise ValueError(f"line {number}: has no name before the =, got {line[:40]!r}")
        if any(char.isspace() for char in name):
            raise ValueError(f"line {number}: a variable's name has no spaces, got {name[:40]!r}")
        if equals or name in environ:
            found[name] = value if equals else environ[name]
    return found
