"""History: every act on policy versions with its differences, every trial with its verdict."""

from collections.abc import Mapping

from router.admin.page import JsonFeed, NotDone, Page, Visit
from router.admin.queries import canaries
from router.policies import canary_lifecycle, lifecycle
from router.policies.versions import PolicyAction
from router.tuning.preview.cache import Busy

ACTS_SHOWN = 100
TRIALS_SHOWN = 30


def show(visit: Visit) -> Mapping[str, object]:
    """Show the acts on policies and the trials, newest first."""
    engine = visit.services.engine
    acts = lifecycle.history(engine, ACTS_SHOWN)
    came = {act.version for act in acts if act.act in (PolicyAction.ACTIVATED, PolicyAction.ROLLED_BACK)}
    return {
        "acts": acts,
        "trials": canary_lifecycle.history(engine, TRIALS_SHOWN),
        "versions": sorted(came, reverse=True),
    }


def compare_realised(visit: Visit) -> object:
    """Compare what a version did with what it was predicted to do; takes some seconds."""
    version = visit.query.get("version", "")
    if not version.isascii() or not version.isdecimal() or len(version) > 9:
        raise NotDone("version: a whole number is expected")
    try:
        with visit.services.previews.alone():
            return canaries.compare_realised(visit.services.engine, int(version))
    except Busy as error:
        raise NotDone(str(error), 409) from None


PAGE = Page("history", "Policy history", show, feeds=(JsonFeed("history/realised", compare_realised),))
