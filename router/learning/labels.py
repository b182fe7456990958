"""What is known of how right each tier was: feedback, duels, weak signals; each with its source, weight and bias.

Reads the kept features of a stretch of time with all that was learnt about those requests. No text is involved. What
to make of it (which labels to believe how far) is said here, in one table; `examples` turns it into examples.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Engine, text

from classifier.rows import ROW_FORMAT, ReadFeatures, RowError, unpack
from router.database import codes, ids
from router.ledger.feedback import correctness
from router.reports.window import Window
from router.types import Agreement, Outcome, Reason, Signal, Tier

MOST_ROWS = 100_000  # of kept features, the newest


class Source(StrEnum):
    """Where a label comes from."""

    SCORE = "feedback score"
    RATING = "thumbs"
    JUDGED = "duel, judged"
    AGREED = "duel, agreement"
    REGENERATE = "regenerate"
    PUSHBACK = "pushback"
    DEEPER = "asked for a deeper tier"
    ABANDONED = "stream abandoned"


@dataclass(frozen=True, slots=True)
class Trust:
    """How much a label of a source weighs, and in which way it is wrong."""

    weight: float
    bias: str


TRUST: Mapping[Source, Trust] = {
    Source.SCORE: Trust(1.0, "whoever grades chooses what to grade"),
    Source.RATING: Trust(0.7, "few rate, and rather when they are displeased; a liked answer need not be right"),
    Source.JUDGED: Trust(0.7, "a model's taste: longer and more confident answers win too often; both may be wrong"),
    Source.AGREED: Trust(1.0, "two models may be wrong alike; who is right where they differ leans on the classifier"),
    Source.REGENERATE: Trust(0.2, "may be curiosity or a client's retry; silence is no praise"),
    Source.PUSHBACK: Trust(0.2, "people object to right answers too; silence is no praise"),
    Source.DEEPER: Trust(0.2, "says that more was wished for, not that the answer was wrong"),
    Source.ABANDONED: Trust(0.1, "people leave when they have read enough"),
}
WEAK: Mapping[Source, float] = {
    Source.REGENERATE: 0.35,
    Source.PUSHBACK: 0.25,
    Source.DEEPER: 0.35,
    Source.ABANDONED: 0.4,
}
_OF_SIGNAL = {Signal.REGENERATE: Source.REGENERATE, Signal.PUSHBACK: Source.PUSHBACK, Signal.DEEPER: Source.DEEPER}


@dataclass(frozen=True, slots=True)
class Label:
    """How right a tier was, 0 to 1, by one source."""

    tier: Tier
    value: float
    source: Source


@dataclass(frozen=True, slots=True)
class DuelOutcome:
    """A duel that came to something: whether the answers agree by their form, whether a judge prefers the fast one."""

    agreement: Agreement
    answered: Tier
    prefers_fast: bool | None = None  # None: nobody judged

    @property
    def source(self) -> Source:
        """What kind of label it is."""
        return Source.AGREED if self.prefers_fast is None else Source.JUDGED


@dataclass(slots=True)
class LabelledRequest:
    """One request that can be learnt from; `contest` is its duel, which is believed so far only."""

    at_us: int
    seen: ReadFeatures
    score: float
    p_fast: float
    p_reasoning: float
    propensity: float
    answered: Tier
    is_scored: bool
    labels: list[Label] = field(default_factory=list)
    contest: DuelOutcome | None = None

    @property
    def is_labelled(self) -> bool:
        """Tell whether anything is known that counts as evidence on its own."""
        return self.contest is not None or any(label.source not in WEAK for label in self.labels)


def read(engine: Engine, window: Window) -> list[LabelledRequest]:
    """Read what can be learnt from in a window, oldest first; features of other formats are passed over."""
    low = ids.first_at((window.since_us or 0) // 1_000)
    high = ids.END_OF_TIME_MS << 80 if window.until_us is None else ids.first_at(window.until_us // 1_000)
    if high <= low:
        return []
    with engine.connect() as connection:
        rows = _fetch(connection, ROWS, "f.request_id", low, high, format=ROW_FORMAT, most=MOST_ROWS)[::-1]
        if not rows:
            return []
        labelled_requests = {row[0]: _request_of(row) for row in rows if _is_readable(row[1])}
        low = int.from_bytes(rows[0][0], "big")
        _take(labelled_requests, _feedback(_fetch(connection, FEEDBACK, "f.request_id", low, high)), only_last=True)
        _take(labelled_requests, _signals(_fetch(connection, SIGNALS, "r.id", low, high)))
        for id, agreement, preferred, answered in _fetch(connection, DUELS, "d.request_id", low, high):
            if id in labelled_requests:
                labelled_requests[id].contest = _contest(
                    _AGREEMENTS[agreement], _TIERS.get(preferred), _TIERS[answered]
                )
    return list(labelled_requests.values())


ROWS = """
SELECT {id} AS id, f.row, r.score, r.p_fast, r.p_reasoning, r.propensity, r.final_tier, r.reason, r.outcome,
    r.first_byte_ms
