"""What TAB offers after `./inv …`. A program of its own that imports nothing of ours and little of Python's: it has 100 ms.

The words lie in a file beside the state, which `words.py` writes. A file that is no longer fresh serves this time, and is
written anew meanwhile; only where there is none, TAB waits for it.
"""

from __future__ import annotations

import os
import sys
import time

FRESH = 5.0
FILES = ":files"
NODES = ("node", "group")
APPS = ("app", "instance")
# What a task takes beside its options.
TAKES = {
    "accept-key": ("node",), "apply": (FILES,), "completion": ("shell",), "cordon": NODES, "cp": ("app:", "instance:", FILES),
    "demo": ("mode",), "doctor": NODES, "drain": NODES, "exec": APPS, "explain": (*APPS, "node"), "history": ("app",),
    "kill-app": APPS, "logs": (*APPS, "stack", "service"), "move": APPS, "pause": ("app",), "redeploy": ("app",),
    "remove-node": ("node",), "resume": ("app",), "rollback": ("app",), "scale": ("app=",), "secret": ("action",),
    "start-node": ("node",), "stats": (*APPS, "stack"), "stop-app": ("app",), "stop-node": ("node",), "stop-stack": ("stack",),
    "uncordon": NODES, "up": ("mode",), "update": ("app",),
}  # fmt: skip
# What follows an option; nothing is known of the others.
VALUES = {
    "--node": NODES, "--limit": NODES, "--on": NODES, "--to": NODES, "--app": ("app",), "--stack": ("stack",),
    "--topology": ("topology",), "--env-file": (FILES,), "--from-file": (FILES,), "--key-file": (FILES,), "--folder": (FILES,),
}  # fmt: skip
FIXED = {
    "topology": (("own", "each demo node has its own engine"), ("shared", "the engine of this machine")),
    "action": (("list", "show the secrets"), ("remove", "take one away"), ("set", "read the value from stdin")),
    "shell": (("bash", ""), ("fish", ""), ("zsh", "")),
}

Words = dict[str, list[tuple[str, str]]]


def candidates(typed: list[str], known: Words) -> list[tuple[str, str]]:
    """Words with what they mean, for the last of what was typed, which may be empty. FILES among them means files."""
    *before, current = typed or [""]
    task = next((word for word in before if not word.startswith("-")), "")
    if not task:
        return _beginning(current, known.get("task", []))
    if "--" in before:
        return [(FILES, "")]
    if current == "=":
        before, current = [*before, "="], ""
    option = before[-2] if before[-1] == "=" and len(before) > 1 else before[-1]
    name, equals, begun = current.partition("=")
    if equals and name in VALUES:
        return [(f"{name}={word}", words) for word, words in _beginning(begun, _of_kinds(VALUES[name], known))]
    if option.startswith("-") and option in VALUES:
        return _beginning(current, _of_kinds(VALUES[option], known))
    if current.startswith("-"):
        return _beginning(current, known.get(f"option {task}", []))
    return _beginning(current, _of_kinds(TAKES.get(task, ()), known))


def _of_kinds(kinds: tuple[str, ...], known: Words) -> list[tuple[str, str]]:
    """A kind with a sign at its end means words that go on with that sign."""
    found: list[tuple[str, str]] = []
    for kind in kinds:
        sign = kind[-1] if kind[-1] in "=:" else ""
        bare = kind.rstrip("=:")
        words = [(FILES, "")] if kind == FILES else known.get(bare) or list(FIXED.get(bare, ()))
        found += [(word + sign, about) for word, about in words]
    return found


def _beginning(text: str, words: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(word, about) for word, about in words if word.startswith(text) or word == FILES]


def words_file(root: str, environ: dict[str, str]) -> str:
    """One for each cluster and inventory that the environment may name."""
    named = "-".join(environ[name] for name in ("DUCKCONF_CLUSTER", "DUCKCONF_INVENTORY") if environ.get(name))
    plain = "".join(sign if sign.isalnum() else "_" for sign in named)[-80:]
    return os.path.join(root, ".duckconf", f"words-{plain}" if plain else "words")


def read(path: str) -> Words:
    found: Words = {}
    with open(path, encoding="utf-8") as file:
        for line in file:
            kind, word, about = [*line.rstrip("\n").split("\t"), "", ""][:3]
            found.setdefault(kind, []).append((word, about))
    return found


def renew(root: str, *, wait: bool) -> None:
    """Have the words written anew by another process, which outlives us."""
    child = os.fork()
    if child:
        if wait:
            os.waitpid(child, 0)
        return
    try:
        os.setsid()
        nothing = os.open(os.devnull, os.O_RDWR)
        for number in (0, 1, 2):
            os.dup2(nothing, number)
        os.chdir(root)
        os.execv(sys.executable, [sys.executable, "-m", "duckconf.cli.terminal.words"])  # noqa: S606 (there is no shell)
    finally:
        os._exit(1)


def main(root: str, shell: str, typed: list[str]) -> None:
    path = words_file(root, dict(os.environ))
    try:
        age = time.time() - os.stat(path).st_mtime
        if age > FRESH:
            # So that the next one who asks does not have it written too.
            os.utime(path)
            renew(root, wait=False)
    except FileNotFoundError:
        renew(root, wait=True)
    try:
        known = read(path)
    except OSError:
        known = {}
    for word, about in candidates(typed, known):
        print(f"{word}\t{about}" if about and shell == "fish" else f"{word}:{about}" if about and shell == "zsh" else word)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
