"""The books as rows for other programs: one row per provider call, in the columns of the outside contract.

Why a call failed stands behind them for who asks for it, so that programs which count columns go on.
"""

import csv
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import IO, Any

from sqlalchemy import Engine, text

from router.database import ids
from router.ledger.made_up import are_counted

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?%?", re.ASCII)
COLUMNS = (
    "request_id",
    "call_no",
    "kind",
    "tier",
    "provider_model",
    "status",
    "input_fresh",
    "input_cached",
    "input_cache_write",
    "output_visible",
    "output_reasoning",
    "cost_nanousd",
    "price_id",
    "precision",
    "started_at",
    "segment",
)
WITH_CAUSES = (*COLUMNS, "cause", "http_status")
SYNTHETIC = "synthetic"  # a column more: whether the call belongs to a made-up request
STARTED_AT = COLUMNS.index("started_at")
LINES = """
    SELECT {columns} FROM call_lines
    WHERE request_id >= :first AND request_id < :end AND CAST(synthetic AS INTEGER) <= :most_made_up
    ORDER BY request_id, call_no
"""


def lines(
    engine: Engine,
    since_us: int = 0,
    until_us: int = 2**62,
    columns: Sequence[str] = COLUMNS,
    with_made_up: bool | None = None,
) -> Iterator[Sequence[Any]]:
    """Read the settled calls of the requests that came in within a window, oldest first.

    `columns` is COLUMNS or WITH_CAUSES, and SYNTHETIC behind them. Calls of made-up requests come as wanted, else
    while there are no others.
    """
    query = text(LINES.format(columns=", ".join(columns)))
    bounds = {"first": ids.text_at(-(-since_us // 1_000)), "end": ids.text_at(-(-until_us // 1_000))}
    with engine.connect() as connection:
        wanted = {**bounds, "most_made_up": int(are_counted(connection, with_made_up))}
        rows = connection.execution_options(yield_per=5_000).execute(query, wanted)
        for line in rows:
            row = list(line)
            row[STARTED_AT] = instant(row[STARTED_AT])
            yield row


def write_csv(rows: Iterable[Sequence[Any]], file: IO[str], columns: Sequence[str] = COLUMNS) -> None:
    """Write CSV; an empty amount is unpriced, an empty token count unknown."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([csv_cell(value) for value in row] for row in rows)


def csv_cell(value: object) -> object:
    """Write a value for a table program: unknown is empty, and text that such a program would run is only shown.

    Names of models and keys come from outside; one that begins as formulas do gets an apostrophe. Numbers stay numbers.
    """
    if value is None:
        return ""
    if isinstance(value, str) and value.startswith(FORMULA_STARTS) and not NUMBER.fullmatch(value):
        return f"'{value}"
    return value


def write_json(rows: Iterable[Sequence[Any]], file: IO[str], columns: Sequence[str] = COLUMNS) -> None:
    """Write a JSON array of objects, without holding it in memory."""
    separator = "["
    for row in rows:
        file.write(separator + json.dumps(dict(zip(columns, row, strict=True))))
        separator = ",\n "
    file.write("]\n" if separator != "[" else "[]\n")


def instant(at_us: int) -> str:
    """Write microseconds since the epoch as ISO 8601 (UTC)."""
    return datetime.fromtimestamp(at_us // 1_000_000, UTC).replace(microsecond=at_us % 1_000_000).isoformat()
