"""Which stretch of time is meant, the same on every page, command and export; how it is said; which one came before.

A span such as 7d counts steps of the calendar in a zone, the one under way included: today so far and the six days
before. Ends may also be ISO dates and instants.
"""

import re
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

EVERYTHING = "all"
WEEK = "7d"  # of pages that show one stretch of time
DAYS_OF = {"d": 1, "w": 7}
LENGTHS = {"m": timedelta(minutes=1), "h": timedelta(hours=1)}
_SPAN = re.compile(r"([1-9]\d{0,5})([mhdw])")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class WrongWindow(ValueError):
    """A time or a zone that cannot be read."""


@dataclass(frozen=True, slots=True)
class Stride:
    """How far back the window before lies: days of the calendar, or microseconds."""

    days: int = 0
    us: int = 0


@dataclass(frozen=True, slots=True)
class Window:
    """Requests that came in from `since_us` (inclusive) to `until_us` (exclusive); None is open-ended.

    `now_us` is when it was asked for, where an open end lies in words; `stride` leads to the window before.
    `with_made_up` says whether made-up requests count; None leaves it to the books (`router.ledger.made_up`).
    """

    since_us: int | None
    until_us: int | None
    zone: tzinfo
    now_us: int | None = None
    stride: Stride = Stride()
    with_made_up: bool | None = None

    @property
    def previous(self) -> "Window | None":
        """The window before, as many steps of the calendar long; None where there is no beginning to go back from.

        Where this one is not over, the one before ends where the clock stood as many steps ago as it stands now, so
        that a morning is never held against a whole day. A change of clocks moves no midnight.
        """
        end_us = self.now_us if self.until_us is None else self.until_us
        if self.since_us is None or end_us is None or self.stride == Stride():
            return None
        try:
            begin, end = (_back(at_us, self.stride, self.zone) for at_us in (self.since_us, end_us))
        except (OverflowError, ValueError):
            return None
        return replace(self, since_us=begin, until_us=min(end, self.since_us))

    @property
    def is_of_whole_days(self) -> bool:
        """Tell whether it begins and ends at midnight in its zone; an open end counts as such."""
        ends = (self.since_us, self.until_us)
        return all(at_us is None or _is_midnight(_local(at_us, self.zone)) for at_us in ends)

    def describe(self) -> str:
        """Say it: `24 Nov 2026 00:00 to 30 Nov 2026 00:41, Europe/Lisbon`."""
        end_us = self.now_us if self.until_us is None else self.until_us
        since = "the beginning" if self.since_us is None else format_moment(self.since_us, self.zone)
        until = "now" if end_us is None else format_moment(end_us, self.zone)
        return f"{since} to {until}, {self.zone}"


def window(since: str | None, until: str | None, zone: str, now: datetime) -> Window:
    """Read a window; a date means its first moment in the zone, `all` and None no end. Raises WrongWindow."""
    where, now_us = zone_of(zone), _micros(now)
    begin, end = instant(since, where, now), instant(until, where, now)
    if begin is not None and end is not None and end < begin:
        raise WrongWindow(f"until {until} lies before since {since}")
    stride = Stride()
    if begin is not None:
        spanned = _SPAN.fullmatch(since or "") if end is None else None
        stride = _stride_of_span(*spanned.groups()) if spanned else _stride_between(begin, end, where, now_us)
    return Window(begin, end, where, now_us, stride)


def zone_of(name: str) -> tzinfo:
    """Find a time zone by its IANA name; raises WrongWindow."""
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise WrongWindow(f"unknown time zone {name!r}; use a name such as Europe/Lisbon") from None


def instant(text: str | None, zone: tzinfo, now: datetime) -> int | None:
    """Read one end as microseconds since 1970; a span is where it begins, None an open end. Raises WrongWindow."""
    if text is None or text == EVERYTHING:
        return None
    if span := _SPAN.fullmatch(text):
        try:
            return _micros(_beginning(int(span[1]), span[2], now.astimezone(zone)))
        except (OverflowError, ValueError):
            raise WrongWindow(f"{text!r} goes back too far") from None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise WrongWindow(f"{text!r} is neither a date (2026-03-01), a time, nor a span (7d, 12h)") from None
    return _micros(moment if moment.tzinfo else moment.replace(tzinfo=zone))


def format_moment(at_us: int, zone: tzinfo) -> str:
    """Write an instant for people, to the minute: `24 Nov 2026 00:00`."""
    try:
        at = (_EPOCH + timedelta(seconds=at_us // 1_000_000)).astimezone(zone)
    except (OverflowError, ValueError):
        return "out of the calendar"
    return f"{at.day} {at:%b} {at.year} {at:%H:%M}"


def _beginning(steps: int, unit: str, local: datetime) -> datetime:
    """Where so many steps up to now begin, the one under way counted; minutes are counted back from now."""
    match unit:
        case "m":
            return local.astimezone(UTC) - steps * LENGTHS[unit]
        case "h":
            hour = local.replace(minute=0, second=0, microsecond=0)
            return hour.astimezone(UTC) - (steps - 1) * LENGTHS[unit]
        case _:
            return _midnight(local.date() - timedelta(days=steps * DAYS_OF[unit] - 1), local.tzinfo)


def _midnight(day: date, zone: tzinfo | None) -> datetime:
    """The first moment of a day, also where clocks go forward at midnight."""
    return datetime(day.year, day.month, day.day, tzinfo=zone)


def _stride_of_span(steps: str, unit: str) -> Stride:
    if days := DAYS_OF.get(unit):
        return Stride(days=int(steps) * days)
    return Stride(us=int(steps) * LENGTHS[unit] // _MICROSECOND)


def _stride_between(begin_us: int, until_us: int | None, zone: tzinfo, now_us: int) -> Stride:
    """How long a window between two instants is: in days of the calendar where it is made of such, else exactly."""
    end_us = now_us if until_us is None else until_us
    if end_us <= begin_us:
        return Stride()
    try:
        begin, end = _local(begin_us, zone), _local(end_us, zone)
    except (OverflowError, ValueError):
        return Stride()
    days = (end.date() - begin.date()).days
    if until_us is None and _is_midnight(begin):
        return Stride(days=days + 1)
    if days > 0 and (begin.time() == end.time() or (_is_midnight(begin) and _is_midnight(end))):
        return Stride(days=days)
    return Stride(us=end_us - begin_us)


def _back(at_us: int, stride: Stride, zone: tzinfo) -> int:
    """Go back from an instant by the calendar, to the same time of day, or by so many microseconds."""
    if not stride.days:
        return at_us - stride.us
    at, days = _local(at_us, zone), timedelta(days=stride.days)
    if _is_midnight(at):
        return _micros(_midnight(at.date() - days, zone))
    return _micros((at.replace(tzinfo=None) - days).replace(tzinfo=zone, fold=at.fold))


def _is_midnight(at: datetime) -> bool:
    return _micros(at) == _micros(_midnight(at.date(), at.tzinfo))


def _local(at_us: int, zone: tzinfo) -> datetime:
    return (_EPOCH + at_us * _MICROSECOND).astimezone(zone)


def _micros(moment: datetime) -> int:
    return (moment - _EPOCH) // _MICROSECOND
