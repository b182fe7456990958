"""How this worker books: its spool, what ships it, and what follows the books on the shipping thread."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from router.app.followed import Followed
from router.app.ground import Ground
from router.canary.monitor import CanaryMonitor
from router.canary.verdicts import HarmLimits
from router.database import last_known
from router.ledger import rollups
from router.ledger.coverage import CoverageBook
from router.ledger.feedback import FeedbackBook
from router.ledger.leases import BudgetLeases
from router.ledger.marks import MarkBook
from router.ledger.persons import PersonAllowances
from router.ledger.shipping import Shipper, spool_directory
from router.ledger.spool import Spool
from router.pacing.multipliers import Multipliers


class Bookkeeping(NamedTuple):
    """What is written, and what is counted beside it."""

    spool: Spool
    shipper: Shipper
    leases: BudgetLeases
    marks: MarkBook | None
    persons: PersonAllowances
    votes: CoverageBook
    feedback: FeedbackBook
    paces: Multipliers
    canaries: CanaryMonitor


def open_bookkeeping(ground: Ground, followed: Followed) -> Bookkeeping:
    """Open the spool of this worker and put together what ships it; nothing runs yet."""
    settings, books, clock = ground.settings, ground.books, ground.clock
    engine, policies = books.engine, followed.policies
    spool = Spool.open(spool_directory(settings.state_dir), durability=settings.durability)
    ships = partial(followed.leadership.leads, "shipping")
    shipper = Shipper(
        spool,
        engine,
        feature_days=settings.learning.keep_days,
        mark_months=settings.marks.keep_months,
        leads=ships,
    )
    paces = Multipliers(engine, lambda: policies.active, clock.now_us, leads=ships)
    limits = HarmLimits(**settings.canary.model_dump())
    canaries = CanaryMonitor(
        engine, policies, clock.now_us, limits=limits, wiring=settings.tiers, tell=ground.metrics.set_canary
    )
    on_change = followed.changes.let_follow
    leases = BudgetLeases(engine, spool.path.stem, clock.now_us, changes=followed.changes)
    leases.load(books.last_known)
    if books.last_known is not None:
        shipper.begin_away(books.known_at_us, lambda: books.welcome_back(settings, clock.now_us()))
    shipper.follow(leases.refresh, "budgets")  # first: whatever else fails, money goes on being counted
    marks = MarkBook(engine, clock.now_us) if settings.marks.enabled else None
    if marks is not None:
        books.read(marks.follow)
        shipper.follow(on_change(marks.follow), "marks")
    persons, votes = PersonAllowances(engine, clock.now_us), CoverageBook(engine, clock.now_us)
    followers: dict[str, Callable[[], None]] = {
        "allowances": persons.follow,
        "pacing": paces.follow,
        "canaries": canaries.follow,
        "revenue": on_change(lambda: books.revenue.refresh(engine)),
        "rollups": rollups.refresher(engine, clock.now_us, ships),
        "votes": votes.follow,
        "last known state": on_change(last_known.LastKnownFile(engine, settings.state_dir, clock.now_us).follow),
    }
    for name, follow in followers.items():
        shipper.follow(follow, name)
    return Bookkeeping(spool, shipper, leases, marks, persons, votes, FeedbackBook(engine), paces, canaries)
