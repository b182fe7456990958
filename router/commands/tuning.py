"""`tierwise policy backtest` and `solve`: what thresholds would do, and which ones meet a target."""

import json
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from router.commands.output import ConfigOption, Format, FormatOption, show
from router.commands.policy import AuthorOption, NoteOption, SetOption, actor, begin, describe_changes
from router.commands.window import SinceOption, UntilOption, ZoneOption, read_window

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from classifier.types import Interval
    from router.decision.policy import Policy
    from router.reports.window import Window
    from router.tuning.backtest import Figures
    from router.tuning.off_policy import Quality
    from router.tuning.solver import Solution
    from router.tuning.traffic import Traffic

LINE = ("policy", "segment", "country", "figure", "value", "low", "high")
IN_BRIEF = ("deep_share", "cost_usd_per_1k", "revenue_usd_per_1k", "contribution_usd_per_1k", "margin", "wait_mean_s")
PERCENT = frozenset({"share_fast", "share_reasoning", "share_parallel", "deep_share", "margin"})


def backtest(
    version: Annotated[int | None, typer.Argument(help="A version; default the one in force.")] = None,
    settings: SetOption = None,
    since: SinceOption = "7d",
    until: UntilOption = None,
    zone: ZoneOption = None,
    config: ConfigOption = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """Replay past requests under other dials: shares, cost, what is left, waiting time and quality, with intervals."""
    from router.clock import SystemClock
    from router.commands.opening import open_books
    from router.policies import dials
    from router.policies.lifecycle import version_of
    from router.policies.versions import in_force
    from router.tuning import predictions
    from router.tuning.comparison import ASSUMPTIONS, compare

    changes = dials.read(settings or ())
    if version is None and not changes:
        raise typer.BadParameter("say what to test: a VERSION, or --set DIAL=NUMBER")
    with open_books(config) as (configured, engine):
        chosen, today = read_window(configured, since, until, zone), in_force(engine)
        tested = dials.with_changes(version_of(engine, version).policy, changes)
        dials.require_fits(tested, configured.tiers)
        traffic = _read(engine, chosen)
        compared = compare(traffic, tested, today)
        proposed, by_segment, by_country = compared.proposed, compared.by_segment, compared.by_country
        if version is not None and not changes and predictions.was_in_force(engine, version) is None:
            predicted = (proposed.figures, proposed.quality)
            predictions.keep(engine, version, "backtest", *predicted, chosen, len(traffic), SystemClock().now_us())
    results = {name.replace("_", " "): (one.figures, one.quality) for name, one in compared.outcomes.items()}
    match form:
        case Format.JSON:
            report = {
                "changes": {
                    name: {"before": a, "after": b} for name, (a, b) in dials.differences(today, tested).items()
                },
                "requests": len(traffic),
                "others": traffic.others,
                "assumptions": ASSUMPTIONS,
                "policies": {name: _json(figures, of) for name, (figures, of) in results.items()},
                "segments": {name: _json(figures) for name, figures in by_segment.items()},
                "countries": {name: _json(figures) for name, figures in by_country.items()},
            }
            print(json.dumps(report, indent=2))
        case Format.CSV:
            lines = [_line(name, *cell) for name, (figures, of) in results.items() for cell in _cells(figures, of)]
            lines += [_line("proposed", *cell, segment=name) for name, f in by_segment.items() for cell in _cells(f)]
            lines += [_line("proposed", *cell, country=name) for name, f in by_country.items() for cell in _cells(f)]
            show(lines, LINE, form)
        case Format.TABLE:
            changed = describe_changes(dials.differences(today, tested)) or "same"
            print(f"Against version {today.version} in force: {changed}")
            print(f"{len(traffic)} queries that a score decided; {traffic.others} others stay as they are\n")
            show(
                _table({name: _texts(figures, of) for name, (figures, of) in results.items()}),
                ("figure", *results),
                form,
            )
            if len(by_segment) > 1:
                texts = {name: _texts(figures) for name, figures in by_segment.items()}
                show(_table(texts), ("figure", *by_segment), form, "proposed, by segment")
            if len(by_country) > 1:
                rows = [{"country": name} | _texts(figures) for name, figures in by_country.items()]
                show(rows, ("country", *IN_BRIEF), form, "proposed, by country")
            print(_footnotes(proposed.quality))


def solve(
    max_deep_share: Annotated[float | None, typer.Option(help="At most this share of auto queries goes deep.")] = None,
    max_cost_per_1k: Annotated[float | None, typer.Option(help="At most so many dollars per thousand.")] = None,
    min_margin: Annotated[float | None, typer.Option(help="Keep this share of expected revenue.")] = None,
    min_quality: Annotated[float | None, typer.Option(help="Mean feedback, 0 to 1, at the lower bound.")] = None,
    segment: Annotated[str | None, typer.Option(help="Solve this segment's own thresholds, for its queries.")] = None,
    propose: Annotated[bool, typer.Option("--propose", help="Write the solution as a version.")] = False,
    note: NoteOption = "",
    author: AuthorOption = None,
    since: SinceOption = "7d",
    until: UntilOption = None,
    zone: ZoneOption = None,
    config: ConfigOption = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """Find the thresholds that meet a target and use what it allows, from past requests."""
    from router.commands.opening import open_books
    from router.policies import dials, lifecycle
    from router.policies.versions import in_force
    from router.tuning import predictions
    from router.tuning.solver import Solver, SolverTargets

    limits = SolverTargets(max_deep_share, max_cost_per_1k, min_margin, min_quality)
    made = None
    with open_books(config) as (configured, engine):
        chosen, today = read_window(configured, since, until, zone), in_force(engine)
        traffic = _read(engine, chosen)
        solution = Solver(traffic, today, limits, segment=segment).solve()
        changes = dials.differences(today, solution.policy)
        if propose and changes:
            begin(configured, engine)
            why = note or f"solved for {_describe_targets(limits)} on {solution.requests} queries since {since}"
            wanted = {name: after for name, (_, after) in changes.items()}
            by = actor(author, why)
            made = lifecycle.propose(engine, wanted, configured.tiers, by)
            predicted = (solution.figures, solution.quality)
            predictions.keep(engine, made, "solve", *predicted, chosen, solution.requests, by.now_us, segment)
    match form:
        case Format.JSON:
            print(json.dumps(_solution_fields(solution, today, made), indent=2))
        case Format.CSV:
            lines = [_line("solved", *cell) for cell in _cells(solution.figures, solution.quality)]
            show(lines, LINE, form)
        case Format.TABLE:
            print(f"Against version {today.version} in force: {describe_changes(changes) or 'nothing to change'}")
            used = "" if solution.used is None else f", {solution.used:.1%} of the allowance is used"
            print(f"What binds: {solution.binding}{used}")
            if solution.note is not None:
                print(f"Mind: {solution.note}")
            show(_table({"predicted": _texts(solution.figures, solution.quality)}), ("figure", "predicted"), form)
            print(_footnotes(solution.quality))
            if made is not None:
                print(f"version {made} is proposed; tierwise policy activate {made} puts it in force")


def _read(engine: "Engine", chosen: "Window") -> "Traffic":
    from router.policies.dials import WrongPolicy
    from router.tuning.traffic_reader import read

    traffic = read(engine, chosen)
    if not len(traffic):
        raise WrongPolicy("no query of this time was decided by a score: there is nothing to replay")
    return traffic


def _describe_targets(limits: object) -> str:
    from dataclasses import asdict

    named = asdict(limits)  # type: ignore[call-overload]
    return ", ".join(f"{name} {value:g}" for name, value in named.items() if value is not None)


def _solution_fields(solution: "Solution", today: "Policy", made: int | None) -> dict[str, object]:
    from router.policies.dials import dials_of
    from router.tuning.comparison import ASSUMPTIONS

    return {
        "against": today.version,
        "dials": dials_of(solution.policy),
        "binding": solution.binding,
        "used": solution.used,
        "note": solution.note,
        "predicted": _json(solution.figures, solution.quality),
        "assumptions": ASSUMPTIONS,
        "proposed": made,
    }


def _cells(figures: "Figures", of: "Quality | None" = None) -> list[tuple[str, "Interval"]]:
    cells: list[tuple[str, Interval]] = list(figures.items())
    if of is not None:
        cells += [("quality_ips", of.ips), ("quality_snips", of.snips), ("quality_dr", of.doubly_robust)]
    return cells


def _json(figures: "Figures", of: "Quality | None" = None) -> dict[str, object]:
    fields: dict[str, object] = {
        name: {"value": finite_or_none(cell.value), "low": finite_or_none(cell.low), "high": finite_or_none(cell.high)}
        for name, cell in _cells(figures, of)
    }
    if of is not None:
        fields |= {"ratings": of.labels, "effective_ratings": round(of.effective_labels, 1), "quality_doubt": of.doubt}
    return fields


def _line(policy: str, figure: str, cell: "Interval", segment: str = "", country: str = "") -> dict[str, object]:
    ends = {"value": finite_or_none(cell.value), "low": finite_or_none(cell.low), "high": finite_or_none(cell.high)}
    return {"policy": policy, "segment": segment, "country": country, "figure": figure, **ends}


def _texts(figures: "Figures", of: "Quality | None" = None) -> dict[str, str]:
    texts = {name: format_interval(name, cell) for name, cell in figures.items()}
    if of is not None:
        enough = of.doubt is None
        for name, cell in _cells({}, of):
            texts[name] = format_interval(name, cell) if enough else "not enough evidence"
        texts["effective ratings"] = f"{of.effective_labels:.0f} of {of.labels}"
    return texts


def _table(columns: Mapping[str, Mapping[str, str]]) -> list[dict[str, Any]]:
    figures = next(iter(columns.values()))
    return [{"figure": figure, **{name: texts[figure] for name, texts in columns.items()}} for figure in figures]


def format_interval(name: str, cell: "Interval") -> str:
    """Write a figure with its interval for people."""
    if math.isnan(cell.value):
        return "not known"
    scale, unit = (100.0, " %") if name in PERCENT else (1.0, "")
    return f"{cell.value * scale:.4g}{unit} [{cell.low * scale:.4g}, {cell.high * scale:.4g}]"


def _footnotes(of: "Quality") -> str:
    from router.tuning.comparison import ASSUMPTIONS

    lines = ["95 % intervals in brackets; money in dollars per thousand of these queries.", *ASSUMPTIONS]
    if of.doubt is not None:
        lines.append(f"quality: not enough evidence, {of.doubt}")
    return "\n".join(lines)


def finite_or_none(value: float) -> float | None:
    """A number as JSON and CSV have it: what is not known is None."""
    return None if math.isnan(value) else round(value, 9)
