"""`tierwise statement`: a month of one customer, as a page that prints, a table, JSON or CSV."""

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from router.commands.output import ConfigOption, open_output, show_table, write_csv

COLUMNS = ("what", "requests", "calls", "cost_usd", "expected_revenue_usd", "booked_revenue_usd", "unpriced")


class StatementFormat(StrEnum):
    """How a statement is written."""

    HTML = "html"
    TABLE = "table"
    JSON = "json"
    CSV = "csv"


def statement(
    month: Annotated[str, typer.Option(help="UTC month, such as 2026-10.")],
    key: Annotated[
        list[str] | None, typer.Option(help="Requests of the key with this name; repeat for a customer with several.")
    ] = None,
    segment: Annotated[str | None, typer.Option(help="Requests of this segment.")] = None,
    customer: Annotated[
        str, typer.Option(help="Name of the customer on the statement; default: the keys, or the segment.")
    ] = "",
    form: Annotated[
        StatementFormat | None,
        typer.Option("--format", help="Output format; default: html with -o, otherwise a table."),
    ] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write to this file.")] = None,
    config: ConfigOption = None,
) -> None:
    """Show exactly what a customer's requests of a month cost and earned: all statements add up to the ledger."""
    from router.commands.opening import existing_books
    from router.reports import statement as statements

    if bool(key) == (segment is not None):
        raise typer.BadParameter("give --key (one or several), or --segment")
    chosen = form or (StatementFormat.HTML if output else StatementFormat.TABLE)
    if chosen is StatementFormat.TABLE and output is not None:
        raise typer.BadParameter("--output takes html, json or csv")
    with existing_books(config) as (_, engine):
        of = (
            statements.customer_of_segment(engine, segment, customer)
            if segment is not None
            else statements.customer_of_keys(engine, key or (), customer)
        )
        found = statements.read_statement(engine, of, month)
    fields = statements.statement_fields(found)
    rows = [{"what": "requests of this month", **statements.amounts(found.came_in)}]
    rows += [{"what": f"adjustments for {name}", **statements.amounts(sums)} for name, sums in found.late.items()]
    rows.append({"what": "total", **statements.amounts(found.total)})
    if chosen is StatementFormat.TABLE:
        state = "open" if fields["closed_at"] is None else f"closed {fields['closed_at']} by {fields['closed_by']}"
        typer.echo(found.stamp.describe())
        show_table(rows, COLUMNS, f"{of.name}, {month}, {state}")
        return
    with open_output(output) as stream:
        match chosen:
            case StatementFormat.HTML:
                stream.write(statements.statement_page(found))
            case StatementFormat.JSON:
                stream.write(json.dumps(fields, indent=2) + "\n")
            case StatementFormat.CSV:
                said = found.stamp.cells()
                write_csv([row | said for row in rows], (*COLUMNS, *said), stream)
