"""The lists of `watch`: nodes with their instances, apps or instances, what waits for a place, and the events. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from duckconf.events import Event
from duckconf.watching.said import short_image, short_name, sign, state_of, tone
from duckconf.watching.spans import BOLD, BUSY, CHOSEN, DIM, LIT, PLAIN, WELL, Line, Span, ago, cells, column, length
from duckconf.watching.view import APPS, INSTANCES, NODES, View, listed, natural, place_of

LONGEST_NAME = 20
# Lines, with its title: what a list gets before the others get more, and the events when there is room.
LEAST = 3
EVENTS = 7

Part = Mapping[str, Any]


@dataclass(frozen=True)
class Drawn:
    """What the lists are made of, as `scene.Scene` has it."""

    picture: Part
    now: float
    events: Sequence[Event]
    clock: Callable[[float], str]


@dataclass(frozen=True)
class Section:
    """`line` makes the line of one of `items`; `at` is which of them has to be seen."""

    title: str
    items: Sequence[Any]
    line: Callable[[Any], Iterable[Span]]
    at: int = 0
    focused: bool = False
    empty: str = ""

    @property
    def wants(self) -> int:
        return 1 + max(len(self.items), 1)


def lists(drawn: Drawn, view: View, columns: int, room: int) -> list[Line]:
    """As many lines as there is room for, or fewer."""
    second = _instances(drawn, view, columns) if view.pane == INSTANCES else _apps(drawn, view)
    sections = [_nodes(drawn, view, columns), second, _waiting(drawn, view), _events(drawn)]
    sections = [section for section in sections if section.items or section.empty]
    rooms = shares([(section.wants, section.focused) for section in sections], room)
    return [line for section, lines in zip(sections, rooms) for line in _section(section, lines, columns)]


def shares(wants: Sequence[tuple[int, bool]], room: int) -> list[int]:
    """How many lines each list gets, of `wants` with whether it is the one that is chosen from: that one first, then the others
    from the top, the last one (the events) up to a few before all of its own."""
    order = sorted(range(len(wants)), key=lambda index: not wants[index][1])
    last = len(wants) - 1
    whole = [lines for lines, _ in wants]
    some = [min(lines, EVENTS) if index == last else lines for index, lines in enumerate(whole)]
    given = [0] * len(wants)
    for most in ([min(lines, LEAST) for lines in whole], some, whole):
        for index in order:
            given[index] += max(0, min(most[index] - given[index], room - sum(given)))
    # A title alone says nothing.
    return [lines if lines > 1 else 0 for lines in given]


def _section(section: Section, room: int, columns: int) -> list[Line]:
    if room < 2:
        return []
    shown = min(room - 1, len(section.items))
    first = min(max(section.at - shown // 2, 0), len(section.items) - shown)
    part = f"  {first + 1}–{first + shown} of {len(section.items)}" if shown < len(section.items) else ""
    title = Span(f" {section.title}{part} ", BOLD)
    rule = Span("─" * (columns - cells(title.text)), DIM)
    if not section.items:
        return [(title, rule), (Span(f"   {section.empty}", DIM),)]
    lines: list[Line] = [(title, rule)]
    for index in range(first, first + shown):
        chosen = section.focused and index == section.at
        spans = [Span(" ▸ " if chosen else "   ", BOLD), *section.line(section.items[index])]
        if chosen:
            spans = [Span(span.text, CHOSEN) for span in spans]
            spans.append(Span(" " * max(0, columns - length(spans)), CHOSEN))
        lines.append(tuple(spans))
    return lines


def _widest(names: Iterable[str]) -> int:
    return min(max(map(cells, names), default=1), LONGEST_NAME)


def _nodes(drawn: Drawn, view: View, columns: int) -> Section:
    picture, names = drawn.picture, listed(drawn.picture, view, NODES)
    at, width = place_of(names, view.chosen.get(NODES, "")), _widest(names)
    there: dict[str, list[tuple[str, Part]]] = {}
    for name, one in picture["instances"].items():
        there.setdefault(one.get("node", ""), []).append((name, one))
    calls: dict[str, list[Part]] = {}
    for call in picture.get("calls", {}).values():
        calls.setdefault(call.get("node", ""), []).append(call)

    def line(name: str) -> list[Span]:
        node: Part = picture["nodes"][name]
        status = str(node.get("status", ""))
        heard = ago(drawn.now - node["heard"]) if node.get("heard") else "-"
        spans = [
            Span(column(name, width) + " "),
            Span(column(f"{sign(status)} {status}", 13), tone(status)),
            Span(f"{heard:>4} "),
            Span(column(f"{node.get('ready', 0)}/{node.get('instances', 0)}", 6)),
        ]
        if node.get("cordoned"):
            spans.append(Span("drains " if node.get("draining") else "cordoned ", BUSY))
        spans += [Span(f"→ {call.get('words', '')} ", LIT) for call in calls.get(name, ())]
        room = columns - length(spans) - 3
        return [*spans, *boxes(there.get(name, ()), str(picture.get("mode", "")), room)]

    return Section(f"NODES {len(names)}", names, line, at, view.pane == NODES, "no nodes are in the inventory")


def boxes(there: Sequence[tuple[str, Part]], mode: str, room: int) -> list[Span]:
    """The instances of a node, those that are not well first, and how many more there are than there is room for."""
    spans: list[Span] = []
    ordered = sorted(there, key=lambda item: (state_of(item[1]) == "ready" and not item[1].get("surplus"), natural(item[0])))
    for index, (name, one) in enumerate(ordered):
        state = state_of(one)
        # A surplus container is called by the app that it was of.
        text = (
            f"{'~' if one.get('outdated') else ''}{sign(state)}{short_name(one.get('app', name) if '/' in name else name, mode)}"
        )
        box = Span(f"({text}) " if one.get("surplus") else f"{text} ", DIM if one.get("surplus") else tone(state))
        left = len(ordered) - index
        if length(spans) + cells(box.text) + (len(f"+{left}") if left > 1 else 0) > room:
            return [*spans, Span(f"+{left}", DIM)]
        spans.append(box)
    return spans


def _apps(drawn: Drawn, view: View) -> Section:
    picture, names = drawn.picture, listed(drawn.picture, view, APPS)
    mode = str(picture.get("mode", ""))
    width = _widest(short_name(name, mode) for name in names)

    def line(name: str) -> list[Span]:
        app: Part = picture["apps"][name]
        ready, wanted, running = app.get("ready", 0), app.get("wanted", 0), app.get("running", 0)
        well = running > 0 if mode == "push" else ready >= wanted
        count = f"{running} runs" if mode == "push" else f"{ready}/{wanted} ready"
        rollout = str(app.get("rollout", ""))
        return [
            Span(column(short_name(name, mode), width) + " "),
            Span(f"{'●' if well else '◔' if mode != 'push' else '■'} {count:<11} ", WELL if well else BUSY),
            Span(column(short_image(str(app.get("image", ""))), 18) + " ", PLAIN),
            Span(f"⟳ {app.get('updated', 0)}/{wanted} {rollout}" if rollout else "", LIT),
        ]

    at = place_of(names, view.chosen.get(APPS, ""))
    return Section(f"APPS {len(names)}", names, line, at, view.pane == APPS, "none yet: ./inv start-app nginx")


def _instances(drawn: Drawn, view: View, columns: int) -> Section:
    picture, names = drawn.picture, listed(drawn.picture, view, INSTANCES)
    mode = str(picture.get("mode", ""))
    width = _widest(short_name(name, mode) for name in names)
    nodes = _widest(str(picture["instances"][name].get("node", "")) for name in names)

    def line(name: str) -> list[Span]:
        one: Part = picture["instances"][name]
        state = state_of(one)
        age = ago(drawn.now - one["started"]) if one.get("started") else "-"
        restarts = f"↻{one['restarts']} " if one.get("restarts") else ""
        return [
            Span(column(short_name(name, mode), width) + " "),
            Span(column(str(one.get("node", "")) or "-", nodes) + " "),
            Span(column(f"{'~' if one.get('outdated') else ''}{sign(state)} {state}", 14), tone(state)),
            Span(f"{age:>4} {restarts}"),
            Span(f"{short_image(str(one.get('image', '')))} {one.get('note', '')}"),
        ]

    whose = f" of {short_name(view.of[1], mode)}" if view.of[0] else ""
    at = place_of(names, view.chosen.get(INSTANCES, ""))
    return Section(f"INSTANCES{whose} {len(names)}", names, line, at, focused=True, empty="none")


def _waiting(drawn: Drawn, view: View) -> Section:
    found = drawn.picture["instances"]
    names = sorted((name for name, one in found.items() if not one.get("node")), key=natural)

    def line(name: str) -> list[Span]:
        one: Part = found[name]
        return [Span(f"{sign(state_of(one))} {name} ", BUSY), Span(str(one.get("note") or "waits for a place"))]

    return Section(f"WAITING {len(names)}", names, line)


def _events(drawn: Drawn) -> Section:
    """The newest first."""

    def line(event: Event) -> list[Span]:
        about = " ".join(part for part in (event.instance or event.app, event.node) if part)
        return [
            Span(f"{drawn.clock(event.time)} ", DIM),
            Span(f"{event.kind} ", BOLD),
            Span(f"{about}: " if about else ""),
            Span(event.message),
        ]

    return Section("EVENTS", list(reversed(drawn.events)), line, empty="none yet")
