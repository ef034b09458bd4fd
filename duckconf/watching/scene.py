"""What there is to draw at a moment, and the screen made of it: lines for a terminal of any size. Pure.

The upper lines say what the cluster is and what its control plane does, the lower ones what is chosen and what the keys do;
between them are lists, which share the room: the one that is chosen from gets most of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from duckconf.counts import counted
from duckconf.events import Event
from duckconf.watching.control import processes, steps
from duckconf.watching.detail import detail
from duckconf.watching.help import HINTS, NARROW_HINTS, keys_help
from duckconf.watching.lists import Drawn, lists
from duckconf.watching.said import sign, tone
from duckconf.watching.spans import ALARM, BOLD, CHOSEN, DIM, LIT, PLAIN, Line, Span, ago, cells, fitted, length
from duckconf.watching.view import HELP, LOG, View

# Below this there is no room for a list.
FEWEST_COLUMNS, FEWEST_ROWS = 32, 9
# From here on, the keys are named in full, and each trouble of the control plane has a line.
WIDE, ROOMY = 80, 30


@dataclass(frozen=True)
class Scene:
    """`picture` is empty before the first one came; `now` is the server's clock, in seconds since the epoch. `stale` is for how
    many seconds nothing was heard, 0 while the line is well, and `why` what is known of it. `running` are the tasks begun from
    here, each with its age in seconds, and `told` what the last one said. `clock` writes a time for a person."""

    picture: Mapping[str, Any]
    now: float
    events: Sequence[Event] = ()
    stale: float = 0.0
    why: str = ""
    running: Mapping[str, float] = field(default_factory=dict)
    told: str = ""
    log: Sequence[str] = ()
    clock: Callable[[float], str] = str


def drawn(scene: Scene, view: View, columns: int, rows: int) -> list[Line]:
    """Exactly as many lines as the terminal has, none wider than it."""
    lines = _lines(scene, view, columns, rows)[:rows]
    return [fitted(line, columns) for line in lines] + [()] * (rows - len(lines))


def _lines(scene: Scene, view: View, columns: int, rows: int) -> list[Line]:
    if columns < FEWEST_COLUMNS or rows < FEWEST_ROWS:
        return _too_small(scene, view)
    head, foot = [_title(scene, columns)], _foot(scene, view, columns)
    if scene.stale or not scene.picture:
        head.append(_stale(scene, columns))
    room = rows - len(head) - len(foot)
    if view.shows == LOG:
        body = _log(scene, view, room)
    elif view.shows == HELP:
        body = keys_help(room, columns)
    elif not scene.picture:
        body = []
    else:
        upper = _upper(scene, columns, rows)
        body = upper + lists(Drawn(scene.picture, scene.now, scene.events, scene.clock), view, columns, room - len(upper))
    if scene.stale:
        body = [tuple(Span(span.text, DIM if span.style == PLAIN else span.style) for span in line) for line in body]
    return head + (body + [()] * room)[:room] + foot


def _upper(scene: Scene, columns: int, rows: int) -> list[Line]:
    found = processes(scene.picture)
    return [*found[: 1 if rows < ROOMY else len(found)], *steps(scene.picture, scene.now, columns, rows)]


def _title(scene: Scene, columns: int) -> Line:
    """What there is no room for is left out from its end."""
    picture = scene.picture
    left = [Span(f" {picture.get('cluster', 'duckconf')} ", BOLD), Span(f"{picture['mode']} mode" if picture else "")]
    link = Span("✕ stale ", ALARM) if scene.stale else Span("● live ", "well") if picture else Span("◔ connecting ", "busy")
    room = columns - cells(link.text)
    for words in _counts(picture) if picture else ():
        if length(left) + cells(words.text) + 3 > room:
            break
        left += [Span(" · ", DIM), words]
    line = fitted(left, room)
    return (*line, Span(" " * (room - length(line))), link)


def _counts(picture: Mapping[str, Any]) -> list[Span]:
    states = Counter(str(node.get("status", "")) for node in picture["nodes"].values())
    bad = [f"{number} {state}" for state, number in sorted(states.items()) if state != "ready"]
    worst = next((state for state in sorted(states) if state != "ready"), "ready")
    nodes = f"{sign(worst)} {counted(len(picture['nodes']), 'node')}" + (f", {', '.join(bad)}" if bad else "")
    apps = picture["apps"].values()
    short = sum(app.get("ready", 0) < app.get("wanted", 0) for app in apps)
    told = [Span(nodes, tone(worst)), Span(counted(len(apps), "app") + (f", {short} not ready" if short else ""))]
    told.append(Span(counted(len(picture["instances"]), "instance")))
    return told


def _stale(scene: Scene, columns: int) -> Line:
    if not scene.picture:
        return (Span(f" {scene.why or 'connecting'}"),)
    words = f" This picture is {ago(scene.stale)} old; connecting again. {scene.why or 'The API says nothing'}"
    return (Span(words.ljust(columns), ALARM),)


def _foot(scene: Scene, view: View, columns: int) -> list[Line]:
    told = detail(scene.picture, view, scene.now) if scene.picture and view.shows not in (LOG, HELP) else ()
    return [told, _message(scene, view), _hints(view, columns)]


def _message(scene: Scene, view: View) -> Line:
    """The question first, then what the last key came to, then what runs."""
    if view.asks:
        asks = f"{view.asks} (the picture is stale)" if scene.stale else view.asks
        return (Span(" y/n ", ALARM), Span(f" {asks}", BOLD))
    if view.said:
        return (Span(f" {view.said}", BOLD),)
    running = "; ".join(f"./inv {task} ({ago(age)})" for task, age in scene.running.items())
    told = [Span(f" {scene.told} ", BOLD)] if scene.told else []
    return tuple([*told, Span(f" ◔ {running}", LIT)] if running else told)


def _hints(view: View, columns: int) -> Line:
    if view.shows == LOG:
        return (Span(f" log of {view.log}  ", CHOSEN), Span(" ↑↓ PgUp PgDn scroll · End the newest · Esc back"))
    if view.shows == HELP:
        return (Span(" any key: back", CHOSEN),)
    return (Span(HINTS if columns >= WIDE else NARROW_HINTS, CHOSEN),)


def _log(scene: Scene, view: View, room: int) -> list[Line]:
    if not scene.log:
        return [(Span(f" nothing yet from ./inv logs {view.log}", DIM),)]
    first = max(0, len(scene.log) - room - view.up)
    return [(Span(line),) for line in scene.log[first : first + room]]


def _too_small(scene: Scene, view: View) -> list[Line]:
    picture = scene.picture
    state = "stale" if scene.stale else "live" if picture else "connecting"
    asks = [(Span(view.asks, ALARM),), (Span("y yes, n no", BOLD),)] if view.asks else []
    counts: list[Line] = [(words,) for words in _counts(picture)] if picture else []
    return [(Span(f"{picture.get('cluster', 'duckconf')}: {state}", BOLD),), *asks, *counts, (Span("too small; q quits"),)]
