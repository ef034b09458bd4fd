"""What an app itself put into an engine's message: its command, paths, image and variables, blanked before the message is
judged. Pure.

An engine quotes what it could not run. An app may be called `no space left on device`, and its node is not full for that.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator

from duckconf.model import App

# What comes after a path in an engine's message.
SUFFIX = ": no such file or directory"
# Where an engine's way of quoting may have put something else: quotes, backslashes, control characters, other scripts.
ESCAPED = re.compile(r"[\"\\]|[^\x20-\x7e]")
GO_NAMES = {"\a": r"\a", "\b": r"\b", "\f": r"\f", "\n": r"\n", "\r": r"\r", "\t": r"\t", "\v": r"\v", '"': r"\"", "\\": r"\\"}
LETTER = re.compile(r"[^\W\d_]")


def own_words(app: App) -> frozenset[str]:
    """Every text of the app's own that an engine may quote, whole and in the parts that it may name alone."""
    texts = [app.name, app.image, app.user, app.working_dir, app.hostname]
    for words in (app.command, app.entrypoint):
        texts += [*words, " ".join(words)]
    for pairs in (app.env, app.labels, app.sysctls):
        texts += [text for name, value in pairs.items() for text in (f"{name}={value}", name, value)]
    texts += [text for mount in (*app.volumes, *app.tmpfs) for text in (mount, *mount.split(":"))]
    texts += [*app.group_add, *app.security_opt]
    return frozenset(text for text in texts if text)


def blanked(message: str, own: Collection[str], signs: Iterable[re.Pattern[str]]) -> str:
    """The message, of the same length, with another letter for each letter of what the app said, where that alone could be
    taken for one of the signs. Other words of the app stay: they may be the engine's too."""
    judged = tuple(signs)
    # An engine may quote it twice, so that its end and its beginning together say what neither does alone.
    told = {text for word in own for text in _as_quoted(word) if any(sign.search(f"{text} {text}{SUFFIX}") for sign in judged)}
    for text in sorted(told, key=lambda text: (-len(text), text)):
        message = message.replace(text, LETTER.sub("x", text))
    return message


def _as_quoted(text: str) -> Iterator[str]:
    yield text
    yield "".join(GO_NAMES.get(sign) or (sign if sign.isprintable() else f"\\x{ord(sign):02x}") for sign in text)
    yield from (part for part in ESCAPED.split(text) if part)
