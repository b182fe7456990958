"""How often an agreement is right: counted per models and answer type, shrunk to the curve over all.

Eight of eight agreeing is right .92 of the time on one task and .50 on another, so no global number is used alone.
Labels come from feedback and from the shadow slice. The same counts tell when a weak model is not worth sampling.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from math import sqrt
from pathlib import Path
from typing import Any, Self

from router.tiers.vote.rates import wilson

SHARES = (0.4, 0.6, 0.8, 0.999)  # upper edges of all share bins but the last, which is full agreement
PRIOR = (0.35, 0.5, 0.65, 0.8, 0.9)
PRIOR_WEIGHT = 10.0  # how many graded queries the next wider curve counts for
LEAST_GRADED = 10
ENOUGH_EVIDENCE = 20  # queries like one, from which on what is known of them says how likely its answer is right
WINDOW = 500  # queries of a row after which its economics are halved
DOUBT = 0.84  # standard errors by which kept answers get the benefit of the doubt
SAVING_PER_POINT = 0.05  # accuracy that may be lost for one strong call saved


@dataclass(frozen=True, slots=True)
class VoteEnding:
    """How a vote ended: what a later label is booked under. Kept: the samples answered, not a strong tier."""

    models: str
    answer_type: str
    share: float
    samples: int
    was_kept: bool
    was_escalated: bool = False

    @property
    def key(self) -> str:
        """The row of the table."""
        return f"{self.models}|{self.answer_type}"


def agreement_key(models: Sequence[str], answer_type: str) -> str:
    """Return the row that votes of these models on this answer type belong to."""
    return f"{'+'.join(sorted(set(models)))}|{answer_type}"


@dataclass(slots=True)
class Row:
    """Counts of one (models, answer type): per share bin, and of what became of the queries."""

    right: list[float] = field(default_factory=lambda: [0.0] * len(PRIOR))
    graded: list[int] = field(default_factory=lambda: [0] * len(PRIOR))
    queries: float = 0
    samples: float = 0
    kept: float = 0
    kept_graded: float = 0
    kept_right: float = 0
    strong_graded: float = 0
    strong_right: float = 0

    def halve(self) -> None:
        """Let what was seen long ago count less: questions and models change."""
        for name in ("queries", "samples", "kept", "kept_graded", "kept_right", "strong_graded", "strong_right"):
            setattr(self, name, getattr(self, name) / 2)


class CalibrationTable:
    """Agreement share to P(correct), and whether sampling pays."""

    def __init__(self, rows: Mapping[str, Row] | None = None) -> None:
        self._rows: dict[str, Row] = dict(rows or {})
        self._all = Row()
        for row in self._rows.values():
            for b in range(len(PRIOR)):
                self._all.right[b] += row.right[b]
                self._all.graded[b] += row.graded[b]

    def saw(self, ended: VoteEnding) -> None:
        """Count a vote, graded or not: how many samples it took and whether its answer was kept."""
        row = self._rows.setdefault(ended.key, Row())
        if row.queries >= WINDOW:
            row.halve()
        row.queries += 1
        row.samples += ended.samples
        row.kept += ended.was_kept

    def learn(self, ended: VoteEnding, correct: float) -> None:
        """Book a label (0 to 1) of the answer that the client got."""
        row = self._rows.setdefault(ended.key, Row())
        if ended.was_escalated:
            row.strong_graded += 1
            row.strong_right += correct
            return
        b = share_bin(ended.share)
        for counts in (row, self._all):
            counts.right[b] += correct
            counts.graded[b] += 1
        if ended.was_kept:
            row.kept_graded += 1
            row.kept_right += correct

    def probability(self, key: str, share: float) -> float:
        """Return P(correct) of an answer with this share of the votes."""
        b = share_bin(share)
        overall = _shrunk(self._all.right[b], self._all.graded[b], PRIOR[b])
        row = self._rows.get(key)
        return _shrunk(row.right[b], row.graded[b], overall) if row else overall

    def evidence(self, key: str, share: float) -> int:
        """Return how many graded answers of this row and share bin there are."""
        row = self._rows.get(key)
        return row.graded[share_bin(share)] if row else 0

    def is_worth_sampling(self, key: str, p_strong: float, price_ratio: float) -> bool:
        """Tell whether sampling first, a strong call costing `price_ratio` samples, beats asking the strong tier.

        It does not where too few answers are kept to pay for the samples, nor where those kept are so much worse than
        the strong tier's that the saved calls do not make up for it.
        """
        row = self._rows.get(key)
        if row is None or row.queries < LEAST_GRADED:
            return True
        share = _shrunk(row.kept, row.queries, 0.5)
        saved = share - row.samples / row.queries / price_ratio
        if saved + DOUBT * _error(share, row.queries) <= 0:
            return False
        if row.kept_graded < LEAST_GRADED:
            return True
        strong = _shrunk(row.strong_right, row.strong_graded, p_strong)
        kept = _shrunk(row.kept_right, row.kept_graded, strong)
        lost = share * (strong - kept - DOUBT * _error(kept, row.kept_graded))
        return lost <= max(0.0, saved) * SAVING_PER_POINT

    def rows(self) -> list[dict[str, Any]]:
        """Return the table for operators: one line per (models, answer type, share bin) that was ever graded."""
        lines = []
        for key, row in sorted(self._rows.items()):
            models, _, answer_type = key.rpartition("|")
            for b, (low, high) in enumerate(zip((0.0, *SHARES), (*SHARES, 1.0), strict=True)):
                if row.graded[b]:
                    interval = wilson(row.right[b], row.graded[b])
                    p = self.probability(key, high)
                    lines.append(
                        {
                            "models": models,
                            "answer_type": answer_type,
                            "share_from": round(low, 2),
                            "share_to": round(high, 2),
                            "graded": row.graded[b],
                            "right": round(interval.value, 3),
                            "low": round(interval.low, 3),
                            "high": round(interval.high, 3),
                            "p_correct": round(p, 3),
                        }
                    )
        return lines

    def as_json(self) -> dict[str, Any]:
        """Return plain values to store."""
        return {key: asdict(row) for key, row in self._rows.items()}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        """Read what `as_json` gave."""
        return cls({key: Row(**row) for key, row in stored.items()})

    def save(self, file: Path) -> None:
        """Keep the table in a file; the last of several workers to stop wins."""
        draft = file.with_suffix(".draft")
        draft.write_text(json.dumps(self.as_json()))
        draft.replace(file)

    @classmethod
    def load(cls, file: Path) -> Self:
        """Read what `save` kept; an absent or damaged file is an empty table, for labels will fill it again."""
        try:
            return cls.from_json(json.loads(file.read_text()))
        except (OSError, ValueError, TypeError, AttributeError):
            return cls()


def share_bin(share: float) -> int:
    """Return the bin of an agreement share; the last is full agreement."""
    return sum(share > edge for edge in SHARES)


def _shrunk(right: float, graded: float, towards: float) -> float:
    return (right + PRIOR_WEIGHT * towards) / (graded + PRIOR_WEIGHT)


def _error(share: float, n: float) -> float:
    """Return the standard error of a share, as if a few more had been seen."""
    return sqrt(share * (1 - share) / (n + PRIOR_WEIGHT))
