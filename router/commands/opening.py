"""What most commands begin with: the settings and the database, closed again at the end."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Engine

from router import settings
from router.database import schema
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


def make_state_dir(configured: Settings) -> None:
    """Make the state directory where it is missing; raises WrongSetting."""
    try:
        configured.state_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WrongSetting(f"state_dir: {configured.state_dir} cannot be made: {error.strerror}") from None
