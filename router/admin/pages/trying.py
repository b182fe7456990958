"""Try a query: what the router would do with it. Nothing is stored."""

from collections.abc import Mapping

from router.admin.page import Page, Visit


def show(visit: Visit) -> Mapping[str, object]:
    """Show the form."""
    return {}


PAGE = Page("try", "Try a query", show)
