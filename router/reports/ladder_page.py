"""A ladder as one HTML file: its chart, what it says in words, its table. Readable alone, in light and dark."""

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from html import escape

from router.money import NANO_PER_USD
from router.reports.charts import svg
from router.reports.formatting import format_count, format_interval, format_nanousd, format_share, format_short
from router.reports.ladder import Ladder, Pays, Rung, RungKind, affordable_share, pays
from router.reports.rendering import render
from router.reports.scatter import BOTTOM, HEIGHT, TOP, CostCanvas
from router.reports.tradeoff import Estimated, Point

LOOKS = {RungKind.SINGLE: "fast", RungKind.SAMPLES: "fast", RungKind.EFFORT: "reasoning", RungKind.TIER: "parallel"}
PER_1K = 1_000 / NANO_PER_USD
COLUMNS = (
    "way to answer",
    "right",
    "95 % interval",
    "any sample right",
    "cost per 1000",
    "95 % interval",
    "seconds",
    "paid by revenue",
    "share affordable",
)


def ladder_page(ladder: Ladder) -> str:
    """Write the page."""
    made = datetime.fromtimestamp(ladder.made_at_us / 1e6, UTC).strftime("%Y-%m-%d %H:%M")
    return render(
        "ladder.html",
        name=ladder.name,
        made=made,
        questions=format_count(ladder.questions),
        sentences=sentences(ladder, ladder.revenue_nanousd),
        svg=ladder_chart(ladder),
        columns=COLUMNS,
        rows=[_cells(rung, ladder) for rung in ladder.rungs],
    )


def ladder_chart(ladder: Ladder) -> str:
    """Draw what is right against the logarithm of cost, with the break-even line; an empty text without a point."""
    right = [(rung, point) for rung in ladder.rungs if (point := _point(rung, rung.accuracy)) is not None]
    covered = [point for rung in ladder.rungs if (point := _point(rung, rung.covered)) is not None]
    points = [point for _, point in right]
    if not points and not covered:
        return ""
    revenue = (ladder.revenue_nanousd or 0) * PER_1K
    canvas = CostCanvas([*points, *covered], [revenue] if revenue > 0 else [])
    drawn = [canvas.axes()]
    if revenue > 0:
        drawn += _break_even(canvas, revenue)
    sampled = [point for rung, point in right if rung.kind in (RungKind.SINGLE, RungKind.SAMPLES)]
    efforts = [point for rung, point in right if rung.kind is RungKind.EFFORT]
    drawn += [*_line(canvas, covered, "sweep"), *_line(canvas, sampled, "climb"), *_line(canvas, efforts, "climb")]
    drawn += [canvas.dot(point, 2.5, "other") for point in covered]
    drawn += [canvas.dot(point, 4.5, LOOKS[rung.kind]) for rung, point in right]
    return svg(HEIGHT, drawn + canvas.names(points), f"What is right, by what it costs: {ladder.name}")


def sentences(ladder: Ladder, revenue_nanousd: int | None) -> list[str]:
    """Say in words what the ladder shows."""
    said = []
    known = [rung for rung in ladder.rungs if rung.accuracy is not None]
    if known:
        best = max(known, key=_rightness)
        said.append(f"Most is right with {best.name}: {_share(best.accuracy)} of {format_count(best.questions)}.")
    if revenue_nanousd is None:
        return [*said, "What a query is expected to earn is not known: there is no break-even line."]
    said.append(f"A query of the default segment is expected to earn {format_nanousd(revenue_nanousd)}.")
    paid = [rung for rung in known if pays(rung, revenue_nanousd) is Pays.YES]
    if paid:
        best = max(paid, key=_rightness)
        said.append(f"Of what that pays for on every query, {best.name} is right most often: {_share(best.accuracy)}.")
    elif any(rung.cost_nanousd is not None for rung in known):
        said.append("That pays for no rung on every query for sure.")
    return said


def _rightness(rung: Rung) -> float:
    return rung.accuracy.value if rung.accuracy else 0.0


def _point(rung: Rung, share: Estimated | None) -> Point | None:
    cost = rung.cost_nanousd
    if share is None or cost is None or cost.value <= 0:
        return None
    ends = [None if end is None else end * PER_1K for end in (cost.low, cost.high)]
    return Point(_label(rung), "tier", Estimated(cost.value * PER_1K, *ends), share)


def _label(rung: Rung) -> str:
    """Name a rung in few letters; the colour tells the rest."""
    return f"x {rung.samples}" if rung.kind is RungKind.SAMPLES else rung.name.removeprefix("reasoning ")


def _line(canvas: CostCanvas, points: Sequence[Point], look: str) -> list[str]:
    if len(points) < 2:
        return []
    path = " ".join(f"{canvas.x(p.cost_usd_per_1k.value):.1f},{canvas.y(p.quality.value):.1f}" for p in points)
    return [f'<polyline class="{look}" points="{path}"/>']


def _break_even(canvas: CostCanvas, revenue_usd_per_1k: float) -> list[str]:
    x, text = canvas.x(revenue_usd_per_1k), format_short(Decimal(repr(revenue_usd_per_1k)), "$")
    return [
        f'<line class="break-even" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}">'
        f"<title>{escape(f'break-even: 1000 queries are expected to earn {text}')}</title></line>",
        f'<text x="{x - 4:.1f}" y="{HEIGHT - BOTTOM - 5}" class="end faint">earned</text>',
    ]


def _cells(rung: Rung, ladder: Ladder) -> tuple[str, ...]:
    cost, right = rung.cost_nanousd, rung.accuracy
    ends = (None, None) if cost is None or cost.low is None or cost.high is None else (cost.low, cost.high)
    low, high = (None if end is None else format_nanousd(round(end * 1_000)) for end in ends)
    return (
        rung.name,
        _share(right),
        format_interval(right.low, right.high, format_share) if right else "-",
        _share(rung.covered) if rung.covered else "-",
        format_nanousd(None if cost is None else round(cost.value * 1_000)),
        "-" if low is None else f"{low} to {high}",
        "-" if rung.seconds is None else f"{rung.seconds:,.1f}",
        str(pays(rung, ladder.revenue_nanousd) or "unknown"),
        format_share(affordable_share(rung, ladder.rungs[0], ladder.revenue_nanousd)),
    )


def _share(share: Estimated | None) -> str:
    return format_share(None if share is None else share.value)
