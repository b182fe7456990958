"""Reads how things are: providers' recent calls, scores against their reference, promises against feedback.

Bounded by numbers of rows, so it costs the same with a thousand requests in the books and with a billion.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sqlalchemy import Engine, select

from classifier.drift import CalibrationMonitor, Drift, ScoreStability
from classifier.model import DifficultyModel
from router.database import ids
from router.database.labels import read_label_texts
from router.database.tables import Call, Feedback, LabelText, Request
from router.errors import Cause
from router.ledger.cost_factors import read_forecasts
from router.ledger.feedback import correctness, promise_of
from router.reports.forecasts import ForecastQuality, judge
from router.types import FAILED_CALLS, CallStatus, Reason

MOST_CALLS = 10_000
MOST_SCORES = 5_000
MOST_FEEDBACK = 2_000
MOST_FORECASTS = 20_000  # requests
BINS = 20
FAILING, BROKEN = 0.05, 0.25  # shares of calls that failed, from where on a model needs a look, and is bad
UNSCORED = (Reason.OVERRIDE, Reason.EFFORT, Reason.HOUSEKEEPING, Reason.FALLBACK)
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class FailureCount:
    """How many calls failed for one reason, with the HTTP status of their provider where one came."""

    cause: str
    http_status: int | None
    calls: int


@dataclass(frozen=True, slots=True)
class ProviderHealth:
    """The recent calls of one model."""

    model: str
    calls: int
    failed: int
    cancelled: int
    unpriced: int
    first_p50_ms: float | None
    first_p95_ms: float | None
    whole_p50_ms: float | None
    whole_p95_ms: float | None
    last_failure_us: int | None
    failures: Sequence[FailureCount] = ()  # the commonest first

    @property
    def level(self) -> str:
        """How grave its failures are, from the first call on: bad, warning, or good."""
        return "bad" if self.failed_share > BROKEN else "warning" if self.failed_share > FAILING else "good"

    @property
    def failed_share(self) -> float:
        """The share of its calls that failed."""
        return self.failed / self.calls if self.calls else 0.0


@dataclass(frozen=True, slots=True)
class ProvidersHealth:
    """All models called since an instant; `is_cut` when there were more calls than are read."""

    models: Sequence[ProviderHealth]
    is_cut: bool


@dataclass(frozen=True, slots=True)
class Scores:
    """The last scores beside the reference: shares by bin, and how far apart they are."""

    drift: Drift
    edges: Sequence[float]
    shares: Sequence[float]
    reference: Sequence[float]


@dataclass(frozen=True, slots=True)
class CalibrationHealth:
    """What was promised and what feedback says, in groups of equal size."""

    gap: Drift
    error: float | None
    promised: Sequence[float]
    kept: Sequence[float]


def providers(engine: Engine, since_us: int) -> ProvidersHealth:
    """Read the newest calls since an instant, by model."""
    table = Call.__table__
    query = (
        select(
            table.c.request_id,
            table.c.provider_model_id,
            table.c.status,
            table.c.cause,
            table.c.http_status,
            table.c.cost_nanousd,
            table.c.first_token_ms,
            table.c.duration_ms,
        )
        .where(table.c.request_id >= ids.text_at(since_us // 1_000))
        .order_by(table.c.request_id.desc())
        .limit(MOST_CALLS)
    )
    by_model: dict[int, list[Any]] = {}
    with engine.connect() as connection:
        rows = connection.execute(query).all()
        labels = read_label_texts(connection)
    for row in rows:
        by_model.setdefault(row.provider_model_id, []).append(row)
    models = [_provider(labels.get(model, "unknown"), calls) for model, calls in by_model.items()]
    return ProvidersHealth(
        sorted(models, key=lambda model: (-model.failed_share, model.model)), len(rows) == MOST_CALLS
    )


def _provider(model: str, calls: Sequence[Any]) -> ProviderHealth:
    # What could not be sent failed too where there was a cause; what was called off before had none.
    failures = [call for call in calls if call.status in FAILED_CALLS or call.cause is not None]
    reasons = Counter((str(call.cause or Cause.UNKNOWN), call.http_status) for call in failures)
    first = [call.first_token_ms for call in calls if call.first_token_ms is not None]
    whole = [call.duration_ms for call in calls if call.duration_ms is not None and call.status == CallStatus.OK]
    return ProviderHealth(
        model,
        len(calls),
        len(failures),
        sum(call.status == CallStatus.CANCELLED for call in calls),
        sum(call.cost_nanousd is None and call.status != CallStatus.NOT_SENT for call in calls),
        _quantile(first, 0.5),
        _quantile(first, 0.95),
        _quantile(whole, 0.5),
        _quantile(whole, 0.95),
        max((int(call.request_id[:12], 16) * 1_000 for call in failures), default=None),
        [FailureCount(cause, status, count) for (cause, status), count in reasons.most_common()],
    )


def _quantile(values: Sequence[float], share: float) -> float | None:
    return float(np.quantile(values, share)) if values else None


def scores(engine: Engine, classifier: DifficultyModel) -> Scores:
    """Read the last scores of a classifier that decided something; those of others are on other scales."""
    table = Request.__table__
    newest = (
        select(table.c.score, table.c.reason, table.c.classifier_id).order_by(table.c.id.desc()).limit(2 * MOST_SCORES)
    )
    with engine.connect() as connection:
        rows = connection.execute(newest).all()
        own = connection.scalar(select(LabelText.id).where(LabelText.text == classifier.version))
    scored = [row.score for row in rows if row.reason not in UNSCORED and row.classifier_id == own]
    recent, expected = np.array(scored[:MOST_SCORES], np.float64), classifier.reference_scores
    stability = ScoreStability(expected, MOST_SCORES)
    for score in recent:
        stability.observe(float(score))
    both = np.concatenate([recent, expected])
    edges = np.linspace(float(both.min()), float(both.max()) + 1e-9, BINS + 1)
    return Scores(stability.reading(), edges.tolist(), _shares(recent, edges), _shares(expected, edges))


def forecasts(engine: Engine, since_us: int) -> ForecastQuality:
    """Judge the forecasts of what the newest requests since an instant cost."""
    first, last = ids.text_at(since_us // 1_000), ids.text_at(ids.END_OF_TIME_MS)
    oldest = select(Request.id).where(Request.id >= first).order_by(Request.id.desc()).offset(MOST_FORECASTS).limit(1)
    with engine.connect() as connection:
        return judge(read_forecasts(connection, connection.scalar(oldest) or first, last))


def _shares(values: Floats, edges: Floats) -> list[float]:
    counts = np.histogram(values, edges)[0]
    return [float(share) for share in counts / max(len(values), 1)]


def calibration(engine: Engine) -> CalibrationHealth:
    """Read the last feedback, and what was promised of those answers."""
    query = (
        select(Feedback.rating, Feedback.score, Request.p_fast, Request.p_reasoning, Request.final_tier)
        .join(Request, Request.id == Feedback.request_id)
        .order_by(Feedback.id.desc())
        .limit(MOST_FEEDBACK)
    )
    with engine.connect() as connection:
        rows = connection.execute(query).all()
    monitor, pairs = CalibrationMonitor(MOST_FEEDBACK), []
    for row in rows:
        correct = correctness(row.rating, row.score)
        if correct is not None:
            expected = promise_of(row.final_tier, row.p_fast, row.p_reasoning)
            monitor.observe(expected, correct)
            pairs.append((expected, correct))
    gap, error = monitor.gap(), monitor.ece()
    groups = np.array_split(np.array(sorted(pairs)), 10) if len(pairs) >= 10 else []
    return CalibrationHealth(
        gap,
        None if np.isnan(error) else error,
        [float(group[:, 0].mean()) for group in groups],
        [float(group[:, 1].mean()) for group in groups],
    )
