"""What most commands begin with: the settings and the database, closed again at the end."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from router import keys, settings
from router.clock import SystemClock
from router.database import schema
from router.database.engine import DatabaseUnusable, format_url, open_engine, sqlite_path
from router.database.private import make_directory
from router.errors import Unavailable
from router.settings import Settings, WrongSetting


@contextmanager
def open_books(config: Path | None) -> Iterator[tuple[Settings, Engine]]:
    """Read the settings and open the database, making and migrating an absent or empty one."""
    configured = settings.load(settings.config_path(config))
    make_state_dir(configured)
    engine = schema.ready_engine(configured.database_url)
    try:
        yield configured, engine
    finally:
        engine.dispose()


@contextmanager
def existing_books(config: Path | None) -> Iterator[tuple[Settings, Engine]]:
    """Read the settings and open the database; raises DatabaseUnusable where there is none, and makes none."""
    path = settings.config_path(config)
    configured = settings.load(path)
    if schema.is_absent(configured.database_url):
        raise DatabaseUnusable(_describe_absence(configured.database_url, path))
    with open_books(config) as opened:
        yield opened


def _describe_absence(database_url: str, path: Path | None) -> str:
    of_whom = f"as {path} says" if path else "the usual place, because there is no tierwise.toml here"
    return (
        f"there are no books yet in {format_url(database_url)} ({of_whom}). `tierwise serve` makes them with the first"
        " start; if yours are elsewhere, name their configuration with --config"
    )


def make_state_dir(configured: Settings) -> None:
    """Make the state directory where it is missing; raises WrongSetting."""
    try:
        make_directory(configured.state_dir)
    except OSError as error:
        raise WrongSetting(f"state_dir: {configured.state_dir} cannot be made: {error.strerror}") from None


def count_live_keys(configured: Settings) -> int | None:
    """Count the keys that are valid now; None where the database cannot be asked."""
    file = sqlite_path(configured.database_url)
    if file is not None and not file.exists():
        return 0
    try:
        engine = open_engine(configured.database_url)
        try:
            return len(keys.valid_keys(engine, SystemClock().now_us()))
        finally:
            engine.dispose()
    except (SQLAlchemyError, Unavailable):
        return None


def describe_auth(configured: Settings, live: int | None) -> str:
    """Say who needs an API key, and why; `live` is how many there are."""
    if configured.server.auth == "required":
        return "every request needs one (server.auth = required)"
    if live is None:
        return "cannot be read now; until they can, nobody is answered without one"
    if live:
        return f"every request needs one: {live} live, so server.auth = auto counts as required"
    return "programs on this machine need none until the first is made (server.auth = auto)"
