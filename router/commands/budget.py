"""`tierwise budget`: limits on what may be spent, hard or soft."""

import getpass
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated

import typer

from router.commands.auditing import hook
from router.commands.output import ConfigOption, Format, FormatOption, format_time, show

if TYPE_CHECKING:
    from router.ledger.budgets import BudgetScope

app = typer.Typer(help="Limits on what may be spent, hard or soft.", no_args_is_help=True)

SHOWN = (
    "scope",
    "subject",
    "period",
    "kind",
    "limit_usd",
    "spent_usd",
    "leased_usd",
    "jobs_usd",
    "left_usd",
    "used",
    "begins",
)


@app.command("show")
def show_budgets(config: ConfigOption = None, form: FormatOption = Format.TABLE) -> None:
    """Show every budget in its current period: what is booked, leased to workers, of that held for jobs, and left."""
    from router.clock import SystemClock
    from router.commands.opening import open_books
    from router.ledger import budgets
    from router.money import usd_text

    with open_books(config) as (_, engine):
        stored = budgets.standing(engine, SystemClock().now_us())
    rows = []
    for row in stored:
        limit, spent, leased = (row[f"{name}_nanousd"] for name in ("limit", "settled", "leased"))
        rows.append(
            {
                **row,
                "limit_usd": usd_text(limit),
                "spent_usd": usd_text(spent),
                "leased_usd": usd_text(leased),
                "jobs_usd": usd_text(row["jobs_nanousd"]),
                "left_usd": usd_text(limit - spent - leased),
                "used": str((Decimal(spent) / limit).quantize(Decimal("0.0001"))) if limit else None,
                "begins": format_time(row["start_us"]),
            }
        )
    show(rows, SHOWN, form)


@app.command("set")
def set_budget(
    limit_usd: Annotated[str, typer.Argument(help="Dollars for each period, or `none` to remove the budget.")],
    period: Annotated[str, typer.Option(help="hour, day or month, in UTC.")] = "day",
    key: Annotated[str | None, typer.Option(help="Only requests of the key with this name.")] = None,
    segment: Annotated[str | None, typer.Option(help="Only requests of this segment.")] = None,
    tier: Annotated[str | None, typer.Option(help="Only requests that this tier was chosen for.")] = None,
    kind: Annotated[
        str | None,
        typer.Option(
            help="When used up, a `hard` budget refuses fast answers too; a `soft` one still gives them to `auto` and "
            "`fast`. A new budget is hard; one that is set again keeps its kind."
        ),
    ] = None,
    note: Annotated[str, typer.Option(help="Reason, for the log.")] = "",
    config: ConfigOption = None,
) -> None:
    """Limit what may be spent; what the period has cost so far counts. It takes effect within two seconds.

    When it is used up, `auto` is answered fast; reasoning, parallel and explicit models get 429 insufficient_quota
    until the period ends. Where even a fast answer does not fit, a hard budget refuses it and a soft one lets it pass.
    """
    from router.clock import SystemClock
    from router.commands.opening import open_books
    from router.ledger import budgets
    from router.money import NotMoney, nano_from_usd

    scope, name = _scope(key, segment, tier)
    try:
        lasts = budgets.Period(period)
    except ValueError:
        raise typer.BadParameter(f"--period takes {', '.join(budgets.Period)}") from None
    try:
        chosen = None if kind is None else budgets.BudgetKind(kind)
    except ValueError:
        raise typer.BadParameter(f"--kind takes {', '.join(budgets.BudgetKind)}") from None
    try:
        limit = None if limit_usd == "none" else nano_from_usd(limit_usd)
    except NotMoney as error:
        raise typer.BadParameter(str(error)) from None
    if limit is not None and limit < 0:
        raise typer.BadParameter("a limit is no less than 0")
    with open_books(config) as (_, engine):
        subject, target = budgets.subject_of(engine, scope, name), f"{lasts} {scope} {name}".strip()
        if limit is None:
            was_there = budgets.drop(engine, scope, subject, lasts, hook("budget taken away", target))
            typer.echo("taken away" if was_there else "there was no such budget")
        else:
            now_us, author = SystemClock().now_us(), getpass.getuser()
            audit = hook("budget set", target, note)
            budgets.put(engine, scope, subject, lasts, limit, author, note, now_us, audit, chosen)
            typer.echo("in force within two seconds")


def _scope(key: str | None, segment: str | None, tier: str | None) -> "tuple[BudgetScope, str]":
    from router.ledger.budgets import BudgetScope

    given = [(scope, name) for scope, name in zip(BudgetScope, (None, key, segment, tier), strict=True) if name]
    if len(given) > 1:
        raise typer.BadParameter("one of --key, --segment, --tier; a budget of each is set on its own")
    return given[0] if given else (BudgetScope.TOTAL, "")
