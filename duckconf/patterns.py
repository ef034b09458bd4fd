"""Which hosts a person means: Ansible's pattern language over the hosts and groups of one inventory.

Pure. `nodes:!node-3`, `web-*,&nodes`, `~web-\\d+`, `nodes[0:2]`: names, groups, globs, regular expressions and places in
a group, joined by `:` or `,`; `&` keeps what is also there, `!` takes away. `@NAME` stands for a list kept elsewhere.
Unlike Ansible, a part that matches nothing is an error: a typing mistake must not mean other hosts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from fnmatch import fnmatchcase

from duckconf import suggest
from duckconf.errors import BadInput, Fault, NotFound

ALL = "all"
MOST_NAMES = 8
# Not inside brackets, where a colon is part of a glob or of a range of places.
SEPARATOR = re.compile(r"[,:](?![^\[\]]*\])")
PLACES = re.compile(r"(?P<base>.+)\[(?P<first>-?\d+)(?P<range>:(?P<last>\d*))?\]")
GLOB_SIGNS = frozenset("*?[")


def choose(
    pattern: str,
    names: Sequence[str],
    groups: Mapping[str, Iterable[str]],
    recall: Callable[[str], Iterable[str]] | None = None,
) -> list[str]:
    """The hosts of `names`, in their order, that `pattern` means; "" means all, also where there is none. `recall` finds
    the list behind `@NAME`.

    Raises NotFound, with what there is, when a part matches nothing or nothing is left; BadInput for a bad part.
    """
    parts = [part for part in (part.strip() for part in SEPARATOR.split(pattern)) if part]
    members = {name: frozenset(hosts) for name, hosts in groups.items()}
    # A host that is not asked for may be named too: `all:!control_plane` means all nodes.
    everybody = list(dict.fromkeys([*names, *(host for hosts in groups.values() for host in hosts)]))

    def matched(part: str) -> frozenset[str]:
        found = _matches(part, everybody, members, recall)
        if not found and part not in members:
            like = suggest.meant(part, [*everybody, *members])
            raise NotFound(f"no host matches {part!r}{like}", _what_there_is(names, groups))
        return found

    meant = [matched(part) for part in parts if part[0] not in "&!"]
    chosen = frozenset().union(*meant) if meant else frozenset(names)
    for part in (part for part in parts if part[0] == "&"):
        chosen &= matched(_named(part))
    for part in (part for part in parts if part[0] == "!"):
        chosen -= matched(_named(part))
    left = [name for name in names if name in chosen]
    if pattern and not left:
        raise NotFound(f"no host is left of {pattern!r}", _what_there_is(names, groups))
    return left


def check_pattern(pattern: str) -> None:
    """Raises BadInput for one that can mean nothing in any inventory; lists kept elsewhere are none of an inventory's."""
    parts = [part for part in (part.strip() for part in SEPARATOR.split(pattern)) if part]
    if not parts and pattern:
        raise BadInput(Fault("pattern", "it names no node and no group"))
    for part in parts:
        word = _named(part) if part[0] in "&!" else part
        if word.startswith("@"):
            raise BadInput(Fault("pattern", f"{word} is a list of this machine, and no group"))
        if word.startswith("~"):
            _compiled(word[1:])


def _named(part: str) -> str:
    if not part[1:]:
        raise BadInput(Fault("pattern", f"{part!r} should be followed by a name, a group or a glob"))
    return part[1:]


def _matches(
    part: str,
    names: Sequence[str],
    groups: Mapping[str, frozenset[str]],
    recall: Callable[[str], Iterable[str]] | None,
) -> frozenset[str]:
    if part.startswith("@") and recall is not None:
        return frozenset(recall(part[1:])).intersection(names)
    if part.startswith("~"):
        return _by_word(_compiled(part[1:]), names, groups)
    places = PLACES.fullmatch(part)
    if places and (base := _by_word(_globbed(places["base"]), names, groups)) and not _is_glob_of(part, names):
        return frozenset(_places([name for name in names if name in base], places))
    return _by_word(_globbed(part), names, groups)


def _is_glob_of(part: str, names: Iterable[str]) -> bool:
    return any(fnmatchcase(name, part) for name in names)


def _by_word(fits: Callable[[str], bool], names: Sequence[str], groups: Mapping[str, frozenset[str]]) -> frozenset[str]:
    """Hosts by their own name or by the name of a group that they are in."""
    own = frozenset(name for name in names if fits(name))
    if fits(ALL):
        return frozenset(names)
    return own.union(*(members for name, members in groups.items() if fits(name))) & frozenset(names)


def _globbed(word: str) -> Callable[[str], bool]:
    if GLOB_SIGNS.isdisjoint(word):
        return lambda name: name == word
    return lambda name: fnmatchcase(name, word)


def _compiled(expression: str) -> Callable[[str], bool]:
    """From the name's beginning, as Ansible does it."""
    try:
        found = re.compile(expression)
    except re.error as error:
        raise BadInput(Fault("pattern", f"{expression!r} is no regular expression: {error}")) from None
    return lambda name: found.match(name) is not None


def _places(hosts: Sequence[str], places: re.Match[str]) -> Sequence[str]:
    """Counted from 0; the last one of a range belongs to it, as Ansible has it."""
    first = int(places["first"])
    if places["range"] is None:
        return hosts[first:][:1] if -len(hosts) <= first else ()
    last = int(places["last"]) if places["last"] else len(hosts) - 1
    return hosts[first : last + 1]


def _what_there_is(names: Sequence[str], groups: Mapping[str, Iterable[str]]) -> str:
    known = ", ".join(sorted(name for name in groups if name not in (ALL, "ungrouped")))
    return f"the hosts are {some_of(names) or 'none'}" + (f"; the groups are {known}" if known else "")


def some_of(names: Iterable[str]) -> str:
    """As many names as a line holds."""
    names = list(names)
    shown = ", ".join(names[:MOST_NAMES])
    return shown if len(names) <= MOST_NAMES else f"{shown} and {len(names) - MOST_NAMES} more"
