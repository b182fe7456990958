"""Reads a stretch of time for tuning: what the books say of all its requests, and the rows that a score decided.

The sums are those of reports and of Overview; the rows may be a sample, evenly spread over the time.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from sqlalchemy import Engine

from router.reports.queries import Report, Sums, sum_by
from router.reports.reading import BooksSnapshot, reading
from router.reports.window import Window
from router.tuning.traffic import SCORED, TIERS, Traffic
from router.tuning.traffic_reader import MOST_ROWS, read
from router.tuning.whole import Whole, Wholes, noise_of
from router.types import DAY_US

BY_HOUR_UP_TO_US = 31 * DAY_US  # a longer time has days enough to tell noise from


@dataclass(frozen=True, slots=True)
class Past:
    """A stretch of time: the rows of requests that a score decided, and the sums of all requests."""

    traffic: Traffic
    wholes: Wholes


def read_past(engine: Engine, window: Window, most: int = MOST_ROWS) -> Past:
    """Read both: of the rows at most so many, spread evenly over the time where there are more."""
    wholes = read_wholes(engine, window)
    traffic = read(engine, window, most, expected=wholes.total.decided)
    return Past(traffic, _share_out(wholes, traffic))


def read_wholes(engine: Engine, window: Window) -> Wholes:
    """Add everything up, and by segment; how many of a segment a score decided is known of rows only, and 0 here."""
    with reading(engine, window) as books:
        by_tier, by_reason = sum_by(books, ["tier"], {}), sum_by(books, ["reason"], {})
        by_segment = sum_by(books, ["tier", "segment"], {})
        noise = noise_of(_sums_of_the_rest(books))
    decided = sum(sums.requests for (reason,), sums in by_reason.rows.items() if reason in SCORED)
    segments: dict[str, Report] = {}
    for (tier, segment), sums in by_segment.rows.items():
        segments.setdefault(segment or "unknown", Report(("tier",))).rows[(tier,)] = sums
    total = replace(_whole(by_tier), decided=decided, left_noise_usd=noise)
    return Wholes(total, {name: _whole(segments[name]) for name in sorted(segments)})


def _whole(by_tier: Report) -> Whole:
    total = by_tier.totals()
    return Whole(
        total.requests,
        0,
        tuple(by_tier.rows.get((str(tier),), Sums()).requests for tier in TIERS),
        total.deep,
        total.cost_nanousd / 1e9 if total.has_cost else np.nan,
        total.expected_nanousd / 1e9 if total.has_revenue else np.nan,
    )


def _sums_of_the_rest(books: BooksSnapshot) -> list[tuple[int, float]]:
    """Return the requests that no score decided and what they cost in US dollars, hour by hour or day by day."""
    since, days = books.window.since_us, books.days
    is_short = since is not None and bool(days) and (days[-1] + 1) * DAY_US - since <= BY_HOUR_UP_TO_US
    by_time: dict[str | None, tuple[int, float]] = {}
    for (time, reason), sums in sum_by(books, ["hour" if is_short else "day", "reason"], {}).rows.items():
        if reason not in SCORED:
            count, cost = by_time.get(time, (0, 0.0))
            by_time[time] = count + sums.requests, cost + sums.cost_nanousd / 1e9
    return list(by_time.values())


def _share_out(wholes: Wholes, traffic: Traffic) -> Wholes:
    """Tell how many requests of each segment a score decided: its part of the rows."""
    counts = np.bincount(traffic.segments, minlength=len(traffic.segment_names)).tolist()
    counted = dict(zip(traffic.segment_names, counts, strict=True))
    scale = wholes.total.decided / max(len(traffic), 1)
    left = max(wholes.total.requests - wholes.total.decided, 1)

    def of_segment(name: str, whole: Whole) -> Whole:
        decided = min(round(scale * counted.get(name, 0)), whole.requests)
        noise = wholes.total.left_noise_usd * float(np.sqrt((whole.requests - decided) / left))
        return replace(whole, decided=decided, left_noise_usd=noise)

    segments: Mapping[str, Whole] = {name: of_segment(name, whole) for name, whole in wholes.segments.items()}
    return Wholes(wholes.total, segments)
