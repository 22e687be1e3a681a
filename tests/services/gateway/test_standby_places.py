"""An engine with a hot standby has two addresses: the gateway asks the one that leads."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from aiohttp import web

from libs.engine.errors import SettingsError
from libs.messagebus.redis.locks import free_port
from services.gateway.adapters.rounds import Rounds
from services.gateway.adapters.upstream import Upstreams
from services.gateway.settings import EngineUrls, GatewaySettings


class Processes:
    """Two processes of portfolio; ``says[n]`` is the status of each, None = it does not listen."""

    def __init__(self) -> None:
        self.ports = [free_port(), free_port()]
        self.says = ["healthy", "standby"]
        self.runners: list[web.AppRunner | None] = []

    async def start(self, number: int) -> web.AppRunner:
        async def status(_: web.Request) -> web.Response:
            return web.json_response({"status": self.says[number], "instance": f"portfolio-{number}"})

        app = web.Application()
        app.router.add_get("/status", status)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", self.ports[number]).start()
        return runner

    @property
    def urls(self) -> list[str]:
        return [f"http://127.0.0.1:{port}" for port in self.ports]


def with_rounds(use: Callable[[Processes, Rounds, Upstreams, list[web.AppRunner]], Awaitable[None]]) -> None:
    async def main() -> None:
        processes = Processes()
        runners = [await processes.start(0), await processes.start(1)]
        upstreams = Upstreams(EngineUrls(portfolio_url=", ".join(processes.urls)))
        rounds = Rounds(upstreams, GatewaySettings(port=0, health_timeout_seconds=2), dict, lambda: None)
        holding = asyncio.create_task(upstreams.run())
        try:
            await use(processes, rounds, upstreams, runners)
        finally:
            holding.cancel()
            await asyncio.gather(holding, return_exceptions=True)
            for runner in runners:
                await runner.cleanup()

    asyncio.run(main())


async def instance(rounds: Rounds) -> tuple[str, str]:
    """State and instance of portfolio in a round made now."""
    reading = (await rounds.look())["portfolio"]
    return reading.state, str((reading.status or {}).get("instance", ""))


def test_the_first_address_is_asked_while_it_leads_and_the_other_once_it_has_taken_over() -> None:
    async def use(processes: Processes, rounds: Rounds, upstreams: Upstreams, runners: list[web.AppRunner]) -> None:
        assert await instance(rounds) == ("healthy", "portfolio-0")
        await runners[0].cleanup()
        assert await instance(rounds) == ("unreachable", "")  # nobody leads yet
        assert upstreams.urls["portfolio"] == processes.urls[0]
        processes.says[1] = "degraded"  # it leads, whatever else is wrong
        assert await instance(rounds) == ("degraded", "portfolio-1")
        assert upstreams.urls["portfolio"] == processes.urls[1]
        runners[0] = await processes.start(0)
        processes.says = ["standby", "healthy"]
        assert await instance(rounds) == ("healthy", "portfolio-1")
        processes.says = ["healthy", "standby"]
        assert await instance(rounds) == ("healthy", "portfolio-0")

    with_rounds(use)


def test_an_engine_of_which_only_standbys_answer_is_told_as_such() -> None:
    async def use(processes: Processes, rounds: Rounds, upstreams: Upstreams, _: list[web.AppRunner]) -> None:
        processes.says = ["standby", "standby"]
        assert await instance(rounds) == ("standby", "portfolio-0")
        assert upstreams.urls["portfolio"] == processes.urls[0]

    with_rounds(use)


def test_every_address_is_checked() -> None:
    assert EngineUrls(risk_url="http://a:1/, http://b:2").places("risk") == ("http://a:1", "http://b:2")
    with pytest.raises(SettingsError, match="was 'b:2'"):
        EngineUrls(risk_url="http://a:1,b:2")
    with pytest.raises(SettingsError, match="was ''"):
        EngineUrls(risk_url="http://a:1,")
