"""The charts of the report page: what each shows, in which looks, and a legend that names all of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from router.ledger.lines import BUCKETS_PER_DOUBLING
from router.reports import charts
from router.reports.charts import Series
from router.reports.queries import Report, Sums
from router.reports.report_tables import MOST_ROWS, dollars, largest, per_thousand
from router.reports.scatter import look_of, tradeoff_chart
from router.reports.standing import FullReport
from router.reports.tradeoff import Tradeoff

TIERS = ("fast", "reasoning", "parallel")
MOST_DAYS = 92  # of a chart by day; what is longer is drawn by month


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart as SVG text, a sentence on what it shows, and the names of its looks."""

    title: str
    text: str
    svg: str
    legend: Sequence[tuple[str, str]]


def report_charts(report: FullReport, tradeoff: Tradeoff | None, today: date) -> list[Chart]:
    """Draw every chart for which there is something to draw; `today`, in the zone of the report, is not over."""
    tiers = [tier for tier in TIERS if tier in report.standing.by_tier]
    counts = {str(tier): costs.counts for tier, costs in report.costs_by_tier.items() if tier in tiers}
    title = "What a request costs"
    drawn = [
        *_by_time(report.more[("day", "tier")], tiers, today.isoformat()),
        _shares(report, tiers),
        Chart(
            title,
            "Requests by cost. A bar is named by where it begins, and each is 1.4 times as dear as the one before.",
            charts.histogram(title, counts, {tier: tier for tier in tiers}, BUCKETS_PER_DOUBLING),
            [(tier, tier) for tier in tiers],
        ),
        _comparison(report.more[("country",)], "country"),
        _comparison(report.more[("segment",)], "segment"),
        _overhead(report.overhead),
        *([_tradeoff(tradeoff)] if tradeoff is not None else []),
    ]
    return [chart for chart in drawn if chart.svg]


def _by_time(by_day: Report, tiers: Sequence[str], today: str) -> list[Chart]:
    """Draw cost and revenue, and what is left, by day; by month where there are many days."""
    days = sorted({key[0] for key in by_day.rows if key[0] is not None})
    if not days:
        return []
    is_long = (date.fromisoformat(days[-1]) - date.fromisoformat(days[0])).days >= MOST_DAYS
    unit, steps = ("month", sorted({day[:7] for day in days})) if is_long else ("day", _every_day(days[0], days[-1]))
    whole = {step: Sums() for step in steps}
    of_tiers = {(step, tier): Sums() for step in steps for tier in tiers}
    for (day, tier), sums in by_day.rows.items():
        if day is not None:
            step = day[: len(steps[0])]
            for of in (whole[step], of_tiers.get((step, tier or ""))):
                if of is not None:
                    of.add(sums.facts, sums.largest)
    names = time_names(steps)
    end = f" The last {unit} is not over." if today.startswith(steps[-1]) else ""
    return [_money(unit, end, names, tiers, whole, of_tiers), _contribution(unit, end, names, whole)]


def _money(
    unit: str,
    end: str,
    names: Sequence[str],
    tiers: Sequence[str],
    whole: Mapping[str, Sums],
    of_tiers: Mapping[tuple[str, str], Sums],
) -> Chart:
    bars = [Series(tier, tier, [dollars(of_tiers[step, tier].cost_nanousd) for step in whole]) for tier in tiers]
    expected = [dollars(sums.expected_nanousd) if sums.has_revenue else None for sums in whole.values()]
    line, title = Series("expected revenue", "line", expected), f"Cost and expected revenue by {unit}"
    return Chart(
        title,
        f"Bars: cost by the tier that answered. Line: expected revenue.{end}",
        charts.stack_bars(title, names, bars, line, "$"),
        [*((tier, tier) for tier in tiers), ("expected revenue", "line")],
    )


def _contribution(unit: str, end: str, names: Sequence[str], whole: Mapping[str, Sums]) -> Chart:
    left = [
        per_thousand(sums.expected_nanousd - sums.cost_nanousd, sums) if sums.has_cost and sums.has_revenue else None
        for sums in whole.values()
    ]
    title = f"Contribution per 1,000 requests by {unit}"
    return Chart(
        title,
        f"Expected revenue less cost.{end}",
        charts.around_zero(title, names, Series("contribution", "gain", left), "$"),
        [("earned more than it cost", "gain"), ("cost more than it earned", "loss")],
    )


def time_names(steps: Sequence[str]) -> list[str]:
    """Name days (2026-11-01) as 1 Nov and months (2026-11) as Nov 2026; days with their year where there are two."""
    years = {step[:4] for step in steps}
    day_format = "%d %b" if len(years) == 1 else "%d %b %y"
    return [
        date.fromisoformat(step).strftime(day_format).lstrip("0")
        if len(step) > len("2026-11")
        else date.fromisoformat(f"{step}-01").strftime("%b %Y")
        for step in steps
    ]


def _every_day(first: str, last: str) -> list[str]:
    """List the days from one to the other, those without requests too, so that the axis is one of time."""
    begin = date.fromisoformat(first)
    return [(begin + timedelta(days)).isoformat() for days in range((date.fromisoformat(last) - begin).days + 1)]


def _shares(report: FullReport, tiers: Sequence[str]) -> Chart:
    total, title = report.standing.total, "Share of requests and of cost"
    rows = [
        (
            tier,
            {
                "of requests": _percent(sums.requests, total.requests),
                "of cost": _percent(sums.cost_nanousd, total.cost_nanousd),
            },
        )
        for tier in tiers
        if (sums := report.standing.by_tier[tier])
    ]
    looks = {"of requests": "other", "of cost": "cost"}
    return Chart(title, "By the tier that answered.", charts.bars(title, rows, looks, "%"), list(looks.items()))


def _comparison(report: Report, what: str) -> Chart:
    rows = [
        (
            key[0] or "not known",
            {
                "cost": per_thousand(sums.cost_nanousd, sums) if sums.has_cost else None,
                "expected revenue": per_thousand(sums.expected_nanousd, sums) if sums.has_revenue else None,
            },
        )
        for key, sums in largest(report, MOST_ROWS - 2)
        if sums.requests
    ]
    title, looks = f"Per 1,000 requests, by {what}", {"cost": "cost", "expected revenue": "revenue"}
    return Chart(title, "Those with most requests first.", charts.bars(title, rows, looks, "$"), list(looks.items()))


def _overhead(lines: Sequence[Mapping[str, object]]) -> Chart:
    rows = [
        (str(line["role"]).replace("_", " "), {"cost": Decimal(str(line["cost_usd"]))})
        for line in lines
        if line["role"] not in (None, "answer", "not_sent") and line["cost_usd"] is not None
    ]
    title = "The router's own overhead"
    svg = charts.bars(title, rows, {"cost": "cost"}, "$")
    return Chart(title, "What was paid for besides the answers.", svg, [("cost", "cost")])


def _tradeoff(tradeoff: Tradeoff) -> Chart:
    """Draw quality against cost; the legend names the looks that are there."""
    text = f"From {tradeoff.source}. Lines through points are 95 % intervals."
    if any(point.doubt for point in tradeoff.points):
        text += " Hollow: the classifier's promise, as labels do not reach there."
    names = {"sweep": "thresholds moved together"}
    legend = {names.get(point.kind, point.name): look_of(point) for point in tradeoff.points}
    return Chart("What quality costs", text, tradeoff_chart(tradeoff.points), list(legend.items()))


def _percent(part: int, whole: int) -> Decimal | None:
    return Decimal(part) * 100 / whole if whole else None
