"""Small plots as hand-written SVG."""

from collections.abc import Callable, Mapping, Sequence
from math import log

WIDTH, HEIGHT, MARGIN = 640, 360, 48
COLOURS = ("#1b6ca8", "#c0392b", "#2e8b57", "#8e44ad", "#b7791f", "#34495e")


Points = Sequence[tuple[float, float]]


def lines(
    title: str, axis: str, curves: Mapping[str, Points], rings: Mapping[str, Points], *, logarithmic: bool
) -> str:
    """Draw accuracy (0 to 1) over samples or cost; rings mark where the tier itself ends up."""
    place: Callable[[float], float] = (lambda v: log(v)) if logarithmic else (lambda v: v)
    xs = [place(x) for points in curves.values() for x, _ in points]
    low, high = min(xs), max(xs)

    def at(x: float, y: float) -> tuple[float, float]:
        across = (place(x) - low) / (high - low or 1)
        return MARGIN + across * (WIDTH - 2 * MARGIN - 150), HEIGHT - MARGIN - y * (HEIGHT - 2 * MARGIN)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}"'
        ' font-family="sans-serif" font-size="11">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
        f'<text x="{MARGIN}" y="20" font-size="14">{title}</text>',
        f'<text x="{MARGIN}" y="{HEIGHT - 8}">{axis}</text>',
    ]
    right = WIDTH - MARGIN - 150
    for tenth in range(0, 11, 2):
        y = HEIGHT - MARGIN - tenth / 10 * (HEIGHT - 2 * MARGIN)
        parts.append(f'<line x1="{MARGIN}" y1="{y:.1f}" x2="{right}" y2="{y:.1f}" stroke="#ddd"/>')
        parts.append(f'<text x="{MARGIN - 24}" y="{y + 4:.1f}">{tenth / 10:.1f}</text>')
    last = -100.0
    for tick in sorted({x for points in curves.values() for x, _ in points}):
        x, y = at(tick, 0)
        if x - last > 16:
            parts.append(f'<text x="{x - 4:.1f}" y="{y + 16:.1f}">{tick:g}</text>')
            last = x
    for number, (name, points) in enumerate(curves.items()):
        colour = COLOURS[number % len(COLOURS)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (at(*p) for p in points))
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in (at(*p) for p in points)]
        parts += [
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="6" fill="none" stroke="{colour}" stroke-width="1.5"/>'
            for x, y in (at(*p) for p in rings.get(name, ()))
        ]
        words = name.split(", ")
        for row, word in enumerate(words):
            y = 60 + number * 44 + row * 13
            parts.append(f'<text x="{right + 8}" y="{y}" fill="{colour}">{word}</text>')
    return "\n".join([*(p for p in parts if p), "</svg>"]) + "\n"
