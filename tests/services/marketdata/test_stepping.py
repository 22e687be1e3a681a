"""One timestamp becomes commands; a walk forward loses no instrument."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from libs.contracts.market import CloseStep, IngestMarketData
from services.marketdata.batches import TimestampBatch
from services.marketdata.stepping import MAX_PART_RECORDS, Forward, ingest_commands, step_groups
from tests.services.marketdata.builders import DAY, bar, close, day_batch, instrument, quote, trade


def test_a_timestamp_is_data_and_three_stages() -> None:
    data, mark, assess, decide = step_groups("replay", day_batch(3, "A.X", define=True))
    assert [type(command) for command in data] == [IngestMarketData]
    assert mark == [CloseStep(3 * DAY, "replay", "mark")]
    assert assess == [CloseStep(3 * DAY, "replay", "assess")]
    assert decide == [CloseStep(3 * DAY, "replay", "decide")]


def test_an_empty_timestamp_is_still_one_part() -> None:
    (command,) = ingest_commands("replay", TimestampBatch(DAY))
    assert (command.part, command.is_last_part) == (0, True)


@given(st.integers(0, 2_500), st.integers(0, 50))
def test_parts_hold_everything_once_whatever_instruments_come_along(count: int, instruments: int) -> None:
    makers = (bar, close, quote, trade)
    records = [makers[n * 4 // max(1, count)](f"S{n:05d}.X", DAY) for n in range(count)]
    kinds = [[one for one in records if type(one) is type(maker("A.X", DAY))] for maker in makers]
    plain = TimestampBatch(DAY, *kinds)  # type: ignore[arg-type]
    defined = TimestampBatch(DAY, *kinds, [instrument(f"I{n}.X") for n in range(instruments)])  # type: ignore[arg-type]
    cuts = []
    for batch in (plain, defined):
        parts = list(ingest_commands("replay", batch))
        assert [part.part for part in parts] == list(range(len(parts)))
        assert [part.is_last_part for part in parts] == [False] * (len(parts) - 1) + [True]
        cut = [[*part.bars, *part.closes, *part.quotes, *part.trades] for part in parts]
        assert all(len(one) <= MAX_PART_RECORDS for one in cut)
        assert [record for one in cut for record in one] == [record for kind in kinds for record in kind]
        assert [one for part in parts for one in part.instruments] == batch.instruments
        cuts.append(cut)
    assert cuts[0] == cuts[1]


def test_an_instrument_is_defined_with_its_first_price_that_is_not_left_out() -> None:
    days = [day_batch(1, "B.X", define=True), day_batch(2, "A.X", define=True), day_batch(3, "C.X", define=True)]
    walk = Forward(iter([*days, day_batch(4, "A.X", "C.X")]))
    found = [walk.next_from(3 * DAY), walk.next_from(0)]
    defined = [[(one.symbol, one.ts_event // DAY) for one in batch.instruments] for batch in found if batch]
    assert defined == [[("C.X", 3)], [("A.X", 4)]]  # B has no price after the seek
    assert walk.next_from(0) is None


@given(st.lists(st.integers(1, 12), max_size=6))
def test_a_walk_never_goes_back(targets: list[int]) -> None:
    walk = Forward(day_batch(day, "A.X", define=day == 1) for day in range(1, 10))
    reached = 0
    for target in targets:
        batch = walk.next_from(target * DAY)
        expected = max(target, reached + 1)
        if expected > 9:
            assert batch is None
            reached = 9
        else:
            assert batch is not None
            assert batch.ts_event == expected * DAY
            assert bool(batch.instruments) == (reached == 0)
            reached = expected
