"""`tierwise ledger`: the books themselves: export, verification, reconciliation, re-rating."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from router.commands.output import ConfigOption, Format, FormatOption, show
from router.commands.window import MadeUpOption, Since, UntilOption, ZoneOption, note_made_up, read_window, write_stamp

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from router.reports.window import Window

app = typer.Typer(help="The books.", no_args_is_help=True)

NoteOption = Annotated[str, typer.Option("--note", help="Reason; kept with the run.")]


DATE = len("2026-10-01")
MONTH_COLUMNS = (
    "month",
    "closed",
    "by",
    "note",
    "requests",
    "cost_usd",
    "expected_revenue_usd",
    "booked_revenue_usd",
    "stands",
    "late_requests",
    "late_cost_usd",
    "late_expected_revenue_usd",
    "late_booked_revenue_usd",
)


class ExportFormat(StrEnum):
    """How an export is written."""

    CSV = "csv"
    JSON = "json"
    TABLE = "table"
    PARQUET = "parquet"


@app.command()
def export(
    since: Since = None,
    until: UntilOption = None,
    zone: ZoneOption = None,
    config: ConfigOption = None,
    form: Annotated[
        ExportFormat, typer.Option("--format", help="Output format: csv, json or parquet.")
    ] = ExportFormat.CSV,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Directory for --format parquet, which writes one file per day."),
    ] = None,
    causes: Annotated[
        bool, typer.Option("--causes", help="Also write why a call failed: the columns cause and http_status.")
    ] = False,
    with_made_up: MadeUpOption = False,
) -> None:
    """Write one row per provider call; an empty amount is unpriced."""
    from router.commands.opening import existing_books
    from router.ledger import export as books

    if (output is not None) != (form is ExportFormat.PARQUET) or (causes and output is not None):
        raise typer.BadParameter("--format parquet goes with --output DIR and without --causes, others the other way")
    with existing_books(config) as (configured, engine):
        columns = books.WITH_CAUSES if causes else books.COLUMNS
        columns = (*columns, books.SYNTHETIC) if with_made_up else columns
        chosen = read_window(configured, since, until, zone, with_made_up=with_made_up)
        if output is not None:
            _write_parquet(engine, chosen, output)
            return
        rows = books.lines(engine, *_ends(chosen), columns, chosen.with_made_up)
        note_made_up(engine, chosen)
        write_stamp(engine, chosen, beside=form is not ExportFormat.TABLE)
        match form:
            case ExportFormat.CSV:
                books.write_csv(rows, sys.stdout, columns)
            case ExportFormat.JSON:
                books.write_json(rows, sys.stdout, columns)
            case ExportFormat.TABLE:
                show([dict(zip(columns, row, strict=True)) for row in rows], columns, Format.TABLE)


def _write_parquet(engine: "Engine", window: "Window", directory: Path) -> None:
    """Write the days of a window, and say on standard error which."""
    from router.mistakes.extras import MissingExtra
    from router.reports.parquet import write_parquet
    from router.reports.stamp import Stamp

    if not window.is_of_whole_days:
        raise typer.BadParameter("--format parquet writes whole days: give dates, or spans of days such as 7d")
    try:
        days = write_parquet(engine, Stamp.of(engine, window), directory)
    except MissingExtra as error:
        raise typer.BadParameter(str(error), param_hint="--format") from None
    except OSError as error:
        raise typer.BadParameter(f"{directory}: {error.strerror}", param_hint="--output") from None
    counted = "1 day" if len(days) == 1 else f"{len(days)} days"
    typer.echo(f"{sum(days.values()):,} rows of {counted} in {directory}", err=True)
    note_made_up(engine, window)
    write_stamp(engine, window, beside=True)


@app.command()
def verify(config: ConfigOption = None, form: FormatOption = Format.TABLE) -> None:
    """Check the books against their own rules; exit code 1 if one is broken."""
    from router.commands.opening import existing_books
    from router.ledger.verify import verify as verified
    from router.reports.months import standings

    with existing_books(config) as (configured, engine):
        findings = verified(engine, configured.state_dir)
        for month in standings(engine):
            if month.stands is False:
                findings.note_break("a closed month stands as it was closed", month.closing.month.name)
    rows = [
        {"kind": "break", "finding": law, "count": count, "examples": ", ".join(findings.examples[law])}
        for law, count in findings.breaks.items()
    ]
    rows += [{"kind": "note", "finding": n, "count": c, "examples": None} for n, c in findings.notes.items() if c]
    rows.append({"kind": "checked", "finding": "requests", "count": findings.requests, "examples": None})
    rows.append({"kind": "checked", "finding": "calls", "count": findings.calls, "examples": None})
    show(rows, ("kind", "finding", "count", "examples"), form)
    if form is Format.TABLE:
        print("the books are sound" if findings.is_sound else "THE BOOKS ARE BROKEN")
    sys.exit(0 if findings.is_sound else 1)


@app.command()
def close(
    month: Annotated[str, typer.Argument(help="A UTC month that is over, such as 2026-10.")],
    note: Annotated[str, typer.Option("--note", help="Reason, or who agreed; kept with the month.")] = "",
    config: ConfigOption = None,
) -> None:
    """Close a month for good: its figures stand; what arrives for it later counts in the month that is open then."""
    import getpass

    from router.clock import SystemClock
    from router.commands.auditing import hook
    from router.commands.opening import existing_books
    from router.money import usd_text
    from router.reports import months

    with existing_books(config) as (_, engine):
        author, now_us = getpass.getuser(), SystemClock().now_us()
        closed = months.close(engine, month, author, note, now_us, hook("month closed", month, note))
    figures = closed.figures or {}
    cost, expected = usd_text(figures["cost_nanousd"]), usd_text(figures["expected_nanousd"])
    booked = usd_text(figures["booked_nanousd"])
    typer.echo(
        f"{month} is closed: {figures['requests']:,} requests, cost ${cost}, expected ${expected}, booked ${booked}"
    )


@app.command("months")
def list_months(config: ConfigOption = None, form: FormatOption = Format.TABLE) -> None:
    """List the closed months: who closed them, what stands, and what was posted for them in later months."""
    from router.commands.opening import existing_books
    from router.commands.output import format_time
    from router.money import usd_text
    from router.reports.months import standings

    with existing_books(config) as (_, engine):
        found = standings(engine)
    rows = [
        {
            "month": one.closing.month.name,
            "closed": format_time(one.closing.closed_at)[: DATE if form is Format.TABLE else None],
            "by": one.closing.author,
            "note": one.closing.note,
            "requests": one.shown["requests"],
            "cost_usd": usd_text(one.shown["cost_nanousd"]),
            "expected_revenue_usd": usd_text(one.shown["expected_nanousd"]),
            "booked_revenue_usd": usd_text(one.shown["booked_nanousd"]),
            "stands": {True: "yes", False: "NO", None: None}[one.stands],
            "late_requests": one.late.requests,
            "late_cost_usd": usd_text(one.late.cost_nanousd),
            "late_expected_revenue_usd": usd_text(one.late.expected_nanousd),
            "late_booked_revenue_usd": usd_text(one.late.booked_nanousd),
        }
        for one in found
    ]
    show(rows, MONTH_COLUMNS, form)


@app.command()
def reconcile(
    bill: Annotated[Path, typer.Option("--provider-bill", help="The provider's usage export, CSV or JSON.")],
    book: Annotated[bool, typer.Option("--book", help="Book the differences as adjustments.")] = False,
    note: NoteOption = "reconciliation",
    config: ConfigOption = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """Compare the books with a provider's bill by UTC day and model; capture rate: what is booked / what is billed."""
    from router.clock import SystemClock
    from router.commands.opening import existing_books
    from router.ledger import reconcile as reconciling
    from router.money import usd_text

    with existing_books(config) as (_, engine):
        days = reconciling.compare(engine, reconciling.read_bill(bill))
        run = reconciling.book(engine, days, "operator", note, SystemClock().now_us()) if book else None
    booked, billed = sum(d.booked_nanousd for d in days), sum(d.billed_nanousd for d in days)
    rows: list[dict[str, object]] = [
        {
            "day": d.day,
            "model": d.model,
            "booked_usd": usd_text(d.booked_nanousd),
            "of_which_held_usd": usd_text(d.held_nanousd),
            "billed_usd": usd_text(d.billed_nanousd),
            "difference_usd": usd_text(d.difference_nanousd),
            "capture_rate": d.capture_rate,
            "lines": d.lines,
            "unpriced": d.unpriced,
        }
        for d in days
    ]
    columns = ("day", "model", "booked_usd", "of_which_held_usd", "billed_usd", "difference_usd", "capture_rate")
    show(rows, (*columns, "lines", "unpriced"), form)
    if form is Format.TABLE:
        rate = reconciling.capture_rate(booked, billed)
        print(f"booked ${usd_text(booked)} of ${usd_text(billed)} billed: capture rate {rate}")
        print(f"booked as run {run}" if run is not None else "nothing was booked; --book books the differences")


