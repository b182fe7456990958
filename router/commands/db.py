"""`tierwise db`: the database's schema, and a copy of everything."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from router.commands.output import ConfigOption

app = typer.Typer(help="The database's schema, and a copy of everything.", no_args_is_help=True)


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


@app.command()
def backup(
    target: Annotated[Path, typer.Argument(help="Directory for the copy: a new one, or an empty one.")],
    config: ConfigOption = None,
) -> None:
    """Copy the state of this machine and, from SQLite, the books, while the server runs.

    Books in PostgreSQL are copied afterwards by `pg_dump`: after every replica's state, never before.
    """
    from router import settings
    from router.ledger.backup import BackupRefused, back_up_books, back_up_state

    configured = settings.load(settings.config_path(config))
    try:
        count = back_up_state(configured.state_dir, configured.database_url, target)
        books = back_up_books(configured.database_url, target)
    except BackupRefused as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    print(f"{count} files of {configured.state_dir} are in {target}")
    print(f"the books are in {books}" if books else "now copy the database: pg_dump --format=custom")
