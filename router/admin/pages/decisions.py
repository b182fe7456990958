"""Decisions: recent requests, why each went where it went, and what it cost. Never what was asked or answered."""

from collections.abc import Mapping
from dataclasses import replace
from enum import StrEnum
from typing import TypeVar

from router.admin.page import JsonFeed, NotDone, Page, Visit
from router.admin.queries import decisions
from router.admin.queries.decisions import DecisionFilter, DecisionPage
from router.reports.window import WEEK
from router.types import REQUEST_ID, Outcome, Reason, Tier

Member = TypeVar("Member", bound=StrEnum)


def show(visit: Visit) -> Mapping[str, object]:
    """Show a page of requests."""
    problem, chosen, week = "", DecisionFilter(), visit.window(WEEK)
    try:
        chosen = _read_filter(visit)
    except NotDone as error:
        problem = str(error)
    decision_page = decisions.read(visit.services.engine, chosen, week)
    return {
        "decisions": decision_page,
        "week": week,
        "wanted": chosen,
        "problem": problem,
        "until": visit.query.get("until", ""),
        "filters": {
            name: visit.query[name] for name in ("tier", "reason", "outcome", "segment") if visit.query.get(name)
        },
        "tiers": list(Tier),
        "reasons": list(Reason),
        "outcomes": list(Outcome),
    }


def feed(visit: Visit) -> object:
    """Return the requests as JSON."""
    page: DecisionPage = decisions.read(visit.services.engine, _read_filter(visit), visit.window(WEEK))
    return {"requests": page.requests, "mean_cost_nanousd": page.means, "older": page.older}


def _read_filter(visit: Visit) -> DecisionFilter:
    """Read the filters of an address; raises NotDone."""
    query = visit.query
    chosen = DecisionFilter(
        tier=_member(Tier, query.get("tier", "")),
        reason=_member(Reason, query.get("reason", "")),
        outcome=_member(Outcome, query.get("outcome", "")),
        segment=query.get("segment") or None,
    )
    if asked := query.get("id", "").strip().lower().replace("-", ""):
        return replace(chosen, request_id=_id(asked))
    if before := query.get("before"):
        return replace(chosen, before=_id(before))
    if until := query.get("until"):
        try:
            return replace(chosen, before=decisions.before_time(until, visit.zone))
        except (ValueError, OverflowError):
            raise NotDone(f"{until[:40]!r} is not a time such as 2026-03-01T12:00") from None
    return chosen


def _id(text: str) -> str:
    if not REQUEST_ID.fullmatch(text):
        raise NotDone("a request's id is 32 hex digits: the header x-request-id of its answer")
    return text


def _member(members: type[Member], text: str) -> Member | None:
    try:
        return members(text) if text else None
    except ValueError:
        raise NotDone(f"{text[:40]!r} is none of {', '.join(members)}") from None


PAGE = Page("decisions", "Decisions", show, feeds=(JsonFeed("decisions", feed),))
