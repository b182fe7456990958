"""`tierwise artifacts`: the adapted classifiers in the database, their cards, and copies of them."""

from pathlib import Path
from typing import Annotated

import typer

from router.commands.output import ConfigOption, Format, FormatOption, format_time, show

app = typer.Typer(help="Adapted classifiers that policies can name.", no_args_is_help=True)

COLUMNS = ("version", "created_at", "state", "author", "bytes", "in_force")
VersionArgument = Annotated[str, typer.Argument(help="The artefact's version.")]


@app.command("list")
def list_(config: ConfigOption = None, form: FormatOption = Format.TABLE) -> None:
    """List the artefacts, newest first, and whether the policy in force names one."""
    from router.commands.opening import existing_books
    from router.learning.artifacts import list_all
    from router.policies.versions import in_force

    with existing_books(config) as (_, engine):
        artifacts, named = list_all(engine), in_force(engine).classifier
    rows = [
        {
            "version": each.version,
            "created_at": format_time(each.created_at_us),
            "state": each.state,
            "author": each.author,
            "bytes": each.size_bytes,
            "in_force": each.version == named,
        }
        for each in artifacts
    ]
    show(rows, COLUMNS, form)


@app.command()
def card(version: VersionArgument, config: ConfigOption = None) -> None:
    """Print the model card of an artefact."""
    from router.commands.opening import existing_books
    from router.learning.artifacts import card_of

    with existing_books(config) as (_, engine):
        print(card_of(engine, version))


@app.command()
def export(
    version: VersionArgument,
    out: Annotated[Path, typer.Option(help="Directory to write the files to.")],
    config: ConfigOption = None,
) -> None:
    """Write an artefact's files into a directory, as `tierwise train --out` does."""
    from router.commands.opening import existing_books
    from router.learning.artifacts import export as write

    with existing_books(config) as (_, engine):
        write(engine, version, out)
    typer.echo(f"{out}: version {version}", err=True)
