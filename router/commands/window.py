"""The options of commands that speak of a stretch of time, read the same way by all of them."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from router.reports.window import Window
    from router.settings import Settings

SINCE = "Start: a date, a time, or a span up to now (7d: today and the six days before)."
UNTIL = "End, itself not included: a date, a time, or where a span begins (1d: today)."
Since = Annotated[str | None, typer.Option(help=f"{SINCE} Default: everything.")]
SinceOption = Annotated[str, typer.Option(help=SINCE)]
UntilOption = Annotated[str | None, typer.Option(help=f"{UNTIL} Default: now.")]
ZoneOption = Annotated[str | None, typer.Option(help="Time zone of days and dates; default: `reports.zone`.")]


MadeUpOption = Annotated[
    bool,
    typer.Option(
        "--with-made-up", help="Count made-up requests too; by default they count only while there are no others."
    ),
]


def read_window(
    configured: "Settings",
    since: str | None,
    until: str | None,
    zone: str | None = None,
    *,
    with_made_up: bool = False,
) -> "Window":
    """Read a window up to now, in the zone that was asked for or is configured; raises WrongWindow."""
    from router.reports.window import window

    where = configured.reports.zone if zone is None else zone
    return replace(window(since, until, where, datetime.now(UTC)), with_made_up=with_made_up or None)


def write_stamp(engine: "Engine", window: "Window", *, beside: bool) -> None:
    """Say of which time and books an output is, and when it was made; `beside` what a program reads, on stderr."""
    from router.reports.stamp import Stamp

    typer.echo(Stamp.of(engine, window).describe(), err=beside)


def note_made_up(engine: "Engine", window: "Window") -> None:
    """Say beside an export how many of its requests are made up."""
    from router.reports.reading import reading

    with reading(engine, window) as books:
        if note := books.made_up.describe():
            typer.echo(note, err=True)
