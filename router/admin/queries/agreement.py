"""Reads what is known of agreements among samples, for people: how right leaders were, and what judges can tell."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Engine

from router.ledger.agreements import read_evidence
from router.tiers.parallel.calibration import (
    ENOUGH_EVIDENCE,
    AgreementShare,
    AgreementSummary,
    CalibrationTable,
    calibration_error,
)
from router.tiers.vote.rates import VerifierRates


@dataclass(frozen=True, slots=True)
class JudgeTrial:
    """A judge on trial: its rates so far, and whether it may decide."""

    name: str
    rates: VerifierRates
    may_decide: bool


@dataclass(frozen=True, slots=True)
class Agreements:
    """All that the page shows. `error` is that of the confidence that clients were told."""

    votes: int
    labels: int
    escalated: float | None
    error: float | None
    groups: Sequence[tuple[AgreementSummary, Sequence[AgreementShare]]]
    judges: Sequence[JudgeTrial]
    enough: int = ENOUGH_EVIDENCE


def read(engine: Engine) -> Agreements:
    """Read the evidence and sum it up."""
    evidence = read_evidence(engine)
    table = CalibrationTable.from_evidence(evidence)
    summaries, shares = table.summaries(), table.shares()
    votes = sum(each.votes for each in summaries)
    escalated = sum(each.escalated * each.votes for each in summaries if each.escalated is not None)
    groups = [
        (each, [s for s in shares if (s.models, s.answer_type) == (each.models, each.answer_type)])
        for each in summaries
    ]
    judges = [JudgeTrial(name, table.judge_rates(name), table.may_judge(name)) for name in table.judges()]
    told = [(vote.ending.confidence, vote.correct) for vote in evidence.graded]
    return Agreements(
        votes, len(evidence.graded), escalated / votes if votes else None, calibration_error(told), groups, judges
    )
