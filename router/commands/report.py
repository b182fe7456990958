"""`tierwise report`: cost, expected revenue and contribution by any dimension."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated

import typer

from router.commands.output import ConfigOption, Format, FormatOption, show, show_table

TITLES = {
    "requests": "requests",
    "calls": "calls",
    "cost_usd": "cost $",
    "expected_revenue_usd": "expected $",
    "booked_revenue_usd": "booked $",
    "contribution_usd": "left $",
    "deep_share": "deep",
    "unpriced": "unpriced",
    "estimated": "estimated",
    "unknown": "unknown",
}


def report(
    by: Annotated[str, typer.Option(help="tier, model, segment, day, ...; several separated by commas.")] = "tier",
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
    if unknown or len(set(names)) != len(names):
        raise typer.BadParameter(f"--by takes one or several of {', '.join(DIMENSIONS)}, each once")
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
            total = {names[0]: "total", **blank, **totals}
            show_table([_readable(row, names) for row in (*rows, total)], (*names, *TITLES.values()))


def _readable(row: Mapping[str, object], names: Sequence[str]) -> dict[str, object]:
    """Shorten for the eye: five significant digits of a dollar, shares in percent; JSON and CSV stay exact."""
    shown: dict[str, object] = {name: row[name] if row[name] is not None else "unknown" for name in names}
    for figure, title in TITLES.items():
        value = row[figure]
        if isinstance(value, str) and figure == "deep_share":
            value = f"{Decimal(value) * 100:.1f} %"
        elif isinstance(value, str):
            value = short_usd(Decimal(value))
        shown[title] = value
    return shown


def short_usd(amount: Decimal) -> str:
    """Write dollars with as many digits as a reader needs: cents from a dollar on, five digits below."""
    if abs(amount) >= 1 or amount == 0:
        return f"{amount:,.2f}"
    return f"{amount:.{min(9, 4 - amount.adjusted())}f}"


def _text(us: int | None) -> str | None:
    return None if us is None else datetime.fromtimestamp(us / 1e6, UTC).isoformat()
