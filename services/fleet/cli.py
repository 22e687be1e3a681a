"""The ``nautilus`` command."""

from __future__ import annotations

import json
import sys
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from libs.version import CODE_VERSION
from services.fleet import dlq
from services.fleet.bridge_commands import bridge

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Nautilus: a trading fleet that can be killed at any moment with nothing lost or doubled.",
)

app.add_typer(dlq.app, name="dlq")
app.add_typer(bridge, name="bridge")

_DAY_FORMATS = ["%Y-%m-%d"]


@app.command()
def up(
    speed: Annotated[float | None, typer.Option(help="Replayed timestamps a second, 0 = as fast as it goes.")] = None,
    free: Annotated[bool, typer.Option("--free", help="Run free instead of in lockstep.")] = False,
) -> None:
    """Start the whole fleet in this process, replaying real market data and trading on paper."""
    from services.fleet.embedded import run_embedded

    raise SystemExit(run_embedded(speed=speed, free=free))


@app.command()
def simulate(
    first: Annotated[datetime | None, typer.Option("--from", formats=_DAY_FORMATS, help="First day.")] = None,
    last: Annotated[datetime | None, typer.Option("--to", formats=_DAY_FORMATS, help="Last day, included.")] = None,
    schedule_seed: Annotated[int | None, typer.Option(help="Serve engines in random order with this seed.")] = None,
    output: Annotated[Path | None, typer.Option("--json", help="Also write the report to this file.")] = None,
    faults: Annotated[bool, typer.Option("--faults", help="Under simulated faults, a short run a seed.")] = False,
    seeds: Annotated[int | None, typer.Option(min=1, help="With --faults: how many; else 24, or --seed alone.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="With --faults: the first seed, else a fresh one.")] = None,
    days: Annotated[int | None, typer.Option(min=5, help="With --faults: timestamps of a run.")] = None,
    keep: Annotated[str | None, typer.Option(help="With --faults and --seed: numbers of the faults to keep.")] = None,
) -> None:
    """Run the whole fleet on the memory transport under a test clock, as fast as it goes."""
    if faults:
        from services.fleet.simfaults.command import simulate_faults

        raise SystemExit(simulate_faults(seeds, seed, first, last, days, keep))
    from libs.engine.errors import NondeterminismError, SettingsError
    from services.fleet.simulate import simulate as run
    from services.fleet.terminal import SimulationProgress, plain_report, print_report
    from services.marketdata.errors import DatasetError
    from services.marketdata.settings import MarketDataSettings

    chosen: dict[str, date] = {}
    if first is not None:
        chosen["start_date"] = first.date()
    if last is not None:
        chosen["end_date"] = last.date() + timedelta(days=1)
    try:
        settings = MarketDataSettings(**chosen)
        with SimulationProgress() as progress:
            result = run(settings, schedule_seed=schedule_seed, on_step=progress.on_step)
    except (SettingsError, DatasetError, NondeterminismError) as error:
        print(f"nautilus simulate: {error}", file=sys.stderr)
        raise SystemExit(1 if isinstance(error, NondeterminismError) else 2) from None
    print_report(result)
    if output is not None:
        output.write_text(json.dumps(plain_report(result), indent=2) + "\n")
    if result.dead:
        print(f"nautilus simulate: {len(result.dead)} events could not be handled: {result.dead[0]}", file=sys.stderr)
        raise SystemExit(1)


@app.command()
def status(
    gateway: Annotated[str, typer.Option(help="Where the gateway is.")] = "http://127.0.0.1:8001",
) -> None:
    """Say what is alive, from the gateway's fleet view."""
    from services.fleet.terminal import print_status

    raise SystemExit(print_status(gateway))


@app.command()
def mirror(
    source: Annotated[str, typer.Option("--from", envvar="MIRROR_FROM", help="Redis URL of the fleet to read.")],
    target: Annotated[str, typer.Option("--to", envvar="MIRROR_TO", help="Redis URL of the fleet to write to.")],
    topics: Annotated[str, typer.Option(help="Topics, separated by commas; * matches many.")],
    cell: Annotated[str, typer.Option(help="Name of the source in event ids; by default made of its URL.")] = "",
    to_cell: Annotated[str, typer.Option(help="The target's own cell, to know its ids in causes.")] = "",
    from_prefix: Annotated[str, typer.Option(help="Beginning of the source's keys.")] = "{nautilus}",
    to_prefix: Annotated[str, typer.Option(help="Beginning of the target's keys.")] = "{nautilus}",
    newest: Annotated[bool, typer.Option("--newest", help="Begin with what is new, not with what is kept.")] = False,
    accept_loss: Annotated[bool, typer.Option("--accept-loss", help="Go on though the source lost events.")] = False,
) -> None:
    """Mirror topics of one fleet into another, exactly once, until stopped."""
    from services.fleet.bridging import run_mirror

    raise SystemExit(
        run_mirror(
            source, target, topics, cell=cell, to_cell=to_cell, source_prefix=from_prefix, target_prefix=to_prefix,
            from_newest=newest, accept_loss=accept_loss,
        )
    )  # fmt: skip


@app.command()
def record(
    file: Annotated[Path, typer.Argument(help="The recording to write; a new file.")],
    redis: Annotated[str, typer.Option(help="Bus to record; default REDIS_URL, else the data directory.")] = "",
    data_dir: Annotated[Path | None, typer.Option(help="Of an embedded fleet, running or stopped.")] = None,
    follow: Annotated[bool, typer.Option("--follow", help="Go on recording until Ctrl-C.")] = False,
) -> None:
    """Copy the state of a run (streams, journals, snapshots) into one file."""
    from services.fleet.record.commands import run_record

    raise SystemExit(run_record(file, redis, data_dir, follow=follow))


@app.command()
def replay(
    file: Annotated[Path, typer.Argument(help="A recording.")],
    engine: Annotated[str, typer.Option(help="Name of an engine, or all.")],
    from_commit: Annotated[int | None, typer.Option(min=1, help="Begin as late as possible before this one.")] = None,
    until: Annotated[str, typer.Option(help="Stop after this commit, or right after this event.")] = "",
    inspect: Annotated[str | None, typer.Option(help="Print the state there: '.', or a dotted path into it.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Run today's code over a recording: identical (exit 0), or the first difference side by side (exit 1)."""
    from services.fleet.record.commands import run_replay

    raise SystemExit(run_replay(file, engine, from_commit=from_commit, until=until, inspect=inspect, as_json=as_json))


@app.command()
def trace(
    event_id: Annotated[str, typer.Argument(help="producer:sequence, e.g. strategy:1042.")],
    file: Annotated[Path | None, typer.Option(help="Trace in a recording instead of on the bus.")] = None,
    redis: Annotated[str, typer.Option(help="Bus to read; default REDIS_URL, else the data directory.")] = "",
    data_dir: Annotated[Path | None, typer.Option(help="Of an embedded fleet, running or stopped.")] = None,
    sources: Annotated[bool, typer.Option("--sources", help="Also follow market data to its source.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Walk an event back to the market events it came from, with every value on the way."""
    from services.fleet.record.commands import run_trace

    raise SystemExit(run_trace(event_id, file, redis, data_dir, sources=sources, as_json=as_json))


@app.command()
def readers(
    forget: Annotated[str, typer.Option(help="Take this reader, which must be stopped for good, off the list.")] = "",
    redis: Annotated[str, typer.Option(help="The bus; default REDIS_URL, else the data directory.")] = "",
    data_dir: Annotated[Path | None, typer.Option(help="Of an embedded fleet, running or stopped.")] = None,
) -> None:
    """List who reads the bus and so holds back its trimming, or deregister one that never comes back."""
    from services.fleet.readers import run_readers

    raise SystemExit(run_readers(redis, data_dir, forget))


@app.command()
def version() -> None:
    """Print the version of the code."""
    print(CODE_VERSION)


def main() -> None:
    """Entry point of the ``nautilus`` script."""
    app()
