"""A whole report as one HTML file: readable alone, offline, on paper, at phone width, in light and dark."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from router.ledger.lines import BUCKETS_PER_DOUBLING
from router.money import NANO_PER_USD
from router.reports import charts
from router.reports.charts import Series
from router.reports.coverage import CoverageFigures
from router.reports.figures import definitions
from router.reports.formatting import format_count, format_figure, format_interval, format_share, format_usd
from router.reports.queries import Filters, Report, Sums
from router.reports.scatter import tradeoff_chart
from router.reports.standing import Freshness, FullReport
from router.reports.tradeoff import Tradeoff
from router.reports.window import Window

TIERS = ("fast", "reasoning", "parallel")
LOOKS = {tier: tier for tier in TIERS}
MORE = (("day", "tier"), ("segment",), ("country",), ("model",))
MOST_ROWS = 12
COLUMNS = ("requests", "cost", "expected", "booked", "contribution", "cost per 1000", "expected per 1000", "deep share")


def page(report: FullReport, window: Window, where: Filters, now: datetime, tradeoff: Tradeoff | None = None) -> str:
    """Write the page."""
    total = report.standing.total
    environment = Environment(loader=PackageLoader("router.reports", "."), autoescape=True, undefined=StrictUndefined)
    return environment.get_template("page.html").render(
        window=window.describe(),
        filters=", ".join(f"{name} {' or '.join(sorted(values))}" for name, values in where.items()),
        freshness=freshness_text(report.freshness, window.zone, now),
        is_synthetic=report.is_synthetic,
        is_empty=not total.requests,
        tiles=_tiles(report),
        sentences=_sentences(report),
        charts=[chart for chart in (*_charts(report), *_tradeoff_charts(tradeoff)) if chart["svg"]]
        if total.requests
        else [],
        tables=[*_tables(report), *_tradeoff_tables(tradeoff), *_coverage_tables(report.coverage)],
        groups=_groups(report),
    )


def freshness_text(fresh: Freshness, zone: tzinfo, now: datetime) -> str:
    """Say how late the report is, and which versions it stands on."""

    def moment(ms: float | None) -> str:
        if ms is None:
            return "none"
        try:
            return datetime.fromtimestamp(ms / 1_000, UTC).astimezone(zone).strftime("%Y-%m-%d %H:%M:%S")
        except (OverflowError, ValueError):
            return "out of the calendar"

    price = None if fresh.newest_price_us is None else fresh.newest_price_us / 1_000
    parts = [
        f"written {moment(now.timestamp() * 1_000)}",
        f"newest request {moment(fresh.newest_request_ms)}",
        f"rolled up to {moment(fresh.rolled_up_to_ms)}, the rest read from the lines",
        f"policy version {fresh.policy_version or 'none'}",
        f"revenue assumptions version {fresh.revenue_version or 'none'}",
        f"newest price {moment(price)}",
        f"Tierwise {fresh.software}",
    ]
    return "; ".join(parts)


def _tiles(report: FullReport) -> list[dict[str, object]]:
    figures = report.figures
    chosen = (
        ("requests", format_count(report.standing.total.requests)),
        ("cost", format_usd(figures["cost_usd"])),
        ("expected revenue", format_usd(figures["expected_revenue_usd"])),
        ("contribution", format_usd(figures["contribution_usd"])),
        ("cost per 1000 queries", format_usd(figures["cost_per_thousand_usd"])),
        ("revenue per 1000 queries", format_usd(figures["expected_revenue_per_thousand_usd"])),
        ("deep share", format_share(figures["deep_share"])),
        ("break-even deep share", format_share(figures["break_even_deep_share"])),
    )
    return [{"title": title, "value": value, "bad": value.startswith("-")} for title, value in chosen]


def _sentences(report: FullReport) -> list[str]:
    """Say in words what a reader should know first."""
    figures, total = report.figures, report.standing.total
    sentences = []
    for tier in ("reasoning", "fast"):
        if (saved := figures[f"saved_against_always_{tier}_usd"]) is not None and Decimal(str(saved)):
            than = f"{format_usd(abs(Decimal(str(saved))))} {'more' if Decimal(str(saved)) >= 0 else 'less'}"
            sentences.append(
                f"Everything answered by {tier} would have cost {than}, all overhead counted; how, see below."
            )
    if figures["break_even_ecpm_usd"] is not None:
        ecpm, needed = format_usd(figures["ecpm_usd"]), format_usd(figures["break_even_ecpm_usd"])
        sentences.append(f"An eCPM of {needed} would break even; assumed is {ecpm}.")
    if unpriced := total.calls - total.priced:
        calls = f"{format_count(unpriced)} of {format_count(total.calls)} calls"
        sentences.append(f"{calls} have no price: the cost is a lower bound.")
    if total.booked_requests or total.booked_nanousd:
        gap = Decimal(str(figures["gap_usd"]))
        than = f"{format_usd(abs(gap))} {'more' if gap >= 0 else 'less'} than was expected there"
        sentences.append(f"Networks booked {format_usd(figures['booked_revenue_usd'])}: {than}.")
    return sentences


def _charts(report: FullReport) -> list[dict[str, Any]]:
    tiers = [tier for tier in TIERS if tier in report.standing.by_tier]
    key = [(tier, tier) for tier in tiers]
    cells = report.more[("day", "tier")].rows
    days = sorted({key[0] for key in cells if key[0] is not None})
    whole = {day: Sums() for day in days}
    for (day, _), sums in cells.items():
        if day in whole:
            whole[day].add(sums.facts, sums.largest)

    def daily(tier: str) -> list[Decimal | None]:
        return [_dollars(sums.cost_nanousd) if (sums := cells.get((day, tier))) else None for day in days]

    short = [day[5:] for day in days]
    expected = [_dollars(whole[day].expected_nanousd) if whole[day].has_revenue else None for day in days]
    left = [
        _dollars(w.expected_nanousd - w.cost_nanousd) * 1_000 / w.requests if w.requests and w.has_cost else None
        for w in (whole[day] for day in days)
    ]
    total = report.standing.total
    shares = [
        (
            tier,
            {
                "of queries": _percent(sums.requests, total.requests),
                "of spend": _percent(sums.cost_nanousd, total.cost_nanousd),
            },
        )
        for tier in tiers
        if (sums := report.standing.by_tier[tier])
    ]
    counts = {str(tier): costs.counts for tier, costs in report.costs_by_tier.items() if tier in tiers}
    return [
        {
            "title": "Cost and expected revenue by day",
            "text": "Bars: cost by the tier that answered. Line: expected revenue.",
            "svg": charts.stack_bars(
                short, [Series(t, t, daily(t)) for t in tiers], Series("expected revenue", "line", expected), "$"
            ),
            "key": [*key, ("expected revenue", "line")],
        },
        {
            "title": "Contribution per 1000 queries by day",
            "text": "Expected revenue less cost; below nothing it loses money.",
            "svg": charts.around_zero(short, Series("contribution", "line", left), "$"),
            "key": [],
        },
        {
            "title": "Share of queries and of spend",
            "text": "By the tier that answered.",
            "svg": charts.bars(shares, {"of queries": "other", "of spend": "reasoning"}, "%"),
            "key": [("of queries", "other"), ("of spend", "reasoning")],
        },
        {
            "title": "What a query costs",
            "text": "Requests by cost, each bar 1.4 times as dear as the one before.",
            "svg": charts.histogram(counts, {tier: tier for tier in tiers}, BUCKETS_PER_DOUBLING),
            "key": key,
        },
        _comparison_chart(report.more[("country",)], "Cost and expected revenue by country, per 1000 queries"),
        _comparison_chart(report.more[("segment",)], "Cost and expected revenue by segment, per 1000 queries"),
        {
            "title": "The router's own overhead",
            "text": "What was paid for besides the answers.",
            "svg": charts.bars(_overhead(report), {"cost": "reasoning"}, "$"),
            "key": [],
        },
    ]


def _tradeoff_charts(tradeoff: Tradeoff | None) -> list[dict[str, Any]]:
    if tradeoff is None:
        return []
    text = f"{tradeoff.source}. Lines through points are 95 % intervals."
    if any(point.doubt for point in tradeoff.points):
        text += " Hollow: the classifier's promise, as labels do not reach there."
    kinds = [("thresholds moved together", "other")] if any(p.kind == "sweep" for p in tradeoff.points) else []
    key = [("always fast", "fast"), ("always reasoning", "reasoning"), ("always parallel", "parallel")]
    svg = tradeoff_chart(tradeoff.points)
    return [{"title": "What quality costs", "text": text, "svg": svg, "key": [*key, *kinds, ("today", "line")]}]


def _tradeoff_tables(tradeoff: Tradeoff | None) -> list[dict[str, Any]]:
    """Write the trade-off in numbers, or why there is none."""
    if tradeoff is None:
        return []
    rows = [
        (
            point.name,
            format_usd(point.cost_usd_per_1k.value),
            format_interval(point.cost_usd_per_1k.low, point.cost_usd_per_1k.high, format_usd),
            format_share(point.quality.value),
            format_interval(point.quality.low, point.quality.high, format_share),
            format_share(point.deep_share),
        )
        for point in tradeoff.points
    ]
    columns = ("way to answer", "cost per 1000", "95 % interval", "quality", "95 % interval", "deep share")
    text = f"{tradeoff.source}. {'Not told: ' + tradeoff.doubt if tradeoff.doubt else ''}"
    return [{"title": "What quality costs", "text": text, "columns": columns, "left": 1, "rows": rows, "total": None}]


def _coverage_tables(coverage: CoverageFigures) -> list[dict[str, Any]]:
    """Write what more samples could have brought beside what was chosen; nothing where nobody looked."""
    if not coverage.observed:
        return []
    figures = (
        ("one sample is right", coverage.accuracy_at_1),
        ("the most frequent answer is right", coverage.majority_at_k),
        ("the selected answer is right", coverage.selected_at_k),
        (f"any of {coverage.k} samples is right, at least", coverage.pass_at_k),
        ("of the possible gain realised by selection, at most", coverage.efficiency),
        ("of the samples could not be read", coverage.unreadable),
    )
    text = (
        f"{format_count(coverage.observed)} queries sampled to the end, {format_count(coverage.labelled)} of them "
        f"rated; the tier had stopped after {coverage.samples_used:.1f} samples on average. Without ratings the shares "
        "are unknown."
    )
    rows = [(title, format_share(value)) for title, value in figures]
    columns = ("parallel tier", "share")
    title = "Coverage beside selection"
    return [{"title": title, "text": text, "columns": columns, "left": 1, "rows": rows, "total": None}]


def _comparison_chart(report: Report, title: str) -> dict[str, Any]:
    rows = [
        (
            key[0] or "unknown",
            {
                "cost": _per_thousand(sums.cost_nanousd, sums) if sums.has_cost else None,
                "expected": _per_thousand(sums.expected_nanousd, sums) if sums.has_revenue else None,
            },
        )
        for key, sums in _largest(report, MOST_ROWS - 2)
        if sums.requests
    ]
    looks = {"cost": "reasoning", "expected": "parallel"}
    key = [("cost", "reasoning"), ("expected revenue", "parallel")]
    return {"title": title, "text": "Most requests first.", "svg": charts.bars(rows, looks, "$"), "key": key}


def _overhead(report: FullReport) -> list[tuple[str, Mapping[str, Decimal | None]]]:
    return [
        (str(line["role"]).replace("_", " "), {"cost": Decimal(str(line["cost_usd"]))})
        for line in report.overhead
        if line["role"] not in (None, "answer", "not_sent") and line["cost_usd"] is not None
    ]


def _tables(full: FullReport) -> list[dict[str, Any]]:
    report, total = full.report, full.report.totals()
    tables = [_table(f"By {' and '.join(report.by)}", report, total)]
    for names, more in full.more.items():
        if names not in (("day", "tier"), report.by):
            tables.append(_table(f"By {' and '.join(names)}", more, more.totals()))
    tables.append(
        {
            "title": "Overhead, line by line",
            "text": "Every paid call counts once; retried: an attempt that failed before a later call answered.",
            "columns": ("what", "calls", "cost", "share of cost"),
            "left": 1,
            "rows": [
                (
                    str(line["role"] or "unknown").replace("_", " "),
                    format_count(line["calls"]),
                    format_usd(line["cost_usd"]),
                    format_share(line["share_of_cost"]),
                )
                for line in full.overhead
            ],
            "total": None,
        }
    )
    columns = ("key", "name", "segment", "requests", "cost", "cost per query", "contribution")
    rows = [
        (
            s["key"] or "none",
            s["name"] or "-",
            s["segment"] or "-",
            format_count(s["requests"]),
            format_usd(s["cost_usd"]),
            format_usd(s["cost_per_query_usd"]),
            format_usd(s["contribution_usd"]),
        )
        for s in full.spenders
    ]
    text = "The API keys that cost most; none is requests without a key."
    tables.append({"title": "Top spenders", "text": text, "columns": columns, "left": 3, "rows": rows, "total": None})
    return tables


def _table(title: str, report: Report, total: Sums) -> dict[str, Any]:
    rows = report.rows_in_order()
    by_time = any(name in ("day", "hour", "turn", "policy") for name in report.by)
    largest = rows if by_time or len(rows) <= MOST_ROWS else _largest(report, MOST_ROWS)
    text = (
        ""
        if len(largest) == len(rows)
        else f"The {len(largest)} with most requests of {len(rows)}; the total is of all."
    )
    reasons = "; ".join(report.unknowns())
    return {
        "title": title,
        "text": f"{text} Unknown where {reasons}.".strip() if reasons else text,
        "columns": (*report.by, *COLUMNS),
        "left": len(report.by),
        "rows": [(*(value or "unknown" for value in key), *_cells(sums)) for key, sums in largest],
        "total": ("total", *("" for _ in report.by[1:]), *_cells(total)),
    }


def _cells(sums: Sums) -> tuple[str, ...]:
    figures = sums.figures()
    per = [_per_thousand(nano, sums) for nano in (sums.cost_nanousd, sums.expected_nanousd)]
    return (
        format_count(sums.requests),
        format_usd(figures["cost_usd"]),
        format_usd(figures["expected_revenue_usd"]),
        format_usd(figures["booked_revenue_usd"]),
        format_usd(figures["contribution_usd"]),
        format_usd(per[0] if sums.has_cost else None),
        format_usd(per[1] if sums.has_revenue else None),
        format_share(figures["deep_share"]),
    )


def _groups(report: FullReport) -> dict[str, list[dict[str, object]]]:
    groups: dict[str, list[dict[str, object]]] = {}
    for figure in definitions():
        value = report.figures[figure.name]
        known = value is not None
        text = format_figure(figure.name, value) if known else f"unknown: {figure.unknown}"
        line = {"title": figure.title, "value": text, "known": known, "formula": figure.formula}
        groups.setdefault(figure.group, []).append(line)
    return groups


def _largest(report: Report, most: int) -> Sequence[tuple[tuple[str | None, ...], Sums]]:
    return sorted(report.rows.items(), key=lambda row: (-row[1].requests, -row[1].cost_nanousd))[:most]


def _dollars(nano: int) -> Decimal:
    return Decimal(nano) / NANO_PER_USD


def _per_thousand(nano: int, sums: Sums) -> Decimal | None:
    return _dollars(nano) * 1_000 / sums.requests if sums.requests else None


def _percent(part: int, whole: int) -> Decimal | None:
    return Decimal(part) * 100 / whole if whole else None
