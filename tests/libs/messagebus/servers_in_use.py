"""Using a Redis server in a test, from connecting to closing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from libs.messagebus import RedisTransport
from libs.messagebus.transport import START, Output


def run(scenario: Callable[[], Awaitable[Any]]) -> Any:
    async def main() -> Any:
        async with asyncio.timeout(20):
            return await scenario()

    return asyncio.run(main())


async def use(url: str) -> None:
    """Connect, write, read, close."""
    transport = RedisTransport(url)
    try:
        await transport.connect()
        await transport.append("p", 0, 1, [Output("s", b"x")])
        assert [entry.data for entry in await transport.read({"s": START}, 1, 0)] == [b"x"]
    finally:
        await transport.close()
