"""Brings the schema of the books up to date, and tells whether it is.

Alembic is imported only where something is to be migrated: every command begins here, and it takes a quarter second.
"""

import importlib
import pkgutil
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine, MetaData, inspect, text
from sqlalchemy.exc import SQLAlchemyError

import migrations
import router.database
from router.database.engine import (
    DatabaseUnusable,
    cause,
    check_writable,
    exclusive,
    format_url,
    open_engine,
    sqlite_path,
    unusable,
)
from router.database.private import make_directory
from router.database.tables import Base

if TYPE_CHECKING:
    from alembic.config import Config

HISTORY = Path(migrations.__file__).parent


class SchemaState(StrEnum):
    """How the schema stands to the code."""

    EMPTY = "empty"
    CURRENT = "current"
    BEHIND = "behind"
    GROWN = "grown"  # newer than the code, which may use it all the same: what it knows is still there
    AHEAD = "ahead"
    FOREIGN = "foreign"


def ready_engine(database_url: str) -> Engine:
    """Open the database for serving: an absent or empty one is migrated, any other must be usable and writable.

    Raises DatabaseUnusable naming the cause.
    """
    engine = _open_or_create(database_url)
    try:
        state = check(engine)
        if state is SchemaState.EMPTY:
            migrate(engine)
        elif state not in USABLE:
            raise DatabaseUnusable(f"{format_url(database_url)}: {ADVICE[state]}")
        check_writable(engine)
    except DatabaseUnusable:
        engine.dispose()
        raise
    return engine


USABLE = (SchemaState.CURRENT, SchemaState.GROWN)
ADVICE = {
    SchemaState.BEHIND: "the schema is older than this version; run `tierwise db upgrade`",
    SchemaState.AHEAD: "the schema is newer than this version of Tierwise",
    SchemaState.FOREIGN: "this database holds tables of something else",
}


def migrate(database: Engine | str, revision: str = "head") -> None:
    """Upgrade (or downgrade, to an older revision) the schema; processes that start together wait for each other."""
    from alembic import command

    engine = _open_or_create(database) if isinstance(database, str) else database
    try:
        with exclusive(engine) as connection:
            config = _config(connection)
            if _is_below(connection, revision):
                command.downgrade(config, revision)
            else:
                command.upgrade(config, revision)
    except SQLAlchemyError as error:
        url = engine.url.render_as_string(hide_password=False)
        raise DatabaseUnusable(f"{format_url(url)} cannot be migrated: {cause(error, url)}") from None
    finally:
        if isinstance(database, str):
            engine.dispose()


def check(database: Engine | str) -> SchemaState:
    """Tell how the schema stands; raises DatabaseUnusable when the database cannot be read."""
    engine = open_engine(database) if isinstance(database, str) else database
    try:
        with engine.connect() as connection:
            revision = _revision(connection)
            if revision is None:
                others = set(inspect(connection).get_table_names()) - {"alembic_version"}
                return SchemaState.FOREIGN if others else SchemaState.EMPTY
            known = revisions()
            if revision == known[-1]:
                return SchemaState.CURRENT
            if revision in known:
                return SchemaState.BEHIND
            return SchemaState.GROWN if _floor(connection) in known else SchemaState.AHEAD
    except SQLAlchemyError as error:
        url = engine.url.render_as_string(hide_password=False)
        raise unusable(error)(f"{format_url(url)} cannot be read: {cause(error, url)}") from None
    finally:
        if isinstance(database, str):
            engine.dispose()


def is_absent(database_url: str) -> bool:
    """Tell whether there are no books at an address yet: no file, or no table. Raises DatabaseUnusable."""
    path = sqlite_path(database_url)
    return (path is not None and not path.exists()) or check(database_url) is SchemaState.EMPTY


def problem(database_url: str) -> str | None:
    """Say what is wrong with the schema, None when it is up to date; makes no database where there is none."""
    path = sqlite_path(database_url)
    if path is not None and not path.exists():
        return f"{path} does not exist; run `tierwise db upgrade`"
    state = check(database_url)
    if state in USABLE:
        return None
    return f"{format_url(database_url)}: {ADVICE.get(state, 'there is no schema yet; run `tierwise db upgrade`')}"


def drift(engine: Engine) -> list[object]:
    """List what an automatic migration would still change: empty when history and tables agree."""
    from alembic.autogenerate import compare_metadata
    from alembic.runtime.migration import MigrationContext

    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return list(compare_metadata(context, metadata()))


def metadata() -> MetaData:
    """Return every table of the house: those of `tables`, and of each module here whose name ends in `_tables`."""
    for module in pkgutil.iter_modules(router.database.__path__):
        if module.name.endswith("_tables"):
            importlib.import_module(f"router.database.{module.name}")
    return Base.metadata


def _open_or_create(database_url: str) -> Engine:
    path = sqlite_path(database_url)
    if path is not None:
        try:
            make_directory(path.parent)
        except OSError as error:
            raise DatabaseUnusable(f"{path.parent} cannot be made: {error.strerror}") from None
    return open_engine(database_url)


def revisions() -> list[str]:
    """Return every revision there is, the oldest first: the numbers with which the names of their files begin."""
    return sorted(path.name.partition("_")[0] for path in (HISTORY / "versions").glob("[0-9]*_*.py"))


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    revision: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return revision


def _floor(connection: Connection) -> str | None:
    """The oldest revision whose code may use the schema; None where the schema does not say."""
    if not inspect(connection).has_table("schema_floor"):
        return None
    floor: str | None = connection.scalar(text("SELECT revision FROM schema_floor"))
    return floor


def _config(connection: Connection) -> "Config":
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(HISTORY))
    config.attributes["connection"] = connection
    return config


def _is_below(connection: Connection, revision: str) -> bool:
    """Tell whether a revision is older than the one that the database is at."""
    now, known = _revision(connection), revisions()
    if now is None or revision == "head":
        return False
    return revision == "base" or (now in known and revision in known and known.index(revision) < known.index(now))
