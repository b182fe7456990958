"""How figures of a policy and their intervals are written for people, as JSON and as lines of CSV."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from classifier.types import Interval
    from router.tuning.backtest import Figures
    from router.tuning.off_policy import Quality

LINE_COLUMNS = ("policy", "segment", "country", "figure", "value", "low", "high", "of")
ALL, AS_IT_WAS = "all", "as it was"
IN_BRIEF = ("deep_share", "cost_usd_per_1k", "revenue_usd_per_1k", "contribution_usd_per_1k", "margin", "wait_mean_s")
PERCENT = frozenset({"share_fast", "share_reasoning", "share_parallel", "deep_share", "margin"})


def cells_of(figures: "Figures", of: "Quality | None" = None) -> list[tuple[str, "Interval"]]:
    """Return the figures by name, with the three estimates of quality where there is a judgement of it."""
    cells: list[tuple[str, Interval]] = list(figures.items())
    if of is not None:
        cells += [("quality_ips", of.ips), ("quality_snips", of.snips), ("quality_dr", of.doubly_robust)]
    return cells


def as_json(figures: "Figures", of: "Quality | None" = None) -> dict[str, object]:
    """Write figures for JSON: what is not known is null."""
    fields: dict[str, object] = {
        name: {"value": finite_or_none(cell.value), "low": finite_or_none(cell.low), "high": finite_or_none(cell.high)}
        for name, cell in cells_of(figures, of)
    }
    if of is not None:
        fields |= {"ratings": of.labels, "effective_ratings": round(of.effective_labels, 1), "quality_doubt": of.doubt}
    return fields


def as_line(
    policy: str, figure: str, cell: "Interval", segment: str = "", country: str = "", of: str = "decided"
) -> dict[str, object]:
    """Write one figure as a line of CSV: of all requests, or of those that a score decided."""
    ends = {"value": finite_or_none(cell.value), "low": finite_or_none(cell.low), "high": finite_or_none(cell.high)}
    return {"policy": policy, "segment": segment, "country": country, "figure": figure, **ends, "of": of}


def as_texts(figures: "Figures", of: "Quality | None" = None) -> dict[str, str]:
    """Write figures for people, by name."""
    texts = {name: format_interval(name, cell) for name, cell in figures.items()}
    if of is not None:
        enough = of.doubt is None
        for name, cell in cells_of({}, of):
            texts[name] = format_interval(name, cell) if enough else "not enough evidence"
        texts["effective ratings"] = f"{of.effective_labels:.0f} of {of.labels}"
    return texts


def as_table(columns: Mapping[str, Mapping[str, str]]) -> list[dict[str, Any]]:
    """Turn columns of texts into rows, one a figure that any of them has."""
    figures = dict.fromkeys(figure for texts in columns.values() for figure in texts)
    return [
        {"figure": figure, **{name: texts.get(figure, "") for name, texts in columns.items()}} for figure in figures
    ]


def format_interval(name: str, cell: "Interval") -> str:
    """Write a figure with its interval for people."""
    if math.isnan(cell.value):
        return "not known"
    scale, unit = (100.0, " %") if name in PERCENT else (1.0, "")
    if cell.low == cell.high:  # booked, not estimated
        return f"{cell.value * scale:.4g}{unit}"
    return f"{cell.value * scale:.4g}{unit} [{cell.low * scale:.4g}, {cell.high * scale:.4g}]"


def footnotes(of: "Quality") -> str:
    """Say what the figures rest on."""
    from router.tuning.comparison import ASSUMPTIONS

    lines = ["95 % intervals in brackets, where something is estimated; money in dollars per thousand requests."]
    lines += ASSUMPTIONS
    if of.doubt is not None:
        lines.append(f"quality: not enough evidence, {of.doubt}")
    return "\n".join(lines)


def finite_or_none(value: float) -> float | None:
    """A number as JSON and CSV have it: what is not known is None."""
    return None if math.isnan(value) else round(value, 9)
