"""`tierwise admin`: the secrets of the admin pages."""

import os
from typing import Annotated

import typer

from router.commands.output import ConfigOption

app = typer.Typer(help="The secrets of the admin pages.", no_args_is_help=True)


@app.callback()
def admin() -> None:
    """The secrets of the admin pages."""


@app.command()
def reset(
    role: Annotated[str, typer.Option(help="admin, or viewer for a secret that can change nothing.")] = "admin",
    config: ConfigOption = None,
) -> None:
    """Make a new secret and print it once; whoever signed in with the old one is signed out."""
    from router import settings
    from router.admin.auth.secrets import AdminRole, AdminSecret
    from router.commands.opening import make_state_dir

    try:
        whose = AdminRole(role)
    except ValueError:
        raise typer.BadParameter(f"--role takes {' or '.join(AdminRole)}") from None
    configured = settings.load(settings.config_path(config))
    make_state_dir(configured)
    print(AdminSecret(configured.state_dir, {}, whose).reset())
    if (override := f"TIERWISE_{whose.upper()}_SECRET") in os.environ:
        typer.echo(f"note: {override} is set and overrides it", err=True)
