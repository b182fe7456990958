"""Reads the overview: one snapshot of the books over a stretch of time, from rollups."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import Engine

from router.admin.page import NotDone
from router.admin.selection import Selection
from router.reports.before import Before, Change, change_cells, compare_before
from router.reports.figures import actual_margin, statement_share
from router.reports.formatting import UNKNOWN
from router.reports.queries import Report, Sums, share, sum_by
from router.reports.reading import BooksSnapshot, reading
from router.reports.standing import Freshness, freshness
from router.reports.window import Window
from router.types import DAY_US, HOUR_US

MOST_READ = 100_000  # requests of a window that are read line by line for what filters leave: some seconds
LONGEST_BY_HOUR_US = 2 * DAY_US + HOUR_US  # two days, with the hour that clocks may give


@dataclass(frozen=True, slots=True)
class Figures:
    """What the overview shows."""

    total: Sums
    figures: Mapping[str, object]
    margin: str | None
    actual_margin: str | None
    statement_share: str | None
    errors: int | None
    error_share: str | None
    tiers: Sequence[tuple[str, Sums, Mapping[str, object], str | None]]
    reasons: Sequence[tuple[str, int, str | None]] | None
    fresh: Freshness
    before: Before | None
    changes: Mapping[str, str]


def figures(engine: Engine, selection: Selection, most_read: int = MOST_READ) -> Figures:
    """Add up the figures of a selection; raises NotDone where that would read too many lines."""
    with reading(engine, selection.window) as books:
        by_tier, by_outcome, by_reason = _split(books, selection, (), ("tier", "outcome", "reason"), most_read)
        fresh = freshness(books)
    before = compare_before(engine, selection.window, selection.where)
    total = Sums() if by_tier is None else by_tier.totals()
    errors = None if by_outcome is None else _errors(by_outcome)
    known = total.has_cost and total.has_revenue
    left = total.expected_nanousd - total.cost_nanousd if known else None
    return Figures(
        total,
        total.figures(),
        share(left, total.expected_nanousd) if left is not None else None,
        actual_margin(total),
        statement_share(total),
        errors,
        None if errors is None else share(errors, total.requests),
        [
            (key[0] or "unknown", sums, sums.figures(), share(sums.requests, total.requests))
            for key, sums in (by_tier.rows_in_order() if by_tier else ())
        ],
        None if by_reason is None else _reasons(by_reason, total),
        fresh,
        before,
        {change.name: _describe_change(change) for change in before.changes} if before else {},
    )


def _reasons(by_reason: Report, total: Sums) -> list[tuple[str, int, str | None]]:
    rows = sorted(by_reason.rows.items(), key=lambda row: -row[1].requests)
    return [(key[0] or "unknown", sums.requests, share(sums.requests, total.requests)) for key, sums in rows]


def _split(
    books: BooksSnapshot, selection: Selection, times: Sequence[str], names: Sequence[str], most_read: int
) -> list[Report | None]:
    """Add up by times and one name after the other; None for what rollups do not know with these filters.

    Few requests are read line by line, at once for all names. Raises NotDone for many with several filters.
    """
    where = selection.where
    if not where:
        return [sum_by(books, [*times, name], {}) for name in names]
    requests = sum_by(books, ["tier"], {}).totals().requests
    if requests <= most_read:
        cube = sum_by(books, [*times, *names], where)
        return [cube.project([*times, name]) for name in names]
    if len(where) > 1:
        raise NotDone(
            f"several filters are looked up one by one in at most {most_read:,} requests, and there are {requests:,}: "
            "choose fewer days or one filter, or ask tierwise report"
        )
    return [sum_by(books, [*times, name], where) if name == "tier" else None for name in names]


def step_of(window: Window) -> str:
    """The step of a window's charts: hours of up to two days, days of more."""
    end_us = window.now_us if window.until_us is None else window.until_us
    is_short = window.since_us is not None and end_us is not None and end_us - window.since_us <= LONGEST_BY_HOUR_US
    return "hour" if is_short else "day"


def by_step(engine: Engine, selection: Selection, most_read: int = MOST_READ) -> tuple[Report, Report | None]:
    """Add up the steps of a selection by tier, and by outcome where it is known; raises NotDone as `figures` does."""
    step = step_of(selection.window)
    with reading(engine, selection.window) as books:
        cells, outcomes = _split(books, selection, [step], ["tier", "outcome"], most_read)
    return cells or Report((step, "tier")), outcomes


def by_time(engine: Engine, selection: Selection) -> dict[str, object]:
    """The window step by step: times, and under each name what is known at each of them (None where nothing is).

    `links` are the queries of addresses that speak of one step each.
    """
    cells, outcomes = by_step(engine, selection)
    whole = cells.project(cells.by[:1])
    times = sorted(key[0] for key in whole.rows if key[0] is not None)
    tiers = sorted({key[1] for key in cells.rows if key[1] is not None})
    errors = None if outcomes is None else _errors_by_time(outcomes)
    lines = [whole.rows[time,].figures() for time in times]
    return {
        "step": cells.by[0],
        "window": selection.window.describe(),
        "times": times,
        "links": [_link(selection, cells.by[0], time) for time in times],
        "requests": [line["requests"] for line in lines],
        "errors": [None if errors is None else errors.get(time, 0) for time in times],
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


MONEY = ("cost_usd", "expected_revenue_usd", "booked_revenue_usd", "contribution_usd")


def _errors_by_time(outcomes: Report) -> dict[str | None, int]:
    errors: dict[str | None, int] = {}
    for (time, outcome), sums in outcomes.rows.items():
        if outcome not in ("ok", "cancelled"):
            errors[time] = errors.get(time, 0) + sums.requests
    return errors


def _errors(by_outcome: Report) -> int:
    return sum(sums.requests for (name,), sums in by_outcome.rows.items() if name not in ("ok", "cancelled"))


def _number(text: object) -> float | None:
    """A chart's number; the exact one is in the table."""
    return None if text is None else float(str(text))
