"""`tierwise keys`: the API keys of the data plane."""

import json
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, TypeVar

import typer

from router.commands.auditing import hook
from router.commands.output import ConfigOption, Format, FormatOption, show
from router.types import DEFAULT_SEGMENT, Tier

Member = TypeVar("Member", bound=StrEnum)

app = typer.Typer(help="API keys of the data plane.", no_args_is_help=True)
COLUMNS = ("id", "name", "prefix", "segment", "scopes", "allowed_tiers", "max_cost_usd", "created_at", "revoked_at")


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="A name for the key, unique.")],
    segment: Annotated[str, typer.Option(help="Segment that its requests are booked under.")] = DEFAULT_SEGMENT,
    scope: Annotated[list[str] | None, typer.Option(help="chat, feedback, revenue, metrics, assign; repeat.")] = None,
    scopes: Annotated[str | None, typer.Option(help="The same as one comma-separated list.")] = None,
    allowed_tiers: Annotated[str | None, typer.Option(help="Comma-separated tiers; default all.")] = None,
    max_cost_usd: Annotated[
        str | None, typer.Option(help="Dollars that one request may cost; default no limit.")
    ] = None,
    config: ConfigOption = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """Make a key and print it, once."""
    from router import keys
    from router.clock import SystemClock
    from router.commands.opening import open_books
    from router.money import NotMoney, nano_from_usd

    wanted = [*(scope or ()), *_split(scopes)]
    tiers = _split(allowed_tiers)
    try:
        cap = None if max_cost_usd is None else nano_from_usd(max_cost_usd)
    except NotMoney as error:
        raise typer.BadParameter(str(error)) from None
    with open_books(config) as (_, engine):
        secret = keys.create(
            engine,
            name,
            segment=segment,
            scopes=[_member(keys.Scope, s) for s in wanted] or keys.NEW_KEY_SCOPES,
            allowed_tiers=[_member(Tier, t) for t in tiers] or list(Tier),
            now_us=SystemClock().now_us(),
            hook=hook("key created", name),
            max_cost_nanousd=cap,
        )
    match form:
        case Format.JSON:
            print(json.dumps({"key": secret, "name": name, "segment": segment}))
        case Format.CSV:
            show([{"key": secret, "name": name, "segment": segment}], ("key", "name", "segment"), form)
        case Format.TABLE:
            print(secret)


@app.command("list")
def list_keys(config: ConfigOption = None, form: FormatOption = Format.TABLE) -> None:
    """List all keys, revoked ones too; secrets cannot be shown again."""
    from router import keys
    from router.commands.opening import open_books

    with open_books(config) as (_, engine):
        rows = keys.list_keys(engine)
    shown = [{**row, **{at: _when(row[at]) for at in ("created_at", "revoked_at")}} for row in rows]
    show([{**row, "max_cost_usd": _usd(row["max_cost_nanousd"])} for row in shown], COLUMNS, form)


@app.command()
def revoke(name: Annotated[str, typer.Argument(help="The key's name.")], config: ConfigOption = None) -> None:
    """Revoke a key; running servers refuse it within two seconds."""
    from router import keys
    from router.clock import SystemClock
    from router.commands.opening import open_books

    with open_books(config) as (_, engine):
        keys.revoke(engine, name, now_us=SystemClock().now_us(), hook=hook("key revoked", name))
    print(f"{name} is revoked")


def _split(text: str | None) -> list[str]:
    return [part.strip() for part in (text or "").split(",") if part.strip()]


def _member(closed: type[Member], value: str) -> Member:
    try:
        return closed(value)
    except ValueError:
        known = ", ".join(closed)
        raise typer.BadParameter(f"{value!r} is not one of {known}") from None


def _usd(nanousd: object) -> str | None:
    from router.money import usd_text

    return usd_text(nanousd) if isinstance(nanousd, int) else None


def _when(us: object) -> str | None:
    return datetime.fromtimestamp(us / 1e6, UTC).isoformat(timespec="seconds") if isinstance(us, int) else None
