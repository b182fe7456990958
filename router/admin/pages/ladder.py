"""Ladder: what each further step of spending on an answer brings, and which steps what a query earns pays for."""

from collections.abc import Mapping

import msgspec

from router.admin.page import JsonFeed, Page, Visit
from router.admin.queries import ladder

SPAN = "30d"


def show(visit: Visit) -> Mapping[str, object]:
    """Show the last ladder that was climbed, rung by rung, and what own traffic tells."""
    window = visit.window(SPAN)
    return {"found": ladder.read(visit.services.engine, window), "window": window}


def feed(visit: Visit) -> object:
    """Return the same as JSON, for the charts."""
    return msgspec.to_builtins(ladder.read(visit.services.engine, visit.window(SPAN)))


PAGE = Page("ladder", "Ladder", show, feeds=(JsonFeed("ladder", feed),))
