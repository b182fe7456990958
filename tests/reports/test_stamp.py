"""What every output says of itself."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import create_engine

from router.database.engine import address_of
from router.reports.stamp import COLUMNS, Stamp
from router.reports.window import window

NOW = datetime(2026, 3, 10, 12, 34, 56, tzinfo=UTC)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("sqlite:///var/tierwise.db", "sqlite:///var/tierwise.db"),
        (
            "postgresql+psycopg://ann:s3cret@db.example:5433/books?sslpassword=other",
            "postgresql://db.example:5433/books",
        ),
    ],
)
def test_a_database_is_named_without_what_opens_it(url: str, said: str) -> None:
    engine = create_engine(url)
    assert address_of(engine) == said
    engine.dispose()


def test_a_stamp_says_window_zone_database_and_when() -> None:
    stamp = Stamp(window("7d", None, "Asia/Kolkata", NOW), "sqlite:///books.db", int(NOW.timestamp()) * 1_000_000)
    assert stamp.describe() == (
        "4 Mar 2026 00:00 to 10 Mar 2026 18:04, Asia/Kolkata; sqlite:///books.db; made 10 Mar 2026 18:04"
    )
    assert stamp.fields() == {
        "window": {"since": "2026-03-03T18:30:00+00:00", "until": None},
        "zone": "Asia/Kolkata",
        "database": "sqlite:///books.db",
        "made_at": "2026-03-10T12:34:56+00:00",
    }
    assert tuple(stamp.cells()) == COLUMNS
    assert stamp.cells()["until"] == "2026-03-10T12:34:56+00:00"
