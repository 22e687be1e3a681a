"""The library: strategies that can be configured by name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from libs.version import source_digest
from services.strategy.library.cross_sectional_momentum import CrossSectionalMomentum
from services.strategy.library.moving_average_cross import MovingAverageCross
from services.strategy.state import StrategySlot
from services.strategy.strategy import Desk, Strategy, StrategyParameters

#: By library id, sorted.
LIBRARY: Final[Mapping[str, type[Strategy[Any, Any]]]] = {
    one.library_id: one for one in (CrossSectionalMomentum, MovingAverageCross)
}

#: By library id, a hash of the file that defines the strategy; taken at import, because handlers read no files.
VERSIONS: Final[Mapping[str, str]] = {name: source_digest(kind.__module__).hex()[:10] for name, kind in LIBRARY.items()}


def versions_of(library_ids: Iterable[str]) -> str:
    """Name and version of each strategy, sorted, for journals and snapshots; one added by a test has no version."""
    return ", ".join(f"{name} {VERSIONS.get(name, 'unversioned')}" for name in sorted(set(library_ids)))


def read_parameters(library_id: str, parameters: Mapping[str, Any]) -> StrategyParameters:
    """Check the parameters of a library strategy.

    Raises:
        ValueError: If there is no such strategy, or a parameter is unknown, mistyped or out of range.
    """
    kind = LIBRARY.get(library_id)
    if kind is None:
        raise ValueError(f"library_id must be one of {', '.join(LIBRARY)}, was '{library_id}'")
    try:
        return msgspec.convert(dict(parameters), kind.parameters_type)
    except msgspec.ValidationError as error:
        raise ValueError(f"parameters of {library_id} do not fit: {error}; see /strategies/library") from error


def create_strategy(slot: StrategySlot, desk: Desk) -> Strategy[Any, Any]:
    """Make the strategy of a slot, with the data it had when the slot was saved.

    Raises:
        ValueError: If its parameters do not fit.
    """
    kind = LIBRARY[slot.library_id]
    parameters = read_parameters(slot.library_id, slot.parameters)
    data = msgspec.msgpack.decode(slot.data, type=kind.data_type) if slot.data else kind.data_type()
    return kind(slot.strategy_id, parameters, data, desk)
