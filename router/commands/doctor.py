"""`tierwise doctor`: in one screen what is configured, what has no price, and whether the providers answer."""

import asyncio
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from router.commands.output import ConfigOption, Format, FormatOption, format_time, show

if TYPE_CHECKING:
    from router.providers.base import ModelTarget
    from router.providers.clients import Providers
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
    offline: Annotated[bool, typer.Option("--offline", help="Do not ask the providers.")] = False,
) -> None:
    """Examine configuration, database, ledger, prices and providers; exit code 1 when something is bad."""
    from router import settings
    from router.commands.opening import count_live_keys, describe_auth

    path = settings.config_path(config)
    configured = settings.load(path)
    findings = [*_configuration(configured, path), *_books(configured)]
    findings.append(CheckResult("API keys", OK, describe_auth(configured, count_live_keys(configured))))
    has_books = any((finding.what, finding.says) == ("schema", CURRENT) for finding in findings)
    findings += _policy(configured, has_books=has_books)
    findings.append(_alerts(configured))
    findings += _models(configured, os.environ, ask=not offline)
    show([finding.row() for finding in findings], ("what", "state", "says"), form)
    sys.exit(1 if any(finding.state == BAD for finding in findings) else 0)


def _configuration(configured: "Settings", path: Path | None) -> list[CheckResult]:
    from router import settings
    from router.admin.auth.secrets import HASH_FILE, OVERRIDE
    from router.database.engine import format_url

    findings = [
        CheckResult("configuration", OK, str(path or "built-in defaults (no tierwise.toml here)")),
        CheckResult("database", OK, format_url(configured.database_url)),
        CheckResult("state_dir", OK, str(configured.state_dir)),
    ]
    findings += [CheckResult(name, WARNING, "sets nothing") for name in settings.unknown_variables()]
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


def _models(configured: "Settings", environ: Mapping[str, str], *, ask: bool) -> list[CheckResult]:
    from router import lineup
    from router.ledger import pricelist

    models = lineup.all_targets(configured, environ)
    unpriced = {m.name for m in models if pricelist.quote(m.name, configured.prices) is None}
    findings = [
        CheckResult(f"price of {m.name}", WARNING, "none: its calls are booked without an amount")
        for m in models
        if m.name in unpriced
    ]
    if not unpriced:
        findings.append(CheckResult("prices", OK, f"all of {len(models)} models have one"))
    return findings + (asyncio.run(_answers(models, trust_env=configured.trust_env)) if ask else [])


async def _answers(models: Sequence["ModelTarget"], *, trust_env: bool) -> list[CheckResult]:
    from router.providers.clients import Providers

    providers = Providers(trust_env=trust_env)
    try:
        return list(await asyncio.gather(*(_answer(providers, model) for model in models)))
    finally:
        await providers.close()


async def _answer(providers: "Providers", model: "ModelTarget") -> CheckResult:
    from router.errors import ProviderError

    try:
        async with asyncio.timeout(20):
            await providers.of(model).ping(model)
    except ProviderError as error:
        return CheckResult(model.name, BAD, error.message)
    except TimeoutError:
        return CheckResult(model.name, BAD, "did not answer within 20 s")
    return CheckResult(model.name, OK, "answers")
