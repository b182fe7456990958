"""Reads the revenue assumptions: those in force by segment, their versions, and what the scenarios would have made."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import Engine, select

from router.database.tables import RevenueVersion
from router.ledger.revenue import MILLION, SCENARIOS, Assumption, country_factor_ppm
from router.money import round_half_even
from router.reports.queries import sum_by
from router.reports.reading import reading
from router.reports.window import Window
from router.types import DEFAULT_SEGMENT, UNKNOWN_COUNTRY

MOST_VERSIONS = 50


@dataclass(frozen=True, slots=True)
class RevenueOverview:
    """What is assumed, what was before, and the last week under each scenario."""

    version: int | None
    segments: Mapping[str, Assumption]
    factors_ppm: Mapping[str, int]
    unknown_country_ppm: int
    versions: Sequence[dict[str, Any]]
    week_requests: int
    week_cost_nanousd: int | None
    week_expected_nanousd: int | None
    scenarios: Sequence[dict[str, Any]]


def read(engine: Engine, week: Window) -> RevenueOverview:
    """Read the assumptions, their versions, and a week under each scenario."""
    table = RevenueVersion.__table__
    with engine.connect() as connection:
        rows = connection.execute(select(table).order_by(table.c.version.desc()).limit(MOST_VERSIONS)).all()
    body: Mapping[str, Any] = rows[0].body if rows else {"segments": {}, "country_factors_ppm": {}}
    segments = {name: Assumption(**stored) for name, stored in sorted(body["segments"].items())}
    with reading(engine, week) as books:
        by_segment = sum_by(books, ["segment"], {})
    total = by_segment.totals()
    cost = total.cost_nanousd if total.has_cost else None
    expected = {key[0]: sums.expected_nanousd for key, sums in by_segment.rows.items() if sums.has_revenue}
    return RevenueOverview(
        rows[0].version if rows else None,
        segments,
        body["country_factors_ppm"],
        country_factor_ppm(body["country_factors_ppm"], UNKNOWN_COUNTRY),
        [_version(row, older) for row, older in zip(rows, [*rows[1:], None], strict=True)],
        total.requests,
        cost,
        total.expected_nanousd if total.has_revenue else None,
        [_scenario(name, scenario, segments, expected, cost) for name, scenario in SCENARIOS.items()],
    )


def _scenario(
    name: str,
    scenario: Assumption,
    segments: Mapping[str, Assumption],
    expected: Mapping[str | None, int],
    cost: int | None,
) -> dict[str, Any]:
    """The week as if every segment with ads earned like the scenario; None where the own assumption is no measure."""
    earned: int | None = 0
    for segment, nanousd in expected.items():
        own = segments.get(segment or "") or segments.get(DEFAULT_SEGMENT)
        per_query = own.estimate_revenue(MILLION) - own.flat_nanousd if own else 0
        if own is None or own.flat_nanousd or per_query <= 0:
            earned = None
            break
        earned = (earned or 0) + round_half_even(nanousd * scenario.estimate_revenue(MILLION), per_query)
    return {
        "name": name,
        "assumption": scenario,
        "per_query_nanousd": scenario.estimate_revenue(MILLION),
        "expected_nanousd": earned if expected else None,
        "contribution_nanousd": earned - cost if expected and earned is not None and cost is not None else None,
    }


def _version(row: Any, older: Any) -> dict[str, Any]:
    return {
        "version": row.version,
        "at_us": row.created_at,
        "author": row.author,
        "note": row.note,
        "changes": _changes(older.body if older is not None else None, row.body),
    }


def _changes(before: Mapping[str, Any] | None, after: Mapping[str, Any]) -> list[str]:
    """Say in words what a version changed."""
    if before is None:
        return ["the first that is shown"]
    changes = []
    for name, stored in sorted(after["segments"].items()):
        old = before["segments"].get(name)
        if old is None:
            changes.append(f"segment {name} is new")
        elif Assumption(**old) != Assumption(**stored):
            changes += [f"{name}: {line}" for line in differences(Assumption(**old), Assumption(**stored))]
    changes += [f"segment {name} is gone" for name in sorted(before["segments"].keys() - after["segments"].keys())]
    factors, others = after["country_factors_ppm"], before["country_factors_ppm"]
    changed = sorted(code for code in factors.keys() | others.keys() if factors.get(code) != others.get(code))
    if changed:
        changes.append(f"country factors of {', '.join(changed[:8])}{' and others' if len(changed) > 8 else ''}")
    return changes or ["nothing"]


def differences(old: Assumption, new: Assumption) -> list[str]:
    """Name what differs between two assumptions."""
    written = [(format_assumption(old), format_assumption(new))]
    return [
        f"{name} {was} -> {now[name]}" for before, now in written for name, was in before.items() if was != now[name]
    ]


def format_assumption(assumption: Assumption) -> dict[str, str]:
    """Write an assumption as its form takes it."""
    return {
        "eCPM": f"${_plain(Decimal(assumption.ecpm_nanousd) / 10**9)}",
        "ads per query": _plain(Decimal(assumption.ads_per_query_ppm) / MILLION),
        "publisher share": _plain(Decimal(assumption.publisher_share_ppm) / MILLION),
        "flat": f"${_plain(Decimal(assumption.flat_nanousd) / 10**9)}",
        "beside buyers": _plain(Decimal(assumption.commercial_ppm) / MILLION),
    }


def _plain(value: Decimal) -> str:
    return f"{value.normalize():f}"
