"""What the books have shown of forecasts: by how much they are off, and how long queries usually are.

Both are worked out once an hour from the seven days before it, so that all workers and replicas know the same. Made-up
rows count for nothing. Reading blocks; it belongs off the event loop.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median, quantiles
from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine, and_, case, func, select

from router.database import ids
from router.database.labels import read_label_texts
from router.database.tables import Adjustment, Call, Request
from router.ledger.recent import BY_SCORE
from router.types import DAY_US, HOUR_US, CallKind, Outcome, Reason, Tier

LOOKBACK_US = 7 * DAY_US
MOST_FORECASTS_READ = 20_000  # the newest
ENOUGH_FOR_USUAL = 200  # queries of a segment
ORDINARY_INPUT = 40  # tokens: the median of consumer queries in their natural mix (`classifier.training.natural_mix`)
ENOUGH_FOR_ENDS = 50  # requests, from which on their own spread is told
DOUBT = 20  # requests as forecast, that the books have to speak against
FARTHEST = 20.0  # a factor beyond is a fault of a price or a length, not of a forecast


class CostFactor(NamedTuple):
    """What requests like it cost, as a multiple of what had been forecast for them; `low` to `high` holds 80 % of them.

    The ends are None where too few were seen, and what the expected lengths say stands then.
    """

    value: float = 1.0
    low: float | None = None
    high: float | None = None
    requests: int = 0


NO_FACTOR = CostFactor()


FactorKey = tuple[Tier, str, str]  # the first tier, its model, the answer type
EffortKey = tuple[str, str]  # the model of the reasoning tier, the effort it was asked for


@dataclass(frozen=True, slots=True)
class ForecastRow:
    """A settled request beside what was `expected` of it, and `forecast` before any factor; nano-dollars."""

    key: FactorKey
    paid: int
    forecast: float
    expected: int = 0
    effort: str | None = None


@dataclass(frozen=True, slots=True)
class ShownCosts:
    """What is known: factors by tier, model and answer type, the usual input by segment, in tokens, and by effort.

    What an effort costs is a multiple of what its kind's factor says.
    """

    factors: Mapping[FactorKey, CostFactor] = field(default_factory=dict)
    usual_inputs: Mapping[str, int] = field(default_factory=dict)
    effort_factors: Mapping[EffortKey, float] = field(default_factory=dict)


class CostBook:
    """Follows the books from the shipping thread; readers never wait."""

    def __init__(self, engine: Engine, now_us: Callable[[], int]) -> None:
        self._engine = engine
        self._now_us = now_us
        self._hour = -1
        self.shown = ShownCosts()

    def follow(self) -> None:
        """Read anew where a new hour has begun; raises SQLAlchemyError and keeps what it has."""
        hour = self._now_us() // HOUR_US
        if hour != self._hour:
            self.shown = read_shown_costs(self._engine, hour * HOUR_US)
            self._hour = hour


def read_shown_costs(engine: Engine, until_us: int) -> ShownCosts:
    """Read the days before an instant. Raises SQLAlchemyError."""
    low, high = (ids.text_at(at // 1_000) for at in (until_us - LOOKBACK_US, until_us))
    with engine.connect() as connection:
        rows = read_forecasts(connection, low, high)
        usual = _read_usual_inputs(connection, low, high)
    factors = factors_of(rows)
    return ShownCosts(factors, usual, effort_factors_of(rows, factors))


def read_forecasts(connection: Connection, low: str, high: str) -> list[ForecastRow]:
    """Read what was paid beside what had been forecast, of whole answers of the first choice, the newest first."""
    paid = (
        select(
            Call.request_id,
            func.sum(Call.cost_nanousd).label("paid"),
            func.sum(case((Call.cost_nanousd.is_(None), 1), else_=0)).label("unpriced"),
            func.max(case((Call.call_no == 0, Call.provider_model_id))).label("model_id"),
        )
        .where(Call.request_id >= low, Call.request_id < high, Call.kind != CallKind.SHADOW)
        .group_by(Call.request_id)
        .subquery()
    )
    corrected = (
        select(Adjustment.request_id, func.sum(Adjustment.amount_nanousd).label("amount"))
        .where(Adjustment.request_id >= low, Adjustment.request_id < high)
        .group_by(Adjustment.request_id)
        .subquery()
    )
    query = (
        select(
            Request.first_tier,
            Request.answer_type_id,
            Request.expected_cost_nanousd,
            Request.cost_factor,
            Request.effort,
            paid.c.paid,
            paid.c.model_id,
            corrected.c.amount,
        )
        .join(paid, paid.c.request_id == Request.id)
        .outerjoin(corrected, corrected.c.request_id == Request.id)
        .where(
            Request.id >= low,
            Request.id < high,
            Request.synthetic.is_(False),
            Request.outcome == Outcome.OK,
            Request.reason != Reason.FALLBACK,
            Request.expected_cost_nanousd > 0,
            paid.c.unpriced == 0,
            paid.c.model_id.is_not(None),
        )
        .order_by(Request.id.desc())
        .limit(MOST_FORECASTS_READ)
    )
    rows = connection.execute(query).all()
    texts = read_label_texts(connection)
    return [
        ForecastRow(
            (row.first_tier, texts[row.model_id], texts[row.answer_type_id]),
            int(row.paid) + int(row.amount or 0),
            row.expected_cost_nanousd / (row.cost_factor or 1.0),
            row.expected_cost_nanousd,
            row.effort,
        )
        for row in rows
    ]


def factors_of(rows: Sequence[ForecastRow]) -> dict[FactorKey, CostFactor]:
    """Work out the factors: sums over sums, which keep the bias of a bill at nothing, drawn towards others' by a few.

    Those are of the same tier and model, of the other answer types, and drawn towards 1 themselves: where a model
    writes twice as much as forecast, a type that was seldom asked for is not believed to be the one that is right.
    """
    by_key: dict[FactorKey, list[ForecastRow]] = defaultdict(list)
    for row in rows:
        by_key[row.key].append(row)
    by_model: dict[tuple[Tier, str], list[FactorKey]] = defaultdict(list)
    for key in by_key:
        by_model[key[:2]].append(key)
    sums = {key: _sums_of(found) for key, found in by_key.items()}
    factors = {}
    for key, found in by_key.items():
        others = [sums[other] for other in by_model[key[:2]] if other != key]
        paid, forecast, requests = (sum(column) for column in zip((0, 0.0, 0), *others, strict=True))
        factors[key] = _factor_of(found, _draw_towards_one(paid, forecast, requests))
    return factors


def _sums_of(rows: Sequence[ForecastRow]) -> tuple[float, float, int]:
    """What was paid, what had been forecast, and for how many requests."""
    return sum(row.paid for row in rows), sum(row.forecast for row in rows), len(rows)


def effort_factors_of(rows: Sequence[ForecastRow], factors: Mapping[FactorKey, CostFactor]) -> dict[EffortKey, float]:
    """Work out what the factors of the kinds leave over by effort, drawn towards 1 by a few as these are."""
    by_key: dict[EffortKey, list[tuple[int, float]]] = defaultdict(list)
    for row in rows:
        tier, model, _ = row.key
        if tier is Tier.REASONING and row.effort is not None:
            by_key[model, row.effort].append((row.paid, row.forecast * factors[row.key].value))
    return {
        key: _draw_towards_one(sum(paid for paid, _ in found), sum(forecast for _, forecast in found), len(found))
        for key, found in by_key.items()
    }


def _draw_towards_one(paid: float, forecast: float, requests: float, towards: float = 1.0) -> float:
    """Return a factor drawn towards another, within what can be; that one where there are no requests."""
    if requests < 1:
        return towards
    doubt = DOUBT * forecast / requests
    return min(max((paid + doubt * towards) / (forecast + doubt), 1 / FARTHEST), FARTHEST)


def _factor_of(rows: Sequence[ForecastRow], towards: float) -> CostFactor:
    value = _draw_towards_one(*_sums_of(rows), towards)
    if len(rows) < ENOUGH_FOR_ENDS:
        return CostFactor(value, requests=len(rows))
    tenths = quantiles((row.paid / row.forecast for row in rows), n=10, method="inclusive")
    return CostFactor(value, min(tenths[0], value), max(tenths[-1], value), len(rows))


def _read_usual_inputs(connection: Connection, low: str, high: str) -> dict[str, int]:
    """Read the median input of each segment's `auto` queries, as the first call of each was metered."""
    tokens = Call.input_fresh + Call.input_cached + Call.input_cache_write
    query: Any = (
        select(Request.segment_id, tokens)
        .join(Call, and_(Call.request_id == Request.id, Call.call_no == 0))
        .where(
            Request.id >= low,
            Request.id < high,
            Request.synthetic.is_(False),
            Request.reason.in_(BY_SCORE),
            tokens > 0,
        )
        .order_by(Request.id.desc())
        .limit(MOST_FORECASTS_READ)
    )
    by_segment: dict[int, list[int]] = defaultdict(list)
    for segment_id, found in connection.execute(query):
        by_segment[segment_id].append(found)
    texts = read_label_texts(connection)
    return {
        texts[segment_id]: round(median(inputs))
        for segment_id, inputs in by_segment.items()
        if len(inputs) >= ENOUGH_FOR_USUAL
    }
