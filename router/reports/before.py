"""A window beside the one before it: what changed, and how much of that chance alone can explain.

Both are cut into the same steps, days where there are at least a week of them and hours else, and step is held against
step. How far the differences of the pairs lie apart says how sure the change is.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime
from decimal import Decimal

from sqlalchemy import Engine

from classifier.types import Z95, Interval
from router.money import usd_text
from router.reports.formatting import UNKNOWN, format_count, format_share, format_usd
from router.reports.queries import NO_PRICE, NO_REQUESTS, NO_REVENUE, SHARE_DIGITS, Filters, Sums, sum_by
from router.reports.reading import reading
from router.reports.stamp import iso
from router.reports.window import Window
from router.types import HOUR_US

LEAST_STEPS = 7  # with fewer, an interval would say more of luck than of the change
TOO_FEW_STEPS = f"fewer than {LEAST_STEPS} steps"
NOTHING_LEFT = -1.0  # no relative change lies below
NOTHING_BEFORE = "nothing above zero in the window before"


@dataclass(frozen=True, slots=True)
class ComparedFigure:
    """What is compared: a sum, or where there is a `part_of`, a ratio of two sums times `scale`."""

    name: str
    part: Callable[[Sums], int]
    part_of: Callable[[Sums], int] | None = None
    unit: str = "nanousd"
    scale: int = 1
    unknown: Callable[[Sums], str | None] = lambda sums: None
    may_be_negative: bool = False


def _without_cost(sums: Sums) -> str | None:
    return None if sums.has_cost else NO_PRICE


def _without_revenue(sums: Sums) -> str | None:
    return None if sums.has_revenue else NO_REVENUE


FIGURES = (
    ComparedFigure("requests", lambda s: s.requests, unit="count"),
    ComparedFigure("cost_usd", lambda s: s.cost_nanousd, unknown=_without_cost),
    ComparedFigure("expected_revenue_usd", lambda s: s.expected_nanousd, unknown=_without_revenue),
    ComparedFigure(
        "contribution_usd",
        lambda s: s.expected_nanousd - s.cost_nanousd,
        unknown=lambda s: _without_cost(s) or _without_revenue(s),
        may_be_negative=True,
    ),
    ComparedFigure(
        "cost_per_thousand_usd",
        lambda s: s.cost_nanousd,
        lambda s: s.requests,
        scale=1_000,
        unknown=_without_cost,
    ),
    ComparedFigure("deep_share", lambda s: s.deep, lambda s: s.requests, unit="share"),
)


@dataclass(frozen=True, slots=True)
class Change:
    """One figure of both windows, and the change in its unit and in parts of what was before; None is unknown."""

    name: str
    before: str | None
    now: str | None
    change: Mapping[str, str | None] | None
    relative: Mapping[str, str | None] | None
    unknown_because: str | None


@dataclass(frozen=True, slots=True)
class Before:
    """The window before, its figures beside those of now, and the steps that were held against each other."""

    window: Window
    step: str
    steps: int
    changes: Sequence[Change]

    def fields(self) -> dict[str, object]:
        """Write it as JSON has it."""
        ends = {"since": iso(self.window.since_us), "until": iso(self.window.until_us)}
        return {
            "window": ends,
            "step": self.step,
            "steps": self.steps,
            "changes": {
                change.name: {name: value for name, value in asdict(change).items() if name != "name"}
                for change in self.changes
            },
        }

    def describe(self) -> str:
        """Say what is held against what, and how sure the intervals are."""
        steps = f"{self.steps} {self.step}s" if self.steps > 1 else f"one {self.step}"
        if self.steps < LEAST_STEPS:
            return f"{self.window.describe()}: {steps}, too few for intervals"
        return f"{self.window.describe()}: {steps} held against each other, one by one"


def change_cells(change: Change) -> tuple[str, ...]:
    """Write a change for the eye, in CHANGE_COLUMNS."""
    unit = _UNITS[change.name]
    cells = [change.name.removesuffix("_usd").replace("_", " "), _WRITE[unit](change.before), _WRITE[unit](change.now)]
    for found, write in (
        (change.change, _points if unit == "share" else _WRITE[unit]),
        (change.relative, format_share),
    ):
        cells += [UNKNOWN, UNKNOWN] if found is None else _cells_with_sign(found, write)
    return tuple(cells)


def _cells_with_sign(found: Mapping[str, str | None], write: Callable[[object], str]) -> list[str]:
    def with_sign(value: str | None) -> str:
        text = write(value)
        return text if value is None or Decimal(value) <= 0 else f"+{text}"

    low, high = with_sign(found["low"]), with_sign(found["high"])
    return [with_sign(found["value"]), UNKNOWN if found["low"] is None else f"{low} to {high}"]


def _points(value: object) -> str:
    return format_share(value).replace(" %", " points")


CHANGE_COLUMNS = ("figure", "before", "now", "change", "95 % interval", "relative", "95 % of that")
_UNITS = {figure.name: figure.unit for figure in FIGURES}
_WRITE: Mapping[str, Callable[[object], str]] = {"count": format_count, "share": format_share, "nanousd": format_usd}


def compare_before(engine: Engine, window: Window, where: Filters | None = None) -> Before | None:
    """Hold a window against the one before it; None where there is none before."""
    previous = window.previous
    if previous is None:
        return None
    step, count = _steps(window)
    now, then = (_by_step(engine, one, step, count, where or {}) for one in (window, previous))
    return Before(previous, step, count, compare(then, now))


def compare(before: Sequence[Sums], now: Sequence[Sums]) -> list[Change]:
    """Compare figure by figure; both have a row for each step, in the order of time."""
    return [_change(figure, before, now) for figure in FIGURES]


def _change(figure: ComparedFigure, before: Sequence[Sums], now: Sequence[Sums]) -> Change:
    old, new = total_of(before), total_of(now)
    because = figure.unknown(old) or figure.unknown(new)
    if because is None and figure.part_of is not None and not (figure.part_of(old) and figure.part_of(new)):
        because = NO_REQUESTS
    texts = [_text(figure, _value(figure, sums)) if _is_known(figure, sums) else None for sums in (old, new)]
    if because is not None:
        return Change(figure.name, texts[0], texts[1], None, None, because)
    was, came = _value(figure, old), _value(figure, new)
    pulls = [_pull(figure, then, old, was) for then in before], [_pull(figure, at, new, came) for at in now]
    change = _estimate(float(came - was), [b - a for a, b in zip(*pulls, strict=True)])
    if was <= 0:
        return Change(figure.name, texts[0], texts[1], _fields(figure, change), None, NOTHING_BEFORE)
    ratio, base = float(came / was), float(was)
    relative = _estimate(ratio - 1, [(b - ratio * a) / base for a, b in zip(*pulls, strict=True)])
    if not figure.may_be_negative:
        relative = replace(relative, low=max(relative.low, NOTHING_LEFT))
    return Change(figure.name, texts[0], texts[1], _fields(figure, change), _shares(relative), None)


def _is_known(figure: ComparedFigure, sums: Sums) -> bool:
    return figure.unknown(sums) is None and (figure.part_of is None or bool(figure.part_of(sums)))


def _value(figure: ComparedFigure, sums: Sums) -> Decimal:
    part = Decimal(figure.part(sums)) * figure.scale
    return part if figure.part_of is None else part / figure.part_of(sums)


def _pull(figure: ComparedFigure, step: Sums, total: Sums, value: Decimal) -> float:
    """What a step adds to the figure: its sum, or by how much it pulls a ratio towards itself (linearised)."""
    if figure.part_of is None:
        return float(figure.part(step))
    part, of = figure.part(step) * figure.scale, figure.part_of(step)
    return (part - float(value) * of) / figure.part_of(total)


def _estimate(value: float, pulls: Sequence[float]) -> Interval:
    """A sum of pairs' differences with its interval: Student's t, and never narrower than neighbours let it be."""
    count = len(pulls)
    if count < LEAST_STEPS:
        return Interval(value, math.nan, math.nan)
    mean = math.fsum(pulls) / count
    rests = [pull - mean for pull in pulls]
    alone = math.fsum(rest * rest for rest in rests)
    reach = int(4 * (count / 100) ** (2 / 9))
    together = alone + 2 * math.fsum(
        (1 - lag / (reach + 1)) * math.fsum(a * b for a, b in zip(rests[lag:], rests, strict=False))
        for lag in range(1, reach + 1)
    )
    half = t95(count - 1) * math.sqrt(max(alone, together) * count / (count - 1))
    return Interval(value, value - half, value + half)


def t95(freedom: int) -> float:
    """The 97.5 % quantile of Student's t, from the normal's (Abramowitz and Stegun 26.7.5); within 0.1 % from 6 on."""
    z = Z95
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92_160,
    )
    return float(z + sum(term / freedom ** (place + 1) for place, term in enumerate(terms)))


def total_of(steps: Sequence[Sums]) -> Sums:
    """Add steps up."""
    total = Sums()
    for step in steps:
        total.add(step.facts, step.largest, step.made_up)
    return total


def _steps(window: Window) -> tuple[str, int]:
    """How a window with a beginning is cut: into how many days or hours."""
    begin_us, end_us = _ends(window)
    days = (_day(end_us - 1, window) - _day(begin_us, window)).days + 1
    if days >= LEAST_STEPS:
        return "day", days
    return "hour", -(-(end_us - _hour(begin_us, window)) // HOUR_US)


def _by_step(engine: Engine, window: Window, step: str, count: int, where: Filters) -> list[Sums]:
    """The sums of each step; one in which nothing came in has none."""
    sums = [Sums() for _ in range(count)]
    begin_us, _ = _ends(window)
    first_day, first_hour_us = _day(begin_us, window), _hour(begin_us, window)
    with reading(engine, window) as books:
        rows = sum_by(books, [step], where).rows
    for (label,), found in rows.items():
        if label is None:
            continue
        if step == "day":
            place = (date.fromisoformat(label) - first_day).days
        else:
            place = (_us(datetime.fromisoformat(label)) - first_hour_us) // HOUR_US
        sums[min(max(place, 0), count - 1)].add(found.facts, found.largest, found.made_up)
    return sums


def _ends(window: Window) -> tuple[int, int]:
    end_us = window.now_us if window.until_us is None else window.until_us
    begin_us = window.since_us or 0
    return begin_us, max(end_us or begin_us, begin_us + 1)


def _day(at_us: int, window: Window) -> date:
    return _at(at_us).astimezone(window.zone).date()


def _hour(at_us: int, window: Window) -> int:
    """The beginning of an instant's hour in the zone of the window."""
    return _us(_at(at_us).astimezone(window.zone).replace(minute=0, second=0, microsecond=0))


def _at(at_us: int) -> datetime:
    return datetime.fromtimestamp(at_us / 1e6, UTC)


def _us(moment: datetime) -> int:
    return round(moment.timestamp()) * 1_000_000


def _text(figure: ComparedFigure, value: Decimal | float) -> str:
    match figure.unit:
        case "count":
            return str(round(value))
        case "share":
            return str(Decimal(value).quantize(SHARE_DIGITS))
        case _:
            return usd_text(round(value))


def _fields(figure: ComparedFigure, change: Interval) -> dict[str, str | None]:
    return _ends_as(lambda end: _text(figure, end), change)


def _shares(relative: Interval) -> dict[str, str | None]:
    return _ends_as(lambda end: str(Decimal(end).quantize(SHARE_DIGITS)), relative)


def _ends_as(write: Callable[[float], str], found: Interval) -> dict[str, str | None]:
    ends = {"value": found.value, "low": found.low, "high": found.high}
    return {name: None if math.isnan(end) else write(end) for name, end in ends.items()}
