"""Audit: every change with before and after, and what was refused."""

from collections.abc import Mapping

from router.admin.page import JsonFeed, Page, Visit
from router.admin.queries import audit
from router.admin.queries.audit import AuditPage

END_OF_TIME_US = 2**62


def show(visit: Visit) -> Mapping[str, object]:
    """Show a page of the log."""
    return {"log": _read(visit), "about": _about(visit), "refused_only": _is_refused_only(visit)}


def feed(visit: Visit) -> object:
    """Return the entries as JSON."""
    page = _read(visit)
    return {"entries": page.entries, "older_us": page.older_us}


def _read(visit: Visit) -> AuditPage:
    before = visit.query.get("before", "")
    before_us = min(int(before), END_OF_TIME_US) if before.isdecimal() and len(before) < 20 else END_OF_TIME_US
    return audit.read(visit.services.engine, before_us, refused_only=_is_refused_only(visit), about=_about(visit))


def _is_refused_only(visit: Visit) -> bool:
    return visit.query.get("refused") == "1"


def _about(visit: Visit) -> str:
    return visit.query.get("about", "").replace("\x00", "").strip()[:100]


PAGE = Page("audit", "Audit", show, feeds=(JsonFeed("audit", feed),))
