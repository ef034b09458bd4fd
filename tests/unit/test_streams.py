"""Open streams over real sockets: what is sent once reaches all, and one that does not read holds up nobody."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from api.live.frames import Known, frame, id_of, known_by
from api.live.streams import LONGEST_QUEUE, Streams
from tests.waiting import until

Pairs = list[tuple[socket.socket, socket.socket]]


@pytest.fixture
def pairs() -> Iterator[Pairs]:
    made = [socket.socketpair() for _ in range(20)]
    for pair in made:
        pair[1].settimeout(5)
    yield made
    for pair in made:
        for end in pair:
            end.close()


def read(line: socket.socket, length: int) -> bytes:
    content = b""
    while len(content) < length:
        content += line.recv(65536) or pytest.fail(f"closed after {content[-80:]!r}")
    return content


def test_each_stream_begins_with_its_own_words_and_goes_on_with_those_of_all(pairs: Pairs) -> None:
    streams = Streams()
    for number, (ours, _) in enumerate(pairs):
        streams.add(ours, b"hello %02d;" % number)
    streams.send(b"one;")
    streams.send(b"two;")
    for number, (_, theirs) in enumerate(pairs):
        assert read(theirs, 17) == b"hello %02d;one;two;" % number


def test_one_that_does_not_read_is_cut_off_and_the_others_go_on(pairs: Pairs) -> None:
    streams, (stuck, _), (ours, reader) = Streams(), pairs[0], pairs[1]
    streams.add(stuck, b"")
    streams.add(ours, b"")
    piece = b"x" * 65536
    for _ in range(LONGEST_QUEUE // len(piece) + 20):
        streams.send(piece)
        assert read(reader, len(piece)) == piece
    until("the one that does not read is cut off", lambda: len(streams) == 1, 5)


def test_a_change_that_is_larger_than_what_may_wait_reaches_who_reads(pairs: Pairs) -> None:
    streams, (ours, reader) = Streams(), pairs[0]
    streams.add(ours, b"")
    streams.send(b"x" * (LONGEST_QUEUE + 1))
    assert len(read(reader, LONGEST_QUEUE + 1)) == LONGEST_QUEUE + 1
    streams.send(b"more")
    assert read(reader, 4) == b"more"


def test_one_that_goes_is_forgotten_at_once(pairs: Pairs) -> None:
    streams = Streams()
    streams.add(pairs[0][0], b"hello")
    assert read(pairs[0][1], 5) == b"hello"
    pairs[0][1].close()
    until("it is forgotten", lambda: len(streams) == 0, 5)


def test_an_id_tells_what_its_reader_knows() -> None:
    known = Known("a1b2", 12, "77-1024")
    assert known_by(id_of(known)) == known
    for text in ("", "a1b2", "a1b2.x.77-1", "..", "a1b2.-3.1-1"):
        assert known_by(text) == Known()


def test_a_frame_is_one_line_of_data_whatever_is_in_it() -> None:
    content = frame("events", [{"message": "two\nlines\r\u2028"}], Known("e", 1, "1-2")).decode()
    assert content.startswith("event: events\nid: e.1.1-2\ndata: ")
    assert content.count("\n") == 4
    assert "\r" not in content
