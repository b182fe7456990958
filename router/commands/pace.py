"""`tierwise policy pace` and `realised`: what thresholds are multiplied by now, and whether predictions came true."""

import json
import math
from typing import TYPE_CHECKING, Annotated, Any

import typer

from router.commands.figures import finite_or_none, format_interval
from router.commands.output import ConfigOption, Format, FormatOption, format_time, show

if TYPE_CHECKING:
    from classifier.types import Interval
    from router.pacing.steps import Step
    from router.tuning.predictions import Compared, Realised

MOVES = 20
STEPS = ("at", "segment", "version", "multiplier", "error", "target", "spent_usd", "due_usd", "requests", "state")
FIGURES = ("figure", "predicted", "realised", "outside")


def pace(
    segment: Annotated[str | None, typer.Option(help="Only this segment.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Number of moves to list.")] = MOVES,
    config: ConfigOption = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """Show by how much pacing multiplies each segment's thresholds, and the last moves with what was spent and due."""
    from router.commands.opening import open_books
    from router.pacing import multipliers
    from router.policies.versions import in_force

    with open_books(config) as (_, engine):
        policy = in_force(engine)
        current = [step for step in multipliers.current(engine, policy) if segment in (None, step.segment)]
        steps = multipliers.moves(engine, limit, segment)
    acting = {step.segment: step.price if policy.pacing == "on" else 1.0 for step in current}
    match form:
        case Format.JSON:
            state = {"pacing": policy.pacing, "version": policy.version, "multipliers": acting}
            print(json.dumps(state | {"moves": [_step(step) for step in steps]}, indent=2))
        case Format.CSV:
            show([_step(step) for step in steps], STEPS, form)
        case Format.TABLE:
            print(f"Pacing is {policy.pacing} in version {policy.version}.")
            for step in current:
                would = "" if policy.pacing == "on" else f"; it would be {step.price:.3f}"
                print(f"{step.segment}: thresholds are multiplied by {acting[step.segment]:.3f}{would}")
            show([_step(step) for step in steps], STEPS, form, "the last moves")


def compare_realised(
    version: Annotated[int | None, typer.Argument(help="Version; default: the one in force.")] = None,
    config: ConfigOption = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """Compare what a version was predicted to do with what it has done since it came into force."""
    from router.commands.opening import existing_books
    from router.policies.versions import in_force
    from router.tuning import predictions

    with existing_books(config) as (_, engine):
        done = predictions.read_realised(engine, version if version is not None else in_force(engine).version)
    match form:
        case Format.JSON:
            print(json.dumps(_facts(done), indent=2))
        case Format.CSV:
            rows = [{"figure": each.figure, **_ends(each), "outside": each.is_outside} for each in done.figures]
            show(rows, tuple(rows[0]), form)
        case Format.TABLE:
            print(
                f"Version {done.version}, in force since {format_time(done.since_us)}: {done.requests} queries by score"
            )
            print(_describe(done))
            show([_row(each) for each in done.figures], FIGURES, form)
            print("95 % intervals in brackets. Outside: the two differ by more than their errors together explain.")


def _step(step: "Step") -> dict[str, object]:
    state = "frozen" if step.is_frozen else "dry run" if step.is_dry else "on"
    return {
        "at": format_time(step.until),
        "segment": step.segment,
        "version": step.policy_version,
        "multiplier": round(step.price, 4),
        "error": round(step.error, 4),
        "target": step.target,
        "spent_usd": _usd(step.spent_nanousd),
        "due_usd": _usd(step.due_nanousd),
        "requests": step.requests,
        "state": state,
    }


def _usd(nano: int | None) -> float | None:
    return None if nano is None else round(nano / 1e9, 6)


def _describe(comparison: "Realised") -> str:
    of = comparison.predicted
    if of is None:
        return "No prediction was kept with it: solve --propose and backtest VERSION keep one."
    whose = "" if of.segment is None else f" of the segment {of.segment}"
    outside = [each.figure for each in comparison.figures if each.is_outside]
    kept = f"outside of what was predicted: {', '.join(outside)}" if outside else "all as predicted"
    return f"Predicted by {of.made_by} on {of.requests} queries{whose}, {format_time(of.created_at_us)}; {kept}"


def _row(each: "Compared") -> dict[str, object]:
    outside = {None: "not known", True: "yes", False: ""}[each.is_outside]
    predicted, came = (format_interval(each.figure, figure) for figure in (each.predicted, each.realised))
    return {"figure": each.figure, "predicted": predicted, "realised": came, "outside": outside}


def _ends(each: "Compared") -> dict[str, object]:
    return {
        f"{name}_{end}": finite_or_none(getattr(figure, end))
        for name, figure in (("predicted", each.predicted), ("realised", each.realised))
        for end in ("value", "low", "high")
    }


def _facts(comparison: "Realised") -> dict[str, Any]:
    of = comparison.predicted
    figures: dict[str, dict[str, object]] = {}
    for each in comparison.figures:
        sides = {"predicted": each.predicted, "realised": each.realised}
        figures[each.figure] = {name: _side(side) for name, side in sides.items()} | {"outside": each.is_outside}
    prediction = None
    if of is not None:
        prediction = {
            "made_by": of.made_by,
            "at": format_time(of.created_at_us),
            "requests": of.requests,
            "segment": of.segment,
        }
    return {
        "version": comparison.version,
        "since": format_time(comparison.since_us),
        "requests": comparison.requests,
        "prediction": prediction,
        "figures": figures,
    }


def _side(side: "Interval") -> dict[str, float | None] | None:
    if math.isnan(side.value):
        return None
    return {end: finite_or_none(getattr(side, end)) for end in ("value", "low", "high")}
