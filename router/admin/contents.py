"""The pages there are, in the order of the navigation."""

from router.admin.page import Page
from router.admin.pages import (
    decisions,
    health,
    history,
    journal,
    keys,
    overview,
    prices,
    revenue,
    thresholds,
    trying,
)

PAGES: tuple[Page, ...] = (
    overview.PAGE,
    thresholds.PAGE,
    history.PAGE,
    decisions.PAGE,
    trying.PAGE,
    prices.PAGE,
    revenue.PAGE,
    keys.PAGE,
    health.PAGE,
    journal.PAGE,
)
