"""Rows of what is learnt from, as they are inserted: fields named as the columns."""

import msgspec

from router.database import codes
from router.ledger.entries import DuelVerdict, KeptFeatures
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
