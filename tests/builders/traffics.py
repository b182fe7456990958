"""Made-up traffic for back-tests: a score that means something, costs by tier, feedback for some, a known truth."""

from dataclasses import dataclass

import numpy as np
from sqlalchemy import Engine, insert

from classifier.types import AnswerType
from router.database import codes
from router.database.engine import writing
from router.database.tables import Feedback
from router.decision.policy import Policy
from router.ledger.rows import CallRow, RequestRow
from router.ledger.store import insert_new, labels
from router.tuning import backtest
from router.tuning.traffic import PARALLEL, TIERS, Bools, Floats, Traffic
from router.types import CallKind, CallStatus, Outcome, Precision, Reason

LOGGED = Policy(1, parallel_threshold=0.15, reasoning_threshold=0.3, max_deep_share=0.5, explore=0.06)


@dataclass(frozen=True, slots=True)
class World:
    """Traffic, and what really would have happened in each tier."""

    traffic: Traffic
    correct: Floats
    cost_usd: Floats

    def truth(self, chances: Floats) -> tuple[float, float]:
        """Mean quality and cost per thousand of a policy, as only the world knows them."""
        return float((chances * self.correct).sum(1).mean()), float((chances * self.cost_usd).sum(1).mean() * 1e3)


def a_world(count: int = 4_000, seed: int = 1, policy: Policy = LOGGED, rated: float = 0.3) -> World:
    """Queries of two segments as a policy answered them, with exploration."""
    dice = np.random.default_rng(seed)
    p_fast = dice.beta(6, 2, count)
    p_reasoning = np.minimum(p_fast + dice.beta(1, 6, count), 1.0)
    scores = np.round(p_reasoning - p_fast, 6)
    may_vote = (dice.random(count) < 0.4) & (p_fast >= 0.2)
    chances = backtest.replay(_blank(scores, may_vote), policy)
    tiers = (dice.random(count)[:, None] > chances.cumsum(axis=1)).sum(axis=1).clip(max=PARALLEL)
    promised = np.stack((p_fast, p_reasoning, (p_fast + p_reasoning) / 2), axis=1)
    correct = (dice.random((count, 3)) < promised).astype(np.float64)
    cost = np.stack([dice.lognormal(np.log(mean), 0.5, count) for mean in (3e-4, 9e-3, 1.5e-3)], axis=1)
    rows = np.arange(count)
    traffic = Traffic(
        scores=scores,
        may_vote=may_vote,
        p_fast=p_fast,
        p_reasoning=p_reasoning,
        tiers=tiers,
        propensities=chances[rows, tiers],
        cost_usd=cost[rows, tiers],
        revenue_usd=np.full(count, 1.5e-3),
        total_ms=dice.lognormal(np.log([1_000, 12_000, 4_000]), 0.4, (count, 3))[rows, tiers],
        rewards=np.where(dice.random(count) < rated, correct[rows, tiers], np.nan),
        segments=dice.integers(0, 2, count),
        segment_names=("free", "plus"),
    )
    return World(traffic, correct, cost)


def _blank(scores: Floats, may_vote: Bools) -> Traffic:
    nothing, none = np.full(len(scores), np.nan), np.zeros(len(scores), np.int64)
    return Traffic(
        scores, may_vote, nothing, nothing, none, nothing, nothing, nothing, nothing, nothing, none, ("free",)
    )


def store(
    engine: Engine,
    traffic: Traffic,
    first_ms: int = 1_700_000_000_000,
    reason: Reason | None = None,
    version: int = 1,
    *,
    made_up: bool = True,
) -> None:
    """Put traffic into the books, a request a second, as the shipping thread would have."""
    texts = {*traffic.segment_names, "auto", "ZZ", "test", AnswerType.NUMERIC, AnswerType.OPEN}
    reasons = (Reason.BELOW_THRESHOLD, Reason.ABOVE_THRESHOLD, Reason.ABOVE_THRESHOLD)
    requests, calls, rated = [], [], []
    with writing(engine) as connection:
        label = labels(connection, texts)
        for row in range(len(traffic)):
            at = (first_ms + row * 1_000) * 1_000
            hexed = f"{first_ms + row * 1_000:012x}{row:020x}"
            key = bytes.fromhex(hexed) if engine.dialect.name == "sqlite" else hexed
            tier = traffic.tiers[row].item()
            requests.append(
                RequestRow(
                    id=key,
                    opened_at=at,
                    closed_at=at,
                    recorded_at=at,
                    expected_revenue_nanousd=_nano(traffic.revenue_usd[row]),
                    score=float(traffic.scores[row]),
                    p_fast=float(traffic.p_fast[row]),
                    p_reasoning=float(traffic.p_reasoning[row]),
                    propensity=float(traffic.propensities[row]),
                    key_id=None,
                    policy_version=version,
                    cost_ratio=None if np.isnan(traffic.cost_ratios[row]) else float(traffic.cost_ratios[row]),
                    revenue_version=None,
                    first_byte_ms=None,
                    total_ms=round(float(traffic.total_ms[row])),
                    first_tier=codes.TIERS[TIERS[tier]],
                    final_tier=codes.TIERS[TIERS[tier]],
                    reason=codes.REASONS[reason or reasons[tier]],
                    outcome=codes.OUTCOMES[Outcome.OK],
                    answer_call_no=0,
                    turn=1,
                    segment_id=label[traffic.segment_names[traffic.segments[row]]],
                    country_id=label["ZZ"],
                    requested_model_id=label["auto"],
                    classifier_id=label["test"],
                    answer_type_id=label[AnswerType.NUMERIC if traffic.may_vote[row] else AnswerType.OPEN],
                    language_id=None,
                    streamed=False,
                    ads_eligible=True,
                    synthetic=made_up,
                )
            )
            calls.append(_call(key, 0, CallKind.ANSWER, tier, _nano(traffic.cost_usd[row]), at, label["test"]))
            if row % 50 == 0:  # off the path, so no part of what a tier costs
                calls.append(_call(key, 1, CallKind.SHADOW, tier, 10**9, at, label["test"]))
            if not np.isnan(traffic.rewards[row]):
                rated.append({"request_id": hexed, "rating": 1 if traffic.rewards[row] else -1, "created_at": at})
        insert_new(connection, requests)
        insert_new(connection, calls)
        if rated:
            connection.execute(insert(Feedback), rated)


def _call(key: str | bytes, call_no: int, kind: CallKind, tier: int, cost: int | None, at: int, label: int) -> CallRow:
    return CallRow(
        request_id=key,
        started_at=at,
        recorded_at=at,
        cost_nanousd=cost,
        hold_nanousd=None,
        price_id=None,
        input_fresh=1,
        input_cached=0,
        input_cache_write=0,
        output_visible=1,
        output_reasoning=0,
        first_token_ms=None,
        duration_ms=None,
        call_no=call_no,
        kind=codes.KINDS[kind],
        tier=codes.TIERS[TIERS[tier]],
        status=codes.STATUSES[CallStatus.OK],
        precision=codes.PRECISIONS[Precision.EXACT],
        provider_model_id=label,
        service_id=None,
    )


def _nano(usd: np.float64) -> int | None:
    return None if np.isnan(usd) else round(float(usd) * 1e9)
