"""Which requests a page speaks of: a stretch of time and filters, as its address says and as other addresses carry on.

`span` is a stretch of time up to now; `from` and `to` are dates, the last one included, or times.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from urllib.parse import urlencode

from sqlalchemy import select

from router.admin.page import NotDone, Visit
from router.database.tables import ApiKey
from router.reports.queries import Filters
from router.reports.window import EVERYTHING, Window, WrongWindow

FILTERS = ("segment", "key", "model", "country")
LONGEST = 256


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time up to now that a page offers."""

    name: str
    title: str


SPANS = (
    Span("24h", "24 hours"),
    Span("7d", "7 days"),
    Span("30d", "30 days"),
    Span("90d", "90 days"),
    Span(EVERYTHING, "Everything"),
)


@dataclass(frozen=True, slots=True)
class Selection:
    """A window and filters. `span` is empty where dates were given; `key_id` is that of the filter `key`, a name."""

    window: Window
    span: str
    time: Mapping[str, str]
    filters: Mapping[str, str]
    key_id: int | None = None

    @property
    def where(self) -> Filters:
        """The filters as reports take them."""
        values = {name: {value} for name, value in self.filters.items()}
        return values if self.key_id is None else values | {"key": {str(self.key_id)}}

    def address(self, **other: object) -> str:
        """Write the query of an address that speaks of the same requests; `other` replaces, None leaves out."""
        own = {**self.time, **self.filters, **other}
        return urlencode({name: str(value) for name, value in own.items() if value not in (None, "")})

    def with_span(self, name: str) -> str:
        """Write the query of an address with the same filters in another stretch of time."""
        return urlencode({"span": name, **self.filters})

    def dates(self) -> tuple[str, str]:
        """The first and the last day, as a form shows them; empty where an end is open or no midnight."""
        since, until = (_local(at_us, self.window) for at_us in (self.window.since_us, self.window.until_us))
        first = since.date().isoformat() if since is not None else ""
        last = (until - timedelta(microseconds=1)).date().isoformat() if until is not None else ""
        return first, last

    def times(self) -> tuple[str, str]:
        """Both ends in local time, as a form shows them; empty where open."""
        since, until = (_local(at_us, self.window) for at_us in (self.window.since_us, self.window.until_us))
        return tuple("" if at is None else f"{at:%Y-%m-%dT%H:%M}" for at in (since, until))  # type: ignore[return-value]


def read_selection(visit: Visit, usual: str, spans: Sequence[Span] = SPANS) -> Selection:
    """Read what an address asks for; `usual` is the span of one that does not say. Raises NotDone and WrongWindow."""
    filters = {name: _text(visit, name) for name in FILTERS}
    filters = {name: value for name, value in filters.items() if value}
    key_id = _key_id(visit, filters["key"]) if "key" in filters else None
    begin, end = _text(visit, "from"), _text(visit, "to")
    if begin or end:
        time = {name: value for name, value in (("from", begin), ("to", end)) if value}
        return Selection(visit.window(begin or None, _day_after(end) or None), "", time, filters, key_id)
    span = _text(visit, "span")
    name = span if any(span == one.name for one in spans) else usual
    return Selection(visit.window(name), name, {"span": name}, filters, key_id)


def read_or_say(visit: Visit, usual: str) -> tuple[Selection, str]:
    """Read what an address asks for; the usual and what was wrong where it cannot be read."""
    try:
        return read_selection(visit, usual), ""
    except (NotDone, WrongWindow) as error:
        return Selection(visit.window(usual), usual, {"span": usual}, {}), str(error)


def _text(visit: Visit, name: str) -> str:
    text = visit.query.get(name, "").strip()
    if len(text) > LONGEST or "\x00" in text:
        raise NotDone(f"{name}: at most {LONGEST} characters")
    return text


def _day_after(end: str) -> str:
    """Where a last day ends; a time is taken as it is."""
    try:
        return (date.fromisoformat(end) + timedelta(days=1)).isoformat()
    except (ValueError, OverflowError):
        return end


def _key_id(visit: Visit, name: str) -> int:
    with visit.services.engine.connect() as connection:
        found = connection.scalar(select(ApiKey.id).where(ApiKey.name == name))
    if found is None:
        raise NotDone(f"there is no key by the name {name[:60]!r}")
    return int(found)


def _local(at_us: int | None, window: Window) -> datetime | None:
    return None if at_us is None else datetime.fromtimestamp(at_us / 1e6, UTC).astimezone(window.zone)
