"""Small line charts as SVG text: enough for a cost-quality curve and reliability diagrams."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

_WIDTH, _HEIGHT, _MARGIN = 460, 320, 48
_FONT = 'font-family="sans-serif" font-size="11"'
_COLOURS = ("#1b6ca8", "#c8553d", "#6b8f71", "#8d6a9f", "#777777", "#d9a441")


@dataclass(frozen=True, slots=True)
class Line:
    """One named series of points."""

    name: str
    xs: Sequence[float]
    ys: Sequence[float]
    is_dashed: bool = False


def chart(title: str, x_label: str, y_label: str, lines: Sequence[Line]) -> str:
    """Lines over axes from the least to the greatest value, with a legend below the title."""
    low_x, high_x = _range([x for line in lines for x in line.xs])
    low_y, high_y = _range([y for line in lines for y in line.ys])

    def at(x: float, y: float) -> tuple[float, float]:
        across = _MARGIN + (x - low_x) / (high_x - low_x) * (_WIDTH - 2 * _MARGIN)
        down = _HEIGHT - _MARGIN - (y - low_y) / (high_y - low_y) * (_HEIGHT - 2.4 * _MARGIN)
        return round(across, 1), round(down, 1)

    left, bottom = at(low_x, low_y)
    right, top = at(high_x, high_y)
    turned = f'transform="rotate(-90 14 {_HEIGHT / 2})"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" {_FONT}>',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>',
        f'<text x="{_WIDTH / 2}" y="18" text-anchor="middle" font-size="13">{escape(title)}</text>',
        f'<path d="M{left} {top}V{bottom}H{right}" fill="none" stroke="#333"/>',
        f'<text x="{_WIDTH / 2}" y="{_HEIGHT - 10}" text-anchor="middle">{escape(x_label)}</text>',
        f'<text x="14" y="{_HEIGHT / 2}" text-anchor="middle" {turned}>{escape(y_label)}</text>',
    ]
    for share in (0.0, 0.5, 1.0):
        x, y = low_x + share * (high_x - low_x), low_y + share * (high_y - low_y)
        parts.append(f'<text x="{at(x, low_y)[0]}" y="{bottom + 15}" text-anchor="middle">{x:.2f}</text>')
        parts.append(f'<text x="{left - 5}" y="{at(low_x, y)[1] + 4}" text-anchor="end">{y:.2f}</text>')
    for place, line in enumerate(lines):
        colour, dash = _COLOURS[place % len(_COLOURS)], ' stroke-dasharray="4 3"' if line.is_dashed else ""
        points = " ".join(f"{x},{y}" for x, y in (at(x, y) for x, y in zip(line.xs, line.ys, strict=True)))
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.6"{dash}/>')
        column, row = divmod(place, 2)
        spot = _MARGIN + column * 135, 34 + row * 14
        parts.append(f'<text x="{spot[0]}" y="{spot[1]}" fill="{colour}">{escape(line.name)}</text>')
    return "\n".join([*parts, "</svg>", ""])


def _range(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    return (low, high) if high > low else (low - 0.5, high + 0.5)
