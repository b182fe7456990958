"""The pages there are, in the order of the navigation."""

from router.admin.page import Page
from router.admin.pages import overview, thresholds, trying

PAGES: tuple[Page, ...] = (
    overview.PAGE,
    thresholds.PAGE,
    trying.PAGE,
)
