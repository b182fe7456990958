"""What an operator asks of thresholds, and how much of what that allows a policy uses. Pure.

A target is of all requests where the sums of the books are told (`router.tuning.whole`), else of the queries that a
score decided.
"""

import math
from dataclasses import dataclass

from router.tuning.backtest import Effect, Figures
from router.tuning.whole import Whole

Z_NEXT = 2.3  # costs have heavier tails than a normal distribution, for which 2.0 would do
Z_CAPPED = 2.3  # a deep share is capped as well, so the future errs less upwards


class Unsolvable(ValueError):
    """No threshold meets what was asked for; the message says why."""


@dataclass(frozen=True, slots=True)
class SolverTargets:
    """What an operator asks for; None is not asked for."""

    max_deep_share: float | None = None
    max_cost_usd_per_1k: float | None = None
    min_margin: float | None = None
    min_quality: float | None = None

    def __post_init__(self) -> None:
        if all(value is None for value in (*self.spending().values(), self.min_quality)):
            raise Unsolvable("name at least one target")
        for name in ("max_deep_share", "min_quality"):
            value = getattr(self, name)
            if value is not None and not 0.0 <= value <= 1.0:
                raise Unsolvable(f"{name} is a share from 0 to 1, not {value:g}")
        if self.max_cost_usd_per_1k is not None and not 0.0 < self.max_cost_usd_per_1k < math.inf:
            raise Unsolvable(f"max_cost_per_1k is an amount above 0, not {self.max_cost_usd_per_1k:g}")
        if self.min_margin is not None and not -math.inf < self.min_margin < 1.0:
            raise Unsolvable(f"min_margin is a share below 1, not {self.min_margin:g}")

    def spending(self) -> dict[str, float | None]:
        """Return the targets that deeper thinking comes up against."""
        return {
            "max_deep_share": self.max_deep_share,
            "max_cost_per_1k": self.max_cost_usd_per_1k,
            "min_margin": self.min_margin,
        }


@dataclass(frozen=True, slots=True)
class Use:
    """How much of each allowance a policy uses (1 is all of it), safely and as expected."""

    safe: dict[str, float]
    expected: dict[str, float]


@dataclass(frozen=True, slots=True)
class _Measured:
    """A figure of what the targets speak of, and how much it may be off, in the past and by the next chance."""

    value: float
    error: float


class Allowances:
    """Holds policies against targets; `deep_rows` of so many `rows` that a score decided went deep."""

    def __init__(self, targets: SolverTargets, whole: Whole | None, rows: int, deep_rows: int) -> None:
        self._targets = targets
        self._whole = whole
        self._left_deep = 0.0 if whole is None else max(whole.deep - whole.decided * deep_rows / max(rows, 1), 0.0)

    def cap(self) -> float | None:
        """Return the share of the queries decided by scores that may go deep; raises Unsolvable where none may."""
        share, whole = self._targets.max_deep_share, self._whole
        if share is None or whole is None:
            return share
        room = share * whole.requests - self._left_deep
        if room < 0.0:
            raise Unsolvable(
                f"max_deep_share cannot be met: {self._left_deep / whole.requests:.2%} of all requests went deep "
                f"without a score deciding it (overrides, explicit models), and no threshold moves those"
            )
        return min(room / max(whole.decided, 1), 1.0)

    def use_of(self, figures: Figures, chance_usd_per_1k: float, effect: Effect) -> Use:
        """Tell how much a policy uses, from its figures for what a score decided and what it moves.

        `chance_usd_per_1k` is of as many requests as the effect; of all that a score decides, chance leaves less.
        """
        if self._whole is not None and self._whole.decided:
            chance_usd_per_1k *= math.sqrt(min(effect.requests / self._whole.decided, 1.0))
        targets = self._targets
        use: dict[str, float] = {}
        safe: dict[str, float] = {}
        if targets.max_deep_share is not None:
            share = self._deep_share(figures, effect)
            use["max_deep_share"] = _part(share.value, targets.max_deep_share)
            safe["max_deep_share"] = _part(share.value + Z_CAPPED * share.error, targets.max_deep_share)
        if targets.max_cost_usd_per_1k is not None:
            cost = self._cost(figures, chance_usd_per_1k, effect)
            use["max_cost_per_1k"] = _part(cost.value, targets.max_cost_usd_per_1k)
            safe["max_cost_per_1k"] = _part(cost.value + Z_NEXT * cost.error, targets.max_cost_usd_per_1k)
        if targets.min_margin is not None:
            margin = self._margin(figures, chance_usd_per_1k, effect)
            allowed = 1.0 - targets.min_margin
            use["min_margin"] = _part(1.0 - margin.value, allowed)
            safe["min_margin"] = _part(1.0 - margin.value + Z_NEXT * margin.error, allowed)
        return Use(safe, use)

    def _deep_share(self, figures: Figures, effect: Effect) -> _Measured:
        share, whole = figures["deep_share"], self._whole
        if whole is None:
            return _Measured(share.value, share.error)
        left = whole.requests - whole.decided
        noise = math.sqrt(2.0 * self._left_deep * max(1.0 - self._left_deep / max(left, 1), 0.0))  # past and future
        error = math.hypot(share.error * whole.decided, noise) / whole.requests
        return _Measured(float(whole.columns(effect)["deep_share"][0]), error)

    def _cost(self, figures: Figures, chance: float, effect: Effect) -> _Measured:
        cost, whole = figures["cost_usd_per_1k"], self._whole
        error = math.hypot(cost.error, chance)  # the past errs, and so will the future
        if whole is None:
            return _Measured(cost.value, error)
        error = math.hypot(error * whole.decided / whole.requests, self._noise_of_rest(whole) / whole.requests * 1e3)
        return _Measured(float(whole.columns(effect)["cost_usd_per_1k"][0]), error)

    def _margin(self, figures: Figures, chance: float, effect: Effect) -> _Measured:
        margin, revenue, whole = figures["margin"], figures["revenue_usd_per_1k"].value, self._whole
        error = math.hypot(margin.error, chance / revenue)
        if whole is None:
            return _Measured(margin.value, error)
        decided_usd = revenue * whole.decided / 1e3
        error = math.hypot(error * decided_usd, self._noise_of_rest(whole)) / whole.revenue_usd
        return _Measured(float(whole.columns(effect)["margin"][0]), error)

    def _noise_of_rest(self, whole: Whole) -> float:
        """The noise of what stays, in the past and in the future."""
        return math.sqrt(2.0) * whole.left_noise_usd


def _part(value: float, allowance: float) -> float:
    """Tell how much of an allowance is used; nothing allowed is exceeded by anything."""
    if math.isnan(value):
        return math.inf
    if allowance <= 0.0:
        return 0.0 if value <= allowance else math.inf
    return value / allowance
