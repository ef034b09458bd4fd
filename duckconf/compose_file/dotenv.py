"""A file of variables as Docker Compose reads it (`.env`, `env_file`): quotes, comments at the end of a line, values of several
lines in quotes, and variables in values. Pure.

`env_file.py` is the other format, that of `docker run --env-file`, which takes each line as it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from duckconf.compose_file.interpolation import interpolate

LINE = re.compile(r"[ \t]*(?:export[ \t]+)?(?P<name>[^\s=:#]+)[ \t]*(?P<sign>[=:])?[ \t]*")
COMMENT = re.compile(r"(?:^|\s)#.*")
ESCAPES: Mapping[str, str] = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\", "$": "$$"}
ESCAPE = re.compile(r"\\(.)", re.DOTALL)


def read_dotenv(text: str, environ: Mapping[str, str], *, raw: bool = False) -> dict[str, str]:
    """The variables of the file. Its values may use those of `environ`, which win, and the earlier ones of the file. A name alone
    is that of `environ`. `raw` takes values as they are. Raises ValueError, which begins with the number of the line."""
    found: dict[str, str] = {}
    lines = text.removeprefix("\ufeff").replace("\r\n", "\n").split("\n")
    number = 0
    while number < len(lines):
        line, number = lines[number], number + 1
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match, first = LINE.match(line), number
        if match is None:
            raise ValueError(f"line {first}: should be NAME=VALUE")
        name, rest = match["name"], line[match.end() :]
        if not match["sign"]:
            if rest.strip():
                raise ValueError(f"line {first}: a variable's name has no spaces")
            found |= {name: environ[name]} if name in environ else {}
            continue
        if not raw and rest[:1] in ("'", '"'):
            while not _closed(rest) and number < len(lines):
                rest, number = f"{rest}\n{lines[number]}", number + 1
        try:
            found[name] = rest if raw else _value(rest, {**found, **environ})
        except ValueError as error:
            raise ValueError(f"line {first}: {name} {error}") from None
    return found


def _closed(text: str) -> bool:
    return _end(text) > 0


def _end(text: str) -> int:
    """Where the quote that the text begins with is closed, 0 where it is not."""
    quote, place = text[0], 1
    while place < len(text):
        if text[place] == "\\" and quote == '"':
            place += 1
        elif text[place] == quote:
            return place
        place += 1
    return 0


def _value(text: str, variables: Mapping[str, str]) -> str:
    """Raises ValueError."""
    if text[:1] not in ("'", '"'):
        return interpolate(COMMENT.sub("", text, count=1).strip(), variables, lenient=True)
    end = _end(text)
    if not end:
        raise ValueError(f"has a {text[0]} that is not closed")
    inside = text[1:end]
    if text[0] == "'":
        return inside
    escaped = ESCAPE.sub(lambda found: ESCAPES.get(found[1], found[0]), inside)
    return interpolate(escaped, variables, lenient=True)
