"""asyncssh with persistent connections: `python -m benchmarks.clients.with_asyncssh TARGET`, in the bench's own venv."""

from __future__ import annotations

import asyncio
import sys

import asyncssh

from benchmarks.clients.passes import check_answers, read_target, serve


def main(path: str) -> None:
    target = read_target(path)
    connections: list[asyncssh.SSHClientConnection] = []

    async def connect(host: str, port: int) -> asyncssh.SSHClientConnection:
        return await asyncssh.connect(
            host, port, username=target.user, client_keys=[target.key], known_hosts=target.known_hosts, config=[], agent_path=None
        )

    async def look() -> None:
        if not connections:
            connections.extend(await asyncio.gather(*(connect(host, port) for host, port in target.hosts)))
        done = await asyncio.gather(*(connection.run(target.command, check=True) for connection in connections))
        check_answers([str(answer.stdout) for answer in done], target)

    loop = asyncio.new_event_loop()

    def act() -> None:
        loop.run_until_complete(look())

    serve({"connect": act, "look": act})


if __name__ == "__main__":
    main(sys.argv[1])
