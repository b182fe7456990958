"""`tierwise revenue`: what a query is expected to earn, as dated versions."""

import getpass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from router.commands.auditing import hook
from router.commands.output import ConfigOption, Format, FormatOption, format_time, show
from router.commands.window import MadeUpOption, SinceOption, UntilOption, read_window, write_stamp
from router.types import DEFAULT_SEGMENT, SEGMENT_NAME, UNKNOWN_COUNTRY

if TYPE_CHECKING:
    from router.ledger.revenue import Assumption


app = typer.Typer(
    help="What a query is expected to earn, and the events that say what was earned.", no_args_is_help=True
)

SHOWN = (
    "version",
    "segment",
    "country",
    "ecpm_usd",
    "ads_per_query",
    "publisher_share",
    "commercial_factor",
    "flat_usd",
    "expected_usd",
    "author",
    "note",
    "since",
)


SOURCE_COLUMNS = ("source", "month", "segment", "country", "days", "reported_usd", "expected_usd", "difference_usd")
EVENT_COLUMNS = ("source", "id", "kind", "day", "segment", "country", "request_id", "amount_usd", "counts")


@app.command("show")
def show_revenue(
    history: Annotated[bool, typer.Option("--all", help="Show every version, not only the one in force.")] = False,
    countries: Annotated[
        bool, typer.Option("--countries", help="Show a row for each country that has a factor.")
    ] = False,
    scenarios: Annotated[bool, typer.Option("--scenarios", help="Show the shipped scenarios instead.")] = False,
    config: ConfigOption = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """Show the assumptions in force: by segment, and what a query that may carry ads is expected to earn.

    Shown for the United States and for an unknown country (ZZ): as in the one where ads earn least, unless stated.
    """
    from sqlalchemy import select

    from router.commands.opening import open_books
    from router.database.tables import RevenueVersion
    from router.ledger.revenue import LEVEL_COUNTRY, SCENARIOS, Assumption, country_factor_ppm

    if scenarios:
        rows = [_row(None, name, LEVEL_COUNTRY, assumption, 1_000_000, None) for name, assumption in SCENARIOS.items()]
        show(rows, SHOWN[1:9], form)
        return
    with open_books(config) as (_, engine), engine.connect() as connection:
        query = select(RevenueVersion.__table__).order_by(RevenueVersion.version.desc())
        versions = connection.execute(query if history else query.limit(1)).all()
    rows = []
    for version in versions:
        factors: dict[str, int] = version.body["country_factors_ppm"]
        names = {LEVEL_COUNTRY, UNKNOWN_COUNTRY} | (factors.keys() if countries else set())
        chosen = {name: country_factor_ppm(factors, name) for name in names}
        for segment, stored in sorted(version.body["segments"].items()):
            for country, factor in sorted(chosen.items()):
                rows.append(_row(version.version, segment, country, Assumption(**stored), factor, version))
    show(rows, SHOWN, form)


@app.command("set")
def set_revenue(
    segment: Annotated[str, typer.Option(help="Segment the assumption is for.")] = DEFAULT_SEGMENT,
    surface: Annotated[str, typer.Option(help="Only for requests that name this surface, such as voice.")] = "",
    scenario: Annotated[str | None, typer.Option(help="Start from a shipped scenario: low, base or high.")] = None,
    ecpm_usd: Annotated[str | None, typer.Option(help="Revenue per thousand viewed ads.")] = None,
    ctr: Annotated[str | None, typer.Option(help="Ads sold by click: clicks per viewed ad; needs --cpc-usd.")] = None,
    cpc_usd: Annotated[str | None, typer.Option(help="Ads sold by click: revenue per click; needs --ctr.")] = None,
    ads_per_query: Annotated[str | None, typer.Option(help="Viewed ads per query.")] = None,
    publisher_share: Annotated[
        str | None, typer.Option(help="Share that is left after the network's cut, 0 to 1.")
    ] = None,
    commercial: Annotated[
        str | None, typer.Option(help="Factor on ad revenue for a query of somebody who may want to buy.")
    ] = None,
    subscription_usd: Annotated[str | None, typer.Option(help="Price of a subscription; needs --queries.")] = None,
    queries: Annotated[int | None, typer.Option(min=1, help="Queries that a subscription is spread over.")] = None,
    price_per_call_usd: Annotated[str | None, typer.Option(help="What a caller pays per query.")] = None,
    country: Annotated[
        list[str] | None,
        typer.Option(help="CC=FACTOR: factor on ad revenue in this country; ZZ: where the country is unknown."),
    ] = None,
    note: Annotated[str, typer.Option(help="Reason, and where the numbers come from.")] = "",
    config: ConfigOption = None,
) -> None:
    """Write a new version of the assumptions; what is not given stays as it is. Requests keep their version."""
    from router.clock import SystemClock
    from router.commands.opening import open_books
    from router.ledger import revenue
    from router.ledger.revenue import SCENARIOS, Assumption

    if scenario is not None and scenario not in SCENARIOS:
        raise typer.BadParameter(f"--scenario takes {', '.join(SCENARIOS)}")
    if not SEGMENT_NAME.fullmatch(segment) or not SEGMENT_NAME.fullmatch(surface or "none"):
        raise typer.BadParameter("--segment and --surface take 1 to 64 of a-z 0-9 _ -")
    if (ctr is None) != (cpc_usd is None) or (subscription_usd is None) != (queries is None):
        raise typer.BadParameter("--ctr goes with --cpc-usd, --subscription-usd with --queries")
    if ctr is not None and cpc_usd is not None:
        ecpm_usd = str(_decimal("--ctr", ctr) * _decimal("--cpc-usd", cpc_usd) * 1_000)
    with open_books(config) as (_, engine):
        with engine.connect() as connection:
            current = revenue.newest(connection)
        name = revenue.assumption_name(segment, surface)
        known = current.body["segments"] if current else {}
        stored = known.get(name) or known.get(segment)
        base = SCENARIOS[scenario or "base"] if scenario or stored is None else Assumption(**stored)
        flat = _flat(subscription_usd, queries, price_per_call_usd)
        assumption = Assumption(
            base.ecpm_nanousd if ecpm_usd is None else _nano("--ecpm-usd", ecpm_usd),
            base.ads_per_query_ppm if ads_per_query is None else _ppm("--ads-per-query", ads_per_query, 100),
            base.publisher_share_ppm if publisher_share is None else _ppm("--publisher-share", publisher_share, 1),
            base.flat_nanousd if flat is None else flat,
            base.commercial_ppm if commercial is None else _ppm("--commercial", commercial, 100),
        )
        factors = dict(_factor(text) for text in country or ())
        now_us = SystemClock().now_us()
        audit = hook("revenue assumptions", name, note)
        number = revenue.change(engine, {name: assumption}, factors, getpass.getuser(), note, now_us, hook=audit)
    typer.echo(f"version {number} is in force within two seconds")


@app.command("events")
def list_events(
    source: Annotated[str | None, typer.Option(help="Only events from this source.")] = None,
    day: Annotated[str | None, typer.Option(help="Only events of this UTC day.")] = None,
    largest: Annotated[bool, typer.Option("--largest", help="List the largest first instead of the newest.")] = False,
    most: Annotated[int, typer.Option(min=1, max=10_000, help="Largest number to list.")] = 50,
    config: ConfigOption = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """List booked revenue events, and whether they count."""
    from datetime import date

    from router.commands.opening import open_books
    from router.ledger import revenue_events
    from router.money import usd_text

    try:
        wanted = None if day is None else date.fromisoformat(day).isoformat()
    except ValueError:
        raise typer.BadParameter("--day is a date such as 2026-03-01") from None
    with open_books(config) as (_, engine):
        events = revenue_events.list_events(engine, source=source, day=wanted, largest=largest, most=most)
    rows = [
        {
            "source": event.source,
            "id": event.event_id,
            "kind": event.kind,
            "day": revenue_events.day_of(event.day, event.received_at),
            "segment": event.segment,
            "country": event.country,
            "request_id": event.request_id,
            "amount_usd": usd_text(event.amount_nanousd),
            "counts": "yes" if event.counts else "reversed" if event.is_reversed else "no: too large",
        }
        for event in events
    ]
    show(rows, EVENT_COLUMNS, form)


@app.command("reverse")
def reverse_event(
    source: Annotated[str, typer.Argument(help="Source that sent the event.")],
    event: Annotated[str, typer.Argument(metavar="ID", help="The event's id.")],
    note: Annotated[str, typer.Option(help="Reason, for the log.")] = "",
    config: ConfigOption = None,
) -> None:
    """Take a revenue event out of the books by an event that reverses it; doing so again changes nothing."""
    from router.clock import SystemClock
    from router.commands.opening import open_books
    from router.ledger import revenue_events
    from router.money import usd_text

    with open_books(config) as (_, engine):
        audit = hook("revenue event reversed", f"{source} {event}", note)
        taken = revenue_events.reverse(engine, source, event, SystemClock().now_us(), audit)
    typer.echo(f"{usd_text(taken.amount_nanousd)} of {source} are reversed; reports follow within seconds")


@app.command("import")
def import_statements(
    file: Annotated[Path, typer.Argument(help="A network's statement as CSV: a header, then one line per day.")],
    source: Annotated[
        str, typer.Option(help="Source of the statement; a line with an id is booked only once per source.")
    ],
    column: Annotated[
        list[str] | None, typer.Option(help="WHAT=COLUMN where a column has another name, such as amount=Payout.")
    ] = None,
    skip_wrong: Annotated[
        bool, typer.Option("--skip-wrong", help="Skip lines that are wrong and book the others.")
    ] = False,
    note: Annotated[str, typer.Option(help="Where the statement comes from; kept in the audit log.")] = "",
    config: ConfigOption = None,
) -> None:
    """Book a statement of an ad network, all of it or nothing; what is booked already changes nothing.

    Days are written as 2026-10-31, amounts in dollars as 1234.56; anything else is refused with its line.
    """
    from router.clock import SystemClock
    from router.commands.opening import existing_books
    from router.ledger import statements
    from router.money import usd_text

    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise typer.BadParameter(f"{file} cannot be read: {error}") from None
    columns = dict(_pair("--column", told) for told in column or ())
    with existing_books(config) as (_, engine):
        read = statements.read(text, source, SystemClock().now_us(), columns)
        audit = hook("statement imported", source, note)
        done = statements.book(engine, read, skip_wrong=skip_wrong, hook=audit)
    typer.echo(f"{done.new} lines are booked, ${usd_text(done.amount_nanousd)} of {source}; {done.known} were known")
    if done.unused:
        typer.echo(f"columns not looked at: {', '.join(done.unused)}", err=True)
    if done.wrong:
        typer.echo(f"{len(done.wrong)} left out: {statements.describe_wrong(done.wrong)}", err=True)


@app.command("sources")
def compare_sources(
    since: SinceOption = "90d",
    until: UntilOption = None,
    with_made_up: MadeUpOption = False,
    config: ConfigOption = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """Compare what each source reported with what was expected, by UTC month, segment and country."""
    from router.commands.opening import existing_books
    from router.money import usd_text
    from router.reports.reading import reading
    from router.reports.sources import read_sources

    with existing_books(config) as (configured, engine):
        window = read_window(configured, since, until, "UTC", with_made_up=with_made_up)
        write_stamp(engine, window, beside=form is not Format.TABLE)
        with reading(engine, window) as books:
            lines = read_sources(books)
    rows = [
        {
            "source": line.source,
            "month": line.month,
            "segment": line.segment,
            "country": line.country,
            "days": line.days,
            "reported_usd": usd_text(line.reported_nanousd),
            "expected_usd": usd_text(line.expected_nanousd),
            "difference_usd": usd_text(line.difference_nanousd),
        }
        for line in lines
    ]
    show(rows, SOURCE_COLUMNS, form)


def _pair(option: str, text: str) -> tuple[str, str]:
    what, equals, name = text.partition("=")
    if not equals or not what or not name:
        raise typer.BadParameter(f"{option} takes WHAT=COLUMN, such as amount=Payout")
    return what, name


def _flat(subscription_usd: str | None, queries: int | None, price_per_call_usd: str | None) -> int | None:
    from router.money import round_half_even

    if subscription_usd is None and price_per_call_usd is None:
        return None
    flat = 0 if price_per_call_usd is None else _nano("--price-per-call-usd", price_per_call_usd)
    if subscription_usd is not None and queries is not None:
        flat += round_half_even(_nano("--subscription-usd", subscription_usd), queries)
    return flat


def _row(
    number: int | None, segment: str, country: str, assumption: "Assumption", factor: int, version: Any
) -> dict[str, object]:
    from router.money import usd_text

    made = None if version is None else format_time(version.created_at)
    return {
        "version": number,
        "segment": segment,
        "country": country,
        "ecpm_usd": usd_text(assumption.ecpm_nanousd),
        "ads_per_query": str(Decimal(assumption.ads_per_query_ppm) / 1_000_000),
        "publisher_share": str(Decimal(assumption.publisher_share_ppm) / 1_000_000),
        "commercial_factor": str(Decimal(assumption.commercial_ppm) / 1_000_000),
        "flat_usd": usd_text(assumption.flat_nanousd),
        "expected_usd": usd_text(assumption.estimate_revenue(factor)),
        "author": version.author if version is not None else None,
        "note": version.note if version is not None else None,
        "since": made,
    }


def _factor(text: str) -> tuple[str, int | None]:
    """Read CC=FACTOR; ZZ=lowest states none for a country that is not told."""
    code, _, factor = text.partition("=")
    if (code, factor) == (UNKNOWN_COUNTRY, "lowest"):
        return code, None
    if not (code == "*" or (len(code) == 2 and code.isascii() and code.isupper() and code.isalpha())):
        raise typer.BadParameter("--country takes CC=FACTOR, with a code such as DE, * for all others, or ZZ=lowest")
    return code, _ppm("--country", factor, 1_000)


def _decimal(option: str, text: str) -> Decimal:
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise typer.BadParameter(f"{option}: {text!r} is not a number") from None
    if not value.is_finite() or value < 0:
        raise typer.BadParameter(f"{option}: {text!r} is not a number from 0")
    return value


def _nano(option: str, text: str) -> int:
    from router.money import NotMoney, nano_from_usd

    try:
        return nano_from_usd(_decimal(option, text))
    except NotMoney as error:
        raise typer.BadParameter(f"{option}: {error}") from None


def _ppm(option: str, text: str, most: int) -> int:
    value = _decimal(option, text)
    if value > most:
        raise typer.BadParameter(f"{option}: {text} is more than {most}")
    return int((value * 1_000_000).to_integral_value())
