"""Why instances are not as desired, for a person: what is said of several of them stands once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from duckconf.patterns import some_of

# An engine's words follow. They are long, and those of one app are the same on each instance.
SAID = "; the engine said: "
SHORT = "; the engine said the same"


def grouped(notes: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Names of instances and what is to be said of them, from pairs of one name and its note."""
    names: dict[str, list[str]] = {}
    for name, note in notes:
        names.setdefault(note, []).append(name)
    known: set[str] = set()
    for note, some in names.items():
        head, said, words = note.partition(SAID)
        yield some_of(some), f"{head}{SHORT}" if said and words in known else note
        known |= {words} if said else set()
