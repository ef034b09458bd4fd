"""What a person who watches has chosen, and what a key means then: another view, and what is to be done. Pure."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from duckconf.watching.said import KILLED, is_killable, refusal

NODES, APPS, INSTANCES = "nodes", "apps", "instances"
PANES = (NODES, APPS, INSTANCES)
LISTS, HELP, LOG = "lists", "help", "log"
PAGE = 10
# Keys that do something to a node, and the task that each stands for.
NODE_TASKS = {"f": "stop-node", "t": "start-node", "c": "cordon", "u": "uncordon", "d": "drain"}
ASKED = {
    "f": "freeze {}? Its instances stand still with it",
    "d": "drain {}? Its instances move to other nodes, and it gets no new ones",
}

Part = Mapping[str, Any]


@dataclass(frozen=True)
class View:
    """`of` is the node or app whose instances alone are listed, as its pane and name. `asks` is a question, and `then` the words
    of the task that a yes begins. `up` is how many lines of a log are below what is shown."""

    pane: str = NODES
    chosen: Mapping[str, str] = field(default_factory=dict)
    of: tuple[str, str] = ("", "")
    shows: str = LISTS
    log: str = ""
    up: int = 0
    asks: str = ""
    then: tuple[str, ...] = ()
    said: str = ""


@dataclass(frozen=True)
class Do:
    """One thing to do: `run` a task with these words, show the `log` that a task with these words prints, `close` it, `quit`."""

    run: tuple[str, ...] = ()
    log: tuple[str, ...] = ()
    close: bool = False
    quit: bool = False


NOTHING = Do()


def listed(picture: Part, view: View, pane: str) -> list[str]:
    """The names in a list, in their order."""
    parts: Part = picture.get(pane, {})
    if pane != INSTANCES:
        return sorted(parts, key=natural)
    kind, name = view.of
    member = {NODES: "node", APPS: "app"}.get(kind, "")
    return sorted(
        (key for key, one in parts.items() if not member or one.get(member, "") == name),
        key=lambda key: (natural(parts[key].get("app", "")), natural(key)),
    )


@functools.lru_cache(maxsize=1 << 14)
def natural(name: str) -> tuple[tuple[int, str], ...]:
    """So that node-2 comes before node-10."""
    words: list[tuple[int, str]] = []
    digits = ""
    for sign in name:
        if sign.isascii() and sign.isdigit():
            digits += sign
            continue
        if digits:
            words.append((int(digits), ""))
            digits = ""
        words.append((-1, sign))
    return (*words, (int(digits), "")) if digits else tuple(words)


def place_of(names: Sequence[str], chosen: str) -> int:
    """Of what is chosen; of what comes next in the list where that has gone."""
    if chosen in names:
        return names.index(chosen)
    return min(sum(natural(name) < natural(chosen) for name in names), max(len(names) - 1, 0))


def chosen_in(picture: Part, view: View, pane: str = "") -> str:
    """Its name; "" where there is nothing to choose."""
    pane = pane or view.pane
    names = listed(picture, view, pane)
    return names[place_of(names, view.chosen.get(pane, ""))] if names else ""


def pressed(view: View, key: str, picture: Part) -> tuple[View, Do]:
    """The picture may be empty: nothing is known yet."""
    if view.asks:
        after = replace(view, asks="", then=())
        return (after, Do(run=view.then)) if key in ("y", "Y") else (replace(after, said="nothing was done"), NOTHING)
    view = replace(view, said="")
    if key == "q" and view.shows == LISTS:
        return view, Do(quit=True)
    if view.shows == LOG:
        return _in_log(view, key)
    if view.shows == HELP or key == "?":
        return replace(view, shows=LISTS if view.shows == HELP else HELP), NOTHING
    if key in ("tab", "right", "back-tab", "left"):
        step = 1 if key in ("tab", "right") else -1
        return replace(view, pane=PANES[(PANES.index(view.pane) + step) % len(PANES)]), NOTHING
    if key == "enter" and view.pane != INSTANCES:
        name = chosen_in(picture, view)
        return (replace(view, pane=INSTANCES, of=(view.pane, name)) if name else view), NOTHING
    if key == "escape":
        return replace(view, of=("", ""), pane=view.of[0] or view.pane), NOTHING
    return _moved(view, key, picture) or _asked(view, key, picture)


def _in_log(view: View, key: str) -> tuple[View, Do]:
    if key in ("q", "escape", "l", "enter", "left"):
        return replace(view, shows=LISTS, log="", up=0), Do(close=True)
    steps = {"up": 1, "down": -1, "page-up": PAGE, "page-down": -PAGE, "home": 10**6, "end": -(10**6)}
    return replace(view, up=max(0, view.up + steps.get(key, 0))), NOTHING


def _moved(view: View, key: str, picture: Part) -> tuple[View, Do] | None:
    names = listed(picture, view, view.pane)
    at, last = place_of(names, view.chosen.get(view.pane, "")), len(names) - 1
    to = {"up": at - 1, "down": at + 1, "page-up": at - PAGE, "page-down": at + PAGE, "home": 0, "end": last}.get(key)
    if to is None:
        return None
    chosen = names[min(max(to, 0), last)] if names else ""
    return replace(view, chosen={**view.chosen, view.pane: chosen}), NOTHING


def _asked(view: View, key: str, picture: Part) -> tuple[View, Do]:
    """A key that does something to what is chosen."""
    name = chosen_in(picture, view)
    if key not in (*NODE_TASKS, "k", "l"):
        return replace(view, said=f"{key} does nothing here; ? shows the keys" if key.isprintable() else ""), NOTHING
    if not name:
        return replace(view, said=f"there is nothing in {view.pane} to choose"), NOTHING
    if key == "l":
        return _log(view, name, picture)
    if words := refusal(key, picture.get("mode", ""), view.pane, name, _part(picture, view.pane, name)):
        return replace(view, said=words), NOTHING
    if key == "k":
        return _kill(view, name, picture)
    node = name if view.pane == NODES else _part(picture, INSTANCES, name).get("node", "")
    task = (NODE_TASKS[key], node)
    if key in ASKED:
        return replace(view, asks=ASKED[key].format(node), then=task), NOTHING
    return view, Do(run=task)


def _kill(view: View, name: str, picture: Part) -> tuple[View, Do]:
    victim, among = name, ""
    if view.pane == APPS:
        mine = listed(picture, replace(view, of=(APPS, name)), INSTANCES)
        running = [one for one in mine if is_killable(_part(picture, INSTANCES, one))]
        if not running:
            return replace(view, said=f"nothing of {name} runs"), NOTHING
        victim, among = running[0], f", one of {len(running)}" if len(running) > 1 else ""
    one = _part(picture, INSTANCES, victim)
    target = called_in_tasks(victim, one)
    asks = f"kill {target} on {one.get('node', '')}{among}? {KILLED.get(picture.get('mode', ''), '')}".rstrip()
    return replace(view, asks=asks, then=("kill-app", target)), NOTHING


def _log(view: View, name: str, picture: Part) -> tuple[View, Do]:
    mode = picture.get("mode", "")
    if view.pane == NODES and mode != "agents":
        said = "l shows the log of an app or an instance (Tab goes there); a node has one of its own in agents mode"
        return replace(view, said=said), NOTHING
    what = f"agent@{name}" if view.pane == NODES else name
    if view.pane == INSTANCES:
        what = called_in_tasks(name, _part(picture, INSTANCES, name))
    return replace(view, shows=LOG, log=what, up=0), Do(log=("logs", what, "--follow", "--tail", "200"))


def called_in_tasks(name: str, one: Part) -> str:
    """What a task calls the instance: that of a surplus container is the container's own name."""
    return str(one.get("container", name)) if "/" in name else name


def _part(picture: Part, pane: str, name: str) -> Part:
    found: Part = picture.get(pane, {}).get(name, {})
    return found
