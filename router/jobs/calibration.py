"""How far past jobs came out beside their quotes, and what that says of the next one. Pure.

A conformal interval: each past job's actual figure is placed on the scale of its own quote (0 at the middle, -1 and 1
at the ends), and the ends of the next quote are put where 10 % of those places lie beyond. It holds for jobs like the
past ones whatever their distribution, and follows them, for only the latest count.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from router.jobs.recipes import Recipe

ENOUGH_JOBS = 30
MOST_JOBS = 500  # the latest, of each kind
BEYOND = 0.1  # of jobs on either side
LEAST_WIDTH = 0.01  # of an end's logarithm, so that an interval without width can be stretched


class Spread(NamedTuple):
    """A figure with the ends of its 80 %."""

    median: float
    low: float
    high: float

    def place_of(self, actual: float) -> float:
        """Say where a figure lies: 0 at the middle, -1 and 1 at the ends, by logarithms."""
        off = math.log(max(actual, 1e-9) / self.median)
        return off / (self._above if off >= 0 else self._below)

    def at(self, place: float) -> float:
        """Return the figure at a place."""
        return self.median * math.exp(place * (self._above if place >= 0 else self._below))

    @property
    def _above(self) -> float:
        return max(math.log(max(self.high, self.median) / self.median), LEAST_WIDTH)

    @property
    def _below(self) -> float:
        return max(math.log(self.median / min(max(self.low, 1e-9), self.median)), LEAST_WIDTH)


class PastJob(NamedTuple):
    """What a job was told before any stretching, and what it came to; None is not known."""

    kind: str
    told_seconds: Spread
    seconds: float
    told_cost: Spread | None = None
    cost_nanousd: int | None = None


class Stretch80(NamedTuple):
    """Where the ends and the middle of 80 % of jobs lie on the scale of their quotes, and how many jobs say so."""

    low: float
    median: float
    high: float
    jobs: int

    def stretch(self, told: Spread) -> Spread:
        """Return the interval that past jobs speak for."""
        return Spread(told.at(self.median), told.at(self.low), told.at(self.high))


@dataclass(frozen=True, slots=True)
class JobCalibration:
    """What past jobs say, by kind of job; nothing of kinds of which too few have ended."""

    seconds: Mapping[str, Stretch80] = field(default_factory=dict)
    cost: Mapping[str, Stretch80] = field(default_factory=dict)
    usual_s: Spread | None = None  # how long a job takes, whatever it is

    @classmethod
    def of(cls, past: Iterable[PastJob]) -> "JobCalibration":
        """Learn from past jobs, the latest first."""
        seconds, costs, all_seconds = dict[str, list[float]](), dict[str, list[float]](), list[float]()
        for job in past:
            places = seconds.setdefault(job.kind, [])
            if len(places) < MOST_JOBS:
                places.append(job.told_seconds.place_of(job.seconds))
            if job.told_cost is not None and job.cost_nanousd is not None:
                places = costs.setdefault(job.kind, [])
                if len(places) < MOST_JOBS:
                    places.append(job.told_cost.place_of(float(job.cost_nanousd)))
            if len(all_seconds) < MOST_JOBS:
                all_seconds.append(max(job.seconds, 0.001))
        usual = sorted(all_seconds)
        middle = None if not usual else Spread(*(usual[int(share * (len(usual) - 1))] for share in (0.5, 0.1, 0.9)))
        return cls(_enough(seconds), _enough(costs), middle)

    def seconds_of(self, recipe: Recipe, told: Spread) -> Spread:
        """Stretch what a job is told to take."""
        known = self.seconds.get(kind_of(recipe))
        return told if known is None else known.stretch(told)

    def cost_of(self, recipe: Recipe, told: Spread) -> Spread:
        """Stretch what a job is told to cost."""
        known = self.cost.get(kind_of(recipe))
        return told if known is None else known.stretch(told)

    def jobs_behind(self, recipe: Recipe) -> int:
        """Return how many past jobs speak for a recipe's intervals; 0 where there are too few."""
        known = self.seconds.get(kind_of(recipe))
        return 0 if known is None else known.jobs


UNKNOWN = JobCalibration()


def kind_of(recipe: Recipe) -> str:
    """Name the kind of jobs that a recipe's are like: by its name, by whether its answers are voted on, by batches."""
    name = f"{recipe.name} open" if recipe.is_open else str(recipe.name)
    return f"{name} in batches" if recipe.batched else name


def _enough(places: Mapping[str, Sequence[float]]) -> dict[str, Stretch80]:
    return {kind: _stretch(sorted(found)) for kind, found in places.items() if len(found) >= ENOUGH_JOBS}


def _stretch(places: Sequence[float]) -> Stretch80:
    """Put the ends where a share of places lies beyond, counting the next job among them."""
    n = len(places)
    below = max(math.floor((n + 1) * BEYOND) - 1, 0)
    above = min(math.ceil((n + 1) * (1.0 - BEYOND)) - 1, n - 1)
    return Stretch80(places[below], places[(n - 1) // 2], places[above], n)


def past_job(told: Mapping[str, Any] | None, seconds: float, cost_nanousd: int) -> PastJob | None:
    """Read what was kept with a job that has ended; None for one that was told nothing."""
    if not told:
        return None
    cost = told.get("cost")
    told_cost = None if cost is None else Spread(*cost)
    return PastJob(told["kind"], Spread(*told["seconds"]), max(seconds, 0.001), told_cost, max(cost_nanousd, 1))
