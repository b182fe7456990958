"""Reads how many requests of the books are made up, for the note at the head of every page."""

from datetime import UTC

from sqlalchemy import Engine

from router.ledger.made_up import MadeUp
from router.reports.reading import reading
from router.reports.window import Window


def read(engine: Engine, with_made_up: bool | None) -> MadeUp:
    """Count the requests of the whole books, from rollups."""
    with reading(engine, Window(None, None, UTC, with_made_up=with_made_up)) as books:
        return books.made_up
