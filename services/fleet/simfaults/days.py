"""The days a simulation runs on: read once, used by every seed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from libs.contracts.market import InstrumentDefined
from services.marketdata.adapters.dataset import open_dataset
from services.marketdata.batches import TimestampBatch
from services.marketdata.settings import MarketDataSettings
from services.marketdata.stepping import DatasetSummary
from services.marketdata.validation import Record


@dataclass(frozen=True, slots=True)
class Days:
    """Consecutive timestamps of one data set.

    Attributes:
        batches: With the definitions of all instruments, each at its first price among these.
    """

    batches: tuple[TimestampBatch, ...]

    @classmethod
    def load(cls, settings: MarketDataSettings) -> Days:
        """Read what the settings name.

        Raises:
            DatasetError: If the data is wrong.
        """
        return cls(tuple(open_dataset(settings)))

    def part(self, first: int, count: int) -> Days:
        """``count`` timestamps from index ``first`` on; instruments are defined anew at their first price in it."""
        defined: dict[str, InstrumentDefined] = {}
        for batch in self.batches[: first + count]:
            defined.update((one.symbol, one) for one in batch.instruments)
        chosen: list[TimestampBatch] = []
        seen: set[str] = set()
        for batch in self.batches[first : first + count]:
            records: list[Record] = [*batch.bars, *batch.closes, *batch.quotes, *batch.trades]
            new = sorted({record.symbol for record in records} - seen)
            seen.update(new)
            instruments = [replace_ts(defined[symbol], batch.ts_event) for symbol in new]
            chosen.append(replace(batch, instruments=instruments))
        return Days(tuple(chosen))

    def open(self, _settings: MarketDataSettings, from_ns: int = 0) -> Iterator[TimestampBatch]:
        """As :func:`services.marketdata.adapters.dataset.open_dataset`, but nothing is left out."""
        return iter(self.batches)

    def survey(self, _settings: MarketDataSettings) -> DatasetSummary:
        """As :func:`services.marketdata.adapters.dataset.survey`, without the sources."""
        records = sum(len(one.bars) + len(one.closes) + len(one.quotes) + len(one.trades) for one in self.batches)
        return DatasetSummary(len(self.batches), records, self.first_ns, self.batches[-1].ts_event)

    @property
    def first_ns(self) -> int:
        """First timestamp."""
        return self.batches[0].ts_event

    def symbols(self) -> Sequence[str]:
        """What can be traded, sorted."""
        return sorted({one.symbol for batch in self.batches for one in batch.instruments if one.is_tradable})


def replace_ts(instrument: InstrumentDefined, ts_event: int) -> InstrumentDefined:
    """The same definition at another time."""
    fields = [getattr(instrument, name) for name in instrument.__struct_fields__]
    return InstrumentDefined(ts_event, *fields[1:])
