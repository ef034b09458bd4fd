"""What a person probably meant by a name that there is not: one mechanism for tasks, options, apps, nodes and others. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

# That `secret` and `user` have three letters in common is no likeness.
LIKE_ENOUGH = 0.7


def nearest(word: str, known: Iterable[str]) -> str:
    """The name that is most like it, "" where none is."""
    # The dashes, which all options share, are no likeness; capitals are no difference.
    bare = {name.lstrip("-").lower(): name for name in sorted(known, reverse=True)}
    typed = word.lstrip("-").lower()
    # Two letters that changed places: to difflib, `statsu` is more like `stats` than like `status`.
    swapped = [name for name in bare if typed and sorted(name) == sorted(typed)]
    close = swapped or difflib.get_close_matches(typed, bare, n=1, cutoff=LIKE_ENOUGH)
    return bare[close[0]] if close else ""


def meant(word: str, known: Iterable[str]) -> str:
    """To be put behind the sentence that there is no such name."""
    name = nearest(word, known)
    return f"; did you mean {name}?" if name else ""
