"""`tierwise policy backtest` and `solve`: what thresholds would do, and which ones meet a target."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from router.commands.figures import (
    ALL,
    AS_IT_WAS,
    IN_BRIEF,
    LINE_COLUMNS,
    as_json,
    as_line,
    as_table,
    as_texts,
    cells_of,
    footnotes,
)
from router.commands.output import ConfigOption, Format, FormatOption, share, show
from router.commands.policy import AuthorOption, NoteOption, SetOption, actor, begin, describe_changes
from router.commands.window import MadeUpOption, SinceOption, UntilOption, ZoneOption, read_window
from router.types import TargetsOf

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from router.decision.policy import Policy
    from router.policies.dials import Change
    from router.reports.window import Window
    from router.tuning.comparison import Comparison
    from router.tuning.past import Past
    from router.tuning.solver import Solution
    from router.tuning.whole import Whole


def backtest(
    version: Annotated[int | None, typer.Argument(help="Version; default: the one in force.")] = None,
    settings: SetOption = None,
    since: SinceOption = "7d",
    until: UntilOption = None,
    zone: ZoneOption = None,
    with_made_up: MadeUpOption = False,
    config: ConfigOption = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """Replay past requests under other dials: shares, cost, contribution, waiting time and quality, with intervals."""
    from router.clock import SystemClock
    from router.commands.opening import existing_books
    from router.policies import dials
    from router.policies.lifecycle import version_of
    from router.policies.versions import in_force
    from router.reports.stamp import Stamp
    from router.tuning import predictions
    from router.tuning.comparison import compare

    changes = dials.read(settings or ())
    if version is None and not changes:
        raise typer.BadParameter("say what to test: a VERSION, or --set DIAL=NUMBER")
    with existing_books(config) as (configured, engine):
        chosen, today = read_window(configured, since, until, zone, with_made_up=with_made_up), in_force(engine)
        tested = dials.with_changes(version_of(engine, version).policy, changes)
        dials.require_fits(tested, configured.tiers)
        past = _read(engine, chosen)
        compared = compare(past.traffic, tested, today, past.wholes)
        if version is not None and not changes and predictions.was_in_force(engine, version) is None:
            predicted = (compared.proposed.figures, compared.proposed.quality)
            predictions.keep(engine, version, "backtest", *predicted, chosen, compared.requests, SystemClock().now_us())
        stamp = Stamp.of(engine, chosen)
    changed = dials.differences(today, tested)
    match form:
        case Format.JSON:
            print(json.dumps(stamp.fields() | _backtest_fields(compared, changed), indent=2))
        case Format.CSV:
            typer.echo(stamp.describe(), err=True)
            show(_backtest_lines(compared), LINE_COLUMNS, form)
        case Format.TABLE:
            print(stamp.describe())
            print(f"Against version {today.version} in force: {describe_changes(changed) or 'same'}")
            _print_backtest(compared)


def solve(
    max_deep_share: Annotated[
        float | None, typer.Option(parser=share, metavar="SHARE", help="Largest share that may go deep: 5 % or 0.05.")
    ] = None,
    max_cost_per_1k: Annotated[
        float | None, typer.Option(help="Most dollars that a thousand requests may cost.")
    ] = None,
    min_margin: Annotated[
        float | None,
        typer.Option(parser=share, metavar="SHARE", help="Share of expected revenue to keep: 18 % or 0.18."),
    ] = None,
    min_quality: Annotated[
        float | None,
        typer.Option(parser=share, metavar="SHARE", help="Least mean feedback, 0 to 1, judged by its lower bound."),
    ] = None,
    of: Annotated[
        TargetsOf, typer.Option(help="Requests that targets apply to: all, or those that a score decided.")
    ] = TargetsOf.ALL,
    segment: Annotated[str | None, typer.Option(help="Find this segment's own thresholds, from its queries.")] = None,
    propose: Annotated[bool, typer.Option("--propose", help="Save the solution as a version.")] = False,
    note: NoteOption = "",
    author: AuthorOption = None,
    since: SinceOption = "7d",
    until: UntilOption = None,
    zone: ZoneOption = None,
    with_made_up: MadeUpOption = False,
    config: ConfigOption = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """Find the thresholds that meet a target and use what it allows, from past requests."""
    from router.commands.opening import existing_books
    from router.policies import dials, lifecycle
    from router.policies.versions import in_force
    from router.reports.stamp import Stamp
    from router.tuning import predictions
    from router.tuning.solver import Solver
    from router.tuning.targets import SolverTargets

    limits = SolverTargets(max_deep_share, max_cost_per_1k, min_margin, min_quality)
    made = None
    with existing_books(config) as (configured, engine):
        chosen, today = read_window(configured, since, until, zone, with_made_up=with_made_up), in_force(engine)
        past = _read(engine, chosen)
        whole = past.wholes.of(segment)
        told = whole if of is TargetsOf.ALL else None
        solution = Solver(past.traffic, today, limits, segment=segment, whole=told).solve()
        stamp = Stamp.of(engine, chosen)
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
            print(json.dumps(stamp.fields() | _solution_fields(solution, whole, today, made), indent=2))
        case Format.CSV:
            lines = [as_line("solved", *cell) for cell in cells_of(solution.figures, solution.quality)]
            lines += [as_line("solved", *cell, of=ALL) for cell in cells_of(solution.whole or {})]
            typer.echo(stamp.describe(), err=True)
            show(lines, LINE_COLUMNS, form)
        case Format.TABLE:
            print(f"Against version {today.version} in force: {describe_changes(changes) or 'nothing to change'}")
            used = "" if solution.used is None else f", {solution.used:.1%} of the allowance is used"
            print(f"What binds: {solution.binding}{used}")
            if solution.note is not None:
                print(f"Mind: {solution.note}")
            if solution.whole is not None:
                texts = {AS_IT_WAS: as_texts(whole.figures()), "predicted": as_texts(solution.whole)}
                show(as_table(texts), ("figure", *texts), form, _title_of(whole))
            title = f"The {solution.requests:,} of them that a score decided and that were replayed"
            texts = {"predicted": as_texts(solution.figures, solution.quality)}
            show(as_table(texts), ("figure", *texts), form, title)
            print(footnotes(solution.quality))
            if made is not None:
                print(f"version {made} is proposed; tierwise policy activate {made} --note WHY puts it in force")


def _read(engine: "Engine", chosen: "Window") -> "Past":
    from router.policies.dials import WrongPolicy
    from router.tuning.past import read_past

    past = read_past(engine, chosen)
    if not len(past.traffic):
        raise WrongPolicy("no query of this time was decided by a score: there is nothing to replay")
    return past


def _backtest_fields(compared: "Comparison", changes: "Mapping[str, Change]") -> dict[str, object]:
    from router.tuning.comparison import ASSUMPTIONS

    outcomes = {name.replace("_", " "): one for name, one in compared.outcomes.items()}
    return {
        "changes": {name: {"before": a, "after": b} for name, (a, b) in changes.items()},
        "requests": compared.requests,
        "all_requests": compared.whole.requests,
        "decided_requests": compared.whole.decided,
        "assumptions": ASSUMPTIONS,
        "whole": {AS_IT_WAS: as_json(compared.as_it_was)}
        | {name: as_json(one.whole) for name, one in outcomes.items()},
        "whole_segments": {name: as_json(figures) for name, figures in compared.whole_by_segment.items()},
        "policies": {AS_IT_WAS: as_json(compared.decided_as_it_was)}
        | {name: as_json(one.figures, one.quality) for name, one in outcomes.items()},
        "segments": {name: as_json(figures) for name, figures in compared.by_segment.items()},
        "countries": {name: as_json(figures) for name, figures in compared.by_country.items()},
    }


def _backtest_lines(compared: "Comparison") -> list[dict[str, object]]:
    lines = [as_line(AS_IT_WAS, *cell, of=ALL) for cell in cells_of(compared.as_it_was)]
    lines += [as_line(AS_IT_WAS, *cell) for cell in cells_of(compared.decided_as_it_was)]
    for name, one in compared.outcomes.items():
        policy = name.replace("_", " ")
        lines += [as_line(policy, *cell, of=ALL) for cell in cells_of(one.whole)]
        lines += [as_line(policy, *cell) for cell in cells_of(one.figures, one.quality)]
    for name, figures in compared.whole_by_segment.items():
        lines += [as_line("proposed", *cell, segment=name, of=ALL) for cell in cells_of(figures)]
    for name, figures in compared.by_segment.items():
        lines += [as_line("proposed", *cell, segment=name) for cell in cells_of(figures)]
    for name, figures in compared.by_country.items():
        lines += [as_line("proposed", *cell, country=name) for cell in cells_of(figures)]
    return lines


def _print_backtest(compared: "Comparison") -> None:
    form, outcomes = Format.TABLE, {name.replace("_", " "): one for name, one in compared.outcomes.items()}
    whole = {AS_IT_WAS: as_texts(compared.as_it_was)} | {name: as_texts(one.whole) for name, one in outcomes.items()}
    show(as_table(whole), ("figure", *whole), form, _title_of(compared.whole))
    decided = {AS_IT_WAS: as_texts(compared.decided_as_it_was)}
    decided |= {name: as_texts(one.figures, one.quality) for name, one in outcomes.items()}
    title = f"The {compared.requests:,} of them that a score decided and that were replayed"
    show(as_table(decided), ("figure", *decided), form, title)
    if len(compared.whole_by_segment) > 1:
        texts = {name: as_texts(figures) for name, figures in compared.whole_by_segment.items()}
        show(as_table(texts), ("figure", *texts), form, "proposed, by segment, all requests")
    if len(compared.by_segment) > 1:
        texts = {name: as_texts(figures) for name, figures in compared.by_segment.items()}
        show(as_table(texts), ("figure", *texts), form, "proposed, by segment, decided by a score")
    if len(compared.by_country) > 1:
        rows = [{"country": name} | as_texts(figures) for name, figures in compared.by_country.items()]
        show(rows, ("country", *IN_BRIEF), form, "proposed, by country, decided by a score")
    print(footnotes(compared.proposed.quality))


def _title_of(whole: "Whole") -> str:
    return f"All {whole.requests:,} requests, as Overview counts them; a score decided {whole.decided:,} of them"


def _describe_targets(limits: object) -> str:
    from dataclasses import asdict

    named = asdict(limits)  # type: ignore[call-overload]
    return ", ".join(f"{name} {value:g}" for name, value in named.items() if value is not None)


def _solution_fields(solution: "Solution", whole: "Whole", today: "Policy", made: int | None) -> dict[str, object]:
    from router.policies.dials import dials_of
    from router.tuning.comparison import ASSUMPTIONS

    return {
        "against": today.version,
        "dials": dials_of(solution.policy),
        "binding": solution.binding,
        "used": solution.used,
        "note": solution.note,
        "as_it_was": as_json(whole.figures()),
        "predicted_whole": None if solution.whole is None else as_json(solution.whole),
        "predicted": as_json(solution.figures, solution.quality),
        "assumptions": ASSUMPTIONS,
        "proposed": made,
    }
