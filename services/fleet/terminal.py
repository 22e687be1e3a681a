"""What the ``nautilus`` command shows in a terminal."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from services.fleet.report import RunReport
from services.fleet.simulate import SimulationResult
from services.fleet.timestamps import day_of

#: The bar is drawn this often; drawing every timestamp would cost more than simulating it.
_EVERY_STEPS = 25


class SimulationProgress:
    """A progress bar with the simulated day and the equity."""

    def __init__(self) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
        )
        self._task = self._progress.add_task("reading the data", total=None)

    def __enter__(self) -> SimulationProgress:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def on_step(self, done: int, total: int, ts_event: int, report: RunReport) -> None:
        """Show one more timestamp."""
        if done % _EVERY_STEPS == 0 or done == total:
            equity = f"{report.snapshot.equity:,.0f}" if report.snapshot else "-"
            self._progress.update(
                self._task, total=total, completed=done, description=f"{day_of(ts_event)}  equity {equity:>14}"
            )


def plain_report(result: SimulationResult) -> dict[str, Any]:
    """The report as plain data: decimals as strings, what has no value as null."""
    report = result.report
    snapshot = report.snapshot
    return {
        "first_day": day_of(result.summary.first_ns),
        "last_day": day_of(result.summary.last_ns),
        "timestamps": result.summary.steps,
        "records": result.summary.records,
        "equity": str(snapshot.equity) if snapshot else None,
        "cash": str(snapshot.cash) if snapshot else None,
        "total_return": report.metric("total_return"),
        "annual_return": report.metric("annual_return"),
        "sharpe_ratio": report.metric("sharpe_ratio"),
        "max_drawdown": report.metric("max_drawdown"),
        "orders": report.orders,
        "denied": report.denied,
        "fills": report.fills,
        "fees": str(report.fees),
        "breaches": report.breaches,
        "events": result.events,
        "events_per_second": round(result.events / result.seconds),
        "seconds": round(result.seconds, 1),
        "dead_letters": len(result.dead),
        "order_tape": report.order_tape,
        "order_tape_events": report.tape_events,
    }


def print_report(result: SimulationResult) -> None:
    """Print the report as a table."""
    plain = plain_report(result)
    table = Table(title=f"Simulation {plain['first_day']} to {plain['last_day']}", show_header=False)
    table.add_column(style="bold")
    table.add_column(justify="right")

    def share(name: str) -> str:
        value = plain[name]
        return f"{value:.2%}" if value is not None else f"- ({result.report.missing(name)})"

    sharpe = plain["sharpe_ratio"]
    table.add_row("equity", f"{float(plain['equity']):,.2f}" if plain["equity"] else "-")
    table.add_row("return", share("total_return"))
    table.add_row("return a year", share("annual_return"))
    table.add_row("Sharpe", f"{sharpe:.3f}" if sharpe is not None else f"- ({result.report.missing('sharpe_ratio')})")
    table.add_row("maximum drawdown", share("max_drawdown"))
    table.add_row("orders / denied / fills", f"{plain['orders']:,} / {plain['denied']:,} / {plain['fills']:,}")
    table.add_row("fees", f"{float(plain['fees']):,.2f}")
    table.add_row("limit breaches", f"{plain['breaches']:,}")
    table.add_row("timestamps / records", f"{plain['timestamps']:,} / {plain['records']:,}")
    table.add_row("events", f"{plain['events']:,} in {plain['seconds']} s = {plain['events_per_second']:,}/s")
    table.add_row("hash of orders and fills", str(plain["order_tape"]))
    Console().print(table)


def print_status(gateway: str) -> int:
    """Print the fleet grid of a gateway; returns the exit status, 0 when all engines are healthy."""
    url = f"{gateway.rstrip('/')}/api/v1/fleet"
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            fleet = json.load(answer)
    except urllib.error.HTTPError as error:
        print(f"nautilus status: {url} answered {error.code} {error.reason}")
        return 1
    except (urllib.error.URLError, TimeoutError) as error:
        print(f"nautilus status: no gateway at {gateway} ({error}); start the fleet with make up, or give --gateway")
        return 1
    table = Table(title="Fleet")
    for column in ("engine", "state", "lag", "last event", "epoch", "version"):
        table.add_column(column)
    for member in fleet["engines"]:
        age = member.get("last_event_age_seconds")
        table.add_row(
            member["engine"],
            member["state"],
            str(member.get("lag_events", "-")),
            f"{age:.1f} s ago" if age is not None else "-",
            str(member.get("epoch", "-")),
            member.get("version") or "-",
        )
    Console().print(table)
    return 0 if all(member["state"] in {"healthy", "running"} for member in fleet["engines"]) else 1
