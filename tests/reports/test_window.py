"""A stretch of time means the same wherever it is asked for, also where clocks change."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from router.reports.window import Window, WrongWindow, instant, window, zone_of

NOW = datetime(2026, 3, 10, 12, 34, 56, tzinfo=UTC)


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp()) * 1_000_000


def local(us: int | None, zone: str) -> str:
    assert us is not None
    return datetime.fromtimestamp(us / 1e6, ZoneInfo(zone)).isoformat()


def ends(found: Window, zone: str) -> tuple[str, str]:
    return local(found.since_us, zone), local(found.until_us, zone)


@pytest.mark.parametrize("since", [None, "all"])
def test_without_ends_everything_is_meant(since: str | None) -> None:
    found = window(since, None, "UTC", NOW)
    assert (found.since_us, found.until_us, found.zone, found.previous) == (None, None, UTC, None)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-03-01", "2026-03-01T00:00:00+00:00"),
        ("2026-03-01T08:30", "2026-03-01T08:30:00+00:00"),
        ("2026-03-01T08:30+02:00", "2026-03-01T06:30:00+00:00"),
        ("1d", "2026-03-10T00:00:00+00:00"),
        ("7d", "2026-03-04T00:00:00+00:00"),
        ("2w", "2026-02-25T00:00:00+00:00"),
        ("1h", "2026-03-10T12:00:00+00:00"),
        ("24h", "2026-03-09T13:00:00+00:00"),
        ("30m", "2026-03-10T12:04:56+00:00"),
    ],
)
def test_a_moment_is_a_date_a_time_or_where_a_span_begins(text: str, moment: str) -> None:
    assert instant(text, UTC, NOW) == at(moment)


@pytest.mark.parametrize(
    ("text", "zone", "moment"),
    [
        ("2026-03-01", "Asia/Tokyo", "2026-03-01T00:00:00+09:00"),
        ("7d", "America/Los_Angeles", "2026-03-04T00:00:00-08:00"),  # the clocks went forward on the 8th
        ("7d", "Pacific/Kiritimati", "2026-03-05T00:00:00+14:00"),  # there it is the 11th already
        ("2h", "Asia/Kolkata", "2026-03-10T17:00:00+05:30"),
        ("24h", "Asia/Kathmandu", "2026-03-09T19:00:00+05:45"),
    ],
)
def test_days_and_hours_are_those_of_the_zone(text: str, zone: str, moment: str) -> None:
    assert local(instant(text, zone_of(zone), NOW), zone) == moment


def test_a_day_without_a_midnight_begins_with_its_first_moment() -> None:
    now = datetime(2026, 9, 6, 15, tzinfo=UTC)  # in Chile the clocks went from 24:00 of the 5th to 1:00
    assert local(instant("1d", zone_of("America/Santiago"), now), "America/Santiago") == "2026-09-06T01:00:00-03:00"


def test_hours_are_hours_where_clocks_change() -> None:
    now = datetime(2026, 3, 29, 12, 30, tzinfo=UTC)
    begin = instant("24h", zone_of("Europe/Lisbon"), now)
    assert begin is not None
    assert at("2026-03-29T13:00:00+00:00") - begin == 24 * 3_600_000_000


@pytest.mark.parametrize("text", ["", "yesterday", "7", "7y", "-7d", "0d", "2026-13-01", "999999w", "999999h1"])
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


@pytest.mark.parametrize(
    ("since", "until", "zone", "before"),
    [
        # A window that goes on is held against as much of the one before.
        ("7d", None, "UTC", ("2026-02-25T00:00:00+00:00", "2026-03-03T12:34:56+00:00")),
        ("24h", None, "UTC", ("2026-03-08T13:00:00+00:00", "2026-03-09T12:34:56+00:00")),
        ("2026-03-09", None, "UTC", ("2026-03-07T00:00:00+00:00", "2026-03-08T12:34:56+00:00")),
        # One that is over ends where this one begins.
        ("8d", "1d", "UTC", ("2026-02-24T00:00:00+00:00", "2026-03-03T00:00:00+00:00")),
        ("2026-03-01", "2026-03-08", "UTC", ("2026-02-22T00:00:00+00:00", "2026-03-01T00:00:00+00:00")),
        ("2026-03-01T08:00", "2026-03-01T10:00", "UTC", ("2026-03-01T06:00:00+00:00", "2026-03-01T08:00:00+00:00")),
        # A change of clocks moves no midnight and no time of day.
        ("7d", None, "America/New_York", ("2026-02-25T00:00:00-05:00", "2026-03-03T08:34:56-05:00")),
        (
            "2026-03-08",
            "2026-03-09",
            "America/New_York",
            ("2026-03-07T00:00:00-05:00", "2026-03-08T00:00:00-05:00"),
        ),
    ],
)
def test_the_window_before_is_as_many_steps_long(
    since: str, until: str | None, zone: str, before: tuple[str, str]
) -> None:
    previous = window(since, until, zone, NOW).previous
    assert previous is not None
    assert ends(previous, zone) == before


def test_the_window_before_has_one_before_it() -> None:
    previous = window("8d", "1d", "UTC", NOW).previous
    assert previous is not None
    assert previous.previous == Window(
        at("2026-02-17T00:00:00+00:00"), previous.since_us, UTC, previous.now_us, previous.stride
    )


@pytest.mark.parametrize(
    ("since", "until", "zone", "words"),
    [
        ("7d", None, "Asia/Kolkata", "4 Mar 2026 00:00 to 10 Mar 2026 18:04, Asia/Kolkata"),
        (None, None, "UTC", "the beginning to 10 Mar 2026 12:34, UTC"),
        ("2026-03-01", "2026-04-01", "Europe/Lisbon", "1 Mar 2026 00:00 to 1 Apr 2026 00:00, Europe/Lisbon"),
        ("0001-01-01", None, "America/New_York", "1 Jan 1 00:00 to 10 Mar 2026 08:34, America/New_York"),
    ],
)
def test_a_window_says_itself(since: str | None, until: str | None, zone: str, words: str) -> None:
    assert window(since, until, zone, NOW).describe() == words


def test_a_window_made_by_hand_says_what_it_knows() -> None:
    assert Window(None, None, UTC).describe() == "the beginning to now, UTC"
    assert Window(None, None, UTC).previous is None
