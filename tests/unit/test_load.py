"""Requests at a steady rate are counted by how they end, over connections that the server may close."""

from __future__ import annotations

import asyncio
import threading

import pytest

from duckconf.cli.demo.load import FRESH_EACH, Count, Target, _body, _Client


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


def test_the_last_request_that_was_slow_tells_until_when_something_was_still_sent_there() -> None:
    count = Count(latencies=[9.0, 0.1, 8.0, 0.1], begun=[99.0, 100.2, 100.7, 101.0])
    assert (round(count.last_slow(100.0, 3.0), 2), count.last_slow(101.0, 3.0)) == (0.7, 0.0)


@pytest.mark.parametrize("hangs_up_on", ["a fresh connection", "one that was kept open"])
def test_a_connection_that_is_reset_when_it_is_fresh_is_a_failure_with_its_words(hangs_up_on: str) -> None:
    async def asked() -> tuple[Count, int]:
        connections = 0

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal connections
            connections += 1
            answers = 0 if hangs_up_on == "a fresh connection" else 1
            for _ in range(answers):
                await reader.readuntil(b"\r\n\r\n")
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
            writer.close()

        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        count, ended = Count(), threading.Event()
        address, port = server.sockets[0].getsockname()
        client = _Client(Target("a.example.org", address, port, ""), lambda: asyncio.open_connection(address, port), count)
        task = asyncio.create_task(client.run(0.0, 0.01, ended))
        while count.requests < 2 * FRESH_EACH:
            await asyncio.sleep(0.01)
        ended.set()
        await task
        server.close()
        return count, connections

    count, connections = asyncio.run(asked())
    assert connections >= count.requests
    if hangs_up_on == "a fresh connection":
        assert count.failed == count.requests
        assert "0 bytes read" in count.failures[0] or "reset" in count.failures[0]
    else:
        assert (count.failed, count.renewed > 0) == (0, True)
