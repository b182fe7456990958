"""`tierwise keys`: the API keys of the data plane."""

import json
from enum import StrEnum
from typing import Annotated, Any, TypeVar

import typer

from router.commands.auditing import hook
from router.commands.output import ConfigOption, Format, FormatOption, format_time, show
from router.types import DEFAULT_SEGMENT, Tier

Member = TypeVar("Member", bound=StrEnum)

app = typer.Typer(help="API keys of the data plane.", no_args_is_help=True)
COLUMNS = (
    "id",
    "name",
    "prefix",
    "segment",
    "scopes",
    "allowed_tiers",
    "allowed_models",
    "max_cost_usd",
    "limits",
    "created_at",
    "expires_at",
    "old_valid_until",
    "revoked_at",
)
TIMES = ("created_at", "expires_at", "old_valid_until", "revoked_at")

Models = Annotated[
    str | None,
    typer.Option(help="Comma-separated names of [models.*] that it may ask for, or all, or none."),
]
Expires = Annotated[str | None, typer.Option(help="When it expires: 90d, 12h, or 2027-01-31 (UTC).")]
Requests = Annotated[str | None, typer.Option(help="Requests per minute of this key.")]
Tokens = Annotated[str | None, typer.Option(help="Input and output tokens per minute of this key.")]
AtOnce = Annotated[str | None, typer.Option(help="Requests of this key at a time, per worker.")]
UserRequests = Annotated[str | None, typer.Option(help="Requests per minute of one end user.")]
UserTokens = Annotated[str | None, typer.Option(help="Input and output tokens per minute of one end user.")]
UserAtOnce = Annotated[str | None, typer.Option(help="Requests of one end user at a time, per worker.")]
MaxTokens = Annotated[str | None, typer.Option(help="Most tokens that a request may ask for.")]
MaxN = Annotated[str | None, typer.Option(help="Most choices (n) that a request may ask for.")]
UserDeep = Annotated[str | None, typer.Option(help="Deep answers per day (UTC) of one end user.")]
UserUsd = Annotated[str | None, typer.Option(help="Dollars per day that deep answers of one end user may cost.")]


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="Unique name for the key.")],
    segment: Annotated[str, typer.Option(help="Segment that its requests are booked under.")] = DEFAULT_SEGMENT,
    scope: Annotated[
        list[str] | None, typer.Option(help="chat, feedback, revenue, metrics or assign; repeat for more.")
    ] = None,
    scopes: Annotated[str | None, typer.Option(help="The scopes as one comma-separated list.")] = None,
    allowed_tiers: Annotated[str | None, typer.Option(help="Comma-separated tiers; default: all.")] = None,
    max_cost_usd: Annotated[
        str | None, typer.Option(help="Dollars that one request may cost; default: no limit.")
    ] = None,
    allowed_models: Models = None,
    expires: Expires = None,
    requests_per_minute: Requests = None,
    tokens_per_minute: Tokens = None,
    concurrency: AtOnce = None,
    user_requests_per_minute: UserRequests = None,
    user_tokens_per_minute: UserTokens = None,
    user_concurrency: UserAtOnce = None,
    max_tokens: MaxTokens = None,
    max_n: MaxN = None,
    user_deep_per_day: UserDeep = None,
    user_usd_per_day: UserUsd = None,
    config: ConfigOption = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """Create a key and print it once. Limits that are not given are those of [limits]; `none` lifts one."""
    from router import keys
    from router.clock import SystemClock
    from router.commands.opening import open_books
    from router.limits.wording import read_instant, read_limits, read_models
    from router.money import NotMoney, nano_from_usd

    wanted = [*(scope or ()), *_split(scopes)]
    tiers = _split(allowed_tiers)
    now_us = SystemClock().now_us()
    limits, _ = read_limits(locals())
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
            now_us=now_us,
            hook=hook("key created", name),
            max_cost_nanousd=cap,
            allowed_models=None if allowed_models is None else read_models(allowed_models),
            expires_at=None if expires is None else read_instant(expires, now_us),
            limits=limits,
        )
    _print_secret(secret, name, segment, form)


