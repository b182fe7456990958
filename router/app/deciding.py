"""What decides and what answers: the providers and tiers, and the engine that chooses between them by need and cost."""

from typing import NamedTuple

from router.app.bookkeeping import Bookkeeping
from router.app.followed import Followed
from router.app.ground import Ground
from router.database.learning_tables import DuelDay
from router.decision.costs import CostForecaster
from router.decision.engine import DecisionEngine
from router.decision.forecast import ExpectedVote
from router.decision.latency import LatencyWindow
from router.decision.policy import Policy
from router.decision.quotes import Quoter
from router.learning.duels import Duels
from router.ledger.agreements import EvidenceFollower, VoteEvidence
from router.ledger.allowance import DayAllowance
from router.ledger.cost_factors import CostBook
from router.ledger.coverage import CoverageBudget
from router.ledger.last_turns import LastTurns
from router.ledger.read_prefixes import ReadPrefixes
from router.ledger.recent import RecentDecisions
from router.lineup import Lineup
from router.money import nano_from_usd
from router.providers.clients import Providers
from router.reports.coverage import RecentCoverage
from router.tiers.parallel.calibration import CalibrationTable
from router.tiers.parallel.coverage import count_votes
from router.tiers.parallel.shadow import ShadowSlice
from router.tiers.parallel.tier import ParallelTier
from router.tiers.permits import TargetBook


class Deciding(NamedTuple):
    """Who can be asked, how well they are, and what chooses."""

    providers: Providers
    lineup: Lineup
    targets: TargetBook
    parallel: ParallelTier
    coverage: RecentCoverage
    shown_costs: CostBook
    routing: DecisionEngine
    quoter: Quoter
    duels: Duels


def open_deciding(
    ground: Ground, followed: Followed, ledger: Bookkeeping, lineup: Lineup, targets: TargetBook
) -> Deciding:
    """Put it together, and have what it learns from the books followed."""
    settings, books, clock, metrics = ground.settings, ground.books, ground.clock, ground.metrics
    engine = books.engine
    coverage, sampled = RecentCoverage(engine, clock.now_us), settings.tiers.parallel
    shadow = ShadowSlice(
        sampled.coverage_share,
        CoverageBudget(engine, nano_from_usd(sampled.coverage_usd_per_day), clock.now_us),
        lambda seen: ledger.votes.note(count_votes(seen)),
    )
    parallel = lineup.parallel(settings, books.prices, shadow, clock, metrics.count_skipped_check)

    def take_evidence(evidence: VoteEvidence) -> None:
        parallel.calibration = CalibrationTable.from_evidence(evidence)

    def expect_stop(p_sampled: float, is_votable: bool, policy: Policy) -> ExpectedVote:
        dials = policy.parallel_samples, policy.parallel_confidence
        return ExpectedVote(*parallel.predict_stop(p_sampled, is_votable, *dials))

    shown_costs, last_turns = CostBook(engine, clock.now_us), LastTurns(engine, clock.now_us)
    read_prefixes = ReadPrefixes(engine, clock.now_us)
    costs = CostForecaster(books.prices, lineup.by_tier, shown_costs, expect_stop, clock.now_us)
    waits = LatencyWindow(clock.ticks_ms)
    routing = DecisionEngine(
        followed.artifacts.model,
        followed.policies,
        lineup.by_tier,
        lineup.explicit,
        waits=waits,
        paced=ledger.paces.pace,
        shut_tiers=targets.shut_tiers(lineup.by_tier),
        costs=costs,
        last_turn=last_turns.of,
        read_elsewhere=read_prefixes.of,
        chooses_effort=settings.tiers.reasoning.chooses_effort,
    )
    recent = RecentDecisions(engine, clock.now_us, routing.take_recent)
    books.read(recent.refresh)
    followers = {
        "coverage": coverage.follow,
        "agreements": EvidenceFollower(engine, clock.now_us, take_evidence).follow,
        "costs shown": shown_costs.follow,
        "last turns": last_turns.follow,
        "prefixes read": read_prefixes.follow,
        "last decisions": recent.refresh,
    }
    for name, follow in followers.items():
        ledger.shipper.follow(follow, name)
    duels = Duels(
        lineup.rivals,
        DayAllowance(engine, DuelDay, nano_from_usd(settings.learning.duel_usd_per_day)),
        parallel.checkers,
        clock.now_us,
        judges=lineup.judges,
        tell=metrics.count_duel,
    )
    quoter = Quoter(routing, costs, waits, lineup.by_tier, targets.seconds_for)
    providers = Providers(trust_env=settings.trust_env)
    return Deciding(providers, lineup, targets, parallel, coverage, shown_costs, routing, quoter, duels)
