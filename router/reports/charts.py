"""Charts as SVG text: no script, no font, no network; colours come from the page, so light, dark and print agree.

Everything is drawn on a canvas 420 wide, which is about a phone's width, so that text stays readable there.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from html import escape

from router.reports.formatting import axis_texts, format_money, format_short, money_digits

WIDTH, HEIGHT = 420, 230
LEFT, RIGHT, TOP, BOTTOM = 52, 8, 10, 26
WIDEST_BAR = 36.0
LETTER = 6.2  # about how wide one is, in the size of the names below an axis


@dataclass(frozen=True, slots=True)
class Series:
    """One named run of values; None is unknown and leaves a gap. `look` is its class in the page's style sheet."""

    name: str
    look: str
    values: Sequence[Decimal | None]


def stack_bars(label: str, names: Sequence[str], bars: Sequence[Series], line: Series | None, unit: str) -> str:
    """Draw bars stacked over a row of names, and a line to compare them with; `label` says what it is in words."""
    sums = [sum((s.values[place] or Decimal(0) for s in bars), Decimal(0)) for place in range(len(names))]
    along = [value for value in line.values if value is not None] if line else []
    scale = _Scale(max([*sums, *along, Decimal(0)]), unit)
    step = (WIDTH - LEFT - RIGHT) / max(len(names), 1)
    wide = _bar_width(step)
    drawn = [scale.axis()]
    for place, name in enumerate(names):
        base = Decimal(0)
        for one in bars:
            value = max(one.values[place] or Decimal(0), Decimal(0))
            y, height = scale.y(base + value), scale.y(base) - scale.y(base + value)
            title = f"<title>{escape(f'{name}, {one.name}: {format_short(value, unit)}')}</title>"
            drawn.append(
                f'<rect class="{one.look}" x="{LEFT + (place + 0.5) * step - wide / 2:.1f}" y="{y:.1f}" '
                f'width="{wide:.1f}" height="{height:.1f}">{title}</rect>'
            )
            base += value
    if line:
        drawn += _lines(line, scale, step)
    drawn += _names(names, step)
    return svg(HEIGHT, drawn, label)


def around_zero(label: str, names: Sequence[str], line: Series, unit: str) -> str:
    """Draw one bar per name, up or down from nothing, in the looks `gain` and `loss`."""
    known = [value for value in line.values if value is not None]
    high, low = max([*known, Decimal(0)]), min([*known, Decimal(0)])
    step_value = axis_step(float(max(high, -low)))
    top, bottom = math.ceil(float(high) / step_value - 1e-9), math.floor(float(low) / step_value + 1e-9)
    top = max(top, bottom + 1)
    span = HEIGHT - TOP - BOTTOM

    def y(value: float) -> float:
        return TOP + (top * step_value - value) / ((top - bottom) * step_value) * span

    drawn = []
    marks = [Decimal(repr(round(number * step_value, 12))) for number in range(bottom, top + 1)]
    for mark, text in zip(marks, axis_texts(marks, unit), strict=True):
        at = y(float(mark))
        look = "axis" if mark == 0 else "grid"
        drawn.append(f'<line class="{look}" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>')
        drawn.append(f'<text x="{LEFT - 5}" y="{at + 4:.1f}" class="end">{text}</text>')
    step = (WIDTH - LEFT - RIGHT) / max(len(names), 1)
    wide = _bar_width(step)
    for place, value in enumerate(line.values):
        if value is None:
            continue
        ends = sorted((y(0), y(float(value))))
        look = "loss" if value < 0 else "gain"
        title = f"<title>{escape(f'{names[place]}: {format_short(value, unit)}')}</title>"
        drawn.append(
            f'<rect class="{look}" x="{LEFT + (place + 0.5) * step - wide / 2:.1f}" y="{ends[0]:.1f}" '
            f'width="{wide:.1f}" height="{ends[1] - ends[0]:.1f}">{title}</rect>'
        )
    return svg(HEIGHT, drawn + _names(names, step), label)


def bars(
    label: str, rows: Sequence[tuple[str, Mapping[str, Decimal | None]]], looks: Mapping[str, str], unit: str
) -> str:
    """Draw for each row one bar per measure, side by side; negative ones go to the left of nothing."""
    if not rows:
        return ""
    values = [value for _, measures in rows for value in measures.values() if value is not None]
    low, high = min([*values, Decimal(0)]), max([*values, Decimal(0)])
    span = float(high - low) or 1.0
    left, right = 92, 74
    width = WIDTH - left - right
    zero = left + float(-low) / span * width
    digits = money_digits(values)
    thick = 14 if len(looks) == 1 else 11
    each = thick * len(looks) + 11
    drawn = [f'<line class="axis" x1="{zero:.1f}" x2="{zero:.1f}" y1="4" y2="{len(rows) * each + 4}"/>']
    for place, (name, measures) in enumerate(rows):
        top = place * each + 7
        drawn.append(
            f'<text x="{left - 6}" y="{top + thick * len(looks) / 2 + 4:.0f}" class="end">{_short(name)}</text>'
        )
        for number, (measure, look) in enumerate(looks.items()):
            value = measures.get(measure)
            y = top + number * thick
            if value is None:
                drawn.append(f'<text x="{zero + 4:.1f}" y="{y + thick - 2}" class="faint">unknown</text>')
                continue
            reach = float(value) / span * width
            x = zero if reach >= 0 else zero + reach
            text = format_money(value, digits) if unit == "$" else f"{value:.1f} {unit}"
            drawn.append(
                f'<rect class="{look}" x="{x:.1f}" y="{y}" width="{max(abs(reach), 0.7):.1f}" height="{thick - 1}">'
                f"<title>{escape(f'{name}, {measure}: {text}')}</title></rect>"
            )
            at = zero + max(reach, 0) + 4
            drawn.append(f'<text x="{at:.1f}" y="{y + thick - 2}" class="small">{escape(text)}</text>')
    return svg(len(rows) * each + 10, drawn, label)


