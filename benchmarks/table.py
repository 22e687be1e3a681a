"""What all benchmarks share: options, statistics, and the table with a bar to hold and a peer to compare with.

A benchmark is a module that is run as `python -m benchmarks.<name> [--quick] [--json FILE]`:

    from benchmarks.table import Table, alternate, options, summarise

    def main() -> int:
        chosen = options(__doc__)
        rounds = 2 if chosen.quick else 20
        table = Table("clock", peer="nautilus_trader 1.221.0")
        ours, theirs = alternate(rounds, fire_ours, fire_theirs)     # each returns nanoseconds of single calls
        table.add("fire", summarise(ours, 1e-3), "us", peer=summarise(theirs, 1e-3).value, bar=10)
        table.add("rate", Summary(rate, runs, p50, p99), "events/s", peer=peer_rate, bar=500_000, better="higher")
        return table.finish(chosen)

    if __name__ == "__main__":
        raise SystemExit(main())

Rules that keep the figures honest:

- The peer runs in the same process, on the same input, in turns with us (`alternate`): a busy machine hits both.
  Where it is not installed, pass `peer=None`; the table says "not measured", never an old number.
- `bar` is what we promise. Missing it makes `finish` return 1, so that `make bench` fails; tests assert no times.
- `--quick` shows in a minute that a benchmark works. Its figures are marked and do not belong in a README.
- Durations are read with `time.perf_counter_ns`, whose own cost (about 0.1 us) is part of every single call.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from rich.console import Console
from rich.table import Table as RichTable

Better = Literal["lower", "higher"]


@dataclass(frozen=True)
class Options:
    """Command line: run just enough to show that it works; where to write the rows as JSON."""

    quick: bool
    json: Path | None


@dataclass(frozen=True)
class Summary:
    """Statistics of one measurement, all in the unit of the row.

    Attributes:
        value: The headline figure: a mean, or a rate.
        n: Number of samples behind it.
        p50: Median of the samples; None where single samples were not taken.
        p99: 99th percentile of the samples; None where single samples were not taken.
    """

    value: float
    n: int
    p50: float | None = None
    p99: float | None = None


@dataclass(frozen=True)
class Row:
    """One line of the table, and one object of the JSON; figures are in `unit`.

    Attributes:
        peer: The peer's headline figure from the same run; None if it was not measured.
        ratio: How many times better than the peer we are: below 1 is worse. None without a peer.
        bar: What we promise; None for a figure that is only shown.
        holds: Whether `value` is on the right side of `bar`; None without one.
    """

    name: str
    value: float
    unit: str
    n: int
    p50: float | None
    p99: float | None
    peer: float | None
    ratio: float | None
    bar: float | None
    holds: bool | None


class Table:
    """Collects rows, prints them and says whether every bar holds."""

    def __init__(self, title: str, peer: str | None = None) -> None:
        """Create an empty table; `peer` is the name and version of what we compare with, None if there is none."""
        self.title, self.peer = title, peer
        self.rows: list[Row] = []

    def add(
        self,
        name: str,
        summary: Summary,
        unit: str,
        *,
        peer: float | None = None,
        bar: float | None = None,
        better: Better = "lower",
    ) -> Row:
        """Add a row.

        Args:
            name: What was measured.
            summary: Our figures, in `unit`.
            unit: For example "us" or "events/s".
            peer: The peer's headline figure, in `unit`.
            bar: What we promise, in `unit`.
            better: Whether a lower figure is better (a duration) or a higher one (a rate).
        """
        lower = better == "lower"
        ratio = None
        if peer is not None and summary.value > 0 and peer > 0:
            ratio = peer / summary.value if lower else summary.value / peer
        holds = None
        if bar is not None:
            holds = summary.value <= bar if lower else summary.value >= bar
        row = Row(name, summary.value, unit, summary.n, summary.p50, summary.p99, peer, ratio, bar, holds)
        self.rows.append(row)
        return row

    def finish(self, chosen: Options) -> int:
        """Print the table, write the JSON if asked to, and return the exit status: 1 if a bar does not hold."""
        where = machine()
        console = Console(width=None if os.isatty(1) else 140)
        console.print(self._rendered(quick=chosen.quick))
        console.print(", ".join(str(value) for value in where.values()), style="dim")
        if chosen.json is not None:
            rows = [asdict(row) for row in self.rows]
            chosen.json.write_text(json.dumps(rows, indent=2) + "\n")
        return 1 if any(row.holds is False for row in self.rows) else 0

    def _rendered(self, quick: bool) -> RichTable:
        rendered = RichTable(title=f"{self.title}{' (quick: not for publication)' if quick else ''}")
        rendered.add_column("", overflow="fold")
        for heading in ("value", "p50", "p99", "unit", "n", f"peer: {self.peer or 'none'}", "ratio", "bar", "holds"):
            rendered.add_column(heading, justify="left" if heading == "unit" else "right")
        for row in self.rows:
            rendered.add_row(
                row.name,
                number(row.value),
                number(row.p50),
                number(row.p99),
                row.unit,
                f"{row.n:,}",
                "not measured" if row.peer is None else number(row.peer),
                "" if row.ratio is None else f"{row.ratio:.2f}x",
                number(row.bar),
                {True: "[green]yes[/]", False: "[red]NO[/]", None: ""}[row.holds],
            )
        return rendered


def options(description: str | None, arguments: Sequence[str] | None = None) -> Options:
    """Parse `[--quick] [--json FILE]`; the first line of the module's docstring describes the benchmark."""
    parser = argparse.ArgumentParser(description=(description or "").strip().partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="run just enough to show that it works")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows as JSON")
    parsed = parser.parse_args(arguments)
    return Options(quick=parsed.quick, json=parsed.json)