FROM feature_rows f JOIN requests r ON r.id = f.request_id
WHERE {between} AND f.format = :format AND NOT r.synthetic ORDER BY f.request_id DESC LIMIT :most
"""
FEEDBACK = "SELECT {id} AS id, f.rating, f.score FROM feedback f WHERE {between} ORDER BY f.id"
DUELS = "SELECT {id} AS id, d.agreement, d.preferred, d.answered_tier FROM duels d WHERE {between}"
SIGNALS = "SELECT {previous} AS id, r.signal FROM requests r WHERE {between} AND r.previous_id IS NOT NULL"
_TIERS = {code: tier for tier, code in codes.TIERS.items()}
_AGREEMENTS = {code: agreement for agreement, code in codes.AGREEMENTS.items()}
_SIGNALS = {code: signal for signal, code in codes.SIGNALS.items()}
_UNSCORED = {codes.REASONS[reason] for reason in (Reason.OVERRIDE, Reason.EFFORT, Reason.HOUSEKEEPING)}


def _fetch(connection: Connection, query: str, column: str, low: int, high: int, **more: int) -> Sequence[Any]:
    dialect = connection.dialect.name
    names = {
        "id": ids.as_bytes(dialect, column),
        "previous": ids.as_bytes(dialect, "r.previous_id"),
        "between": ids.between(dialect, column),
    }
    return connection.execute(text(query.format(**names)), {**ids.bounds(dialect, low, high), **more}).fetchall()


def _is_readable(row: bytes) -> bool:
    try:
        unpack(bytes(row))
    except RowError:
        return False
    return True


def _request_of(row: Any) -> LabelledRequest:
    id, packed, score, p_fast, p_reasoning, propensity, tier, reason, outcome, first_byte_ms = row
    labelled_request = LabelledRequest(
        at_us=(int.from_bytes(id, "big") >> 80) * 1_000,
        seen=unpack(bytes(packed)),
        score=float(score),
        p_fast=float(p_fast),
        p_reasoning=float(p_reasoning),
        propensity=float(propensity),
        answered=_TIERS[tier],
        is_scored=reason not in _UNSCORED,
    )
    if outcome == codes.OUTCOMES[Outcome.CANCELLED] and first_byte_ms is not None:
        labelled_request.labels.append(Label(labelled_request.answered, WEAK[Source.ABANDONED], Source.ABANDONED))
    return labelled_request


def _feedback(rows: Iterable[Any]) -> Iterable[tuple[bytes, Source, float]]:
    """Turn scores and thumbs into labels; indifference is none."""
    for id, rating, score in rows:
        if (value := correctness(rating, score)) is not None:
            yield id, Source.RATING if score is None else Source.SCORE, value


def _signals(rows: Iterable[Any]) -> Iterable[tuple[bytes, Source, float]]:
    for id, signal in rows:
        if signal is not None:
            source = _OF_SIGNAL[_SIGNALS[signal]]
            yield id, source, WEAK[source]


def _take(
    labelled_requests: Mapping[bytes, LabelledRequest],
    labels: Iterable[tuple[bytes, Source, float]],
    *,
    only_last: bool = False,
) -> None:
    """Add labels of the tier that answered; with `only_last` a later one replaces an earlier one."""
    newest: dict[bytes, Label] = {}
    for id, source, value in labels:
        labelled_request = labelled_requests.get(id)
        if labelled_request is None or labelled_request.answered is Tier.PARALLEL:
            continue
        label = Label(labelled_request.answered, value, source)
        if only_last:
            newest[id] = label
        else:
            labelled_request.labels.append(label)
    for id, label in newest.items():
        labelled_requests[id].labels.append(label)


def _contest(agreement: Agreement, preferred: Tier | None, answered: Tier) -> DuelOutcome | None:
    if agreement is Agreement.UNCLEAR and preferred is None:
        return None
    return DuelOutcome(agreement, answered, None if preferred is None else preferred is Tier.FAST)
