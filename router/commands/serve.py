"""`tierwise serve`: check the configuration, bring the database up to date, and listen."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from router.commands.output import ConfigOption

if TYPE_CHECKING:
    from router.settings import Settings


def serve(
    config: ConfigOption = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0 takes a free one.")] = None,
    workers: Annotated[int | None, typer.Option(help="Worker processes; the embedded model forces 1.")] = None,
) -> None:
    """Serve the chat endpoints, models, feedback, health and metrics."""
    from router import settings
    from router.admin.auth.secrets import AdminSecret
    from router.commands.listening import require_free
    from router.commands.models import describe_limits, describe_missing_keys
    from router.commands.opening import make_state_dir
    from router.database import schema
    from router.database.engine import DatabaseAway
    from router.server import run

    overrides = {
        name: value for name, value in (("host", host), ("port", port), ("workers", workers)) if value is not None
    }
    path = settings.config_path(config)
    configured = settings.load(path, {"server": overrides} if overrides else None)
    _require_installed(configured, path)
    if (wired := settings.describe_wiring(path)) is not None:
        _say(wired)
    warnings = [f"{name} {says}" for name, says in settings.describe_unknown_variables()]
    warnings += [*describe_missing_keys(configured, path, os.environ), *describe_limits(configured)]
    for warning in warnings:
        _say(f"warning: {warning}")
    require_free(configured.server.host, configured.server.port)
    make_state_dir(configured)
    if configured.server.workers > 1 and configured.uses_embedded():
        _say("the embedded model lives inside one process: serving with 1 worker")
    elif configured.server.workers > 1:  # once here, rather than in every worker again and again
        try:
            schema.ready_engine(configured.database_url).dispose()
        except DatabaseAway:  # the workers know what to do then
            pass
    # A secret that is made is also shown: only once the start has succeeded.
    run(configured, path, lambda base_url: _greet(base_url, AdminSecret(configured.state_dir).ensure(), configured))


def _require_installed(configured: "Settings", path: Path | None) -> None:
    """Raise WrongSetting for models that cannot be called with what is installed."""
    from router.commands.models import describe_uninstalled
    from router.mistakes.extras import GET_WEIGHTS, how_to_get
    from router.settings import DEFAULT_MODEL, WrongSetting

    found = describe_uninstalled(configured, path)
    if found and path is None and configured.model_names() == {DEFAULT_MODEL}:
        raise WrongSetting(
            "there is nothing to answer with: no tierwise.toml here, no key of a provider in the environment"
            f" (OPENAI_API_KEY, ...), and no embedded model. Set a key, or write a configuration with `tierwise init`,"
            f" or get the embedded model: {how_to_get('embedded')}, and then `{GET_WEIGHTS}`"
        )
    if found:
        raise WrongSetting("\n".join(found))


def _greet(base_url: str, secret: str | None, configured: "Settings") -> None:
    from router.commands.opening import count_live_keys, describe_auth

    live = count_live_keys(configured)
    bearer = "" if live == 0 and configured.server.auth == "auto" else ' -H "authorization: Bearer $KEY"'
    _say(
        f"""
Tierwise is ready. Ask it something:

  curl {base_url}/v1/chat/completions -H 'content-type: application/json'{bearer} \\
    -d '{{"model": "auto", "messages": [{{"role": "user", "content": "Why is the sky blue?"}}]}}'

API keys:     {describe_auth(configured, live)}
HTTP API:     {base_url}/docs
Admin page:   {base_url + "/admin" if configured.admin.enabled else "turned off (admin.enabled)"}"""
    )
    if secret is not None:
        _say(f"Admin secret: {secret}   (shown once; `tierwise admin reset` makes a new one)")
    _say("")


def _say(line: str) -> None:
    sys.stdout.write(line + os.linesep)
    sys.stdout.flush()
