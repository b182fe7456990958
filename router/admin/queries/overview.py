"""Reads the overview: one snapshot of the books over a stretch of time, from rollups."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import Engine

from router.admin.selection import Selection
from router.reports.before import Before, Change, change_cells, compare_before
from router.reports.figures import actual_margin, statement_share
from router.reports.formatting import UNKNOWN
from router.reports.queries import Report, Sums, share, sum_by
from router.reports.reading import reading
from router.reports.standing import Freshness, freshness
from router.reports.window import Window
from router.types import DAY_US, HOUR_US

LONGEST_BY_HOUR_US = 2 * DAY_US + HOUR_US  # two days, with the hour that clocks may give


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
    before: Before | None
    changes: Mapping[str, str]


def figures(engine: Engine, selection: Selection) -> Figures:
    """Add up the figures of a selection."""
    window = selection.window
    before = compare_before(engine, window, selection.where)
    with reading(engine, window) as books:
        cube = sum_by(books, CUBE, selection.where) if selection.filters else None
        by_tier, by_outcome, by_reason = (
            sum_by(books, [name], {}) if cube is None else cube.project([name]) for name in CUBE
        )
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
            before,
            {change.name: _describe_change(change) for change in before.changes} if before else {},
        )


def step_of(window: Window) -> str:
    """The step of a window's charts: hours of up to two days, days of more."""
    end_us = window.now_us if window.until_us is None else window.until_us
    is_short = window.since_us is not None and end_us is not None and end_us - window.since_us <= LONGEST_BY_HOUR_US
    return "hour" if is_short else "day"


def by_step(engine: Engine, selection: Selection) -> tuple[Report, Report]:
    """Add up the steps of a selection by tier, and by outcome."""
    step = step_of(selection.window)
    with reading(engine, selection.window) as books:
        if not selection.filters:
            return sum_by(books, [step, "tier"], {}), sum_by(books, [step, "outcome"], {})
        cube = sum_by(books, [step, "tier", "outcome"], selection.where)
        return cube.project([step, "tier"]), cube.project([step, "outcome"])


def by_time(engine: Engine, selection: Selection) -> dict[str, object]:
    """The window step by step: times, and under each name what is known at each of them (None where nothing is).

    `links` are the queries of addresses that speak of one step each.
    """
    cells, outcomes = by_step(engine, selection)
    whole = cells.project(cells.by[:1])
    times = sorted(key[0] for key in whole.rows if key[0] is not None)
    tiers = sorted({key[1] for key in cells.rows if key[1] is not None})
    errors = dict.fromkeys(times, 0)
    for (time, outcome), sums in outcomes.rows.items():
        if time in errors and outcome not in ("ok", "cancelled"):
            errors[time] += sums.requests
    lines = [whole.rows[time,].figures() for time in times]
    return {
        "step": cells.by[0],
        "window": selection.window.describe(),
        "times": times,
        "links": [_link(selection, cells.by[0], time) for time in times],
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


def _link(selection: Selection, step: str, label: str) -> str:
    """The query of an address with the requests of one step, cut where the window begins and ends."""
    window = selection.window
    if step == "hour":
        begin = datetime.fromisoformat(label)
        end = (begin.astimezone(UTC) + timedelta(hours=1)).astimezone(window.zone)
    else:
        day = datetime.fromisoformat(label)
        begin, end = day.replace(tzinfo=window.zone), (day + timedelta(days=1)).replace(tzinfo=window.zone)
    begin_us, end_us = (round(at.timestamp()) * 1_000_000 for at in (begin, end))
    is_whole = begin_us >= (window.since_us or 0) and (window.until_us is None or end_us <= window.until_us)
    if step == "day" and is_whole:
        return selection.address(span=None, **{"from": label, "to": label})
    ends = max(begin_us, window.since_us or 0), min(end_us, window.until_us or end_us)
    first, last = (datetime.fromtimestamp(at / 1e6, UTC).isoformat() for at in ends)
    return selection.address(span=None, **{"from": first, "to": last})


def _describe_change(change: Change) -> str:
    """Say how a figure changed: in parts of what was before where that says something, else in its unit."""
    _, _, _, absolute, its_interval, relative, interval = change_cells(change)
    shown, around = (
        (relative, interval) if change.relative and change.name != "deep_share" else (absolute, its_interval)
    )
    if shown == UNKNOWN:
        return ""
    return shown if around == UNKNOWN else f"{shown} ({around})"


CUBE = ("tier", "outcome", "reason")
MONEY = ("cost_usd", "expected_revenue_usd", "booked_revenue_usd", "contribution_usd")


def _errors(by_outcome: Report) -> int:
    return sum(sums.requests for (name,), sums in by_outcome.rows.items() if name not in ("ok", "cancelled"))


def _number(text: object) -> float | None:
    """A chart's number; the exact one is in the table."""
    return None if text is None else float(str(text))
