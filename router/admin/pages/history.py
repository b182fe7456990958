"""History: every act on policy versions with its differences, every trial with its verdict."""

from collections.abc import Mapping

from router import canaries, policy_acts
from router.admin.page import Page, Visit

ACTS_SHOWN = 100
TRIALS_SHOWN = 30


def show(visit: Visit) -> Mapping[str, object]:
    """Show the newest first."""
    engine = visit.services.engine
    return {"acts": policy_acts.history(engine, ACTS_SHOWN), "trials": canaries.history(engine, TRIALS_SHOWN)}


PAGE = Page("history", "Policy history", show)
