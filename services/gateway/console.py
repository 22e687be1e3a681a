"""The console's files: a page of plain modules, served as they lie, which asks nobody outside for anything."""

from __future__ import annotations

import mimetypes
from pathlib import Path
from typing import Any, Final

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response

from libs.contracts.fleet import DEFAULT_PORTFOLIO
from libs.engine.problems import Problem
from libs.version import CODE_VERSION

FOLDER: Final = Path(__file__).parent / "console"

#: Scripts, styles and connections of this origin only; nobody may put the page into a frame.
CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS: Final = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}
_INDEX: Final = "index.html"


def load_files() -> dict[str, tuple[str, bytes]]:
    """Every file of the page by its path, with its media type; a request can reach these and nothing else."""
    found = {}
    for path in sorted(FOLDER.rglob("*")):
        if path.is_file():
            kind = mimetypes.guess_type(path.name)[0] or "text/plain"
            found[path.relative_to(FOLDER).as_posix()] = (kind, path.read_bytes())
    return found


def console_router(stale_seconds: float, auth: str) -> APIRouter:
    """Routes ``/`` and ``/console/...``.

    Args:
        stale_seconds: After which the page says that what it shows is stale.
        auth: ``on``, ``strict`` or ``off``, so that the page knows when to ask for a login.
    """
    routes = APIRouter(tags=["console"], include_in_schema=False)
    files = load_files()

    @routes.get("/")
    async def index() -> Response:
        kind, content = files[_INDEX]
        return Response(content, media_type=kind, headers=_HEADERS)

    @routes.get("/console/settings.json")
    async def settings() -> JSONResponse:
        found: dict[str, Any] = {
            "stale_seconds": stale_seconds,
            "portfolio_id": DEFAULT_PORTFOLIO,
            "version": CODE_VERSION,
            "auth": auth,
        }
        return JSONResponse(found, headers=_HEADERS)

    @routes.get("/console/{path:path}")
    async def file(path: str) -> Response:
        if path not in files:
            raise Problem(404, "not-found", f"the console has no file '{path}'", "open /")
        kind, content = files[path]
        return Response(content, media_type=kind, headers=_HEADERS)

    return routes