def percentile(ordered: Sequence[float], share: float) -> float:
    """Return the smallest sample that at least `share` of all samples do not exceed (nearest rank).

    Args:
        ordered: Samples in ascending order, at least one.
        share: Between 0 and 1.
    """
    rank = max(-(-len(ordered) * share // 1), 1)  # ceiling
    return ordered[int(rank) - 1]


def summarise(samples: Sequence[float], scale: float = 1.0) -> Summary:
    """Return mean, median and 99th percentile of samples.

    Args:
        samples: At least one.
        scale: What to multiply them by to come to the unit of the row: 1e-3 from nanoseconds to microseconds.
    """
    if not samples:
        raise ValueError("samples must not be empty, was []; measure at least once")
    ordered = sorted(samples)
    mean = sum(ordered) / len(ordered) * scale
    return Summary(mean, len(ordered), percentile(ordered, 0.5) * scale, percentile(ordered, 0.99) * scale)


def alternate(rounds: int, *measurements: Callable[[], Sequence[float]] | None) -> list[list[float]]:
    """Run measurements in turns and return all samples of each, so that noise of the machine hits all alike.

    Args:
        rounds: How often each is run; one more run of each goes first and is thrown away.
        measurements: Each returns its samples; None stays without any.
    """
    gc.collect()
    gc.freeze()  # otherwise our allocations pay for scanning what the peer has imported
    collected: list[list[float]] = [[] for _ in measurements]
    for index in range(rounds + 1):
        for samples, measurement in zip(collected, measurements, strict=True):
            if measurement is not None:
                taken = measurement()
                if index > 0:
                    samples.extend(taken)
    gc.unfreeze()
    return collected


def machine() -> dict[str, str | int]:
    """Return what the figures were measured on."""
    return {
        "processor": _processor(),
        "cores": f"{os.cpu_count()} cores",
        "python": f"Python {platform.python_version()}",
        "system": f"{platform.system()} {platform.release()}",
    }


def number(value: float | None) -> str:
    """Return a figure with three digits that matter, or as a whole number with separators; None is empty."""
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:.3g}"


def _processor() -> str:
    described = Path("/proc/cpuinfo")
    if described.exists():
        for line in described.read_text().splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()
