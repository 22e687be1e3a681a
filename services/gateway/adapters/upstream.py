"""Requests to engines: one connection pool, a breaker each, failures told as problems and never as answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, Final

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from libs.clock.live import monotonic_ns
from libs.contracts.fleet import ENGINES
from libs.engine.problems import Problem
from services.gateway.breaker import LIMITS, Breaker, BreakerLimits
from services.gateway.settings import EngineUrls

#: What of a request an engine needs; cookies and the rest stay here.
FORWARDED: Final = (
    "authorization", "idempotency-key", "content-type", "accept", "if-none-match", "last-event-id", "x-api-key",
    "x-request-timeout-ms",
)  # fmt: skip
#: What of an engine's answer its caller needs.
RETURNED: Final = (
    "content-type", "content-disposition", "location", "retry-after", "etag", "cache-control", "allow",
    "www-authenticate",
)  # fmt: skip

Observe = Callable[[str, str, float | None], None]


class Answer:
    """What an engine answers: status and headers now, the body as it comes. Read :meth:`body` or call :meth:`close`."""

    def __init__(self, engine: str, response: aiohttp.ClientResponse) -> None:
        self.status = response.status
        self.headers = {name: response.headers[name] for name in RETURNED if name in response.headers}
        self._engine = engine
        self._response = response

    async def body(self) -> AsyncIterator[bytes]:
        """Yield the body.

        Raises:
            aiohttp.ClientError: If the engine breaks off; the caller's connection must break off too.
        """
        try:
            async for chunk in self._response.content.iter_any():
                yield chunk
        finally:
            self._response.close()

    async def json(self) -> Any:
        """The body as JSON.

        Raises:
            Problem: 502 if it is none.
        """
        try:
            return await self._response.json(content_type=None)
        except (ValueError, aiohttp.ClientError, TimeoutError) as error:
            raise _nonsense(self._engine, error) from None
        finally:
            self._response.close()


class Upstreams:
    """All engines as the gateway reaches them.

    Args:
        urls: Where they are.
        observe: Counts requests: engine, outcome, seconds until the answer began.

    Attributes:
        urls: Where each engine is asked now; of one with a standby that changes when it takes over.
        places: All addresses of each engine.
    """

    name = "upstreams"

    def __init__(self, urls: EngineUrls, observe: Observe = lambda *_: None) -> None:
        self.urls = {engine: urls.of(engine) for engine in ENGINES}
        self.places = {engine: urls.places(engine) for engine in ENGINES}
        self.breakers = {engine: Breaker(LIMITS.get(engine, BreakerLimits())) for engine in ENGINES}
        self.observe = observe
        self._session: aiohttp.ClientSession | None = None
        self._is_stopped = False

    async def run(self) -> None:
        """Hold the connections until cancelled."""
        try:
            await asyncio.Event().wait()
        finally:
            self._is_stopped = True
            if self._session is not None:
                await self._session.close()

    async def send(
        self, engine: str, method: str, path: str, query: str, headers: Mapping[str, str], body: bytes | None
    ) -> Answer:
        """Send one request through the engine's breaker; nothing is sent twice.

        Raises:
            Problem: 502 for nonsense, 503 where nobody listens or the breaker is open, 504 for silence.
        """
        breaker, now = self.breakers[engine], monotonic_ns()
        if not breaker.admit(now):
            self.observe(engine, "circuit-open", None)
            raise Problem(
                503, "circuit-open", f"{engine} has failed repeatedly and is left alone for now",
                "try again after the time in Retry-After", {"engine": engine},
                retry_after_seconds=breaker.retry_after_seconds(now),
            )  # fmt: skip
        judged = False
        try:
            answer = await self.ask(engine, method, path, query, headers, body, breaker.limits.timeout_seconds)
            # An engine that says it is degraded, or that something is not to be had there, works.
            counts = answer.status >= 500 and answer.status != 501 and not path.startswith("/health")
            (breaker.failed if counts else breaker.succeeded)(monotonic_ns())
            judged = True
            self.observe(engine, str(answer.status), (monotonic_ns() - now) / 1e9)
            return answer
        except Problem as problem:
            breaker.failed(monotonic_ns())
            judged = True
            self.observe(engine, {503: "refused", 504: "slow"}.get(problem.status, "broken"), None)
            raise
        finally:
            if not judged:
                breaker.gave_up()

    async def ask(
        self,
        engine: str,
        method: str,
        path: str,
        query: str,
        headers: Mapping[str, str],
        body: bytes | None,
        timeout_seconds: float,
    ) -> Answer:
        """Send one request past the breaker.

        Raises:
            Problem: As :meth:`send`.
        """
        address = URL(f"{self.urls[engine]}{path}{f'?{query}' if query else ''}", encoded=True)
        # The time until the answer begins; a stream may then go on for as long as it likes.
        limits = aiohttp.ClientTimeout(total=None, connect=min(5.0, timeout_seconds), sock_read=None)
        try:
            async with asyncio.timeout(timeout_seconds):
                response = await self._client().request(
                    method,
                    address,
                    headers=CIMultiDict({**headers, "accept-encoding": "identity"}),
                    data=body,
                    timeout=limits,
                    allow_redirects=False,
                )
        except TimeoutError:
            text = f"{engine} did not begin to answer within {timeout_seconds:g} s"
            raise Problem(
                504, "upstream-slow", text, "a write may still be carried out; look before sending it again",
                {"engine": engine},
            ) from None  # fmt: skip
        except aiohttp.ClientConnectorError as error:
            reason = error.os_error.strerror or str(error.os_error)
            raise Problem(
                503, "engine-unreachable", f"{engine} does not listen at {self.urls[engine]}: {reason}",
                f"start it, or set ENGINE_{engine.upper()}_URL", {"engine": engine},
            ) from None  # fmt: skip
        except (aiohttp.ClientError, OSError) as error:
            raise _nonsense(engine, error) from None
        return Answer(engine, response)

    def _client(self) -> aiohttp.ClientSession:
        if self._is_stopped:
            raise Problem(503, "not-ready", "the gateway is stopping", "send the request again when it is back")
        if self._session is None:
            # No cookies are kept: the gateway acts for many, and nobody's may reach another's request.
            self._session = aiohttp.ClientSession(
                cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False, connector=aiohttp.TCPConnector(limit=0)
            )
        return self._session


def _nonsense(engine: str, error: Exception) -> Problem:
    text = f"{engine} broke off or answered with nonsense ({type(error).__name__}: {error})"
    return Problem(502, "upstream-nonsense", text, "look at the engine's log", {"engine": engine})