def histogram(
    label: str, counts: Mapping[str, Mapping[int, int]], looks: Mapping[str, str], steps_per_doubling: int
) -> str:
    """Draw how many requests cost how much, on a log scale of cost, stacked by tier; buckets are half doublings."""
    coarse: dict[str, dict[int, int]] = {}
    for tier, by_bucket in counts.items():
        for bucket, count in by_bucket.items():
            place = math.floor(bucket / (steps_per_doubling / 2)) if bucket >= 0 else -1
            coarse.setdefault(tier, {})[place] = coarse.setdefault(tier, {}).get(place, 0) + count
    places = sorted({place for by_bucket in coarse.values() for place in by_bucket if place >= 0})
    if not places:
        return ""
    run = range(places[0], places[-1] + 1)
    names = [format_short(Decimal(2 ** (place / 2)) / 10**9, "$") for place in run]
    series = [
        Series(tier, look, [Decimal(coarse.get(tier, {}).get(place, 0)) for place in run])
        for tier, look in looks.items()
    ]
    return stack_bars(label, names, series, None, "")


class _Scale:
    """From values to heights, with a few round numbers at the side."""

    def __init__(self, largest: Decimal, unit: str) -> None:
        self.unit = unit
        self.step = axis_step(float(largest))
        self.top = self.step * max(math.ceil(float(largest) / self.step - 1e-9), 1)

    def y(self, value: Decimal) -> float:
        return HEIGHT - BOTTOM - float(value) / self.top * (HEIGHT - TOP - BOTTOM)

    def axis(self) -> str:
        drawn = []
        marks = [Decimal(repr(round(n * self.step, 12))) for n in range(round(self.top / self.step) + 1)]
        for value, text in zip(marks, axis_texts(marks, self.unit), strict=True):
            y = self.y(value)
            drawn.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
            drawn.append(f'<text x="{LEFT - 5}" y="{y + 4:.1f}" class="end">{text}</text>')
        return "".join(drawn)


def _lines(line: Series, scale: _Scale, step: float) -> list[str]:
    runs: list[list[str]] = [[]]
    for place, value in enumerate(line.values):
        if value is None:
            runs.append([])
        else:
            runs[-1].append(f"{LEFT + (place + 0.5) * step:.1f},{scale.y(max(value, Decimal(0))):.1f}")
    drawn = [f'<polyline class="{line.look}" points="{" ".join(run)}"/>' for run in runs if len(run) > 1]
    return drawn + [
        f'<circle class="{line.look}-dot" cx="{p.split(",")[0]}" cy="{p.split(",")[1]}" r="2.5"/>'
        for run in runs
        if len(run) == 1
        for p in run
    ]


def _bar_width(step: float) -> float:
    return min(max(step * 0.8, 0.6), WIDEST_BAR)


def _names(names: Sequence[str], step: float) -> list[str]:
    """Write as many names below the axis as stand clear of each other, from the first on."""
    if not names:
        return []
    every = max(1, math.ceil((max(map(len, names)) * LETTER + 10) / step))
    drawn = []
    for place in range(0, len(names), every):
        half = len(names[place]) * LETTER / 2
        middle = max(LEFT + (place + 0.5) * step, half + 2)
        if middle + half <= WIDTH:
            drawn.append(f'<text x="{middle:.1f}" y="{HEIGHT - 8}" class="middle">{escape(names[place])}</text>')
    return drawn


def axis_step(largest: float) -> float:
    """Return a step of 1, 2 or 5 times a power of ten that reaches the largest value in three or four."""
    if largest <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(largest / 3))
    return next((power * factor for factor in (1, 2, 5) if largest / (power * factor) <= 4.2), power * 10)


def _short(name: str) -> str:
    return escape(name if len(name) <= 14 else f"{name[:6]}…{name[-7:]}")


def svg(height: float, drawn: Sequence[str], label: str) -> str:
    """Put what was drawn on a canvas; `label` is what somebody hears who cannot see it."""
    return f'<svg viewBox="0 0 {WIDTH} {height:.0f}" role="img" aria-label="{escape(label)}">{"".join(drawn)}</svg>'
