"""`tierwise doctor`: in one screen what is configured, what has no key or price, and whether the models answer."""

import asyncio
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from router.commands.output import ConfigOption, Format, FormatOption, format_time, show

if TYPE_CHECKING:
    from router.settings import Settings

OK, WARNING, BAD = "ok", "warning", "bad"
CURRENT = "current"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One line of the examination."""

    what: str
    state: str
    says: str

    def row(self) -> dict[str, object]:
        """The finding as a row of a listing."""
        return {"what": self.what, "state": self.state, "says": self.says}


def doctor(
    config: ConfigOption = None,
    form: FormatOption = Format.TABLE,
    free: Annotated[bool, typer.Option("--free", help="Make no calls that cost money.")] = False,
    offline: Annotated[bool, typer.Option("--offline", help="Make no calls to models at all.")] = False,
) -> None:
    """Check configuration, database, prices and keys, and ask each model for one token; exit code 1 if one is bad.

    The token is booked as housekeeping for `doctor`, in books that are created if there are none.
    """
    from router import settings
    from router.commands.opening import count_live_keys, describe_auth

    path = settings.config_path(config)
    configured = settings.load(path)
    findings = [*_configuration(configured, path), *_books(configured)]
    findings.append(CheckResult("API keys", OK, describe_auth(configured, count_live_keys(configured))))
    has_books = any((finding.what, finding.says) == ("schema", CURRENT) for finding in findings)
    findings += _policy(configured, has_books=has_books)
    findings += [_alerts(configured), *_keys_of_providers(configured, path), *_prices(configured)]
    if not offline:
        is_writable = not any((finding.what, finding.state) == ("schema", BAD) for finding in findings)
        findings += _answers(configured, is_free=free or not is_writable)
    show([finding.row() for finding in findings], ("what", "state", "says"), form)
    sys.exit(1 if any(finding.state == BAD for finding in findings) else 0)


def _configuration(configured: "Settings", path: Path | None) -> list[CheckResult]:
    from router import settings
    from router.admin.auth.secrets import HASH_FILE, OVERRIDE
    from router.database.engine import format_url

    findings = [
        CheckResult(
            "configuration",
            OK,
            str(path or settings.describe_wiring(path) or "built-in defaults (no tierwise.toml here)"),
        ),
        CheckResult("database", OK, format_url(configured.database_url)),
        CheckResult("state_dir", OK, str(configured.state_dir)),
    ]
    findings += [CheckResult(name, WARNING, says) for name, says in settings.describe_unknown_variables()]
    has_secret = OVERRIDE in os.environ or (configured.state_dir / HASH_FILE).exists()
    findings.append(CheckResult("admin secret", OK, "set" if has_secret else "will be made at the first start"))
    return findings


def _books(configured: "Settings") -> list[CheckResult]:
    from router.database import schema
    from router.database.engine import DatabaseUnusable, sqlite_path
    from router.database.schema import ADVICE, SchemaState
    from router.ledger import recovery
    from router.ledger.shipping import spool_directory

    file = sqlite_path(configured.database_url)
    try:
        is_absent = file is not None and not file.exists()
        state = SchemaState.EMPTY if is_absent else schema.check(configured.database_url)
    except DatabaseUnusable as error:
        return [CheckResult("schema", BAD, str(error)), _last_known(configured)]
    advice = ADVICE.get(state)
    findings = [CheckResult("schema", BAD if advice else OK, advice or f"{state}")]
    directory = spool_directory(configured.state_dir)
    spools = len(list(directory.glob("*.spool"))) if directory.exists() else 0
    findings.append(CheckResult("spools", OK, f"{spools} in use or waiting to be adopted"))
    if directory.exists() and (rejected := recovery.count_rejected(directory)):
        findings.append(CheckResult("refused requests", BAD, f"{rejected} wait in {directory / recovery.REJECTED}"))
    findings += [CheckResult("damaged spool", BAD, str(path)) for path in recovery.list_damaged(directory)]
    if not advice and not is_absent:
        findings += _revenue_events(configured)
    return findings


def _last_known(configured: "Settings") -> CheckResult:
    """Say what a start would serve from while the database is away."""
    from router.database import last_known

    found = last_known.load(configured.state_dir)
    if found is None:
        return CheckResult("last known state", BAD, "none: nothing is started until the database is back")
    engine, at_us = found
    engine.dispose()
    since = format_time(at_us)
    says = f"of {since}: while the database is away a start serves with policy, keys and prices as they were then"
    return CheckResult("last known state", WARNING, says)


def _revenue_events(configured: "Settings") -> list[CheckResult]:
    """Name revenue events that are beyond what one may have: they count nowhere."""
    from router.database.engine import open_engine
    from router.ledger.revenue_events import count_unbounded

    engine = open_engine(configured.database_url)
    beyond = count_unbounded(engine)
    engine.dispose()
    says = f"{beyond} beyond what one may have: `tierwise revenue events --largest`"
    return [CheckResult("revenue events", WARNING, says)] if beyond else []


def _alerts(configured: "Settings") -> CheckResult:
    """Say who is told of alerts; `tierwise alerts test` tries it."""
    from router.clock import SystemClock
    from router.notifications.channels import channels_of
    from router.settings import WrongSetting

    if not configured.alerts.enabled:
        return CheckResult("alerts", WARNING, "turned off (alerts.enabled)")
    try:
        channels = channels_of(configured.alerts, SystemClock(), trust_env=configured.trust_env)
    except WrongSetting as error:
        return CheckResult("alerts", BAD, str(error))
    return CheckResult("alerts", OK, f"told by {', '.join(channels)}; `tierwise alerts test` tries it")


def _policy(configured: "Settings", *, has_books: bool) -> list[CheckResult]:
    """Hold what is in force against the configuration: the tiers may have changed since it was activated."""
    from router.database.engine import open_engine
    from router.policies.dials import WrongPolicy, require_fits
    from router.policies.versions import in_force, policy_of_file

    policy = policy_of_file(configured.policy.model_dump())
    if has_books:
        engine = open_engine(configured.database_url)
        policy = in_force(engine)
        engine.dispose()
    what = f"policy, version {policy.version}" if policy.version else "policy, of the file"
    try:
        require_fits(policy, configured.tiers)
    except WrongPolicy as error:
        return [CheckResult(what, WARNING, str(error))]
    return [CheckResult(what, OK, "fits the tiers")]


def _keys_of_providers(configured: "Settings", path: Path | None) -> list[CheckResult]:
    """Name models that cannot be called or have no key, the toy where it would have to think, and votes by spelling."""
    from router.commands.models import describe_missing_keys, describe_toys, describe_uninstalled, describe_votes

    findings = [CheckResult("installed", BAD, says) for says in describe_uninstalled(configured, path)]
    findings += [
        CheckResult("key of a provider", WARNING, says) for says in describe_missing_keys(configured, path, os.environ)
    ]
    if (toys := describe_toys(configured)) is not None:
        findings.append(CheckResult("embedded model", WARNING, toys))
    if (votes := describe_votes()) is not None:
        findings.append(CheckResult("votes", WARNING, votes))
    return findings


def _prices(configured: "Settings") -> list[CheckResult]:
    from router.ledger import pricelist

    names = sorted(configured.model_names())
    unpriced = [name for name in names if pricelist.quote(name, configured.prices) is None]
    says = "none: its calls are booked without an amount; give one in [prices]"
    if not unpriced:
        return [CheckResult("prices", OK, f"all of {len(names)} models have one")]
    return [CheckResult(f"price of {name}", WARNING, says) for name in unpriced]


def _answers(configured: "Settings", *, is_free: bool) -> list[CheckResult]:
    """Ask the models: for one token, or for what costs nothing where that is wanted or nothing could be booked."""
    from router import lineup
    from router.commands.opening import make_state_dir
    from router.commands.probes import ask_for_a_token, ask_freely
    from router.database import schema
    from router.providers.catalog import describe_uninstalled

    found = lineup.all_targets(configured, os.environ)
    models = [model for model in found if describe_uninstalled(model) is None]
    if is_free:
        results = asyncio.run(ask_freely(models, configured))
    else:
        make_state_dir(configured)
        engine = schema.ready_engine(configured.database_url)
        try:
            results = asyncio.run(ask_for_a_token(models, configured, engine))
        finally:
            engine.dispose()
    return [CheckResult(one.model, OK if one.failure is None else BAD, one.says) for one in results]
