"""`tierwise report`: cost, expected revenue and contribution by any dimension."""

import json
from datetime import UTC, datetime
from typing import Annotated

import typer

from router.commands.output import ConfigOption, Format, FormatOption, show, show_table

MOST_DIMENSIONS = 2


def report(
    by: Annotated[str, typer.Option(help="tier, model, segment, day, ...; one, or two separated by a comma.")] = "tier",
    since: Annotated[str | None, typer.Option(help="First moment: a date, a time, or back from now (7d).")] = None,
    until: Annotated[str | None, typer.Option(help="First moment no longer included.")] = None,
    zone: Annotated[str, typer.Option(help="Time zone of days and dates.")] = "UTC",
    config: ConfigOption = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """Tell what requests cost, what they are expected to earn, and what is left."""
    from router.commands.opening import opened
    from router.reports.dimensions import DIMENSIONS
    from router.reports.queries import FIGURES, costs
    from router.reports.window import window

    names = [name.strip() for name in by.split(",")]
    unknown = [name for name in names if name not in DIMENSIONS]
    if unknown or len(set(names)) != len(names) or len(names) > MOST_DIMENSIONS:
        raise typer.BadParameter(f"--by takes one or two of {', '.join(DIMENSIONS)}")
    chosen = window(since, until, zone, datetime.now(UTC))
    with opened(config) as (_, engine):
        found = costs(engine, names, chosen)
    rows, totals = found.lines(), found.totals().figures()
    columns = (*names, *FIGURES)
    match form:
        case Format.JSON:
            shown = {"since": _text(chosen.since_us), "until": _text(chosen.until_us)}
            print(json.dumps({"window": shown, "zone": zone, "by": names, "rows": rows, "totals": totals}, indent=2))
        case Format.CSV:
            show(rows, columns, form)
        case Format.TABLE:
            blank = dict.fromkeys(names[1:], "")
            show_table([*rows, {names[0]: "total", **blank, **totals}], columns)


def _text(us: int | None) -> str | None:
    return None if us is None else datetime.fromtimestamp(us / 1e6, UTC).isoformat()