@app.command()
def rerate(
    model: Annotated[list[str] | None, typer.Option(help="Only this model; repeat for more.")] = None,
    price: Annotated[
        int | None, typer.Option(help="Use the price with this id instead of those in effect at the time.")
    ] = None,
    since: Since = None,
    until: UntilOption = None,
    zone: ZoneOption = None,
    apply: Annotated[
        bool, typer.Option("--apply", help="Book the run; without this option only the difference is shown.")
    ] = False,
    note: NoteOption = "re-rating",
    config: ConfigOption = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """Price lines again and show the difference; lines stay, and reversals and new amounts are added with --apply."""
    from router.clock import SystemClock
    from router.commands.opening import existing_books
    from router.ledger import correction
    from router.ledger.prices import PriceBook
    from router.money import usd_text

    with existing_books(config) as (configured, engine):
        prices = PriceBook.load(engine)
        if price is not None and price not in prices.by_id():
            raise typer.BadParameter(f"there is no price {price}")
        chosen = read_window(configured, since, until, zone)
        begin, end = _ends(chosen)
        write_stamp(engine, chosen, beside=form is not Format.TABLE)
        changes = correction.differences(
            engine, prices, models=model or (), since_us=begin, until_us=end, price_id=price
        )
        now = SystemClock().now_us()
        run = correction.rerate(engine, changes, "operator", note, now) if apply and changes else None
    totals: dict[tuple[str, str], list[int]] = {}
    for change in changes:
        total = totals.setdefault((correction.utc_day(change.started_at), change.model), [0, 0, 0])
        total[0] += 1
        total[1] += change.before_nanousd or 0
        total[2] += change.after_nanousd
    rows = [
        {"day": day, "model": name, "lines": n, "before_usd": usd_text(before), "after_usd": usd_text(after)}
        for (day, name), (n, before, after) in sorted(totals.items())
    ]
    show(rows, ("day", "model", "lines", "before_usd", "after_usd"), form)
    if form is Format.TABLE:
        print(f"booked as run {run}" if run is not None else "nothing was booked")


def _ends(window: "Window") -> tuple[int, int]:
    """Both ends in microseconds; an open one lies beyond everything."""
    return window.since_us or 0, 2**62 if window.until_us is None else window.until_us


@app.command()
def forget(
    user: Annotated[
        str | None,
        typer.Option(
            help="Name of a key, which is no longer valid from now on, or the id that clients send for a user."
        ),
    ] = None,
    key: Annotated[str | None, typer.Option(help="Only the end user of this key; the key itself stays.")] = None,
    before_month: Annotated[
        str | None, typer.Option(help="Instead: delete the salts of marks from before this month (YYYY-MM).")
    ] = None,
    made_up: Annotated[bool, typer.Option("--made-up", help="Instead: delete every made-up request.")] = False,
    config: ConfigOption = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """Remove what identifies a user: name and secret of a key, marks, stored responses, notes, evidence by request.

    With --made-up, requests that are marked synthetic are deleted with all that belongs to them; real ones stay.
    """
    from dataclasses import asdict

    from router.clock import SystemClock
    from router.commands.opening import existing_books
    from router.ledger import forgetting
    from router.ledger import made_up as demonstration
    from router.ledger.marks import month_named

    if [user is not None, before_month is not None, made_up].count(True) != 1 or (key is not None and user is None):
        raise typer.BadParameter(
            "give one of --user (and --key, where it is an end user of one key), --before-month, --made-up"
        )
    with existing_books(config) as (_, engine):
        if made_up:
            show([{"requests": demonstration.forget(engine)}], ("requests",), form)
            return
        if user is None:
            try:
                month = month_named(before_month or "")
            except ValueError:
                raise typer.BadParameter(f"{before_month!r} is not a month (YYYY-MM)") from None
            show([{"salts": forgetting.forget_months(engine, month)}], ("salts",), form)
            return
        try:
            gone = forgetting.forget(engine, user, SystemClock().now_us(), of_key=key)
        except forgetting.UnknownUser as error:
            raise typer.BadParameter(str(error), param_hint="--user") from None
    show([asdict(gone)], list(asdict(gone)), form)
