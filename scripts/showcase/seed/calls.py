"""The provider calls of a day's requests, priced in integers as the ledger does, and how the requests ended."""

from dataclasses import dataclass

import numpy as np

from router.database import codes
from router.errors import Cause
from router.types import CallKind, CallStatus, Outcome, Precision
from scripts.showcase.seed.columns import Column, Columns, known
from scripts.showcase.seed.days import PARALLEL, REASONING, Asked, Bools, Ints
from scripts.showcase.seed.world import CHEAP, MODELS, STAND_IN, STRONG, UNLISTED, World

CHEAP_AT, STRONG_AT, UNLISTED_AT, STAND_IN_AT = (MODELS.index(name) for name in (CHEAP, STRONG, UNLISTED, STAND_IN))

FAILURES = (  # why calls fail, with which status (0: none came), and how many of a hundred failures are so
    (Cause.OVERLOADED, 503, 0.4),
    (Cause.RATE_LIMITED, 429, 0.35),
    (Cause.TIMEOUT_FIRST_BYTE, 0, 0.15),
    (Cause.BROKEN_OFF, 0, 0.1),
)


@dataclass(frozen=True, slots=True)
class Answered:
    """How each request ended; `answer_no` -1 is no answer."""

    answer_no: Ints
    final_tier: Ints
    outcome: Ints
    first_byte_ms: Ints
    total_ms: Ints


@dataclass(frozen=True, slots=True)
class _Plan:
    """How many calls each request makes, and which of them are something special."""

    samples: Ints
    retried: Bools
    judged: Bools
    escalated: Bools
    shadowed: Bools
    is_cancelled: Bools
    has_failed: Bools

    @property
    def total(self) -> Ints:
        """The number of calls."""
        return self.samples + self.retried + self.judged + self.escalated + self.shadowed


def called(world: World, asked: Asked, dice: np.random.Generator, *, is_dear: bool) -> tuple[Columns, Answered]:
    """Make the calls; on a dear day a provider stumbles, and thinking takes longer than it should."""
    plan = _planned(asked, dice, 0.05 if is_dear else 0.008)
    total = plan.total
    request = np.repeat(np.arange(len(asked)), total)
    number = np.arange(len(request)) - np.repeat(np.cumsum(total) - total, total)
    after = number - plan.samples[request]
    is_judge, is_escalation = plan.judged[request] & (after == 0), plan.escalated[request] & (after == 0)
    is_shadow = plan.shadowed[request] & (number == total[request] - 1)
    is_sample = (asked.tier[request] == PARALLEL) & (after < 0)
    is_failed_try = plan.retried[request] & (number == 0)
    has_failed, is_cancelled = plan.has_failed[request], plan.is_cancelled[request]
    size, draw = len(request), dice.random(len(request))
    is_strong = is_escalation | is_shadow | (asked.tier[request] == REASONING)
    model = np.select(
        [is_strong, is_judge | (draw < 0.02), draw > 0.998], [STRONG_AT, STAND_IN_AT, UNLISTED_AT], CHEAP_AT
    )
    # Of what broke late nobody knows how much was used: the upper bound is booked.
    is_unknown = (is_failed_try | has_failed | is_cancelled) & (dice.random(size) < 0.1)
    usage = _tokens(asked.turn[request], is_strong, dice, 1.8 if is_dear else 1.0)
    usage[3:, has_failed | is_failed_try] = 0
    price_id, cost = _priced(world, model, usage)
    hold = np.where(cost < 0, cost, cost * 3 + 100_000)
    duration = np.clip(dice.lognormal(7.2, 0.6, size) * np.where(is_strong, 5, 1), 80, 300_000).astype(np.int64)
    started = asked.ms[request] * 1_000 + 2_000
    tokens = {
        name: Column(bucket, is_unknown)
        for name, bucket in zip(
            ("input_fresh", "input_cached", "input_cache_write", "output_visible", "output_reasoning"),
            usage,
            strict=True,
        )
    }
    columns = {
        "request_id": Column(asked.ids[request]),
        "started_at": Column(started),
        "recorded_at": Column(started + 400_000 + duration * 1_000),
        "cost_nanousd": known(np.where(is_unknown, hold, cost)),
        "hold_nanousd": known(hold),
        "price_id": known(price_id),
        **tokens,
        "first_token_ms": Column(np.minimum(duration, 700)),
        "duration_ms": Column(duration),
        "call_no": Column(number),
        "kind": Column(
            np.select(
                [is_shadow, is_judge, is_sample],
                [codes.KINDS[k] for k in (CallKind.SHADOW, CallKind.JUDGE, CallKind.SAMPLE)],
                codes.KINDS[CallKind.ANSWER],
            )
        ),
        "tier": Column(np.where(is_escalation | is_shadow, REASONING, asked.tier[request])),
        "status": Column(
            np.select(
                [is_failed_try | has_failed, is_cancelled],
                [codes.STATUSES[CallStatus.ERROR], codes.STATUSES[CallStatus.CANCELLED]],
                codes.STATUSES[CallStatus.OK],
            )
        ),
        "precision": Column(
            np.select(
                [is_unknown, is_cancelled | (draw > 0.99)],
                [codes.PRECISIONS[Precision.UNKNOWN], codes.PRECISIONS[Precision.ESTIMATED]],
                codes.PRECISIONS[Precision.EXACT],
            )
        ),
        "provider_model_id": Column(np.array([world.labels[name] for name in MODELS])[model]),
        **_failed(is_failed_try | has_failed, dice),
    }
    return columns, _ended(asked, plan, request, np.where(is_shadow, 0, duration), dice)


