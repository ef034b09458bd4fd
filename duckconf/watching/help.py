"""The keys of `watch`: one line of them, and all with what they do. Pure."""

from __future__ import annotations

from duckconf.watching.spans import BOLD, DIM, Line, Span

HINTS = " ↑↓ Tab  k kill  f freeze  t thaw  c u cordon  d drain  l log  ? help  q quit"
NARROW_HINTS = " ? keys  q quit "
KEYS = (
    ("↑ ↓ PgUp PgDn Home End", "choose"),
    ("Tab, ← →", "nodes, apps, instances"),
    ("Enter", "only the instances of what is chosen; Esc: all again"),
    ("k", "kill the app or instance (./inv kill-app)"),
    ("f, t", "freeze and thaw a demo node (./inv stop-node, start-node)"),
    ("c, u", "cordon and uncordon a node (./inv cordon, uncordon)"),
    ("d", "drain a node (./inv drain; not in push mode)"),
    ("l", "log of an app or instance, of a node's agent (./inv logs)"),
    ("q, Ctrl-C", "quit; Ctrl-Z suspends"),
)
SIGNS = (
    "● ready  ◔ starting  ○ waits  ↻ tried again  ◐ suspect  ✕ lost  ■ ended",
    "! unhealthy  ‖ frozen  ~ of an earlier revision  ( ) nobody asks for it",
    "▶ this step has just run  → this is being done on the node now",
)
WIDEST = max(len(keys) for keys, _ in KEYS)


def keys_help(room: int, columns: int) -> list[Line]:
    width = WIDEST if columns >= 60 else 6
    lines: list[Line] = [(Span(f" {keys:<{width}}  ", BOLD), Span(does)) for keys, does in KEYS]
    lines += [(Span(f" {signs}", DIM),) for signs in SIGNS]
    return lines[:room]
