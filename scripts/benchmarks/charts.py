"""Line charts of the documents as SVG: the same figures give the same bytes."""

from collections.abc import Sequence
from dataclasses import dataclass
from io import StringIO
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure

COLOURS = ("#1b6ca8", "#c8553d", "#6b8f71", "#8d6a9f", "#777777", "#d9a441", "#34495e")
STYLE: dict[Any, Any] = {
    "axes.edgecolor": "#333333",
    "axes.spines.right": False,
    "axes.spines.top": False,
    "font.size": 9.0,
    "grid.color": "#dddddd",
    "svg.fonttype": "none",  # words stay words
    "svg.hashsalt": "tierwise",  # or ids were drawn by chance
}


@dataclass(frozen=True, slots=True)
class Line:
    """One named series of points; `rings` are points beside the line that stand out."""

    name: str
    xs: Sequence[float]
    ys: Sequence[float]
    is_dashed: bool = False
    has_points: bool = False
    rings: Sequence[tuple[float, float]] = ()


def chart(
    title: str,
    x_label: str,
    y_label: str,
    lines: Sequence[Line],
    *,
    logarithmic: bool = False,
    y_range: tuple[float, float] | None = None,
) -> str:
    """Draw lines over axes with a legend beside them; `logarithmic` is the axis across."""
    with rc_context(STYLE):
        figure = Figure(figsize=(6.6, 3.6), layout="constrained")
        axes = figure.subplots()
        axes.set(title=title, xlabel=x_label, ylabel=y_label, ylim=y_range)
        if logarithmic:
            axes.set_xscale("log", base=2)
            axes.xaxis.set_major_formatter("{x:g}")
        axes.grid(visible=True, axis="y")
        for place, line in enumerate(lines):
            colour = COLOURS[place % len(COLOURS)]
            marker, dash = "o" if line.has_points else "", "--" if line.is_dashed else "-"
            axes.plot(line.xs, line.ys, dash, marker=marker, markersize=4, color=colour, label=line.name)
            for x, y in line.rings:
                axes.plot([x], [y], "o", markersize=9, markerfacecolor="none", color=colour)
        figure.legend(loc="outside right upper", frameon=False)
        drawn = StringIO()
        figure.savefig(drawn, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    return drawn.getvalue()
