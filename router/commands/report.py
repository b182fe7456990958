"""`tierwise report`: cost, revenue and contribution by any dimension, as a table, JSON, CSV, a page or a FOCUS bill."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from router.commands.output import ConfigOption, open_output, show_table, write_csv
from router.commands.window import MadeUpOption, Since, UntilOption, ZoneOption, note_made_up, read_window, write_stamp

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from router.reports.before import Before
    from router.reports.forecasts import ForecastQuality
    from router.reports.queries import Sums
    from router.reports.stamp import Stamp
    from router.reports.standing import FullReport
    from router.reports.tradeoff import Tradeoff
    from router.reports.window import Window

TITLES = {
    "requests": "requests",
    "calls": "calls",
    "cost_usd": "cost $",
    "expected_revenue_usd": "expected $",
    "booked_revenue_usd": "booked $",
    "contribution_usd": "left $",
    "deep_share": "deep",
    "unpriced": "unpriced",
    "estimated": "estimated",
    "unknown": "unknown",
}


class ReportFormat(StrEnum):
    """How a report is written."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"
    HTML = "html"
    FOCUS = "focus"


def report(
    by: Annotated[
        str, typer.Option(help="What to group by: tier, model, segment, day, ...; several separated by commas.")
    ] = "tier",
    since: Since = None,
    until: UntilOption = None,
    zone: ZoneOption = None,
    where: Annotated[list[str] | None, typer.Option(help="Only requests with NAME=VALUE; repeat for more.")] = None,
    config: ConfigOption = None,
    form: Annotated[ReportFormat, typer.Option("--format", help="Output format.")] = ReportFormat.TABLE,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write to this file.")] = None,
    with_people: Annotated[
        bool, typer.Option("--people", help="Also show what a conversation and a person cost; for table and json.")
    ] = False,
    replayed: Annotated[
        Path | None, typer.Option("--replay", help="Output of `tierwise replay`, to show what quality costs.")
    ] = None,
    with_made_up: MadeUpOption = False,
) -> None:
    """Show what requests cost, what they are expected to earn, and what is left."""
    from router.commands.opening import existing_books
    from router.reports.before import compare_before
    from router.reports.stamp import Stamp
    from router.reports.standing import full_report

    names, filters = _names(by), _filters(where or [])
    if replayed is not None and (filters or form not in (ReportFormat.HTML, ReportFormat.JSON)):
        raise typer.BadParameter("--replay goes with --format html or json, without --where")
    if form is ReportFormat.FOCUS:
        if filters or with_people or names != ["tier"]:
            raise typer.BadParameter("--format focus has rows of its own: without --by, --where and --people")
        _write_focus(config, (since, until, zone), output, with_made_up)
        return
    more: Sequence[tuple[str, ...]] = ()
    if form is ReportFormat.HTML:
        from router.reports.page import MORE as more
    with existing_books(config) as (configured, engine):
        chosen = read_window(configured, since, until, zone, with_made_up=with_made_up)
        books = full_report(engine, names, chosen, filters, more)
        wants_tradeoff = form in (ReportFormat.HTML, ReportFormat.JSON) and not filters
        tradeoff = _tradeoff(engine, chosen, replayed) if wants_tradeoff else None
        groups = _people(engine, chosen) if with_people else None
        before = None if form is ReportFormat.CSV else compare_before(engine, chosen, filters)
        stamp = Stamp.of(engine, chosen)
    with open_output(output) as stream:
        match form:
            case ReportFormat.JSON:
                compared = {"before": before.fields() if before else None}
                facts = stamp.fields() | _exact(books, filters, tradeoff) | compared | (groups or {})
                stream.write(json.dumps(facts, indent=2) + "\n")
            case ReportFormat.CSV:
                if note := books.made_up.describe():  # the column `made_up` has the same by row
                    typer.echo(note, err=True)
                _write_csv(books, stamp, stream)
            case ReportFormat.HTML:
                from router.reports.page import page

                stream.write(page(books, stamp, filters, tradeoff, before))
            case ReportFormat.TABLE:
                _require_no_file(output)
                typer.echo(stamp.describe())
                _show(books, filters)
                _show_before(before)
                for line in _describe_people(groups or {}):
                    typer.echo(line)


def _write_focus(
    config: Path | None, asked: tuple[str | None, str | None, str | None], output: Path | None, with_made_up: bool
) -> None:
    """Write every charge of a window as FOCUS, and say on standard error what it is of."""
    from router.commands.opening import existing_books
    from router.reports.focus import VERSION, write_focus

    with existing_books(config) as (configured, engine):
        chosen = read_window(configured, *asked, with_made_up=with_made_up)
        with open_output(output) as stream:
            rows = write_focus(engine, chosen, stream)
        typer.echo(f"FOCUS {VERSION}, {rows:,} rows", err=True)
        note_made_up(engine, chosen)
        write_stamp(engine, chosen, beside=True)


def _names(by: str) -> list[str]:
    from router.reports.dimensions import DIMENSIONS

    names = [name.strip() for name in by.split(",")]
    if any(name not in DIMENSIONS for name in names) or len(set(names)) != len(names):
        raise typer.BadParameter(f"--by takes one or several of {', '.join(DIMENSIONS)}, each once")
    return names


def _filters(where: Sequence[str]) -> dict[str, set[str]]:
    """Read NAME=VALUE; the same name twice allows either value."""
    from router.reports.dimensions import DIMENSIONS

    filters: dict[str, set[str]] = {}
    for text in where:
        name, equals, value = text.partition("=")
        if not equals or name not in DIMENSIONS:
            raise typer.BadParameter(f"--where takes NAME=VALUE with a name of {', '.join(DIMENSIONS)}")
        filters.setdefault(name, set()).add(value)
    return filters


