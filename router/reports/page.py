"""A whole report as one HTML file: readable alone, offline, on paper, at phone width, in light and dark."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, tzinfo
from decimal import Decimal

from router.reports.before import Before
from router.reports.certainty import certainty
from router.reports.figures import NOTHING_BOOKED, Figure, definitions
from router.reports.formatting import (
    format_count,
    format_figure,
    format_money,
    format_percent,
    format_usd,
    money_digits,
)
from router.reports.queries import NO_PRICE, NO_REQUESTS, NO_REVENUE, Filters
from router.reports.rendering import render
from router.reports.report_charts import report_charts
from router.reports.report_tables import report_tables
from router.reports.stamp import Stamp
from router.reports.standing import Freshness, FullReport
from router.reports.tables import DASH
from router.reports.tradeoff import Tradeoff
from router.reports.window import format_moment

# Which figure of `before` stands in which tile.
COMPARED = {
    "Requests": "requests",
    "Cost": "cost_usd",
    "Expected revenue": "expected_revenue_usd",
    "Cost per 1,000 requests": "cost_per_thousand_usd",
    "Deep share": "deep_share",
}
MORE = (("day", "tier"), ("segment",), ("country",), ("model",))


@dataclass(frozen=True, slots=True)
class Tile:
    """A figure on top, with its change since the time before; `note` says why where the value is a dash."""

    title: str
    value: str
    note: str = ""
    change: str = ""

    @property
    def is_loss(self) -> bool:
        """Tell whether it is to stand out: more is spent than earned."""
        return self.value.startswith("-")


@dataclass(frozen=True, slots=True)
class FigureLine:
    """A standing figure with its formula; an unknown one is a dash with the reason."""

    title: str
    value: str
    reason: str
    formula: str


def page(
    report: FullReport,
    stamp: Stamp,
    where: Filters,
    tradeoff: Tradeoff | None = None,
    before: Before | None = None,
) -> str:
    """Write the page."""
    zone = stamp.window.zone
    today = datetime.fromtimestamp(stamp.made_us / 1e6, UTC).astimezone(zone).date()
    has_requests = bool(report.standing.total.requests)
    return render(
        "page.html",
        window=stamp.window.describe(),
        made=format_moment(stamp.made_us, zone),
        database=stamp.database,
        filters=", ".join(f"{name} {' or '.join(sorted(values))}" for name, values in where.items()),
        freshness=freshness_text(report.freshness, zone),
        made_up=report.made_up.describe(),
        is_empty=not has_requests,
        tiles=[replace(tile, change=_change(tile.title, before)) for tile in _tiles(report)],
        sentences=_sentences(report),
        charts=report_charts(report, tradeoff, today) if has_requests else [],
        certainty=certainty(report, report.more[("model",)]),
        tables=report_tables(report, tradeoff, before),
        groups=_groups(report),
    )


def freshness_text(fresh: Freshness, zone: tzinfo) -> str:
    """Say how late the report is, and which versions it stands on."""

    def moment(ms: float | None) -> str:
        return "none" if ms is None else format_moment(round(ms * 1_000), zone)

    price = None if fresh.newest_price_us is None else fresh.newest_price_us / 1_000
    parts = [
        f"newest request {moment(fresh.newest_request_ms)}",
        f"rolled up to {moment(fresh.rolled_up_to_ms)}, the rest read from the lines",
        f"policy version {fresh.policy_version or 'none'}",
        f"revenue assumptions version {fresh.revenue_version or 'none'}",
        f"newest price {moment(price)}",
        f"Tierwise {fresh.software}",
    ]
    return "; ".join(parts)


def _tiles(report: FullReport) -> list[Tile]:
    figures, total = report.figures, report.standing.total
    names = ("cost_usd", "expected_revenue_usd", "booked_revenue_usd", "contribution_usd")
    cost, expected, booked, left = (_decimal(figures[name]) for name in names)
    digits = money_digits([cost, expected, booked])
    each = [_decimal(figures[name]) for name in ("cost_per_thousand_usd", "expected_revenue_per_thousand_usd")]
    fine = money_digits(each)
    remains = "" if left is None else f"{format_money(left, digits)} left, expected"
    even, covered = _decimal(figures["break_even_deep_share"]), _decimal(figures["statement_share"])
    return [
        Tile("Requests", format_count(total.requests)),
        _money("Cost", cost, digits, NO_PRICE, "a lower bound" if total.calls > total.priced else ""),
        _money("Expected revenue", expected, digits, NO_REVENUE),
        _money(
            "Actual revenue",
            None if figures["gap_usd"] is None else booked,
            digits,
            NOTHING_BOOKED,
            f"booked for {format_count(total.booked_requests)} requests",
        ),
        _share("Margin", _decimal(figures["margin"]), "nothing is expected to be earned", remains),
        _share(
            "Actual margin",
            _decimal(figures["actual_margin"]),
            NOTHING_BOOKED,
            "" if covered is None else f"{format_percent(covered)} of expected revenue is covered by what was booked",
        ),
        _money("Cost per 1,000 requests", each[0], fine, NO_PRICE if total.requests else NO_REQUESTS),
        _money("Expected revenue per 1,000", each[1], fine, NO_REVENUE if total.requests else NO_REQUESTS),
        _share(
            "Deep share",
            _decimal(figures["deep_share"]),
            NO_REQUESTS,
            "" if even is None else f"{format_percent(even)} would break even",
        ),
    ]


def _change(title: str, before: Before | None) -> str:
    """Say how much more or less the figure of a tile is than in the window before; nothing where that is not known."""
    found = {change.name: change for change in before.changes} if before else {}
    change = found.get(COMPARED.get(title, ""))
    amount = _decimal(change.relative["value"]) if change and change.relative else None
    if amount is None:
        return ""
    return f"{'+' if amount > 0 else ''}{format_percent(amount)} against the time before"


def _decimal(value: object) -> Decimal | None:
    return None if value is None else Decimal(str(value))


def _money(title: str, value: Decimal | None, digits: int, reason: str, note: str = "") -> Tile:
    return Tile(title, DASH, reason) if value is None else Tile(title, format_money(value, digits), note)


def _share(title: str, value: Decimal | None, reason: str, note: str = "") -> Tile:
    return Tile(title, DASH, reason) if value is None else Tile(title, format_percent(value), note)


def _sentences(report: FullReport) -> list[str]:
    """Say in words what a reader should know first."""
    figures = report.figures
    sentences = []
    for tier in ("reasoning", "fast"):
        if (saved := figures[f"saved_against_always_{tier}_usd"]) is not None and Decimal(str(saved)):
            than = f"{format_usd(abs(Decimal(str(saved))))} {'more' if Decimal(str(saved)) >= 0 else 'less'}"
            sentences.append(f"Everything answered by {tier} would have cost {than}, all overhead counted.")
    if figures["break_even_ecpm_usd"] is not None:
        ecpm, needed = format_usd(figures["ecpm_usd"]), format_usd(figures["break_even_ecpm_usd"])
        sentences.append(f"An eCPM (revenue of a thousand viewed ads) of {needed} would break even; assumed is {ecpm}.")
    return sentences


def _groups(report: FullReport) -> Mapping[str, Sequence[FigureLine]]:
    groups: dict[str, list[FigureLine]] = {}
    for figure in definitions():
        groups.setdefault(figure.group, []).append(_line(figure, report.figures[figure.name]))
    return groups


def _line(figure: Figure, value: object) -> FigureLine:
    if value is None:
        return FigureLine(figure.title, DASH, figure.unknown, figure.formula)
    return FigureLine(figure.title, format_figure(figure.name, value), "", figure.formula)
