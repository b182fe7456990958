"""What quality costs: points of a chart, whoever worked them out; reads those of a replayed set of questions.

Quality is from 0 to 1: the share of right answers of a question set, or mean feedback.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from router.money import NANO_PER_USD


class WrongReplay(ValueError):
    """A summary of `tierwise replay` cannot be read."""


@dataclass(frozen=True, slots=True)
class Estimated:
    """A value with its 95 % interval; the interval is None where it is not known."""

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Point:
    """One way to answer: always by one tier, by thresholds, as today. `kind` is tier, sweep, today or control.

    With a `doubt` the quality is the classifier's promise at the level of the labels: labels alone do not tell.
    """

    name: str
    kind: str
    cost_usd_per_1k: Estimated
    quality: Estimated
    deep_share: float | None = None
    doubt: str | None = None


@dataclass(frozen=True, slots=True)
class Tradeoff:
    """The points, where they come from, and why they should not be relied on, if so."""

    source: str
    points: Sequence[Point]
    doubt: str | None = None


def of_replay(path: Path) -> Tradeoff:
    """Read what `tierwise replay` wrote: its directory, or summary.json. Raises WrongReplay naming what is wrong."""
    file = path / "summary.json" if path.is_dir() else path
    try:
        rows = json.loads(file.read_text(encoding="utf-8"))
        points = [point for row in rows if (point := _point(row)) is not None]
        graded = max((int(row["graded"]) for row in rows), default=0)
    except OSError as error:
        raise WrongReplay(f"{file}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError) as error:
        raise WrongReplay(f"{file} is no summary of `tierwise replay`: {error!r}") from None
    doubt = None if points else "no answer was graded and priced"
    return Tradeoff(f"{graded} graded questions, replayed", points, doubt)


def _point(row: Mapping[str, Any]) -> Point | None:
    if row["accuracy"] is None or row["cost_nanousd_per_query"] is None:
        return None
    cost = float(Decimal(row["cost_nanousd_per_query"]) * 1_000 / NANO_PER_USD)
    name = str(row["tier"])
    return Point(
        "today" if name == "auto" else name,
        "today" if name == "auto" else "tier",
        Estimated(cost, None, None),
        Estimated(float(row["accuracy"]), float(row["low"]), float(row["high"])),
    )
