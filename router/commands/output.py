"""Listings on the terminal: as a table for people, as JSON or CSV for programs."""

import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated

import typer

from router.policies.shares import WrongShare, read_share

if TYPE_CHECKING:
    from rich.console import Console


class Format(StrEnum):
    """How a listing is written."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


WIDE = 200
ConfigOption = Annotated[
    Path | None, typer.Option("--config", help="Configuration file; default: TIERWISE_CONFIG, then ./tierwise.toml.")
]
FormatOption = Annotated[Format, typer.Option("--format", help="Output format.")]


def share(text: str) -> float:
    """Read an option that is a share: `18 %` or `0.18`."""
    try:
        return read_share(text)
    except WrongShare as error:
        raise typer.BadParameter(str(error)) from None


@contextmanager
def open_output(path: Path | None) -> Iterator[IO[str]]:
    """Open what a command writes into, a file or standard output; raises BadParameter where the file cannot be."""
    if path is None:
        yield sys.stdout
        return
    try:
        file = path.open("w", encoding="utf-8", newline="")
    except OSError as error:
        raise typer.BadParameter(f"{path}: {error.strerror}", param_hint="--output") from None
    with file:
        yield file


def show(rows: Sequence[Mapping[str, object]], columns: Sequence[str], form: Format, title: str | None = None) -> None:
    """Write rows; a value of None is unknown: an empty cell, null in JSON."""
    match form:
        case Format.JSON:
            print(json.dumps([{c: row[c] for c in columns} for row in rows], indent=2, default=str))
        case Format.CSV:
            write_csv(rows, columns, sys.stdout)
        case Format.TABLE:
            show_table(rows, columns, title)


def write_csv(rows: Iterable[Mapping[str, object]], columns: Sequence[str], file: IO[str]) -> None:
    """Write rows as CSV; an empty cell is unknown."""
    from router.ledger import export

    export.write_csv(([row[column] for column in columns] for row in rows), file, columns)


def format_time(at_us: int) -> str:
    """Write an instant for people and programs: ISO 8601 in UTC, to the second."""
    return datetime.fromtimestamp(at_us // 1_000_000, UTC).isoformat()


def show_table(rows: Sequence[Mapping[str, object]], columns: Sequence[str], title: str | None = None) -> None:
    """Write rows as a table for people; numbers are set to the right."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(title=title, title_justify="left", header_style="bold", box=SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        values = [row[column] for row in rows if row[column] is not None]
        is_numeric = bool(values) and all(_is_number(v) for v in values)
        table.add_column(column, justify="right" if is_numeric else "left", overflow="fold", no_wrap=is_numeric)
    for row in rows:
        table.add_row(*("-" if row[c] is None else _plain(row[c]) for c in columns))
    wide_console().print(table)


def wide_console() -> "Console":
    """A console that folds nothing where it writes into a file or a pipe, which have no width."""
    from rich.console import Console

    console = Console()
    if not console.is_terminal:
        console.width = WIDE
    return console


def _is_number(value: object) -> bool:
    try:
        float(str(value).removesuffix("%").replace(",", ""))
    except ValueError:
        return False
    return True


def _plain(value: object) -> str:
    from rich.markup import escape

    return escape(str(value))