def _failed(is_error: Bools, dice: np.random.Generator) -> Columns:
    """Say why calls failed, and with which status where their provider gave one."""
    of = dice.choice(len(FAILURES), len(is_error), p=[share for _, _, share in FAILURES])
    cause = np.array([codes.CAUSES[cause] for cause, _, _ in FAILURES])[of]
    status = np.array([status for _, status, _ in FAILURES])[of]
    return {"cause": Column(cause, ~is_error), "http_status": Column(status, ~is_error | (status == 0))}


def _planned(asked: Asked, dice: np.random.Generator, share_retried: float) -> _Plan:
    count, is_parallel = len(asked), asked.tier == PARALLEL
    judged = is_parallel & (dice.random(count) < 0.15)
    return _Plan(
        samples=np.where(is_parallel, dice.choice([4, 4, 4, 8], count), 1),
        retried=(dice.random(count) < share_retried) & ~is_parallel,
        judged=judged,
        escalated=is_parallel & ~judged & (dice.random(count) < 0.2),
        shadowed=dice.random(count) < 0.005,
        is_cancelled=dice.random(count) < 0.012,
        has_failed=dice.random(count) < 0.004,
    )


def _tokens(turn: Ints, is_strong: Bools, dice: np.random.Generator, longer: float) -> Ints:
    """Tokens by bucket: long conversations have long prompts, of which more comes from the cache."""
    size = len(turn)
    prompt = np.clip(dice.lognormal(6.6, 0.8, size) + 180 * turn, 60, 100_000).astype(np.int64)
    cached = (prompt * np.where(dice.random(size) < 0.6, dice.uniform(0.2, 0.8, size), 0)).astype(np.int64)
    visible = np.clip(dice.lognormal(5.6, 0.8, size), 1, 8_000).astype(np.int64)
    thinking = np.zeros(size, np.int64)
    strong = int(is_strong.sum())
    thinking[is_strong] = np.clip(dice.lognormal(7.3, 0.9, strong) * longer, 50, 30_000)
    return np.stack((prompt - cached, cached, np.zeros(size, np.int64), visible, thinking))


def _ended(asked: Asked, plan: _Plan, request: Ints, duration: Ints, dice: np.random.Generator) -> Answered:
    count = len(asked)
    first = np.searchsorted(request, np.arange(count))
    total_ms = np.maximum.reduceat(duration, first) if count else duration
    is_parallel = asked.tier == PARALLEL
    answer_no = np.where(plan.escalated, plan.samples, plan.retried)
    answer_no = np.where(is_parallel & ~plan.escalated, dice.integers(0, 8, count) % plan.samples, answer_no)
    outcome = np.select(
        [plan.has_failed, plan.is_cancelled],
        [codes.OUTCOMES[Outcome.ERROR], codes.OUTCOMES[Outcome.CANCELLED]],
        codes.OUTCOMES[Outcome.OK],
    )
    return Answered(
        answer_no=np.where(plan.has_failed, -1, answer_no),
        final_tier=np.where(plan.escalated, REASONING, asked.tier),
        outcome=outcome,
        first_byte_ms=np.where(is_parallel, total_ms, np.minimum(total_ms, 900)),
        total_ms=total_ms,
    )


def _priced(world: World, model: Ints, usage: Ints) -> tuple[Ints, Ints]:
    """Price calls in whole nano-dollars, half-even as the ledger does; -1 is no price."""
    price_id, cost = np.full(len(model), -1, np.int64), np.full(len(model), -1, np.int64)
    for place, name in enumerate(MODELS):
        price = world.prices[name]
        if price is None:
            continue
        chosen = model == place
        each = np.array(list(price.rates_by_bucket().values()))
        whole, rest = np.divmod(each @ usage[:, chosen], 1_000)
        price_id[chosen] = price.id
        cost[chosen] = whole + ((rest > 500) | ((rest == 500) & (whole % 2 == 1)))
    return price_id, cost
