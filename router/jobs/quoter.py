"""Quotes jobs that are about to be accepted, by what past jobs cost and took. Belongs to a thread: it may wait."""

from collections.abc import Callable, Sequence
from typing import Any

from router.clock import Clock
from router.exchange import Exchange
from router.jobs.calibration import UNKNOWN, JobCalibration, PastJob, kind_of
from router.jobs.outlooks import OutlookMaker, QuotedQuery
from router.jobs.quote import Chances, JobQuote, QueueView, quote_fields, quote_job
from router.jobs.recipes import Recipe
from router.jobs.steps import JobBounds, JobStage
from router.jobs.windows import CompletionWindow, TakesBatches, put_in_window, windows_of
from router.ledger.prices import Price, PriceBook
from router.providers.base import ModelTarget
from router.providers.caches import BYTES_PER_TOKEN
from router.types import Tier

LEARN_EVERY_US = 60_000_000


class JobQuoter:
    """Makes quotes. `read_past` returns past jobs, the latest first; `at_once` jobs run at a time.

    `takes_batches` tells of a sampled model whether its waves may be bought as batches.
    """

    def __init__(
        self,
        prices: PriceBook,
        outlooks: OutlookMaker,
        read_past: Callable[[], Sequence[PastJob]],
        clock: Clock,
        at_once: int,
        takes_batches: TakesBatches,
    ) -> None:
        self._prices = prices
        self.takes_batches = takes_batches
        self._outlooks = outlooks
        self._read_past = read_past
        self._clock = clock
        self._at_once = at_once
        self._learnt_at = -LEARN_EVERY_US
        self.calibration = UNKNOWN

    def quote(
        self,
        plan: Exchange,
        recipe: Recipe,
        bounds: JobBounds,
        find_target: Callable[[JobStage, str], ModelTarget],
        position: int,
    ) -> JobQuote:
        """Quote a job that `position` others wait in front of. Raises SQLAlchemyError where jobs cannot be read."""
        self._learn()
        query, estimate = plan.query, plan.query.estimate
        most = min(
            (one for one in (query.max_output_tokens, query.max_visible_tokens) if one is not None), default=None
        )
        tokens = query.input_bound_tokens // BYTES_PER_TOKEN
        quoted = QuotedQuery(estimate, plan.decision.tier, tokens, most)
        is_strong = plan.decision.tier is Tier.REASONING
        sampled = estimate.p_reasoning if is_strong else estimate.p_fast
        chances = Chances.of(estimate.p_fast, sampled, estimate.p_reasoning, estimate.uncertainty)
        queue = QueueView(position, self._at_once, self.calibration.usual_s)
        outlooks = self._outlooks.of_recipe(recipe, quoted, find_target)
        return quote_job(recipe, bounds, outlooks, chances, self.calibration, queue)

    def put_in_window(self, recipe: Recipe, window: CompletionWindow) -> Recipe:
        """Have a recipe, as it is chosen, ask for what is sold within a window; raises InvalidRequest."""
        return put_in_window(recipe, window, self.price_of, self.takes_batches)

    def quote_windows(
        self, plan: Exchange, recipe: Recipe, bounds: JobBounds, find_target: Callable[[JobStage, str], ModelTarget]
    ) -> dict[str, Any]:
        """Say what a recipe, as it is chosen, would cost in each window that is sold for it, as clients read it."""
        found = {}
        for window in windows_of(recipe, self.price_of, self.takes_batches):
            in_window = self.put_in_window(recipe, window)
            fields = quote_fields(self.quote(plan, in_window, bounds, find_target, 0))
            found[str(window)] = {name: fields[name] for name in ("expected_cost_usd", "cost_usd")}
        return found

    def price_of(self, model: str) -> Price | None:
        """Return the price of a model in effect."""
        return self._prices.in_effect(model, self._clock.now_us())

    def _learn(self) -> None:
        now_us = self._clock.now_us()
        if now_us - self._learnt_at >= LEARN_EVERY_US:
            self.calibration = JobCalibration.of(self._read_past())
            self._learnt_at = now_us


def note_of(recipe: Recipe, quote: JobQuote) -> dict[str, Any]:
    """Return what is kept with a job so that later quotes can learn from it."""
    return {
        "kind": kind_of(recipe),
        "seconds": list(quote.told_seconds),
        "cost": None if quote.told_cost is None else list(quote.told_cost),
    }
