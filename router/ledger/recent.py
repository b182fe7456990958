"""The last real decisions that a score made, of all workers: what a share cap starts from and what it is held against.

Made-up rows are no traffic and are left out.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NamedTuple

from sqlalchemy import Engine, func, select

from router.database.labels import read_label_texts
from router.database.tables import Request
from router.types import Reason, Tier

MOST_READ = 4_000
PAUSE_US = 5_000_000  # between two readings of so many: what is decided meanwhile moves their quantiles little
# A client's wish or a budget decided the others; what a score decided and a cap refused was still an `auto` query.
BY_SCORE = (
    Reason.BELOW_THRESHOLD,
    Reason.ABOVE_THRESHOLD,
    Reason.SHARE_CAP,
    Reason.TOO_COSTLY,
    Reason.BUDGET_SPENT,
    Reason.USER_ALLOWANCE,
    Reason.CAPABILITY,
    Reason.FOLLOW_UP,
    Reason.PUSHBACK,
    Reason.EXPLORED,
    Reason.FALLBACK,
)
NEWEST = select(Request.id).order_by(Request.id.desc()).limit(1)
NEWEST_BY_SCORE = (
    select(
        Request.segment_id,
        Request.classifier_id,
        Request.score,
        (Request.first_tier != Tier.FAST).label("is_deep"),
        func.coalesce(Request.cost_ratio, 1.0),
    )
    .where(Request.synthetic.is_(False), Request.reason.in_(BY_SCORE))
    .order_by(Request.id.desc())
    .limit(MOST_READ)
)


class RecentDecision(NamedTuple):
    """One decision as the books have it."""

    segment: str
    score: float
    is_deep: bool
    cost_ratio: float = 1.0  # 1 where nothing was forecast


@dataclass(frozen=True, slots=True)
class RecentSnapshot:
    """Decisions by the classifier that scored them, oldest first; `generation` moves with every change."""

    generation: int = 0
    by_classifier: Mapping[str, Sequence[RecentDecision]] = field(default_factory=lambda: MappingProxyType({}))


class RecentDecisions:
    """Follows the books from the shipping thread; `tell` takes each new snapshot."""

    def __init__(
        self,
        engine: Engine,
        now_us: Callable[[], int],
        tell: Callable[[RecentSnapshot], None] = lambda snapshot: None,
    ) -> None:
        self._engine = engine
        self._now_us = now_us
        self._tell = tell
        self._last: str | None = None
        self._rests_until_us = 0
        self.snapshot = RecentSnapshot()

    def refresh(self) -> None:
        """Read the last decisions if there are new ones, and not just after many were read; raises SQLAlchemyError."""
        now_us = self._now_us()
        if now_us < self._rests_until_us:
            return
        with self._engine.connect() as connection:
            last = connection.scalar(NEWEST)
            if last == self._last:
                return
            rows = connection.execute(NEWEST_BY_SCORE).all()
            labels = read_label_texts(connection)
        by_classifier: dict[str, list[RecentDecision]] = {}
        for segment_id, classifier_id, score, is_deep, cost_ratio in reversed(rows):
            decided = RecentDecision(labels[segment_id], score, is_deep, cost_ratio)
            by_classifier.setdefault(labels[classifier_id], []).append(decided)
        self._last = last
        if len(rows) == MOST_READ:
            self._rests_until_us = now_us + PAUSE_US
        self.snapshot = RecentSnapshot(self.snapshot.generation + 1, MappingProxyType(by_classifier))
        self._tell(self.snapshot)
