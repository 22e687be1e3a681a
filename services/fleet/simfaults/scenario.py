"""What a seed means: which days, who trades, what an operator does, and what goes wrong."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Final

from libs.contracts.fleet import DEFAULT_PORTFOLIO, READERS
from libs.contracts.orders import CancelAllOrders, PlaceOrder
from libs.contracts.portfolio import RecordCashFlow
from libs.contracts.risk import HaltScope, HaltTrading, ResumeTrading
from libs.messagebus.topic import Event
from services.fleet.simfaults.faults import OF_THE_VENUE, Fault, Kind
from services.strategy.settings import StrategyDefinition, StrategySettings

ACTOR: Final = "simulated operator"
_STRATEGIES: Final = (
    StrategyDefinition(
        strategy_id="cross", library_id="moving_average_cross",
        parameters={"fast": 1, "slow": 3, "weight": 0.06, "retry_steps": 2},
    ),
    StrategyDefinition(
        strategy_id="momentum", library_id="cross_sectional_momentum",
        parameters={"lookback_months": 1, "skip_months": 0, "quantile": 0.3, "equity_fraction": 0.4},
    ),
)  # fmt: skip

#: How often each kind is drawn; (kind, weight, methods).
_ANY_CALL = (
    "read", "commit", "commit", "commit", "commit", "save_snapshot", "journal", "read_range", "acquire", "trim",
    "renew",
)  # fmt: skip
_KINDS: Final[tuple[tuple[Kind, int, tuple[str, ...]], ...]] = (
    ("crash_before", 5, _ANY_CALL),
    ("crash_after", 7, _ANY_CALL),
    ("crash_handling", 6, ("handle",)),
    ("restart", 2, ("commit", "read")),
    ("reply_lost", 7, (*_ANY_CALL, "append")),
    ("refused", 4, (*_ANY_CALL, "append", "quiescence")),
    ("delayed", 5, (*_ANY_CALL, "append")),
    ("short_read", 3, ("read",)),
    ("frozen", 4, ("commit", "read", "save_snapshot")),
    ("sent_again", 3, ("append",)),
    ("outage", 1, ("write",)),
    ("failover", 2, ("write",)),
    ("clock_jump", 2, ("write",)),
)
_VENUE_KINDS: Final[tuple[Kind, ...]] = (
    "venue_lost_acknowledgement", "venue_late_fill", "venue_reject", "venue_duplicate", "venue_disconnect",
)  # fmt: skip
#: Calls of one engine per step, about; faults are spread over the whole run by it.
_CALLS_A_STEP: Final = {"read": 5, "commit": 5, "handle": 5, "append": 4, "quiescence": 11, "write": 60}
_RARE_CALLS: Final = 3


@dataclass(frozen=True, slots=True)
class Action:
    """What the operator does when step ``step`` is done and the fleet is quiet."""

    step: int
    command: Event


@dataclass(frozen=True, slots=True)
class Scenario:
    """One run.

    Attributes:
        first: Index of the first timestamp in the data at hand.
        days: Timestamps.
        is_free: Engines live by the wall clock of their hosts, and half of these runs do without lockstep. Two such
            runs cannot be compared; what must always hold is checked all the same.
        snapshot_seconds: In simulated time; a quiet step takes some hundredths of a second.
        reading_ns: How long the code between two looks at the counter takes; from 200 us on batches are cut short.
        faults: In no order.
    """

    seed: int
    first: int
    days: int
    is_free: bool
    is_lockstep: bool
    snapshot_seconds: float
    reading_ns: int
    actions: tuple[Action, ...]
    faults: tuple[Fault, ...]

    def keeping(self, indices: Sequence[int]) -> Scenario:
        """The same with only some of its faults."""
        return replace(self, faults=tuple(self.faults[index] for index in indices))

    @property
    def of_the_world(self) -> Scenario:
        """The same with nothing but what happens at the venue: what it is compared with."""
        return replace(self, faults=tuple(fault for fault in self.faults if fault.kind in OF_THE_VENUE))


def strategy_settings() -> StrategySettings:
    """Strategies that trade from the third day on, so that a dozen days hold a hundred orders."""
    return StrategySettings(strategies=_STRATEGIES, unknown_seconds=3_600.0)


@dataclass(slots=True)
class _Draw:
    seed: int
    days: int
    random: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)

    def fault(self) -> Fault:
        draw = self.random
        kind, _, methods = draw.choices(_KINDS, [weight for _, weight, _ in _KINDS])[0]
        method = draw.choice(methods)
        engine = draw.choice(READERS) if method != "write" else ""
        if method == "append":
            engine = "marketdata"
        if method == "quiescence":
            engine = "marketdata"
        calls = _CALLS_A_STEP[method] * self.days if method in _CALLS_A_STEP else _RARE_CALLS
        nth = draw.randint(1, max(2, calls))
        match kind:
            case "delayed":
                return Fault(kind, engine, method, nth, draw.choice([0.005, 0.02, 0.2, 2.0]))
            case "frozen":
                return Fault(kind, engine, method, nth, draw.choice([0.6, 1.5, 4.0]), draw.choice([1, 2]))
            case "outage":
                return Fault(kind, engine, method, nth, draw.choice([0.02, 0.5, 3.0]))
            case "clock_jump":
                return Fault(
                    kind, engine, method, nth, draw.choice([-86_400.0, -3_600.0, -0.5, 0.5, 3_600.0, 172_800.0])
                )
            case "failover":
                return Fault(kind, engine, method, nth, 0.0, draw.choice([0, 1, 2, 5, 20, 80]))
            case "refused":
                return Fault(kind, engine, method, nth, 0.0, draw.choice([1, 1, 2, 4]))
            case _:
                return Fault(kind, engine, method, nth)

    def venue_fault(self) -> Fault:
        draw = self.random
        return Fault(draw.choice(_VENUE_KINDS), "", "order", draw.randint(1, 6 * self.days), 0.0, draw.randint(1, 3))

    def actions(self, symbols: Sequence[str]) -> list[Action]:
        draw, found = self.random, []
        for number in range(draw.randint(0, 3)):
            amount = Decimal(draw.randint(1_000, 90_000))
            flow = RecordCashFlow(0, DEFAULT_PORTFOLIO, amount, "USD", "deposit", f"wire-{number}", ACTOR)
            found.append(Action(draw.randint(2, self.days), flow))
        for number in range(draw.randint(0, 4)):
            order = PlaceOrder(
                0, f"by-hand-{number}", DEFAULT_PORTFOLIO, "cross", draw.choice(symbols), "buy", "limit", "gtc",
                Decimal(draw.choice([draw.randint(1, 40), 500_000])), Decimal(draw.randint(1, 12)), None, False, ACTOR,
            )  # fmt: skip
            found.append(Action(draw.randint(3, self.days), order))
        if draw.random() < 0.6:
            scopes: list[tuple[HaltScope, str]] = [
                ("all", ""), ("portfolio", DEFAULT_PORTFOLIO), ("strategy", "cross"), ("symbol", draw.choice(symbols)),
            ]  # fmt: skip
            scope, target = draw.choice(scopes)
            step = draw.randint(4, self.days)
            found.append(Action(step, HaltTrading(0, scope, target, "drill", ACTOR)))
            found.append(
                Action(min(self.days, step + draw.randint(1, 3)), ResumeTrading(0, scope, target, "drill over", ACTOR))
            )
        if draw.random() < 0.3:
            found.append(Action(draw.randint(3, self.days), CancelAllOrders(0, "", "", ACTOR, "clean slate")))
        return sorted(found, key=lambda action: action.step)


def draw_scenario(seed: int, steps_at_hand: int, days: int, symbols: Sequence[str]) -> Scenario:
    """The run that a seed stands for.

    Args:
        steps_at_hand: Timestamps of the data to choose ``days`` consecutive ones from.
        symbols: What an operator may trade.
    """
    days = min(days, steps_at_hand)
    draw = _Draw(seed, days)
    chance = draw.random
    first = chance.randrange(steps_at_hand - days + 1)
    is_free = chance.random() < 0.2
    is_lockstep = not is_free or chance.random() < 0.5
    venue = [draw.venue_fault() for _ in range(chance.choice([0, 0, 2, 5]))]
    faults = [draw.fault() for _ in range(chance.choice([1, 3, 8, 16, 30]))]
    return Scenario(
        seed,
        first,
        days,
        is_free,
        is_lockstep,
        chance.choice([0.03, 0.1, 0.5, 1e9]),
        chance.choice([0, 0, 40_000, 210_000]),
        tuple(draw.actions(symbols)),
        tuple(venue + faults),
    )
