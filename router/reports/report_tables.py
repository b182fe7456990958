"""The tables of the report page: by dimension, overhead, top spenders, what quality costs, and coverage."""

from collections.abc import Mapping, Sequence
from decimal import Decimal

from router.money import NANO_PER_USD
from router.reports.before import CHANGE_COLUMNS, TOO_FEW_STEPS, Before, change_cells
from router.reports.coverage import CoverageFigures
from router.reports.dimensions import TIMES
from router.reports.figures import NOTHING_BOOKED
from router.reports.formatting import UNKNOWN, format_count, format_interval, format_share, format_usd
from router.reports.queries import NO_PRICE, NO_REQUESTS, NO_REVENUE, Report, Sums
from router.reports.standing import FullReport
from router.reports.tables import ColumnKind, Table, Unknown, Value, lay_out
from router.reports.tradeoff import Tradeoff

MOST_ROWS = 12
IN_ORDER = (*TIMES, "turn", "policy")  # rows by these are read as a course, so none is left out
COLUMNS = (
    ("requests", ColumnKind.COUNT),
    ("cost", ColumnKind.MONEY),
    ("expected revenue", ColumnKind.MONEY),
    ("actual revenue", ColumnKind.MONEY),
    ("contribution", ColumnKind.MONEY),
    ("cost per 1,000", ColumnKind.RATE),
    ("revenue per 1,000", ColumnKind.RATE),
    ("deep share", ColumnKind.SHARE),
)


def report_tables(full: FullReport, tradeoff: Tradeoff | None, before: Before | None) -> list[Table]:
    """Write every table of the page, in its order."""
    tables = [by_dimension(full.report), *([] if before is None else [_before(before)])]
    for names, more in full.more.items():
        if names not in (("day", "tier"), full.report.by):
            tables.append(by_dimension(more))
    tables += [_overhead(full.overhead), _spenders(full.spenders)]
    if tradeoff is not None:
        tables.append(_tradeoff(tradeoff))
    return [*tables, _coverage(full.coverage)] if full.coverage.observed else tables


def _before(before: Before) -> Table:
    rows: list[list[Value]] = []
    for change in before.changes:
        because = change.unknown_because or TOO_FEW_STEPS
        rows.append([Unknown(because) if cell == UNKNOWN else cell for cell in change_cells(change)])
    columns = [(name, ColumnKind.FIGURE if place else ColumnKind.WORDS) for place, name in enumerate(CHANGE_COLUMNS)]
    return lay_out("Against the window before", columns, rows, notes=[f"Before: {before.describe()}."])


def by_dimension(report: Report) -> Table:
    """Write a report with its total; only the largest rows where there are many and they are no course."""
    total, rows = report.totals(), report.rows_in_order()
    is_course = any(name in IN_ORDER for name in report.by)
    shown = rows if is_course or len(rows) <= MOST_ROWS else largest(report, MOST_ROWS)
    left_out = len(rows) - len(shown)
    notes = [f"The {len(shown)} with most requests of {len(rows)}; the total is of all."] if left_out else []
    words = [(name.replace("_", " "), ColumnKind.WORDS) for name in report.by]
    return lay_out(
        f"By {' and '.join(name.replace('_', ' ') for name in report.by)}",
        (*words, *COLUMNS),
        [(*(value or "not known" for value in key), *_figures(sums)) for key, sums in shown],
        ("total", *("" for _ in report.by[1:]), *_figures(total)),
        notes,
    )


def largest(report: Report, most: int) -> Sequence[tuple[tuple[str | None, ...], Sums]]:
    """Return the rows with most requests."""
    return sorted(report.rows.items(), key=lambda row: (-row[1].requests, -row[1].cost_nanousd))[:most]


def dollars(nano: int) -> Decimal:
    """Return nano-dollars as dollars."""
    return Decimal(nano) / NANO_PER_USD


def per_thousand(nano: int, sums: Sums) -> Decimal | None:
    """Return dollars per 1,000 requests; None without any."""
    return dollars(nano) * 1_000 / sums.requests if sums.requests else None


def _figures(sums: Sums) -> tuple[Value, ...]:
    cost = dollars(sums.cost_nanousd) if sums.has_cost else Unknown(NO_PRICE)
    expected = dollars(sums.expected_nanousd) if sums.has_revenue else Unknown(NO_REVENUE)
    has_booked = sums.booked_requests or sums.booked_nanousd
    missing = next((amount for amount in (cost, expected) if isinstance(amount, Unknown)), None)
    return (
        sums.requests,
        cost,
        expected,
        dollars(sums.booked_nanousd) if has_booked else Unknown(NOTHING_BOOKED),
        missing or dollars(sums.expected_nanousd - sums.cost_nanousd),
        _each(cost, sums),
        _each(expected, sums),
        Decimal(sums.deep) / sums.requests if sums.requests else Unknown(NO_REQUESTS),
    )


