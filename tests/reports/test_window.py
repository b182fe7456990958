from datetime import UTC, datetime

import pytest

from router.reports.window import WrongWindow, instant, window, zone_of

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp()) * 1_000_000


def test_without_ends_everything_is_meant() -> None:
    found = window(None, None, "UTC", NOW)
    assert (found.since_us, found.until_us, found.zone) == (None, None, UTC)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-03-01", "2026-03-01T00:00:00+00:00"),
        ("2026-03-01T08:30", "2026-03-01T08:30:00+00:00"),
        ("2026-03-01T08:30+02:00", "2026-03-01T06:30:00+00:00"),
        ("7d", "2026-03-03T12:00:00+00:00"),
        ("12h", "2026-03-10T00:00:00+00:00"),
        ("2w", "2026-02-24T12:00:00+00:00"),
        ("30m", "2026-03-10T11:30:00+00:00"),
    ],
)
def test_a_moment_is_a_date_a_time_or_a_distance_back(text: str, moment: str) -> None:
    assert instant(text, UTC, NOW) == at(moment)


def test_a_date_begins_at_midnight_of_the_zone() -> None:
    assert instant("2026-03-01", zone_of("Asia/Tokyo"), NOW) == at("2026-02-28T15:00:00+00:00")


@pytest.mark.parametrize("text", ["", "yesterday", "7", "7y", "-7d", "2026-13-01", "999999w"])
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(WrongWindow):
        instant(text, UTC, NOW)


@pytest.mark.parametrize("name", ["", "Mars/Base", "../etc/passwd", "Europe", "/UTC", "\x00"])
def test_an_unknown_zone_is_refused(name: str) -> None:
    with pytest.raises(WrongWindow, match="time zone"):
        zone_of(name)


def test_an_end_before_the_beginning_is_refused() -> None:
    with pytest.raises(WrongWindow, match="lies before"):
        window("2026-03-02", "2026-03-01", "UTC", NOW)
