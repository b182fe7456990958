"""Thresholds: the policy in force."""

from collections.abc import Mapping

from router.admin.page import Page, Visit


def show(visit: Visit) -> Mapping[str, object]:
    """Show the thresholds in force."""
    return {"policy": visit.services.policies.active}


PAGE = Page("thresholds", "Thresholds", show)
