"""Server-sent events, as their bytes come."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from api.live.frames import KEEP_ALIVE, RETRY, Known, frame
from duckconf.event_stream import Reader, Sent

SENT = RETRY + frame("now", {"now": 1.5}, Known("e", 1, "c")) + KEEP_ALIVE + frame("patch", {"a": "ü\n"}, Known("e", 2, "c"))


@given(st.lists(st.integers(0, len(SENT)), max_size=6))
def test_what_the_api_sends_is_read_however_it_is_cut(cuts: list[int]) -> None:
    reader, ends = Reader(), [0, *sorted(cuts), len(SENT)]
    found = [sent for begin, end in itertools.pairwise(ends) for sent in reader.read(SENT[begin:end])]
    assert found == [Sent("now", {"now": 1.5}, "e.1.c"), Sent("patch", {"a": "ü\n"}, "e.2.c")]
