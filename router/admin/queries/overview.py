"""Reads the overview: one snapshot of the books over a stretch of time, from rollups."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from sqlalchemy import Engine

from router.reports.figures import actual_margin, statement_share
from router.reports.queries import Report, Sums, share, sum_by
from router.reports.reading import reading
from router.reports.standing import Freshness, freshness
from router.reports.window import EVERYTHING, Window


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time up to now, and the step of its charts."""

    name: str
    title: str
    step: str


SPANS = (
    Span("24h", "24 hours", "hour"),
    Span("7d", "7 days", "day"),
    Span("30d", "30 days", "day"),
    Span("90d", "90 days", "day"),
    Span(EVERYTHING, "Everything", "day"),
)
USUAL = SPANS[1]


@dataclass(frozen=True, slots=True)
class Figures:
    """What the overview shows."""

    total: Sums
    figures: Mapping[str, object]
    margin: str | None
    actual_margin: str | None
    statement_share: str | None
    errors: int
    error_share: str | None
    tiers: Sequence[tuple[str, Sums, Mapping[str, object], str | None]]
    reasons: Sequence[tuple[str, int, str | None]]
    fresh: Freshness


def span_of(name: str) -> Span:
    """Find a span by its name; the usual one for any other name."""
    return next((span for span in SPANS if span.name == name), USUAL)


def figures(engine: Engine, window: Window) -> Figures:
    """Add up the figures of a stretch of time."""
    with reading(engine, window) as books:
        by_tier = sum_by(books, ["tier"], {})
        by_outcome, by_reason = sum_by(books, ["outcome"], {}), sum_by(books, ["reason"], {})
        total = by_tier.totals()
        errors = _errors(by_outcome)
        known = total.has_cost and total.has_revenue
        left = total.expected_nanousd - total.cost_nanousd if known else None
        return Figures(
            total,
            total.figures(),
            share(left, total.expected_nanousd) if left is not None else None,
            actual_margin(total),
            statement_share(total),
            errors,
            share(errors, total.requests),
            [
                (key[0] or "unknown", sums, sums.figures(), share(sums.requests, total.requests))
                for key, sums in by_tier.rows_in_order()
            ],
            [
                (key[0] or "unknown", sums.requests, share(sums.requests, total.requests))
                for key, sums in sorted(by_reason.rows.items(), key=lambda row: -row[1].requests)
            ],
            freshness(books),
        )


def by_time(engine: Engine, window: Window, step: str) -> dict[str, object]:
    """The window step by step: times, and under each name what is known at each of them (None where nothing is)."""
    with reading(engine, window) as books:
        cells = sum_by(books, [step, "tier"], {})
        outcomes = sum_by(books, [step, "outcome"], {})
    times = [key for key, _ in groupby(sorted(key[0] for key in cells.rows if key[0] is not None))]
    whole = {time: Sums() for time in times}
    for (time, _), sums in cells.rows.items():
        if time in whole:
            whole[time].add(sums.facts, sums.largest)
    tiers = sorted({key[1] for key in cells.rows if key[1] is not None})
    errors = dict.fromkeys(times, 0)
    for (time, outcome), sums in outcomes.rows.items():
        if time in errors and outcome not in ("ok", "cancelled"):
            errors[time] += sums.requests
    lines = [whole[time].figures() for time in times]
    return {
        "step": step,
        "window": window.describe(),
        "times": times,
        "requests": [line["requests"] for line in lines],
        "errors": [errors[time] for time in times],
        **{name: [_number(line[name]) for line in lines] for name in MONEY},
        "deep_share": [_number(line["deep_share"]) for line in lines],
        "by_tier": {
            tier: {
                "requests": [cells.rows.get((time, tier), Sums()).requests for time in times],
                "cost_usd": [_number(cells.rows.get((time, tier), Sums()).figures()["cost_usd"]) for time in times],
            }
            for tier in tiers
        },
    }


MONEY = ("cost_usd", "expected_revenue_usd", "booked_revenue_usd", "contribution_usd")


def _errors(by_outcome: Report) -> int:
    return sum(sums.requests for (name,), sums in by_outcome.rows.items() if name not in ("ok", "cancelled"))


def _number(text: object) -> float | None:
    """A chart's number; the exact one is in the table."""
    return None if text is None else float(str(text))
