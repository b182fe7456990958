"""Answers what the Thresholds page asks: scores as a histogram, what other dials would do, back-tests and solutions."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from sqlalchemy import Engine

from classifier.types import Interval
from router.admin.services import Services
from router.decision.policy import NEVER, Policy
from router.policies import dials
from router.policies.dials import Wiring, WrongPolicy
from router.policies.versions import in_force
from router.reports.queries import costs
from router.reports.window import Window
from router.tuning import predictions
from router.tuning.backtest import Figures
from router.tuning.comparison import compare
from router.tuning.off_policy import Quality
from router.tuning.past import Past, read_past
from router.tuning.preview.cache import CachedWindow, Previews, Stage
from router.tuning.preview.cells import OTHERS
from router.tuning.preview.preview import Preview
from router.tuning.solver import Solution, Solver
from router.tuning.targets import SolverTargets, Unsolvable
from router.tuning.whole import difference

SPANS = {"24h": "24 hours", "7d": "7 days", "30d": "30 days", "90d": "90 days"}
USUAL_SPAN = "7d"
BARS = 80
LOWEST_SHOWN, HIGHEST_SHOWN = -0.1, 0.6
SEEN_OUTSIDE = 0.001  # of the scores may lie beyond either end of the histogram


def span_of(name: str) -> str:
    """A stretch of time that can be chosen; the usual one for any other name."""
    return name if name in SPANS else USUAL_SPAN


def reading(previews: Previews, span: str, window: Window, in_force: Policy) -> CachedWindow:
    """What this worker has read of a stretch of time, up to the moment of reading, which begins where it has not."""
    ended = replace(window, until_us=window.now_us) if window.until_us is None else window
    return previews.of(f"{span} {window.zone} {window.with_made_up}", ended, in_force)


def segments_of(engine: Engine, window: Window) -> set[str]:
    """The segments that had a request in a stretch of time, whoever decided it."""
    return {name for (name,) in costs(engine, ["segment"], window).rows if name is not None}


def state(window: CachedWindow, span: str, segment: str) -> dict[str, object]:
    """How far the reading is: of so many `requests` a score `decided` a part, of which so many are `replayed`."""
    whole = window.wholes.of(segment or None)
    return {
        "stage": window.stage.value,
        "is_under_way": window.is_under_way,
        "span": span,
        "window": window.window.describe() if window.window else None,
        "requests": whole.requests,
        "decided": whole.decided,
        "replayed": window.preview.requests if window.preview else 0,
        "segments": list(window.wholes.segments),
        "read_at": window.read_at_us,
    }


def scores(preview: Preview, segment: str, thresholds: Sequence[float]) -> dict[str, object]:
    """The histogram of scores, wide enough for the thresholds that are switched on."""
    chosen = _segment(preview, segment)
    edges = np.linspace(-1.0, NEVER, 421)
    counts = preview.histogram(edges, chosen)
    share = np.cumsum(counts) / max(counts.sum(), 1.0)
    low = min(float(edges[int(np.searchsorted(share, SEEN_OUTSIDE))]), LOWEST_SHOWN)
    highest = min(int(np.searchsorted(share, 1 - SEEN_OUTSIDE)) + 1, len(edges) - 1)
    high = max(float(edges[highest]), HIGHEST_SHOWN)
    on = [t for t in thresholds if t <= NEVER]
    low, high = max(min([low, *on]), -1.0), min(max([high, *(t + 0.05 for t in on)]), NEVER)
    drawn = np.linspace(round(low, 2), round(high, 2), BARS + 1)
    return {"edges": [round(e, 6) for e in drawn.tolist()], "counts": preview.histogram(drawn, chosen).tolist()}


def is_decided(window: CachedWindow, segment: str) -> bool:
    """Whether a score decided any request of a segment; of one without any request too, which is then told so."""
    whole = window.wholes.of(segment or None)
    return whole.decided > 0 or not whole.requests


def preview_dials(window: CachedWindow, today: Policy, proposed: Policy, segment: str) -> dict[str, object]:
    """Compare other dials with those in force, with what was, and with the controls, on the same requests.

    Raises WrongPolicy for a proposal in which costs count otherwise than in what was read.
    """
    whole, preview = window.wholes.of(segment or None), ready(window)
    as_it_was = figures(whole.figures())
    if preview is None or not is_decided(window, segment):
        return {"whole": {"requests": whole.requests, "decided": 0, "as_it_was": as_it_was}}
    if proposed.cost_sensitivity != preview.sensitivity:
        raise WrongPolicy("cost_sensitivity: moves every query's score; the back-test shows what that changes")
    chosen = _segment(preview, segment)
    mix, old = preview.mix(proposed), preview.standing(today, chosen)
    new = preview.outcome(mix, chosen)
    outcomes = {
        "proposed": new,
        "in_force": old,
        "always_fast": preview.standing(None, chosen),
        "shuffled": preview.outcome(preview.shuffle(mix), chosen),
    }
    return {
        "columns": {name: figures(one.figures(), one.quality) for name, one in outcomes.items()},
        "as_it_was": figures(preview.as_it_was(chosen)),
        "difference": figures(new.above(old)),
        "whole": {
            "requests": whole.requests,
            "decided": whole.decided,
            "as_it_was": as_it_was,
            "columns": {name: figures(whole.figures(one.effect)) for name, one in outcomes.items()},
            "difference": figures(difference(whole.columns(new.effect), whole.columns(old.effect))),
        },
        "reached": _shares_above(preview, proposed, segment),
    }


def figures(known: Figures, rated: Quality | None = None) -> dict[str, object]:
    """Figures as JSON: what is not known is null, and quality without enough evidence says why."""
    cells: dict[str, object] = {name: interval_cell(figure) for name, figure in known.items()}
    if rated is not None:
        cells["quality"] = None if rated.doubt else interval_cell(rated.doubly_robust)
        cells["doubt"] = rated.doubt
        cells["ratings"] = {"count": rated.labels, "effective": round(rated.effective_labels)}
    return cells


def run_backtest(
    engine: Engine, previews: Previews, chosen: Window, today: Policy, proposed: Policy
) -> dict[str, object]:
    """Run the back-test row by row; blocks for some seconds. Raises WrongPolicy when there is nothing to replay."""
    with previews.alone():
        past = _past(engine, chosen)
        compared = compare(past.traffic, proposed, today, past.wholes)
    outcomes = compared.outcomes
    return {
        "requests": compared.requests,
        "priced": compared.priced,
        "columns": {name: figures(one.figures, one.quality) for name, one in outcomes.items()},
        "as_it_was": figures(compared.decided_as_it_was),
        "whole": {
            "requests": compared.whole.requests,
            "decided": compared.whole.decided,
            "as_it_was": figures(compared.as_it_was),
            "columns": {name: figures(one.whole) for name, one in outcomes.items()},
        },
        "whole_by_segment": {name: figures(one) for name, one in compared.whole_by_segment.items()},
        "by_segment": {name: figures(one) for name, one in compared.by_segment.items()},
        "by_country": {name: figures(one) for name, one in compared.by_country.items()},
    }


def solve_thresholds(
    engine: Engine,
    previews: Previews,
    chosen: Window,
    today: Policy,
    limits: SolverTargets,
    segment: str | None,
    *,
    of_all: bool = True,
) -> Solution:
    """Find thresholds (of a segment) that meet a target; blocks for some seconds. Raises WrongPolicy without any.

    The target is of all requests, or of those that a score decided.
    """
    with previews.alone():
        past = _past(engine, chosen)
        whole = past.wholes.of(segment) if of_all else None
        try:
            return Solver(past.traffic, today, limits, segment=segment, whole=whole).solve()
        except Unsolvable as error:
            raise WrongPolicy(str(error)) from None


def proposal(today: Policy, given: Mapping[str, Any], wiring: Wiring) -> Policy:
    """The policy in force with these dials (names and texts) set; raises WrongPolicy naming what is wrong."""
    asked = dials.read([f"{name}={_text(value)}" for name, value in given.items()])
    proposed = dials.with_changes(today, asked, today.version)
    dials.require_fits(proposed, wiring)
    return proposed


def describe_changes(before: Policy, after: Policy) -> list[dict[str, str]]:
    """Write the changes between two policies for people."""
    changes = dials.differences(before, after)
    return [
        {"dial": name, "before": dials.format_dial(a), "after": dials.format_dial(b)}
        for name, (a, b) in changes.items()
    ]


def keep_prediction(services: Services, version: int, proposed: Policy, span: str, window: Window) -> None:
    """Keep with a version what it is predicted to do, where this worker has read the requests of the span."""
    cached = reading(services.previews, span, window, in_force(services.engine))
    if (preview := ready(cached)) is None or preview.sensitivity != proposed.cost_sensitivity:
        return
    mix, over = preview.mix(proposed), cached.window or window
    figures_of, rated, now_us = preview.figures(mix), preview.quality(mix), services.now_us()
    predictions.keep(services.engine, version, "preview", figures_of, rated, over, preview.requests, now_us)


def ready(window: CachedWindow) -> Preview | None:
    """The preview of a reading, while there is one to serve."""
    return window.preview if window.stage is Stage.READY else None


def _text(value: object) -> str:
    text = "" if value is None else str(value).strip()
    return text or dials.NONE


def _past(engine: Engine, chosen: Window) -> Past:
    past = read_past(engine, chosen)
    if not len(past.traffic):
        raise WrongPolicy("no query of this time was decided by a score: there is nothing to replay")
    return past


def _segment(preview: Preview, segment: str) -> str | None:
    """The segment to look at; raises WrongPolicy where it has no requests."""
    if not segment:
        return None
    if segment not in preview.segment_names:
        few = ", or so few that it is looked at together with others" if OTHERS in preview.segment_names else ""
        raise WrongPolicy(f"segment {segment!r} has no queries in this stretch of time{few}")
    return segment


def _shares_above(preview: Preview, policy: Policy, segment: str) -> dict[str, float]:
    """The share of the queries whose score reaches each threshold."""
    dialed = policy.for_segment(segment) if segment else policy
    shares = {}
    for name in ("reasoning_threshold", "parallel_threshold"):
        threshold = getattr(dialed, name)
        counts = preview.histogram(np.array([-2.0, max(threshold, -1.0), 3.0]), segment or None)
        shares[name] = float(counts[1] / max(counts.sum(), 1.0))
    return shares


def interval_cell(cell: Interval) -> dict[str, float | None] | None:
    """A figure with its interval as JSON; null where it is not known."""
    if math.isnan(cell.value):
        return None
    return {"value": _finite_or_none(cell.value), "low": _finite_or_none(cell.low), "high": _finite_or_none(cell.high)}


def _finite_or_none(value: float) -> float | None:
    return round(value, 9) if math.isfinite(value) else None
