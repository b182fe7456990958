"""Overview: what came in, what it cost, what it is expected to earn, and whether anything needs a look."""

from collections.abc import Mapping

from router.admin.page import JsonFeed, Page, Visit
from router.admin.queries import overview


def show(visit: Visit) -> Mapping[str, object]:
    """Show the figures of a stretch of time, and by tier."""
    span = overview.span_of(visit.query.get("span", ""))
    window = visit.window(span.name)
    figures = overview.figures(visit.services.engine, window)
    return {"spans": overview.SPANS, "span": span, "window": window, "overview": figures}


def by_time(visit: Visit) -> object:
    """Return the figures by day or hour, for the charts."""
    span = overview.span_of(visit.query.get("span", ""))
    return overview.by_time(visit.services.engine, visit.window(span.name), span.step)


PAGE = Page("overview", "Overview", show, feeds=(JsonFeed("overview", by_time),))