def _tradeoff(engine: "Engine", window: "Window", replayed: Path | None) -> "Tradeoff":
    """What quality costs: of a replayed set of questions, else of labelled traffic."""
    from router.reports.tradeoff import of_replay

    if replayed is not None:
        return of_replay(replayed)
    from router.tuning.tradeoff import of_traffic

    return of_traffic(engine, window)


def _people(engine: "Engine", window: "Window") -> dict[str, dict[str, Any]]:
    """What conversations and persons cost, by `conversations` and `persons`."""
    from router.reports.people import people
    from router.reports.reading import reading

    with reading(engine, window) as books:
        return asdict(people(books))


def _describe_people(groups: Mapping[str, Mapping[str, Any]]) -> list[str]:
    from router.reports.formatting import format_usd

    return [
        f"- {of['groups']:,} {name} of {of['requests_per_group']:.1f} requests cost {format_usd(of['mean_usd'])} each"
        f" (half of them at most {format_usd(of['median_usd'])}, 95 of 100 at most {format_usd(of['p95_usd'])})"
        for name, of in groups.items()
        if of["mean_usd"] is not None
    ]


def _exact(books: "FullReport", filters: Mapping[str, set[str]], tradeoff: "Tradeoff | None" = None) -> dict[str, Any]:
    """Everything in exact decimals; the standing figures are of the whole window, so not beside filters."""
    fields: dict[str, Any] = {
        "by": list(books.report.by),
        "rows": [
            line | _unknown(sums)
            for line, (_, sums) in zip(books.report.lines(), books.report.rows_in_order(), strict=True)
        ],
        "totals": (total := books.report.totals()).figures() | _unknown(total),
        "made_up": asdict(books.made_up),
    }
    if filters:
        return fields | {"where": {name: sorted(values) for name, values in filters.items()}}
    return fields | {
        "figures": books.figures,
        "overhead": books.overhead,
        "top_spenders": books.spenders,
        "freshness": asdict(books.freshness),
        "tradeoff": asdict(tradeoff) if tradeoff else None,
        "coverage": asdict(books.coverage),
        "forecasts": asdict(books.forecasts),
    }


def _unknown(sums: "Sums") -> dict[str, object]:
    """Why figures are null, beside them."""
    because = sums.unknown_because()
    return {"unknown_because": because} if because else {}


def _write_csv(books: "FullReport", stamp: "Stamp", stream: Any) -> None:
    """Write the rows; the last columns of each say of what and when it is."""
    from router.reports.queries import FIGURES
    from router.reports.stamp import COLUMNS

    said = stamp.cells()
    write_csv([row | said for row in books.report.lines()], (*books.report.by, *FIGURES, *COLUMNS), stream)


def _require_no_file(output: Path | None) -> None:
    if output is not None:
        raise typer.BadParameter("--output takes json, csv or html")


def _show_before(before: "Before | None") -> None:
    """Show what changed against the window before."""
    if before is None:
        return
    from router.reports.before import CHANGE_COLUMNS, change_cells

    typer.echo(f"\nAgainst {before.describe()}")
    rows = [dict(zip(CHANGE_COLUMNS, change_cells(change), strict=True)) for change in before.changes]
    show_table(rows, CHANGE_COLUMNS)


def _show(books: "FullReport", filters: Mapping[str, set[str]]) -> None:
    """Write the table, and below it what it says; standing figures are of the whole window, so not beside filters."""
    from router.reports.figures import per_request
    from router.reports.formatting import describe_margins, describe_thousand

    if note := books.made_up.describe():
        typer.echo(note)
    names, sums = books.report.by, books.report.totals()
    total = {names[0]: "total", **dict.fromkeys(names[1:], ""), **sums.figures()}
    show_table([_readable(row, names) for row in (*books.report.lines(), total)], (*names, *TITLES.values()))
    cost = per_request(sums.cost_nanousd if sums.has_cost else None, sums.requests, 1_000)
    revenue = per_request(sums.expected_nanousd if sums.has_revenue else None, sums.requests, 1_000)
    sentences = [describe_thousand(cost, revenue)]
    if not filters:
        sentences += [describe_margins(books.figures), _describe_forecasts(books.forecasts)]
    sentences += [f"A dash is unknown: {reason}." for reason in books.report.unknowns()]
    for sentence in sentences:
        if sentence is not None:
            typer.echo(f"- {sentence}")


def _describe_forecasts(found: "ForecastQuality") -> str | None:
    """Say how good forecasts of costs were, where there were any."""
    if found.bias is None or found.median_error is None:
        return None
    covered = "" if found.covered is None else f", {found.covered:.0%} within the 80 % intervals"
    side = "above" if found.bias >= 0 else "below"
    return (
        f"Costs were forecast {abs(found.bias):.1%} {side} what was paid, over {found.requests} answers;"
        f" half of them within {found.median_error:.0%}{covered}."
    )


def _readable(row: Mapping[str, object], names: Sequence[str]) -> dict[str, object]:
    """Shorten for the eye; the signs of dollars stand in the titles. JSON and CSV stay exact."""
    from router.reports.formatting import UNKNOWN, format_share, format_usd

    cells: dict[str, object] = {name: UNKNOWN if row[name] is None else row[name] for name in names}
    for figure, title in TITLES.items():
        value = row[figure]
        if isinstance(value, str):
            value = format_share(value) if figure == "deep_share" else format_usd(value, sign="")
        cells[title] = value
    return cells
