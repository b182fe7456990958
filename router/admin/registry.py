"""The pages there are, in the order of the navigation."""

from router.admin.page import Page
from router.admin.pages import (
    agreement,
    audit,
    decisions,
    errors,
    health,
    history,
    jobs,
    keys,
    ladder,
    overview,
    prices,
    revenue,
    thresholds,
    try_query,
)

PAGES: tuple[Page, ...] = (
    overview.PAGE,
    thresholds.PAGE,
    history.PAGE,
    decisions.PAGE,
    jobs.PAGE,
    ladder.PAGE,
    try_query.PAGE,
    prices.PAGE,
    revenue.PAGE,
    keys.PAGE,
    health.PAGE,
    errors.PAGE,
    agreement.PAGE,
    audit.PAGE,
)