def _each(amount: Decimal | Unknown, sums: Sums) -> Decimal | Unknown:
    if isinstance(amount, Unknown):
        return amount
    return amount * 1_000 / sums.requests if sums.requests else Unknown(NO_REQUESTS)


def _overhead(lines: Sequence[Mapping[str, object]]) -> Table:
    rows: list[tuple[Value, ...]] = [
        (
            str(line["role"] or "not known").replace("_", " "),
            int(str(line["calls"])),
            _decimal(line["cost_usd"], NO_PRICE),
            _decimal(line["share_of_cost"], "nothing was spent"),
        )
        for line in lines
    ]
    columns = (
        ("what", ColumnKind.WORDS),
        ("calls", ColumnKind.COUNT),
        ("cost", ColumnKind.MONEY),
        ("share of cost", ColumnKind.SHARE),
    )
    note = "Every paid call counts once. Retried: an attempt that failed before a later call answered."
    return lay_out("What was paid for", columns, rows, notes=[note])


def _spenders(spenders: Sequence[Mapping[str, object]]) -> Table:
    columns = (
        ("key", ColumnKind.WORDS),
        ("name", ColumnKind.WORDS),
        ("segment", ColumnKind.WORDS),
        ("requests", ColumnKind.COUNT),
        ("cost", ColumnKind.MONEY),
        ("cost per 1,000", ColumnKind.RATE),
        ("contribution", ColumnKind.MONEY),
    )
    rows: list[tuple[Value, ...]] = []
    for s in spenders:
        each = _decimal(s["cost_per_query_usd"], NO_PRICE)
        rows.append(
            (
                str(s["key"] or "none"),
                str(s["name"] or ""),
                str(s["segment"] or ""),
                int(str(s["requests"])),
                _decimal(s["cost_usd"], NO_PRICE),
                each * 1_000 if isinstance(each, Decimal) else each,
                _decimal(s["contribution_usd"], f"{NO_PRICE}, or {NO_REVENUE}"),
            )
        )
    note = "The API keys that cost most; none is requests without a key."
    return lay_out("Top spenders", columns, rows, notes=[note])


def _decimal(value: object, reason: str) -> Decimal | Unknown:
    return Unknown(reason) if value is None else Decimal(str(value))


def _tradeoff(tradeoff: Tradeoff) -> Table:
    """Write the trade-off in numbers, or why there is none."""
    rows: list[tuple[Value, ...]] = [
        (
            point.name,
            Decimal(repr(point.cost_usd_per_1k.value)),
            format_interval(point.cost_usd_per_1k.low, point.cost_usd_per_1k.high, format_usd),
            Decimal(repr(point.quality.value)),
            format_interval(point.quality.low, point.quality.high, format_share),
            Unknown("how often it goes deep was not recorded")
            if point.deep_share is None
            else Decimal(repr(point.deep_share)),
        )
        for point in tradeoff.points
    ]
    columns = (
        ("way to answer", ColumnKind.WORDS),
        ("cost per 1,000", ColumnKind.RATE),
        ("95 % interval of cost", ColumnKind.WORDS),
        ("quality", ColumnKind.SHARE),
        ("95 % interval of quality", ColumnKind.WORDS),
        ("deep share", ColumnKind.SHARE),
    )
    what = "Not to be relied on" if rows else "Not worked out"
    notes = [f"From {tradeoff.source}.", *([f"{what}: {tradeoff.doubt}."] if tradeoff.doubt else [])]
    return lay_out("What quality costs", columns, rows, notes=notes)


def _coverage(coverage: CoverageFigures) -> Table:
    """Write what more samples could have brought beside what was chosen."""
    figures = (
        ("one sample is right", coverage.accuracy_at_1),
        ("the most frequent answer is right", coverage.majority_at_k),
        ("the selected answer is right", coverage.selected_at_k),
        (f"any of {coverage.k} samples is right, at least", coverage.pass_at_k),
        ("of the possible gain realised by selection, at most", coverage.efficiency),
        ("of the samples could not be read", coverage.unreadable),
    )
    note = (
        f"{format_count(coverage.observed)} queries sampled to the end, {format_count(coverage.labelled)} of them "
        f"rated; the tier had stopped after {coverage.samples_used:.1f} samples on average."
    )
    rows: list[tuple[Value, ...]] = [
        (title, Unknown("without ratings nobody can tell") if share is None else Decimal(repr(share)))
        for title, share in figures
    ]
    columns = (("parallel tier", ColumnKind.WORDS), ("share", ColumnKind.SHARE))
    return lay_out("Coverage beside selection", columns, rows, notes=[note])
