"""Agreement: what it means when samples agree, by models and answer type, as far as labels tell."""

from collections.abc import Mapping
from dataclasses import asdict

from router.admin.page import JsonFeed, Page, Visit
from router.admin.queries import agreement
from router.ledger.agreements import MOST_VOTES


def show(visit: Visit) -> Mapping[str, object]:
    """Show how right leaders were, by their share of the votes."""
    return {
        "agreements": agreement.read(visit.services.engine),
        "most_votes": MOST_VOTES,
        "escalates": visit.services.settings.tiers.parallel.escalate_to,
    }


def feed(visit: Visit) -> object:
    """Return the same as JSON."""
    return asdict(agreement.read(visit.services.engine))


PAGE = Page("agreement", "Agreement", show, feeds=(JsonFeed("agreement", feed),))
