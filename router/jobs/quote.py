"""What a job is told to cost, take and be worth when it is accepted, each with the ends of 80 % of such jobs. Pure.

Courses of its recipe are imagined (`router.jobs.courses`), and each is given the lengths, prices and speeds that are
forecast for its calls. What past jobs cost and took beside their quotes then stretches the ends
(`router.jobs.calibration`). The most that a job may cost is no forecast: it is held, and never exceeded.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from router.jobs.bounds import LOST_CALLS
from router.jobs.calibration import JobCalibration, Spread
from router.jobs.courses import COURSES, CallGroup, Course, imagine
from router.jobs.outlooks import CallOutlook
from router.jobs.recipes import Recipe
from router.jobs.steps import JobBounds, JobStage, call_name, finish_bounds
from router.money import usd_text

Numbers = NDArray[np.float64]
NORMAL_80 = 1.2815515655446004  # how many standard deviations from the middle 10 % of a normal curve lie beyond
NORMAL_95 = 1.959963984540054
SHARED = 0.5  # of the variance of the logarithm of lengths: how far calls about one question are long together
SAMPLES_HELD = 16  # whose bounds are held in any case
HEADROOM = 3  # times the upper end of what is expected is held, where nobody names a limit
GRID = 10
LEAST_NANOUSD, LEAST_S = 1.0, 0.001
SEED = 80


class Chances(NamedTuple):
    """How likely an answer is right: at once, of a sample and of who finishes, and how far these may be off (80 %)."""

    before: float
    sampled: float
    finisher: float
    error: float

    @classmethod
    def of(cls, before: float, sampled: float, finisher: float, uncertainty: float) -> "Chances":
        """Take them from an estimate, whose uncertainty is the half of a 95 % interval."""
        return cls(before, sampled, finisher, uncertainty * NORMAL_80 / NORMAL_95)


class QueueView(NamedTuple):
    """How many jobs are in front, how many run at a time, and how long a job takes (None: no job has ended yet)."""

    position: int = 0
    at_once: int = 1
    usual_s: Spread | None = None


EMPTY_QUEUE = QueueView()


class JobQuote(msgspec.Struct, frozen=True):
    """The quote of one job. Costs in nano-dollars, None where a model has no price.

    `expected_nanousd` is the mean; `told_seconds` and `told_cost` are the forecasts before past jobs stretched them,
    kept so that this job can do so one day. `jobs` are the past jobs that did, 0 where there are too few.
    """

    recipe: str
    seconds: Spread
    cost: Spread | None
    expected_nanousd: int | None
    largest_nanousd: int | None
    p_before: Spread
    p_correct: Spread
    told_seconds: Spread
    told_cost: Spread | None
    position: int = 0
    wait: Spread | None = None
    jobs: int = 0


def quote_job(
    recipe: Recipe,
    bounds: JobBounds,
    outlooks: Mapping[str, CallOutlook],
    chances: Chances,
    calibration: JobCalibration,
    queue: QueueView = EMPTY_QUEUE,
) -> JobQuote:
    """Quote a job. `outlooks` are by `call_name`; the bounds' largest cost is of all calls, or the caller's cap."""
    courses = imagine(recipe, on_grid(chances.sampled), on_grid(chances.finisher))
    costs, seconds = _weigh(recipe, courses, outlooks, bounds.at_once)
    told_seconds = _spread(seconds, LEAST_S)
    told_cost = None if costs is None else _spread(costs, LEAST_NANOUSD)
    cost = None if told_cost is None else calibration.cost_of(recipe, told_cost)
    largest = largest_of(recipe, bounds, cost)
    mean = None if costs is None or told_cost is None or cost is None else costs.mean() * cost.median / told_cost.median
    if cost is not None and mean is not None and largest is not None:
        cost, mean = Spread(*(min(end, float(largest)) for end in cost)), min(mean, float(largest))
    run = calibration.seconds_of(recipe, told_seconds)
    wait = wait_for(queue)
    return JobQuote(
        recipe=recipe.name,
        seconds=Spread(*(min(end, bounds.limit_s) for end in run)) if wait is None else _add(run, wait),
        cost=cost,
        expected_nanousd=None if mean is None else round(mean),
        largest_nanousd=largest,
        p_before=_chance(chances.before, chances.error),
        p_correct=_p_correct(recipe, chances),
        told_seconds=told_seconds,
        told_cost=told_cost,
        position=queue.position,
        wait=wait,
        jobs=calibration.jobs_behind(recipe),
    )


def largest_of(recipe: Recipe, bounds: JobBounds, cost: Spread | None) -> int | None:
    """Return what is held for a job: what its bounds say at most, or less where a job hardly ever costs so much.

    Never less than its first samples, what may follow them, and calls that are lost with a worker could cost. None
    without prices and cap.
    """
    if bounds.largest_nanousd is None or cost is None:
        return bounds.largest_nanousd
    each = [bounds.of(JobStage.SAMPLE, model).nanousd or 0 for model in recipe.models]
    first = sum(each[i % len(each)] for i in range(min(SAMPLES_HELD, recipe.samples)))
    lost = LOST_CALLS * max(each)
    return min(bounds.largest_nanousd, lost + max(first + finish_bounds(recipe, bounds), round(cost.high * HEADROOM)))


def wait_for(queue: QueueView) -> Spread | None:
    """Say how long a job waits for those in front of it; None where it need not, or that is not known."""
    if not queue.position or queue.usual_s is None:
        return None
    rounds = -(-queue.position // max(queue.at_once, 1))
    middle = queue.usual_s.median * rounds
    return Spread(middle, middle * queue.usual_s.low / queue.usual_s.median, queue.usual_s.high * rounds)


def quote_fields(quote: JobQuote) -> dict[str, Any]:
    """Write a quote as clients read it, for the row of its tier; what is not known is null."""
    cost = quote.cost
    return {
        "p_correct": round(quote.p_correct.median, 4),
        "p_correct_interval": _ends(quote.p_correct, 4),
        "p_correct_now": round(quote.p_before.median, 4),
        "p_correct_now_interval": _ends(quote.p_before, 4),
        "expected_cost_usd": None if quote.expected_nanousd is None else usd_text(quote.expected_nanousd),
        "cost_usd": None if cost is None else {"low": usd_text(round(cost.low)), "high": usd_text(round(cost.high))},
        "largest_cost_usd": None if quote.largest_nanousd is None else usd_text(quote.largest_nanousd),
        "seconds": {name: round(value, 2) for name, value in quote.seconds._asdict().items()},
        "queue_position": quote.position,
        "wait_seconds": None if quote.wait is None else round(quote.wait.median, 2),
        "recipe": quote.recipe,
        "evidence": {
            "jobs": quote.jobs,
            "intervals": "from past jobs" if quote.jobs else "from forecasts alone: too few jobs have ended yet",
        },
    }


def _weigh(
    recipe: Recipe, courses: Sequence[Course], outlooks: Mapping[str, CallOutlook], at_once: int
) -> tuple[Numbers | None, Numbers]:
    """Give each course its cost and seconds, with lengths that differ by question and by call; the same each time."""
    random = np.random.default_rng(SEED)
    costs, seconds, is_priced = np.zeros(len(courses)), np.zeros(len(courses)), True
    for place, course in enumerate(courses):
        shared = float(random.standard_normal())
        for group in course.groups:
            looks = [outlooks[call_name(group.stage, model)] for model in group.models(recipe)]
            own = random.standard_normal(len(looks))
            for look, deviation in zip(looks, own, strict=True):
                if look.cost is None:
                    is_priced = False
                else:
                    costs[place] += _stretch(look.cost, shared, float(deviation))
            seconds[place] += _group_seconds(group, looks, shared, own, at_once)
    return costs if is_priced else None, seconds


def _group_seconds(group: CallGroup, looks: Sequence[CallOutlook], shared: float, own: Numbers, at_once: int) -> float:
    """How long calls take that begin together, so many at once: until as many came as were waited for."""
    each = [_stretch(look.seconds, shared, float(deviation)) for look, deviation in zip(looks, own, strict=True)]
    if all(look.is_batched for look in looks):
        return each[0]
    total = 0.0
    for first in range(0, group.came, at_once):
        batch = sorted(each[first : first + at_once])
        total += batch[min(group.came - first, len(batch)) - 1]
    return total


def _stretch(spread: Spread, shared: float, own: float) -> float:
    """Return the value of a spread that lies so many standard deviations from its middle."""
    deviation = shared * SHARED**0.5 + own * (1.0 - SHARED) ** 0.5
    return spread.at(deviation / NORMAL_80)


def _spread(values: Numbers, least: float) -> Spread:
    low, median, high = (max(float(np.quantile(values, share)), least) for share in (0.1, 0.5, 0.9))
    return Spread(median, low, high)


def _p_correct(recipe: Recipe, chances: Chances) -> Spread:
    """How likely the job's answer is right, at the middle and at both ends of what its models may be able to do."""

    def at(error: float) -> float:
        sampled, finisher = (_within(p + error) for p in (chances.sampled, chances.finisher))
        courses = imagine(recipe, on_grid(sampled), on_grid(finisher))
        right = sum(course.is_right for course in courses) / len(courses)
        return _within(right + finisher - on_grid(finisher)) if 0.0 < right < 1.0 else right

    middle, low, high = at(0.0), at(-chances.error), at(chances.error)
    noise = NORMAL_80 * (max(middle * (1.0 - middle), 0.01) / COURSES) ** 0.5
    return Spread(middle, _within(min(low, middle) - noise), _within(max(high, middle) + noise))


def on_grid(p: float) -> float:
    """Round a chance so far that its courses are mostly imagined already."""
    return round(round(p * GRID) / GRID, 4)


def _chance(p: float, error: float) -> Spread:
    return Spread(p, _within(p - error), _within(p + error))


def _within(p: float) -> float:
    return min(max(p, 0.0), 1.0)


def _add(one: Spread, other: Spread) -> Spread:
    """Add up two times that have nothing to do with each other."""
    median = one.median + other.median
    below = ((one.median - one.low) ** 2 + (other.median - other.low) ** 2) ** 0.5
    above = ((one.high - one.median) ** 2 + (other.high - other.median) ** 2) ** 0.5
    return Spread(median, max(median - below, 0.0), median + above)


def _ends(spread: Spread, digits: int) -> dict[str, float]:
    return {"low": round(spread.low, digits), "high": round(spread.high, digits)}
