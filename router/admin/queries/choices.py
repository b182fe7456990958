"""Reads what a filter can be set to: the values that occur in a stretch of time, those with most requests first."""

from collections.abc import Mapping, Sequence

from sqlalchemy import Engine, select

from router.admin.selection import FILTERS, Selection
from router.database.tables import ApiKey
from router.reports.queries import sum_by
from router.reports.reading import reading

MOST_CHOICES = 100


def read(engine: Engine, selection: Selection) -> Mapping[str, Sequence[str]]:
    """The values of each filter in the window, and the one that is chosen; keys by their names."""
    choices: dict[str, list[str]] = {}
    with reading(engine, selection.window) as books:
        names = {str(row.id): row.name for row in books.connection.execute(select(ApiKey.id, ApiKey.name))}
        for name in FILTERS:
            rows = sum_by(books, [name], {}).rows.items()
            values = [value for (value,), _ in sorted(rows, key=lambda row: -row[1].requests) if value is not None]
            if name == "key":
                values = [names[value] for value in values if value in names]
            chosen = selection.filters.get(name)
            choices[name] = list(dict.fromkeys([*values[:MOST_CHOICES], *([chosen] if chosen else [])]))
    return choices
