"""The keys in what a terminal sends. Pure."""

from __future__ import annotations

import re

SEQUENCES = {
    "A": "up", "B": "down", "C": "right", "D": "left", "H": "home", "F": "end", "Z": "back-tab",
    "1~": "home", "4~": "end", "5~": "page-up", "6~": "page-down", "7~": "home", "8~": "end",
}  # fmt: skip
NAMES = {"\r": "enter", "\n": "enter", "\t": "tab", "\x1b": "escape", " ": "space"}
SEQUENCE = re.compile(r"\x1b(?:\[|O)([0-9;]*[A-Za-z~])")
# What is pasted is no key: a text with a k and a y in it would kill something.
PASTED = re.compile(r"\x1b\[200~.*?\x1b\[201~", re.DOTALL)
PASTE_BEGINS = "\x1b[200~"
UNFINISHED = re.compile(r"\x1b(?:\[|O)[0-9;]*\Z")


def keys_in(text: str) -> tuple[list[str], str]:
    """The keys, by their name or sign, and the rest, which is to be read again with what follows it."""
    text = PASTED.sub("", text)
    rest = ""
    if (at := text.find(PASTE_BEGINS)) >= 0:
        text, rest = text[:at], text[at:]
    elif begun := UNFINISHED.search(text):
        text, rest = text[: begun.start()], text[begun.start() :]
    keys: list[str] = []
    while text:
        if found := SEQUENCE.match(text):
            if name := SEQUENCES.get(found[1]):
                keys.append(name)
            text = text[found.end() :]
        else:
            keys.append(NAMES.get(text[0], text[0]))
            text = text[1:]
    return keys, rest
