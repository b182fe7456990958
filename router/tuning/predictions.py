"""What versions of the policy were predicted to do, kept with them, and held against what they then did.

A prediction is the newest back-test or solution of a version before it came into force. What a version did is read of
the requests that it decided since then.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC
from typing import Any

import numpy as np
from sqlalchemy import Engine, func, insert, select

from classifier.types import UNKNOWN_INTERVAL, Z95, Interval
from router.database.engine import writing
from router.database.pace_tables import Prediction
from router.database.tables import PolicyEvent
from router.policies.dials import WrongPolicy
from router.policies.versions import PolicyAction
from router.reports.window import Window
from router.tuning.backtest import Backtest, Figures, as_it_was
from router.tuning.off_policy import Quality
from router.tuning.traffic import Traffic
from router.tuning.traffic_reader import read

IN_FORCE = (PolicyAction.ACTIVATED, PolicyAction.ROLLED_BACK)
QUALITY = "quality"
MOST_REALISED = 200_000  # requests that a version decided, the newest


@dataclass(frozen=True, slots=True)
class Predicted:
    """What a version was predicted to do: for all queries, or for those of a segment."""

    version: int
    made_by: str
    created_at_us: int
    since_us: int | None
    until_us: int | None
    requests: int
    segment: str | None
    figures: Mapping[str, Interval]


@dataclass(frozen=True, slots=True)
class Compared:
    """A figure as predicted and as it came; `is_outside` where they differ by more than chance, None not known."""

    figure: str
    predicted: Interval
    realised: Interval
    is_outside: bool | None


@dataclass(frozen=True, slots=True)
class Realised:
    """What a version has done since it came into force, beside what it was predicted to."""

    version: int
    since_us: int
    requests: int
    predicted: Predicted | None
    figures: tuple[Compared, ...]


def keep(
    engine: Engine,
    version: int,
    made_by: str,
    figures: Figures,
    quality: Quality,
    window: Window,
    requests: int,
    now_us: int,
    segment: str | None = None,
) -> None:
    """Keep what a version is predicted to do."""
    known = dict(figures)
    if quality.doubt is None:
        known[QUALITY] = quality.doubly_robust
    row = {
        "version": version,
        "segment": segment,
        "made_by": made_by,
        "created_at": now_us,
        "since": window.since_us,
        "until": window.until_us if window.until_us is not None else now_us,
        "requests": requests,
        "figures": {name: _encode_figure(figure) for name, figure in known.items()},
    }
    with writing(engine) as connection:
        connection.execute(insert(Prediction).values(**row))


def prediction_of(engine: Engine, version: int) -> Predicted | None:
    """Return the newest prediction of a version; None where there is none."""
    query = select(Prediction.__table__).where(Prediction.version == version).order_by(Prediction.id.desc()).limit(1)
    with engine.connect() as connection:
        row = connection.execute(query).one_or_none()
    if row is None:
        return None
    figures = {name: _decode_figure(figure) for name, figure in row.figures.items()}
    return Predicted(version, row.made_by, row.created_at, row.since, row.until, row.requests, row.segment, figures)


def was_in_force(engine: Engine, version: int) -> int | None:
    """Tell when a version first came into force, in microseconds; None where it never did."""
    actions = [act.value for act in IN_FORCE]
    query = select(func.min(PolicyEvent.created_at)).where(PolicyEvent.version == version, PolicyEvent.act.in_(actions))
    with engine.connect() as connection:
        since_us = connection.scalar(query)
    return None if since_us is None else int(since_us)


def read_realised(engine: Engine, version: int) -> Realised:
    """Return what a version has done since it came into force. Raises WrongPolicy where there is nothing to see."""
    since = was_in_force(engine, version)
    if since is None:
        raise WrongPolicy(f"version {version} has never been in force")
    predicted = prediction_of(engine, version)
    traffic = read(engine, Window(since, None, UTC), MOST_REALISED, version=version)
    if predicted is not None and predicted.segment is not None:
        traffic = _of_segment(traffic, predicted.segment)
    if not len(traffic):
        raise WrongPolicy(f"version {version} has decided no query by its score yet")
    came = measure(traffic)
    expected = predicted.figures if predicted is not None else {}
    compared = [_compare(name, expected.get(name, UNKNOWN_INTERVAL), figure) for name, figure in came.items()]
    return Realised(version, since, len(traffic), predicted, tuple(compared))


def measure(traffic: Traffic) -> dict[str, Interval]:
    """Return the figures of requests as they were answered, with the intervals of a back-test."""
    rated = traffic.rewards[~np.isnan(traffic.rewards)]
    figures = dict(Backtest(traffic).figures(as_it_was(traffic)))
    figures[QUALITY] = UNKNOWN_INTERVAL
    if len(rated) > 1:
        error = float(rated.std(ddof=1) / math.sqrt(len(rated)))
        figures[QUALITY] = Interval.around(float(rated.mean()), error)
    return figures


def _compare(name: str, predicted: Interval, came: Interval) -> Compared:
    """Compare what was predicted with what came: both err, so their difference errs by both."""
    error = math.hypot(predicted.error, came.error)
    difference = abs(predicted.value - came.value)
    return Compared(name, predicted, came, None if math.isnan(error + difference) else difference > Z95 * error)


def _of_segment(traffic: Traffic, segment: str) -> Traffic:
    if segment not in traffic.segment_names:
        return traffic.rows(slice(0, 0))
    return traffic.rows(traffic.segments == traffic.segment_names.index(segment))


def _encode_figure(figure: Interval) -> dict[str, float | None]:
    return {name: None if math.isnan(value) else value for name, value in asdict(figure).items()}


def _decode_figure(stored: Mapping[str, Any]) -> Interval:
    return Interval(**{name: math.nan if value is None else float(value) for name, value in stored.items()})
