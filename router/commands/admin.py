"""`tierwise admin`: the admin secret."""

import os

import typer

from router.commands.output import ConfigOption

app = typer.Typer(help="The admin secret.", no_args_is_help=True)


@app.callback()
def admin() -> None:
    """The admin secret."""


@app.command()
def reset(config: ConfigOption = None) -> None:
    """Make a new admin secret, forget the old one, and print it once."""
    from router import settings
    from router.admin_secret import OVERRIDE, AdminSecret
    from router.commands.opening import make_state_dir

    configured = settings.load(settings.config_path(config))
    make_state_dir(configured)
    print(AdminSecret(configured.state_dir, {}).reset())
    if OVERRIDE in os.environ:
        typer.echo(f"note: {OVERRIDE} is set and overrides it", err=True)
