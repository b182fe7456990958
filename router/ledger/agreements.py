"""What is known of agreements among samples: how votes ended, and which of the answers were right.

Rows of the books, so that all workers and replicas know the same: a vote's row comes with its request, a label is
feedback on it, the last one given. Reading blocks; it belongs off the event loop.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, Select, case, func, select

from router.database.coverage_tables import StoredVote
from router.database.labels import read_label_texts
from router.database.tables import Feedback
from router.ledger.entries import VoteEnding
from router.ledger.feedback import correctness

MOST_VOTES = 20_000  # the newest votes that count
MOST_LABELS = 5_000  # the newest feedback that is looked through
LOOKED_EVERY_US = 2_000_000
READ_ANEW_US = 60_000_000
NEWEST = select(
    select(func.max(Feedback.id)).scalar_subquery(),
    select(StoredVote.request_id).order_by(StoredVote.request_id.desc()).limit(1).scalar_subquery(),
)


@dataclass(frozen=True, slots=True)
class GradedVote:
    """A vote and how right (0 to 1) the answer was that the client got."""

    ending: VoteEnding
    correct: float


@dataclass(frozen=True, slots=True)
class VoteCounts:
    """The votes of one (models, answer type): how many, the samples they took, and how many no strong tier answered."""

    models: str
    answer_type: str
    queries: int
    samples: int
    kept: int


@dataclass(frozen=True, slots=True)
class VoteEvidence:
    """All that is known: counts of recent votes, and the graded ones, the oldest first."""

    counts: Sequence[VoteCounts] = ()
    graded: Sequence[GradedVote] = ()


def read_evidence(engine: Engine) -> VoteEvidence:
    """Read the recent votes and their labels. Raises SQLAlchemyError."""
    with engine.connect() as connection, connection.begin():
        counted, labelled = connection.execute(_counts_query()).all(), connection.execute(_query_of_labels()).all()
        texts = read_label_texts(connection)
    counts = [
        VoteCounts(texts[row.models_id], texts[row.answer_type_id], row.queries, int(row.samples), int(row.kept))
        for row in counted
    ]
    return VoteEvidence(counts, _grades_of(labelled, texts))


class EvidenceFollower:
    """Reads the evidence anew when something has come to it, at most every two seconds, and hands it over."""

    def __init__(self, engine: Engine, now_us: Callable[[], int], take: Callable[[VoteEvidence], None]) -> None:
        self._engine = engine
        self._now_us = now_us
        self._take = take
        self._seen: tuple[object, ...] = ()
        self._looked_us = 0

    def follow(self) -> None:
        """Look whether there is something new. Raises SQLAlchemyError."""
        now_us = self._now_us()
        if now_us - self._looked_us < LOOKED_EVERY_US:
            return
        self._looked_us = now_us
        with self._engine.connect() as connection:
            # A vote that was shipped late is not the newest.
            newest = (*connection.execute(NEWEST).one(), now_us // READ_ANEW_US)
        if newest != self._seen:
            self._take(read_evidence(self._engine))
            self._seen = newest


def _counts_query() -> Select[Any]:
    table = StoredVote.__table__.c
    recent = select(table.models_id, table.answer_type_id, table.samples, table.is_escalated)
    newest = recent.where(table.samples > 0).order_by(table.request_id.desc()).limit(MOST_VOTES).subquery().c
    kept = func.sum(case((newest.is_escalated, 0), else_=1))
    query = select(
        newest.models_id,
        newest.answer_type_id,
        func.count().label("queries"),
        func.sum(newest.samples).label("samples"),
        kept.label("kept"),
    )
    return query.group_by(newest.models_id, newest.answer_type_id)


def _query_of_labels() -> Select[Any]:
    """The votes of the newest labels, the oldest label first."""
    given = select(Feedback.id, Feedback.request_id, Feedback.rating, Feedback.score)
    newest = given.order_by(Feedback.id.desc()).limit(MOST_LABELS).subquery()
    query = select(StoredVote.__table__, newest.c.rating, newest.c.score).join(
        newest, newest.c.request_id == StoredVote.request_id
    )
    return query.order_by(newest.c.id)


def _grades_of(labelled: Sequence[Any], texts: dict[int, str]) -> list[GradedVote]:
    """Return the votes with their labels; of several on one answer the last one counts."""
    graded: dict[str, GradedVote] = {}
    for row in labelled:
        correct = correctness(row.rating, row.score)
        if correct is not None:
            graded.pop(row.request_id, None)
            graded[row.request_id] = GradedVote(_ending(row, texts), correct)
    return list(graded.values())


def _ending(row: Any, texts: dict[int, str]) -> VoteEnding:
    return VoteEnding(
        request_id=row.request_id,
        models=texts[row.models_id],
        answer_type=texts[row.answer_type_id],
        stop_reason=texts[row.stop_reason_id],
        samples=row.samples,
        voters=row.voters,
        unreadable=row.unreadable,
        leader=row.leader,
        second=row.second,
        is_escalated=row.is_escalated,
        agrees=row.agrees,
        confidence=row.confidence,
        p_sampled=row.p_sampled,
        p_strong=row.p_strong,
        judge=None if row.judge_id is None else texts[row.judge_id],
        judge_accepts=row.judge_accepts,
    )
