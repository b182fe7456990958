"""Books that hold kept features and what is known of the requests: from texts with given outcomes, without a server."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sqlalchemy import Engine, insert

from classifier import artifact
from classifier.rows import ROW_FORMAT, pack
from classifier.types import Turn
from router.clock import request_id
from router.database.tables import Feedback
from router.ledger.entries import Closing, DuelVerdict, Entry, KeptFeatures, Opening
from router.ledger.folding import RequestRecord
from router.ledger.store import Store
from router.types import Agreement, Outcome, Reason, Signal, Tier

NOON = 1_800_000_000_000_000
MINUTE = 60_000_000
BASE = artifact.load()
SUBJECTS = ("turbine blade stress", "garden flower colour")


@dataclass(frozen=True)
class Told:
    """One request as the books will have it. `agreement` None: no duel."""

    text: str
    answered: Tier = Tier.FAST
    agreement: Agreement | None = None
    preferred: Tier | None = None
    score: float | None = None
    rating: int | None = None
    signal: Signal | None = None  # said by the next request, of this one
    propensity: float = 1.0
    reason: Reason = Reason.BELOW_THRESHOLD
    outcome: Outcome = Outcome.OK
    synthetic: bool = False


def book(engine: Engine, told: Sequence[Told], begin_us: int = NOON) -> list[str]:
    """Book requests a minute apart; returns their ids."""
    records, feedback, found = [], [], []
    for at, each in enumerate(told):
        opened_at = begin_us + at * MINUTE
        id_ = request_id(opened_at)
        found.append(id_)
        before = told[at - 1].signal if at else None
        record = RequestRecord(id_)
        for entry in entries_of(each, id_, opened_at, before, found[at - 1] if before else None):
            record.add(entry)
        records.append(record)
        if each.score is not None or each.rating is not None:
            feedback.append({"request_id": id_, "rating": each.rating, "score": each.score, "created_at": opened_at})
    Store(engine).record(records, begin_us)
    if feedback:
        with engine.begin() as connection:
            connection.execute(insert(Feedback), feedback)
    return found


def entries_of(each: Told, id_: str, opened_at: int, signal: Signal | None, previous: str | None) -> list[Entry]:
    """What a request leaves behind."""
    estimate = BASE.estimate((Turn("user", each.text),))
    assert estimate.seen is not None
    opening = Opening(
        request_id=id_,
        opened_at=opened_at,
        key_id=None,
        segment="default",
        country="ZZ",
        requested_model="auto",
        first_tier=each.answered,
        reason=each.reason,
        score=estimate.score,
        p_fast=estimate.p_fast,
        p_reasoning=estimate.p_reasoning,
        propensity=each.propensity,
        policy_version=1,
        classifier_version=estimate.version,
        answer_type=estimate.answer_type,
        language=None,
        turn=1,
        streamed=False,
        ads_eligible=True,
        revenue_version=None,
        expected_revenue_nanousd=None,
        synthetic=each.synthetic,
        signal=signal,
        previous_id=previous,
    )
    entries: list[Entry] = [
        opening,
        KeptFeatures(id_, opened_at, ROW_FORMAT, pack(estimate.seen)),
        Closing(id_, opened_at + 1, each.answered, each.outcome, None, 100, 200),
    ]
    if each.agreement is not None:
        other = Tier.REASONING if each.answered is Tier.FAST else Tier.FAST
        grade = 1.0 if each.agreement is Agreement.SAME else None
        verdict = DuelVerdict(id_, opened_at, each.answered, other, each.agreement, each.preferred, grade, grade, 1_000)
        entries.append(verdict)
    return entries


def some_texts(count: int, seed: int = 0) -> list[tuple[str, bool]]:
    """Questions about turbines, which are hard for the fast tier, and about gardens, which are not."""
    random = np.random.default_rng(seed)
    found = []
    for at in range(count):
        filler = " ".join(random.choice(["about", "under", "near", "with", "from", "over"], 6))
        text = f"question {filler} {SUBJECTS[at % 2]} number {random.integers(1000)} item {chr(97 + at % 26) * 4}"
        found.append((text, at % 2 == 0))
    return found


def some_duels(count: int, seed: int = 0) -> list[Told]:
    """Duels of such questions: the tiers mostly differ on turbines and mostly agree on gardens."""
    random = np.random.default_rng(seed)
    told = []
    for text, is_hard in some_texts(count, seed):
        is_same = random.random() < (0.2 if is_hard else 0.9)
        told.append(Told(text, agreement=Agreement.SAME if is_same else Agreement.DIFFERS))
    return told
