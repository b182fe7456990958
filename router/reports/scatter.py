"""The trade-off as a chart: quality against the logarithm of cost, with intervals; SVG text as in `charts`."""

import math
from collections.abc import Sequence
from decimal import Decimal
from html import escape

from router.reports.charts import LEFT, LETTER, RIGHT, WIDTH, axis_step, svg
from router.reports.formatting import format_short
from router.reports.tradeoff import Point

HEIGHT, TOP, BOTTOM = 270, 12, 40
LINE_HEIGHT = 12
LOOKS = {"always fast": "fast", "always reasoning": "reasoning", "always parallel": "parallel"}


def tradeoff_chart(points: Sequence[Point]) -> str:
    """Draw the points; an empty text where there are none."""
    if not points:
        return ""
    canvas = CostCanvas(points)
    sweep = sorted((p for p in points if p.kind == "sweep"), key=lambda p: p.cost_usd_per_1k.value)
    drawn = [canvas.axes()]
    if len(sweep) > 1:
        path = " ".join(f"{canvas.x(p.cost_usd_per_1k.value):.1f},{canvas.y(p.quality.value):.1f}" for p in sweep)
        drawn.append(f'<polyline class="sweep" points="{path}"/>')
    drawn += [canvas.dot(point, 2.5, "other") for point in sweep]
    named = [point for point in points if point.kind != "sweep"]
    for point in sorted(named, key=lambda p: p.kind == "today"):
        drawn.append(canvas.dot(point, 5.0, look_of(point)))
    return svg(HEIGHT, drawn + canvas.names(named), "Quality against cost per 1,000 queries")


def look_of(point: Point) -> str:
    """Name the class of a point in the style sheet, and in the legend."""
    looks = {"today": "line-dot", "control": "control"}
    return looks.get(point.kind) or LOOKS.get(point.name, "other")


class CostCanvas:
    """From cost and quality to places; `marks` are costs besides those of the points that are to be within it."""

    def __init__(self, points: Sequence[Point], marks: Sequence[float] = ()) -> None:
        costs = [math.log10(cost) for cost in (*(p.cost_usd_per_1k.value for p in points), *marks)]
        middle, span = (max(costs) + min(costs)) / 2, max(max(costs) - min(costs), 0.3) * 1.16
        self._low, self._high = middle - span / 2, middle + span / 2
        good = [p.quality.value for p in points]
        ends = [e for p in points if p.kind != "sweep" for e in (p.quality.low, p.quality.high) if e is not None]
        step = axis_step(max(max(good) - min(good), 0.05))
        self._step = step
        # An interval may leave the picture, a value may not: one wide interval would make all else flat.
        lowest = max(min([*good, *ends]), min(good) - 2 * step)
        highest = min(max([*good, *ends]), max(good) + 2 * step)
        self._bottom = math.floor(lowest / step) * step
        self._top = max(math.ceil(highest / step - 1e-9) * step, self._bottom + step)

    def x(self, cost: float) -> float:
        share = (math.log10(cost) - self._low) / (self._high - self._low)
        return LEFT + min(max(share, 0.0), 1.0) * (WIDTH - LEFT - RIGHT)

    def y(self, quality: float) -> float:
        share = (quality - self._bottom) / (self._top - self._bottom)
        return TOP + (1.0 - min(max(share, 0.0), 1.0)) * (HEIGHT - TOP - BOTTOM)

    def axes(self) -> str:
        drawn = []
        for number in range(round((self._top - self._bottom) / self._step) + 1):
            value = self._bottom + number * self._step
            y = self.y(value)
            drawn.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
            drawn.append(f'<text x="{LEFT - 5}" y="{y + 4:.1f}" class="end">{value * 100:.0f} %</text>')
        for cost in _ticks(self._low, self._high):
            x, text = self.x(cost), format_short(Decimal(repr(cost)), "$")
            drawn.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>')
            drawn.append(f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 15}" class="middle">{text}</text>')
        middle = (LEFT + WIDTH - RIGHT) / 2
        drawn.append(
            f'<text x="{middle:.0f}" y="{HEIGHT - 6}" class="middle">cost per 1000 queries, logarithmic</text>'
        )
        return "".join(drawn)

    def dot(self, point: Point, radius: float, look: str) -> str:
        cost, good = point.cost_usd_per_1k, point.quality
        x, y = self.x(cost.value), self.y(good.value)
        lines = []
        if good.low is not None and good.high is not None and point.kind != "sweep":
            low, high = self.y(good.low), self.y(good.high)
            lines.append(f'<line class="interval" x1="{x:.1f}" x2="{x:.1f}" y1="{low:.1f}" y2="{high:.1f}"/>')
        if cost.low and cost.high and point.kind != "sweep":
            low, high = self.x(cost.low), self.x(cost.high)
            lines.append(f'<line class="interval" x1="{low:.1f}" x2="{high:.1f}" y1="{y:.1f}" y2="{y:.1f}"/>')
        hollow = " hollow" if point.doubt else ""
        title = f"{point.name}: {format_short(Decimal(repr(cost.value)), '$')} per 1000, quality {good.value:.1%}"
        return (
            f'{"".join(lines)}<circle class="{look}{hollow}" cx="{x:.1f}" cy="{y:.1f}" r="{radius}">'
            f"<title>{escape(title)}</title></circle>"
        )

    def names(self, points: Sequence[Point]) -> list[str]:
        """Draw the names beside their points, moved down where two would stand on each other."""
        taken: list[tuple[float, float, float]] = []
        drawn = []
        for point in sorted(points, key=lambda p: self.y(p.quality.value)):
            name = point.name.removeprefix("always ").partition(",")[0]
            x, y, width = self.x(point.cost_usd_per_1k.value), self.y(point.quality.value) - 7, len(name) * LETTER
            is_left = x + 8 + width > WIDTH - RIGHT
            begin = x - 8 - width if is_left else x + 8
            while any(
                abs(y - other) < LINE_HEIGHT and begin < end and start < begin + width for start, end, other in taken
            ):
                y += LINE_HEIGHT
            taken.append((begin, begin + width, y))
            drawn.append(f'<text x="{begin:.1f}" y="{y + 4:.1f}" class="small">{escape(name)}</text>')
        return drawn


def _ticks(low: float, high: float) -> list[float]:
    """Round costs between two powers of ten: 1, 2 and 5 of each, or only 1 where there would be many."""
    factors = (1, 2, 5) if high - low < 2.2 else (1,)
    powers = range(math.floor(low), math.ceil(high) + 1)
    return [f * 10.0**power for power in powers for f in factors if low <= math.log10(f * 10.0**power) <= high]
