"""SQL held against the tables that a question gives: parsed and prepared by SQLite, never run on data.

Statements of other dialects are left alone: a dialect that SQLite does not read proves nothing.
"""

import re
import sqlite3
from functools import lru_cache

from router.tiers.vote.fences import blocks

LONGEST = 20_000
MOST_STEPS = 200_000  # of SQLite's virtual machine

SQL = frozenset(("", "sql", "sqlite", "sqlite3"))  # languages of a fence
_TABLES = re.compile(r"create\s+table\s[^;]*?\)\s*(?:;|(?=\n\s*\n)|(?=```)|\Z)", re.IGNORECASE | re.DOTALL)
_READS = re.compile(r"\s*(?:select|with)\b", re.IGNORECASE)
_ASKS = re.compile(r"\b(?:sql|query)\b", re.IGNORECASE)
_OTHER_DIALECTS = re.compile(
    r"(?i)\b(?:postgres\w*|mysql|mariadb|t-sql|sql server|oracle|snowflake|bigquery|redshift)\b"
)
_ABOUT_NAMES = ("no such column", "no such table", "ambiguous column name")


def tables_in(question: str) -> str | None:
    """Return the CREATE TABLE statements of a question that asks for SQL, None where there are none or not SQLite's."""
    return _tables_in(question) if len(question) <= LONGEST else None


@lru_cache(maxsize=64)
def _tables_in(question: str) -> str | None:
    if not _ASKS.search(question):
        return None
    found = ";\n".join(table.strip().rstrip(";") for table in _TABLES.findall(question))
    return found if found and _fault_of(found, None) == "" else None


def statement_in(text: str) -> str | None:
    """Return the query of an answer: its last fenced block that reads, or the whole text."""
    queries = [source.strip() for language, source in blocks(text) if language in SQL and _READS.match(source)]
    if queries:
        return queries[-1]
    return text.strip() if _READS.match(text) else None


def is_broken(statement: str, tables: str, question: str) -> bool:
    """Tell whether a query cannot run on these tables: what it names is not there, or it is no SQLite."""
    fault = _fault_of(tables, statement)
    if any(fault.startswith(about) for about in _ABOUT_NAMES):
        return True
    return "syntax error" in fault and not _OTHER_DIALECTS.search(question) and "sqlite" in question.casefold()


def _fault_of(tables: str, statement: str | None) -> str:
    """Make the tables in memory and prepare a query; returns what is wrong with it, nothing where all is well."""
    steps = [0]

    def count() -> int:
        steps[0] += 1
        return int(steps[0] * 1_000 > MOST_STEPS)

    connection = sqlite3.connect(":memory:")
    try:
        connection.set_progress_handler(count, 1_000)
        connection.set_authorizer(_authorize)
        connection.executescript(tables)
        if statement is not None:
            connection.execute(f"EXPLAIN {statement.rstrip().rstrip(';')}")
    except (sqlite3.Error, sqlite3.Warning, ValueError, UnicodeEncodeError) as error:
        return str(error) or type(error).__name__
    finally:
        connection.close()
    return ""


def _authorize(action: int, *_: object) -> int:
    forbidden = (sqlite3.SQLITE_ATTACH, sqlite3.SQLITE_DETACH, sqlite3.SQLITE_PRAGMA, sqlite3.SQLITE_CREATE_TRIGGER)
    return sqlite3.SQLITE_DENY if action in forbidden else sqlite3.SQLITE_OK
