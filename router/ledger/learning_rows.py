"""Rows of what is learnt from, as they are inserted: fields named as the columns."""

from collections.abc import Mapping

import msgspec

from router.database import codes
from router.ledger.entries import DuelVerdict, KeptFeatures, VoteEnding
from router.ledger.rows import Key


class FeatureRowRow(msgspec.Struct):
    """A row of `feature_rows`; its bytes go to PostgreSQL as hex digits, inside JSON."""

    request_id: Key
    created_at: int
    format: int
    row: bytes | str


class DuelRow(msgspec.Struct):
    """A row of `duels`."""

    request_id: Key
    at: int
    cost_nanousd: int | None
    answered_tier: int
    other_tier: int
    agreement: int
    preferred: int | None
    grade_fast: float | None
    grade_reasoning: float | None


class VoteRow(msgspec.Struct):
    """A row of `votes`."""

    request_id: Key
    confidence: float
    p_sampled: float
    p_strong: float
    models_id: int
    answer_type_id: int
    stop_reason_id: int
    samples: int
    voters: int
    unreadable: int
    leader: int
    second: int
    judge_id: int | None
    is_escalated: bool
    agrees: bool | None
    judge_accepts: bool | None


def feature_row(key: Key, kept: KeptFeatures, is_sqlite: bool) -> FeatureRowRow:
    """Lay out the features of a request."""
    return FeatureRowRow(key, kept.created_at, kept.format, kept.row if is_sqlite else "\\x" + kept.row.hex())


def duel_row(key: Key, verdict: DuelVerdict) -> DuelRow:
    """Lay out what came of a duel."""
    return DuelRow(
        request_id=key,
        at=verdict.at,
        cost_nanousd=verdict.cost_nanousd,
        answered_tier=codes.TIERS[verdict.answered_tier],
        other_tier=codes.TIERS[verdict.other_tier],
        agreement=codes.AGREEMENTS[verdict.agreement],
        preferred=None if verdict.preferred is None else codes.TIERS[verdict.preferred],
        grade_fast=verdict.grade_fast,
        grade_reasoning=verdict.grade_reasoning,
    )


def vote_row(key: Key, ending: VoteEnding, label: Mapping[str, int]) -> VoteRow:
    """Lay out how a vote ended."""
    return VoteRow(
        request_id=key,
        confidence=ending.confidence,
        p_sampled=ending.p_sampled,
        p_strong=ending.p_strong,
        models_id=label[ending.models],
        answer_type_id=label[ending.answer_type],
        stop_reason_id=label[ending.stop_reason],
        samples=ending.samples,
        voters=ending.voters,
        unreadable=ending.unreadable,
        leader=ending.leader,
        second=ending.second,
        judge_id=None if ending.judge is None else label[ending.judge],
        is_escalated=ending.is_escalated,
        agrees=ending.agrees,
        judge_accepts=ending.judge_accepts,
    )
