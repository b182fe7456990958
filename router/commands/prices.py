"""`tierwise prices`: the price book: what is in effect, and what the public map would change."""

from collections.abc import Iterable
from typing import Annotated, Any

import typer

from router.commands.output import ConfigOption, Format, FormatOption, show

app = typer.Typer(help="The price book.", no_args_is_help=True)

PRICES = ("id", "model", "input", "cached_input", "cache_write", "output", "thinking", "per_call", "source", "more")
CHANGES = ("model", "change", "provenance")
ModelsArgument = Annotated[list[str] | None, typer.Argument(help="Model names; default: all that are configured.")]


@app.command("list")
def list_prices(
    history: Annotated[bool, typer.Option("--all", help="Include past prices.")] = False,
    config: ConfigOption = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """List the prices in effect, in USD per million tokens; configured models without one are named."""
    from sqlalchemy import select

    from router.clock import SystemClock
    from router.commands.opening import open_books
    from router.database.tables import PriceRow
    from router.ledger import pricelist

    with open_books(config) as (configured, engine):
        pricelist.sync(engine, configured.model_names(), configured.prices, SystemClock().now_us())
        query = select(PriceRow.__table__).order_by(PriceRow.model, PriceRow.effective_from)
        with engine.connect() as connection:
            rows = connection.execute(query if history else query.where(PriceRow.effective_to.is_(None))).all()
    listed = [_price_row(row) for row in rows]
    missing = sorted(configured.model_names() - {row.model for row in rows if row.effective_to is None})
    listed += [{**dict.fromkeys(PRICES), "model": model, "source": "NO PRICE"} for model in missing]
    show(listed, PRICES, form)


@app.command()
def diff(models: ModelsArgument = None, config: ConfigOption = None, form: FormatOption = Format.TABLE) -> None:
    """Show what an import from the bundled map would change; "!" marks what a person should look at."""
    _import(models, config, form, yes=False, accept=(), is_dry=True)


@app.command("import")
def import_prices(
    models: ModelsArgument = None,
    yes: Annotated[bool, typer.Option("--yes", help="Make ordinary changes without asking.")] = False,
    accept: Annotated[
        list[str] | None, typer.Option(help="Accept this model's marked changes too; repeat for more.")
    ] = None,
    config: ConfigOption = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """Import prices from the bundled map, in effect from now on; marked changes only if accepted by name."""
    _import(models, config, form, yes=yes, accept=accept or (), is_dry=False)


def _import(
    models: Iterable[str] | None, config: Any, form: Format, *, yes: bool, accept: Iterable[str], is_dry: bool
) -> None:
    from router.clock import SystemClock
    from router.commands.opening import open_books
    from router.database.engine import exclusive
    from router.ledger import pricelist

    with open_books(config) as (configured, engine):
        wanted = sorted(set(models or configured.model_names()) - configured.prices.keys())
        quotes = [quote for model in wanted if (quote := pricelist.quote_of_map(model))]
        with engine.connect() as connection:
            current = pricelist.current_rows(connection)
        differing = [q for q in quotes if q.model not in current or q.differs_from(current[q.model])]
        changed = {q.model: pricelist.changes(current.get(q.model), q) for q in differing}
        rows = [
            {"model": q.model, "change": line, "provenance": q.provenance}
            for q in differing
            for line in changed[q.model]
        ]
        show(rows, CHANGES, form)
        taken = [q for q in differing if q.model in accept or not any(c.startswith("!") for c in changed[q.model])]
        if is_dry or not taken:
            return
        if not yes and not typer.confirm(f"take over {len(taken)} of {len(differing)} prices?", err=True):
            raise typer.Exit(1)
        with exclusive(engine) as connection:
            now = SystemClock().now_us()
            for quote in taken:
                pricelist.write(connection, quote, pricelist.current_rows(connection).get(quote.model), now)


def _price_row(row: Any) -> dict[str, object]:
    from router.ledger.pricelist import usd_per_million
    from router.money import usd_text

    base, *more = row.rates
    kinds = ("input", "cached_input", "cache_write", "output", "thinking")
    return {
        "id": row.id,
        "model": row.model,
        **{kind: usd_per_million(base.get(kind)) for kind in kinds},
        "per_call": usd_text(row.per_call_nanousd) if row.per_call_nanousd else None,
        "source": row.source,
        "more": ", ".join(_extra(rates) for rates in more) or None,
    }


def _extra(rates: dict[str, Any]) -> str:
    above = f" above {rates['above_tokens']}" if rates["above_tokens"] else ""
    return f"{rates['service']}{above}"
