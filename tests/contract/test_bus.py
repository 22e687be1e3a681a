"""One suite of cases on every transport: memory, the system's Redis (7 or newer) and the bundled one (6.2)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from libs.testing.bus_contract import Case
from libs.testing.bus_contract_readers import CASES
from tests.contract.buses import KINDS, empty_bus, server_url


@pytest.fixture(scope="module", params=KINDS)
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    """A module shares a server; each test has a key prefix of its own."""
    with server_url(request.param) as found:
        yield found


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_transport(case: Case, url: str) -> None:
    async def run() -> None:
        async with asyncio.timeout(30), empty_bus(url) as bus:
            await case(bus)

    asyncio.run(run())
