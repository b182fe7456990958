"""Errors: why calls failed, by model, over a stretch of time; what to do about it, and requests to look at."""

from collections.abc import Mapping
from dataclasses import asdict

from router.admin.page import JsonFeed, Page, Visit
from router.admin.queries import errors
from router.admin.selection import SPANS as EVERY_SPAN
from router.notifications.advice import advice_on_cause

SPANS = EVERY_SPAN[:-1]
USUAL = SPANS[0]


def show(visit: Visit) -> Mapping[str, object]:
    """Show what failed."""
    window = visit.window(_span(visit))
    return {
        "spans": SPANS,
        "span": _span(visit),
        "window": window,
        "failures": errors.read(visit.services.engine, window),
        "advice": advice_on_cause,
    }


def feed(visit: Visit) -> object:
    """Return the same as JSON."""
    window = visit.window(_span(visit))
    return {
        "window": window.describe(),
        "failures": [
            {**asdict(one), "next": advice_on_cause(one.cause)} for one in errors.read(visit.services.engine, window)
        ],
    }


def _span(visit: Visit) -> str:
    asked = visit.query.get("span", "")
    return asked if asked in {span.name for span in SPANS} else USUAL.name


PAGE = Page("errors", "Errors", show, feeds=(JsonFeed("errors", feed),))
