"""The letters of the options: those that docker has for them, and no others, which nobody could guess."""

from __future__ import annotations

from typing import Any

from invoke.tasks import Task

LETTERS = {
    "env": "e",
    "port": "p",
    "volume": "v",
    "label": "l",
    "memory": "m",
    "user": "u",
    "workdir": "w",
    "interactive": "i",
    "tty": "t",
    "name": "n",
    "command": "c",
    "json": "j",
    "follow": "f",
}


class DockersLetters(Task[Any]):
    def arg_opts(self, name: str, default: str, taken_names: set[str]) -> dict[str, Any]:
        found: dict[str, Any] = super().arg_opts(name, default, taken_names)
        found["names"] = [found["names"][0], *LETTERS.get(name, "")]
        return found
