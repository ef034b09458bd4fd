"""Requests at a steady rate are counted by how they end, over connections that the server may close."""

from __future__ import annotations

import asyncio

import pytest

from duckconf.cli.demo.load import Count, _body


def read(head: str, data: bytes) -> bytes:
    async def whole() -> bytes:
        reader = asyncio.StreamReader()
        reader.feed_data(data)
        reader.feed_eof()
        return await _body(reader, head)

    return asyncio.run(whole())


def test_an_answer_is_read_by_its_length_or_in_chunks() -> None:
    assert read("content-length: 5\r\n", b"hello, and more") == b"hello"
    assert read("transfer-encoding: chunked\r\n", b"3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n") == b"hello"


def test_an_answer_that_is_cut_off_is_an_error() -> None:
    with pytest.raises(EOFError):
        read("content-length: 9\r\n", b"hello")
    with pytest.raises(ValueError, match="invalid literal"):
        read("server: x\r\n", b"hello")


def test_failures_are_all_that_is_not_200() -> None:
    count = Count(latencies=[0.3, 0.1, 0.2], seconds=2.0)
    count.ended.update({"200": 3, "503": 1})
    assert (count.requests, count.failed, count.rate, count.quantile(0.5), count.quantile(1.0)) == (4, 1, 2.0, 0.2, 0.3)
