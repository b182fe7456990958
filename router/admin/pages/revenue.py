"""Revenue: what a query is assumed to earn, the scenarios beside it, and a new version of the assumptions."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC
from decimal import Decimal, InvalidOperation

from router.admin.page import Done, FormAction, JsonFeed, NotDone, Page, Visit
from router.admin.queries import revenue as queries
from router.ledger import revenue, statements
from router.ledger.revenue import MILLION, SCENARIOS, Assumption, StaleRevenue
from router.money import nano_from_usd, usd_text
from router.reports.reading import reading
from router.reports.sources import read_sources
from router.reports.window import WEEK
from router.types import DEFAULT_SEGMENT, SEGMENT_NAME, UNKNOWN_COUNTRY

MOST_ADS = 100
MOST_TIMES = 100
MOST_STATEMENT = 200_000  # characters; longer ones are for the command
SOURCES_SINCE = "90d"


def show(visit: Visit) -> Mapping[str, object]:
    """Show the assumptions in force, and a form that begins with them or with a scenario."""
    week = visit.window(WEEK)
    overview = queries.read(visit.services.engine, week)
    segment = visit.given.get("segment") or visit.query.get("segment") or DEFAULT_SEGMENT
    surface = visit.given.get("surface", "")
    scenario = visit.query.get("scenario", "")
    begun = SCENARIOS.get(scenario) or overview.segments.get(segment) or overview.segments.get(DEFAULT_SEGMENT)
    words = queries.format_assumption(begun or SCENARIOS["base"])
    fields = {
        "ecpm_usd": words["eCPM"].removeprefix("$"),
        "ads_per_query": words["ads per query"],
        "publisher_share": words["publisher share"],
        "flat_usd": words["flat"].removeprefix("$"),
        "commercial": words["beside buyers"],
    }
    stated = overview.factors_ppm.get(UNKNOWN_COUNTRY)
    fields["unknown_country"] = "" if stated is None else f"{stated / MILLION:g}"
    months = replace(visit.window(SOURCES_SINCE), zone=UTC)
    with reading(visit.services.engine, months) as books:
        sources = read_sources(books)
    return {
        "sources": sources,
        "revenue": overview,
        "window": week,
        "segment": segment,
        "surface": surface,
        "scenario": scenario,
        "million": MILLION,
        "fields": {name: visit.given.get(name, value) for name, value in fields.items()},
        "words": {name: queries.format_assumption(assumption) for name, assumption in overview.segments.items()},
    }


def feed(visit: Visit) -> object:
    """The last week under each scenario, for the chart."""
    week = visit.window(WEEK)
    overview = queries.read(visit.services.engine, week)
    return {
        "window": week.describe(),
        "requests": overview.week_requests,
        "cost_nanousd": overview.week_cost_nanousd,
        "expected_nanousd": overview.week_expected_nanousd,
        "scenarios": [
            {name: scenario[name] for name in ("name", "expected_nanousd", "contribution_nanousd")}
            for scenario in overview.scenarios
        ],
    }


def save(visit: Visit) -> Done:
    """Write a new version; requests keep the version they were booked under."""
    segment, surface, note = visit.text("segment", 64), visit.text("surface", 64), visit.text("note")
    if not SEGMENT_NAME.fullmatch(segment) or not SEGMENT_NAME.fullmatch(surface or "none"):
        raise NotDone("a segment, and a surface, is 1 to 64 of a-z 0-9 _ -")
    name = revenue.assumption_name(segment, surface) if surface else segment
    if not note:
        raise NotDone("say why, and where the numbers come from")
    assumption = Assumption(
        nano_from_usd(_number(visit, "ecpm_usd", None)),
        _ppm(_number(visit, "ads_per_query", MOST_ADS)),
        _ppm(_number(visit, "publisher_share", 1)),
        nano_from_usd(_number(visit, "flat_usd", None)),
        _ppm(_number(visit, "commercial", MOST_TIMES)),
    )
    seen = visit.text("version", 20)
    try:
        number = revenue.change(
            visit.services.engine,
            {name: assumption},
            {UNKNOWN_COUNTRY: _unknown_country(visit)},
            visit.actor,
            note,
            visit.services.now_us(),
            seen=int(seen) if seen.isdigit() else None,
            hook=visit.hook("revenue assumptions", name, note),
        )
    except StaleRevenue as error:
        raise NotDone(str(error), 409) from None
    return Done(f"Version {number} is in force within two seconds, for requests from now on.", "revenue")


def _unknown_country(visit: Visit) -> int | None:
    """Read the factor of countries that are not told; None where it is left open."""
    return _ppm(_number(visit, "unknown_country", MOST_TIMES)) if visit.text("unknown_country", 40) else None


def _number(visit: Visit, name: str, most: int | None) -> Decimal:
    text, words = visit.text(name, 40), name.replace("_", " ")
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise NotDone(f"{words}: {text!r} is not a number") from None
    if not value.is_finite() or value < 0 or (most is not None and value > most):
        raise NotDone(f"{words}: {text} is not a number from 0{f' to {most}' if most is not None else ''}")
    return value


def _ppm(value: Decimal) -> int:
    return int((value * MILLION).to_integral_value())


def import_statement(visit: Visit) -> Done:
    """Book a network's statement that was pasted as CSV: all of it, or nothing."""
    source, text = visit.text("source", 100), visit.text("statement", MOST_STATEMENT)
    if not source or not text:
        raise NotDone("say whose statement it is, and paste it with its header")
    read = statements.read(text, source, visit.services.now_us())
    done = statements.book(visit.services.engine, read, hook=visit.hook("statement imported", source))
    message = f"{done.new} lines are booked, ${usd_text(done.amount_nanousd)} of {source}; {done.known} were known."
    return Done(message, "revenue")


ACTS = (FormAction("save", save), FormAction("import", import_statement))
PAGE = Page("revenue", "Revenue", show, acts=ACTS, feeds=(JsonFeed("revenue", feed),))
