"""`tierwise db`: the database's schema."""

import sys

import typer

from router.commands.output import ConfigOption

app = typer.Typer(help="The database's schema.", no_args_is_help=True)


@app.command()
def upgrade(config: ConfigOption = None) -> None:
    """Bring the database up to date, and create it if there is none."""
    from router import settings
    from router.database import schema

    schema.migrate(settings.load(settings.config_path(config)).database_url)
    print("the database is up to date")


@app.command()
def check(config: ConfigOption = None) -> None:
    """Tell whether the database is up to date; exit code 1 if it is not."""
    from router import settings
    from router.database import schema

    problem = schema.problem(settings.load(settings.config_path(config)).database_url)
    print(problem or "the database is up to date")
    sys.exit(1 if problem else 0)
