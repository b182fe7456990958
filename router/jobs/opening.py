"""Puts the parts of background work together, for `router.app`."""

from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from sqlalchemy import Engine

from router.clock import Clock
from router.errors import ProviderError
from router.jobs.actions import JobActor
from router.jobs.batch_keeper import BatchKeeper
from router.jobs.batch_store import BatchStore
from router.jobs.batches import Batches
from router.jobs.callback_ways import rules_of
from router.jobs.cast import Casting
from router.jobs.engine import JobEngine, QueueLimits
from router.jobs.job import Job
from router.jobs.jobs import Jobs
from router.jobs.outlooks import OutlookMaker
from router.jobs.quoter import JobQuoter
from router.jobs.store import JobStore
from router.jobs.watch import JobWatch
from router.jobs.workflow import JobRunner
from router.ledger.cost_factors import ShownCosts
from router.ledger.persons import PersonAllowances
from router.ledger.prices import PriceBook
from router.ledger.spool import Spool
from router.lineup import Lineup
from router.mistakes.extras import is_installed
from router.providers.base import ModelTarget, Provider, ProviderRequest
from router.providers.batches import BatchProvider
from router.settings import Settings
from router.tiers.parallel.tier import ParallelTier
from router.tiers.permits import TargetBook
from router.tiers.vote.verifiers import default_verifiers
from router.types import DAY_US, Tier

PAST_JOBS = 1_000  # that quotes learn from


class BackgroundWork(NamedTuple):
    """Background work: what endpoints ask, and what runs in a thread of its own."""

    jobs: Jobs
    watch: JobWatch


def open_jobs(
    settings: Settings,
    books: Engine,
    store: JobStore,
    spool: Spool,
    prices: PriceBook,
    provider_of: Callable[[ModelTarget], Provider],
    batches_of: Callable[[ModelTarget], BatchProvider | None],
    clock: Clock,
    targets: TargetBook,
    lineup: Lineup,
    parallel: ParallelTier,
    tell_failure: Callable[[ProviderRequest, ProviderError], None],
    tell_end: Callable[[Job], Awaitable[None]],
    shown_costs: Callable[[], ShownCosts],
    persons: PersonAllowances,
) -> BackgroundWork | None:
    """Put it together; None where it is switched off, or its engine is not installed. Loads nothing large."""
    wanted = settings.jobs
    if not wanted.enabled or not is_installed("jobs"):
        return None
    worker = spool.path.stem
    casting = Casting(lineup, settings.tiers.parallel, parallel.settings.price_ratio, wanted.max_samples)
    limits = QueueLimits(wanted.concurrency, max(wanted.per_segment, wanted.concurrency), wanted.per_minute)
    sampled = {target.name: target for target in lineup.by_tier[Tier.PARALLEL]}
    batches = Batches(BatchStore(books), prices, batches_of, clock, lambda: watch.may_act())
    engine = JobEngine(books, settings.state_dir, worker, limits)
    watch: JobWatch
    actor = JobActor(
        store,
        spool,
        prices,
        provider_of,
        clock,
        targets,
        casting.find,
        parallel.checkers,
        default_verifiers(parallel.checkers, runs_code=settings.tiers.parallel.runs_code),
        tell_failure,
        lambda: watch.may_act(),
        calls_at_once(wanted.calls_at_once, lineup.every),
        batches,
    )
    keep_us, has_unsettled = wanted.retention_days * DAY_US, batches.store.has_unsettled
    runner = JobRunner(store, actor, spool, clock, worker, keep_us, tell_end, has_unsettled)
    keeper = BatchKeeper(batches, store, sampled, runner.settle_ended, clock)
    watch = JobWatch(store, engine, runner, keeper, clock)
    rules = rules_of(wanted.webhooks, wanted.mail)
    outlooks = OutlookMaker(prices, shown_costs, targets.seconds_for, clock.now_us)

    def takes_batches(model: str) -> bool:
        return model in sampled and batches_of(sampled[model]) is not None

    quoter = JobQuoter(prices, outlooks, lambda: store.list_past(PAST_JOBS), clock, wanted.concurrency, takes_batches)
    sample_s = settings.tiers.parallel.sample_timeout_s
    jobs = Jobs(
        books, store, watch, runner, casting.cast, casting.find, quoter, wanted, sample_s, clock, rules, persons
    )
    return BackgroundWork(jobs, watch)


def calls_at_once(wanted: int, models: Sequence[ModelTarget]) -> int:
    """Bound how many calls of jobs run at a time: a model within this process has no places to spare."""
    return 1 if any(model.provider == "embedded" for model in models) else wanted
