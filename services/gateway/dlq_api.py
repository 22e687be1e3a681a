"""Dead letters over HTTP: look at them, publish their events again, drop them."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from libs.engine.auth import principal_of
from libs.engine.plain import plain
from libs.engine.problems import Problem
from libs.messagebus.codec import Codec
from libs.messagebus.errors import DecodeError
from libs.messagebus.workers import (
    LetterDesk,
    LetterError,
    LetterLostError,
    LetterSettledError,
    LetterUnknownError,
    SharedStreamError,
    StoredLetter,
)

_PROBLEMS: Final[dict[type[LetterError], tuple[int, str, str]]] = {
    LetterUnknownError: (404, "letter-unknown", "see GET /api/v1/dlq"),
    LetterSettledError: (409, "letter-settled", "look at it with GET; what was done once is not done again"),
    LetterLostError: (409, "letter-lost", "drop it, and publish the event anew from its source"),
    SharedStreamError: (409, "stream-shared", 'if handling it twice does no harm, send {"shared": true}'),
}


class Retry(BaseModel):
    """How to publish an event again."""

    model_config = ConfigDict(extra="forbid")

    shared: bool = False


class Drop(BaseModel):
    """Why a letter is dropped."""

    model_config = ConfigDict(extra="forbid")

    reason: str = Field(default="", max_length=200)


def dlq_router(desk: LetterDesk, codec: Codec) -> APIRouter:
    """Routes under ``/api/v1/dlq``; writes need ``admin:all``, because any event may come out of a letter."""
    routes = APIRouter(prefix="/api/v1/dlq", tags=["dead letters"])

    @routes.get("")
    async def letters(
        limit: Annotated[int, Query(ge=1, le=500)] = 50,
        cursor: Annotated[str, Query(max_length=100)] = "",
        reader: Annotated[str, Query(max_length=100)] = "",
        topic: Annotated[str, Query(max_length=100)] = "",
        settled: bool = False,
    ) -> dict[str, Any]:
        """Dead letters, newest first; ``settled`` shows those that were retried or dropped too."""
        try:
            found = await desk.letters(limit=limit, before=cursor, reader=reader, topic=topic, settled=settled)
        except LetterError as error:
            raise _problem(error) from None
        following = found[-1].id if len(found) == limit else None
        return {"items": [summary(one) for one in found], "count": len(found), "next_cursor": following}

    @routes.get("/{letter_id}")
    async def letter(letter_id: str) -> dict[str, Any]:
        """One dead letter with its event."""
        try:
            return details(await desk.get(letter_id), codec)
        except LetterError as error:
            raise _problem(error) from None

    @routes.post("/{letter_id}/retry")
    async def retry(letter_id: str, request: Request, body: Retry | None = None) -> dict[str, Any]:
        """Publish the event to its stream again, once; the reader that failed takes it up."""
        try:
            done = await desk.retry(letter_id, principal_of(request).name, shared=bool(body and body.shared))
        except LetterError as error:
            raise _problem(error) from None
        return summary(done)

    @routes.post("/{letter_id}/drop")
    async def drop(letter_id: str, request: Request, body: Drop | None = None) -> dict[str, Any]:
        """Close a letter; nothing is published."""
        try:
            done = await desk.drop(letter_id, principal_of(request).name, body.reason if body else "")
        except LetterError as error:
            raise _problem(error) from None
        return summary(done)

    return routes


def summary(stored: StoredLetter) -> dict[str, Any]:
    """A letter without its event."""
    letter = stored.letter
    return {
        "id": stored.id, "state": stored.state or "open", "ts_event": letter.ts_event, "reader": letter.engine,
        "topic": letter.topic or None, "event_id": letter.event_id or None, "stream": letter.stream or None,
        "entry_id": letter.entry_id or None, "index": letter.index, "error": letter.error,
        "traceback_hash": letter.traceback_hash, "attempts": letter.attempts, "payload_bytes": len(letter.payload),
    }  # fmt: skip


def details(stored: StoredLetter, codec: Codec) -> dict[str, Any]:
    """A letter with its event; what cannot be decoded is shown in hexadecimal and says why."""
    shown, payload = summary(stored), stored.letter.payload
    try:
        event = codec.decode_event(payload)
        shown |= {"event_type": type(event).__name__, "event": plain(event), "event_error": None}
    except DecodeError as error:
        shown |= {"event_type": None, "event": None, "event_error": str(error) if payload else "there is no event"}
    shown["payload_hex"] = payload[:1_024].hex()
    return shown


def _problem(error: LetterError) -> Problem:
    status, code, remedy = _PROBLEMS[type(error)]
    return Problem(status, code, str(error), remedy)
