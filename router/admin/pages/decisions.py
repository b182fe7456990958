"""Decisions: recent requests, why each went where it went, and what it cost. Never what was asked or answered."""

from collections.abc import Mapping
from dataclasses import replace
from enum import StrEnum
from typing import TypeVar

from router.admin.page import CsvFile, CsvRows, JsonFeed, NotDone, Page, Visit
from router.admin.queries import choices, decisions
from router.admin.queries.decisions import MOST_SAVED, DecisionFilter, DecisionPage
from router.admin.selection import FILTERS, SPANS, Selection, read_or_say, read_selection
from router.reports.stamp import iso
from router.reports.window import EVERYTHING, WEEK
from router.types import REQUEST_ID, Outcome, Reason, Tier

OWN_FILTERS = ("tier", "reason", "outcome")
SAVED = (
    "id",
    "at",
    "first_tier",
    "final_tier",
    "reason",
    "outcome",
    "score",
    "p_fast",
    "p_reasoning",
    "propensity",
    "policy_version",
    "segment",
    "country",
    "key",
    "asked_for",
    "turn",
    "first_byte_ms",
    "total_ms",
    "calls",
    "cost_nanousd",
    "expected_nanousd",
    "unpriced",
    "synthetic",
)
Member = TypeVar("Member", bound=StrEnum)


def show(visit: Visit) -> Mapping[str, object]:
    """Show a page of requests."""
    selection, problem = read_or_say(visit, EVERYTHING)
    chosen, week = DecisionFilter(), visit.window(WEEK)
    try:
        chosen = _read_filter(visit, selection)
    except NotDone as error:
        problem = problem or str(error)
    return {
        "decisions": decisions.read(visit.services.engine, chosen, week),
        "week": week,
        "wanted": chosen,
        "problem": problem,
        "selection": selection,
        "spans": SPANS,
        "own": {name: visit.query[name] for name in OWN_FILTERS if visit.query.get(name)},
        "filters": FILTERS,
        "choices": choices.read(visit.services.engine, selection),
        "most_saved": MOST_SAVED,
        "tiers": list(Tier),
        "reasons": list(Reason),
        "outcomes": list(Outcome),
    }


def feed(visit: Visit) -> object:
    """Return the requests as JSON."""
    selection = read_selection(visit, EVERYTHING)
    chosen = _read_filter(visit, selection)
    page: DecisionPage = decisions.read(visit.services.engine, chosen, visit.window(WEEK))
    return {
        "window": selection.window.describe(),
        "requests": page.requests,
        "mean_cost_nanousd": page.means,
        "older": page.older,
    }


def save_csv(visit: Visit) -> CsvRows:
    """Write the newest requests that pass the filters, without their calls."""
    selection = read_selection(visit, EVERYTHING)
    found = decisions.read(visit.services.engine, _read_filter(visit, selection), visit.window(WEEK), MOST_SAVED)
    rows = [{**row, "at": iso(row["at_us"]), "calls": len(row["calls"])} for row in found.requests]
    return CsvRows(selection.window, SAVED, rows)


def _read_filter(visit: Visit, selection: Selection) -> DecisionFilter:
    """Read the filters of an address; raises NotDone."""
    query = visit.query
    chosen = DecisionFilter(
        tier=_member(Tier, query.get("tier", "")),
        reason=_member(Reason, query.get("reason", "")),
        outcome=_member(Outcome, query.get("outcome", "")),
        segment=selection.filters.get("segment"),
        key_id=selection.key_id,
        model=selection.filters.get("model"),
        country=selection.filters.get("country"),
    )
    if asked := query.get("id", "").strip().lower().replace("-", ""):
        return replace(chosen, request_id=_id(asked))
    if before := query.get("before"):
        chosen = replace(chosen, before=_id(before))
    return chosen.within(selection.window)


def _id(text: str) -> str:
    if not REQUEST_ID.fullmatch(text):
        raise NotDone("a request's id is 32 hex digits: the header x-request-id of its answer")
    return text


def _member(members: type[Member], text: str) -> Member | None:
    try:
        return members(text) if text else None
    except ValueError:
        raise NotDone(f"{text[:40]!r} is none of {', '.join(members)}") from None


PAGE = Page("decisions", "Decisions", show, feeds=(JsonFeed("decisions", feed),), csv=CsvFile(save_csv))
