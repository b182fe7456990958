"""The ladder: what each further step of spending on an answer brings, and which steps a query's revenue pays for.

Values only, without texts, as they are stored and drawn; where they come from is `router.learning.ladder`. Pure.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import msgspec

from router.money import usd_text
from router.reports.tradeoff import Estimated


class RungKind(StrEnum):
    """How a rung answers: one call, samples and a vote, one call that thinks so much, or the tier as configured."""

    SINGLE = "single"
    SAMPLES = "samples"
    EFFORT = "effort"
    TIER = "tier"


class Pays(StrEnum):
    """Does what a query is expected to earn pay for a rung? Unclear: the interval of its cost holds the revenue."""

    YES = "yes"
    NO = "no"
    UNCLEAR = "unclear"


class Rung(msgspec.Struct, frozen=True, kw_only=True):
    """One way to answer. Shares are from 0 to 1, a cost is of one query; None is unknown.

    `accuracy` is that of the answer that a client would get, of samples the one that the vote selects; `covered` is
    pass@k, the chance that any of the samples is right. `escalated` is the share that a stronger tier answered.
    """

    name: str
    kind: RungKind
    samples: int = 1
    questions: int = 0  # graded
    errors: int = 0
    unpriced: int = 0
    accuracy: Estimated | None = None
    covered: Estimated | None = None
    cost_nanousd: Estimated | None = None
    seconds: float | None = None
    escalated: float | None = None


class Ladder(msgspec.Struct, frozen=True, kw_only=True):
    """All rungs of one run, from the cheapest way on, and what a query was expected to earn at the time.

    `source` is `questions` (a set of questions, called `name`) or `traffic` (the coverage slice of the books).
    """

    source: str
    name: str
    made_at_us: int
    questions: int
    sampled: str
    revenue_nanousd: int | None
    rungs: tuple[Rung, ...]


class NoLadder(ValueError):
    """What should be a ladder cannot be read."""


def read_ladder(body: Any) -> Ladder:
    """Read a ladder from its JSON; raises NoLadder."""
    try:
        return msgspec.convert(body, Ladder)
    except msgspec.ValidationError as error:
        raise NoLadder(f"no ladder: {error}") from None


def json_of(ladder: Ladder) -> dict[str, Any]:
    """Write a ladder as plain values for JSON."""
    body: dict[str, Any] = msgspec.to_builtins(ladder)
    return body


def pays(rung: Rung, revenue_nanousd: int | None) -> Pays | None:
    """Tell whether the revenue of a query pays for answering it so; None where either is unknown."""
    cost = rung.cost_nanousd
    if cost is None or revenue_nanousd is None:
        return None
    low, high = (cost.value if end is None else end for end in (cost.low, cost.high))
    if high <= revenue_nanousd:
        return Pays.YES
    return Pays.NO if low > revenue_nanousd else Pays.UNCLEAR


def affordable_share(rung: Rung, base: Rung, revenue_nanousd: int | None) -> float | None:
    """Return the share of queries that can be answered so, all others by the base, until the revenue is spent."""
    if rung.cost_nanousd is None or base.cost_nanousd is None or revenue_nanousd is None:
        return None
    left, more = revenue_nanousd - base.cost_nanousd.value, rung.cost_nanousd.value - base.cost_nanousd.value
    if more <= 0:
        return 1.0 if rung.cost_nanousd.value <= revenue_nanousd else 0.0
    return min(max(left / more, 0.0), 1.0)


COLUMNS = (
    "rung",
    "samples",
    "questions",
    "accuracy",
    "low",
    "high",
    "pass_at_k",
    "pass_low",
    "pass_high",
    "cost_usd",
    "cost_low",
    "cost_high",
    "seconds",
    "escalated",
    "paid_by_revenue",
    "affordable_share",
    "unpriced",
    "errors",
)


def rows_of(ladder: Ladder) -> list[dict[str, object]]:
    """Write a row per rung, beside what a query was expected to earn at the time of the run."""
    return [_row(rung, ladder.rungs[0], ladder.revenue_nanousd) for rung in ladder.rungs]


def _row(rung: Rung, base: Rung, revenue_nanousd: int | None) -> dict[str, object]:
    return {
        "rung": rung.name,
        "samples": rung.samples,
        "questions": rung.questions,
        **dict(zip(("accuracy", "low", "high"), _shares(rung.accuracy), strict=True)),
        **dict(zip(("pass_at_k", "pass_low", "pass_high"), _shares(rung.covered), strict=True)),
        **_costs(rung.cost_nanousd),
        "seconds": _round(rung.seconds, 3),
        "escalated": _round(rung.escalated),
        "paid_by_revenue": pays(rung, revenue_nanousd),
        "affordable_share": _round(affordable_share(rung, base, revenue_nanousd)),
        "unpriced": rung.unpriced,
        "errors": rung.errors,
    }


def _shares(share: Estimated | None) -> tuple[float | None, float | None, float | None]:
    if share is None:
        return None, None, None
    return _round(share.value), _round(share.low), _round(share.high)


def _costs(cost: Estimated | None) -> Mapping[str, str | None]:
    ends = (None, None, None) if cost is None else (cost.value, cost.low, cost.high)
    names = ("cost_usd", "cost_low", "cost_high")
    return {name: None if end is None else usd_text(round(end)) for name, end in zip(names, ends, strict=True)}


def _round(value: float | None, digits: int = 4) -> float | None:
    return None if value is None else round(value, digits)