@app.command()
def rotate(
    name: Annotated[str, typer.Argument(help="The key's name.")],
    overlap: Annotated[str, typer.Option(help="How long the old secret stays valid: 24h, 30m, 7d, 0m.")] = "24h",
    config: ConfigOption = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """Give a key a new secret and print it once; all else stays, and the old secret works until the overlap ends."""
    from router import keys
    from router.clock import SystemClock
    from router.commands.opening import open_books
    from router.limits.wording import read_duration_us

    overlap_us = read_duration_us(overlap)
    with open_books(config) as (_, engine):
        secret = keys.rotate(
            engine, name, overlap_us=overlap_us, now_us=SystemClock().now_us(), hook=hook("key rotated", name)
        )
        [row] = [row for row in keys.list_keys(engine) if row["name"] == name]
    _print_secret(secret, name, row["segment"], form)


@app.command()
def change(
    name: Annotated[str, typer.Argument(help="The key's name.")],
    allowed_models: Models = None,
    expires: Annotated[
        str | None, typer.Option(help="When it expires: 90d, 12h, 2027-01-31 (UTC), or none for never.")
    ] = None,
    requests_per_minute: Requests = None,
    tokens_per_minute: Tokens = None,
    concurrency: AtOnce = None,
    user_requests_per_minute: UserRequests = None,
    user_tokens_per_minute: UserTokens = None,
    user_concurrency: UserAtOnce = None,
    max_tokens: MaxTokens = None,
    max_n: MaxN = None,
    user_deep_per_day: UserDeep = None,
    user_usd_per_day: UserUsd = None,
    config: ConfigOption = None,
) -> None:
    """Change models, expiry and limits of a key. A limit is a number, `none`, or `default` for that of [limits]."""
    from router import keys
    from router.clock import SystemClock
    from router.commands.opening import open_books
    from router.limits.wording import NO_LIMIT, read_instant, read_limits, read_models

    limits, inherited = read_limits(locals())
    now_us = SystemClock().now_us()
    changes: dict[str, Any] = {}
    if allowed_models is not None:
        changes["allowed_models"] = keys.write_models(read_models(allowed_models))
    if expires is not None:
        changes["expires_at"] = None if expires == NO_LIMIT else read_instant(expires, now_us)
    if not (changes or limits or inherited):
        raise typer.BadParameter("say what is to change")
    told = hook("key changed", name)
    with open_books(config) as (_, engine):
        keys.change(engine, name, changes, now_us=now_us, limits=limits, inherited=inherited, hook=told)
    print(f"{name} is changed; running servers follow within two seconds")


def _print_secret(secret: str, name: str, segment: str, form: Format) -> None:
    match form:
        case Format.JSON:
            print(json.dumps({"key": secret, "name": name, "segment": segment}))
        case Format.CSV:
            show([{"key": secret, "name": name, "segment": segment}], ("key", "name", "segment"), form)
        case Format.TABLE:
            print(secret)


@app.command("webhook")
def webhook(
    name: Annotated[str | None, typer.Argument(help="The key's name; without one: callers without a key.")] = None,
    config: ConfigOption = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """Print the secret that webhooks about jobs of a key are signed with: it is made of `jobs.webhooks.secret`."""
    from router import keys
    from router.commands.opening import existing_books
    from router.jobs.callback_ways import webhook_secrets
    from router.jobs.callbacks import callback_key
    from router.notifications.signatures import write_secret

    with existing_books(config) as (configured, engine):
        if configured.jobs.webhooks is None:
            raise typer.BadParameter("no webhooks are sent for jobs; set jobs.webhooks.secret or secret_env")
        key_id = None if name is None else keys.id_of(engine, name)
        secret = write_secret(callback_key(webhook_secrets(configured.jobs.webhooks)[0], key_id))
    if form is Format.TABLE:
        print(secret)
    else:
        show([{"webhook_secret": secret, "name": name}], ("webhook_secret", "name"), form)


@app.command("list")
def list_keys(config: ConfigOption = None, form: FormatOption = Format.TABLE) -> None:
    """List all keys, including revoked ones; secrets cannot be shown again."""
    from router import keys
    from router.commands.opening import existing_books
    from router.limits.wording import format_limits

    with existing_books(config) as (_, engine):
        rows = keys.list_keys(engine)
    shown = [
        {**row, **{at: _when(row[at]) for at in TIMES}, "limits": format_limits(row["limits"]) or None} for row in rows
    ]
    show([{**row, "max_cost_usd": _usd(row["max_cost_nanousd"])} for row in shown], COLUMNS, form)


@app.command()
def revoke(name: Annotated[str, typer.Argument(help="The key's name.")], config: ConfigOption = None) -> None:
    """Revoke a key; running servers refuse it within two seconds."""
    from router import keys
    from router.clock import SystemClock
    from router.commands.opening import existing_books

    with existing_books(config) as (_, engine):
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
    return format_time(us) if isinstance(us, int) else None
