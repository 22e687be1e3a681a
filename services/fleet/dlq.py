"""``nautilus dlq``: the dead letters of a fleet, straight from its bus, whether or not anything else runs."""

from __future__ import annotations

import asyncio
import getpass
import json
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from libs.messagebus.workers.letters import LetterDesk, StoredLetter

app = typer.Typer(no_args_is_help=True, help="Look at dead letters, publish their events again, or drop them.")

LetterId = Annotated[str, typer.Argument(help="Id of the letter, as the list shows it.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]

Work = Callable[["LetterDesk"], Awaitable[None]]


@app.command("list")
def show_list(
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="Most letters shown.")] = 50,
    before: Annotated[str, typer.Option(help="Only letters older than this one.")] = "",
    reader: Annotated[str, typer.Option(help="Only those of this engine or group.")] = "",
    topic: Annotated[str, typer.Option(help="Only those of this topic.")] = "",
    everything: Annotated[bool, typer.Option("--all", help="Also those that were retried or dropped.")] = False,
    as_json: AsJson = False,
) -> None:
    """List dead letters, newest first."""

    async def work(desk: LetterDesk) -> None:
        found = await desk.letters(limit=limit, before=before, reader=reader, topic=topic, settled=everything)
        if as_json:
            print(json.dumps([_summary(one) for one in found], indent=2))
        else:
            _print_table(found)

    _run(work)


@app.command()
def show(letter_id: LetterId, as_json: AsJson = False) -> None:
    """Show one dead letter with its event."""

    async def work(desk: LetterDesk) -> None:
        from libs.contracts.topics import CODEC
        from services.gateway.dlq_api import details

        shown = details(await desk.get(letter_id), CODEC)
        if as_json:
            print(json.dumps(shown, indent=2))
            return
        for name, value in shown.items():
            print(f"{name:15} {json.dumps(value, indent=2) if isinstance(value, dict) else value}")

    _run(work)


@app.command()
def retry(
    letter_id: LetterId,
    shared: Annotated[
        bool, typer.Option("--shared", help="Other engines on the stream may handle the event a second time.")
    ] = False,
) -> None:
    """Publish the event of a letter to its stream again; once."""

    async def work(desk: LetterDesk) -> None:
        done = await desk.retry(letter_id, _actor(), shared=shared)
        print(
            f"published {done.letter.event_id or 'the entry'} to {done.letter.stream} again, for {done.letter.engine}"
        )

    _run(work)


@app.command()
def drop(letter_id: LetterId, reason: Annotated[str, typer.Option(help="Why.")] = "") -> None:
    """Close a letter without publishing anything."""

    async def work(desk: LetterDesk) -> None:
        print(f"{letter_id} {(await desk.drop(letter_id, _actor(), reason)).state}")

    _run(work)


def _run(work: Work) -> None:
    from libs.engine.errors import SettingsError
    from libs.messagebus.errors import MessageBusError

    try:
        asyncio.run(_at_the_desk(work))
    except (MessageBusError, SettingsError) as error:
        print(f"nautilus dlq: {error}", file=sys.stderr)
        raise SystemExit(1) from None


async def _at_the_desk(work: Work) -> None:
    from libs.clock import LiveClock
    from libs.contracts.topics import CODEC, REGISTRY
    from libs.messagebus.workers import LetterDesk, work_queue

    clock, transport = LiveClock(), _transport()
    try:
        await transport.connect()
        await work(LetterDesk(work_queue(transport, clock), transport, CODEC, REGISTRY, clock))
    finally:
        await transport.close()


def _transport() -> Any:
    """The bus of ``REDIS_URL``, else of the embedded fleet that runs on the data directory.

    Raises:
        SettingsError: If there is neither.
    """
    from libs.engine.errors import SettingsError
    from libs.engine.run import make_transport
    from libs.engine.settings import ProcessSettings
    from libs.messagebus.redis.transport import RedisTransport

    settings = ProcessSettings()
    if settings.redis_url is not None:
        return make_transport(settings)
    port = embedded_port(settings.data_dir / "redis")
    if not port:
        raise SettingsError(
            f"the bus must be running, was not found in {settings.data_dir}; start the fleet (make up) or set REDIS_URL"
        )
    return RedisTransport(f"redis://127.0.0.1:{port}/0", settings.stream_prefix)


def embedded_port(directory: Path) -> int:
    """Port of the Redis server that runs on ``directory``, 0 = none does."""
    from libs.messagebus.redis.probe import ask_server

    try:
        note = json.loads((directory / "server.json").read_text())
        pid, port = int(note["pid"]), int(note["port"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0
    facts = ask_server(port)
    return port if facts is not None and facts.pid == pid else 0


def _actor() -> str:
    return f"{getpass.getuser()} (command line)"


def _summary(stored: StoredLetter) -> dict[str, Any]:
    from services.gateway.dlq_api import summary

    return summary(stored)


def _print_table(found: list[StoredLetter]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"Dead letters: {len(found)}")
    for column in ("id", "reader", "topic", "attempts", "error", "state"):
        table.add_column(column, overflow="fold")
    for one in found:
        letter = one.letter
        table.add_row(
            one.id, letter.engine, letter.topic or "-", str(letter.attempts), letter.error, one.state or "open"
        )  # fmt: skip
    Console().print(table)
