"""Which stretch of time a report speaks of: ISO dates and instants, or a distance back from now such as 7d."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_BACK = re.compile(r"(\d{1,6})([mhdw])")
_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}


@dataclass(frozen=True, slots=True)
class Window:
    """Requests that came in from `since_us` (inclusive) to `until_us` (exclusive); None is open-ended."""

    since_us: int | None
    until_us: int | None
    zone: tzinfo


class WrongWindow(ValueError):
    """A time or a zone that cannot be read."""


def window(since: str | None, until: str | None, zone: str, now: datetime) -> Window:
    """Read a window; a date means its first moment in the zone. Raises WrongWindow."""
    where = zone_of(zone)
    begin, end = instant(since, where, now), instant(until, where, now)
    if begin is not None and end is not None and end < begin:
        raise WrongWindow(f"--until {until} lies before --since {since}")
    return Window(begin, end, where)


def zone_of(name: str) -> tzinfo:
    """Find a time zone by its IANA name; raises WrongWindow."""
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise WrongWindow(f"unknown time zone {name!r}; use a name such as Europe/Lisbon") from None


def instant(text: str | None, zone: tzinfo, now: datetime) -> int | None:
    """Read one end of a window as microseconds since the epoch; None is open-ended."""
    if text is None:
        return None
    if back := _BACK.fullmatch(text):
        try:
            return _micros(now - int(back.group(1)) * _UNITS[back.group(2)])
        except OverflowError:
            raise WrongWindow(f"{text!r} goes back too far") from None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise WrongWindow(f"{text!r} is neither a date (2026-03-01), a time, nor a distance (7d, 12h)") from None
    return _micros(moment if moment.tzinfo else moment.replace(tzinfo=zone))


def _micros(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
