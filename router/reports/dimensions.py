"""What reports can be grouped by: which stored key each dimension reads, and how its values are shown."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Any

from router.database import codes
from router.ledger.cells import NO_CAUSE, QUARTER_MS, UNKNOWN, CallRole

Describe = Callable[[int, Mapping[int, str]], str | None]


@dataclass(frozen=True, slots=True)
class Dimension:
    """One way to split requests. By time there is no key: the stretch of time is the value."""

    name: str
    key: str | None
    describe: Describe
    meaning: str


def _number(value: int, labels: Mapping[int, str]) -> str | None:
    return str(value)


def _label(value: int, labels: Mapping[int, str]) -> str | None:
    return labels.get(value)


def _provider(value: int, labels: Mapping[int, str]) -> str | None:
    return labels[value].partition("/")[0] if value in labels else None


def _member(members: Mapping[Any, int]) -> Describe:
    names = {code: str(member) for member, code in members.items()}
    return lambda value, labels: names.get(value)


def _yes_or_no(value: int, labels: Mapping[int, str]) -> str | None:
    return "yes" if value else "no"


def _role(value: int, labels: Mapping[int, str]) -> str | None:
    return CallRole(value).name.lower()


def _cause(value: int, labels: Mapping[int, str]) -> str | None:
    return WENT_WELL if value == NO_CAUSE else _CAUSES(value, labels)


_CAUSES = _member(codes.CAUSES)
WENT_WELL = "none"

DIMENSIONS: Mapping[str, Dimension] = {
    dimension.name: dimension
    for dimension in (
        Dimension("tier", "tier", _member(codes.TIERS), "the tier that answered, with the whole request's cost"),
        Dimension("first_tier", "first_tier", _member(codes.TIERS), "the tier chosen first"),
        Dimension("reason", "reason", _member(codes.REASONS), "why the request went where it went"),
        Dimension("outcome", "outcome", _member(codes.OUTCOMES), "how the request ended"),
        Dimension("segment", "segment", _label, "the segment of the key"),
        Dimension("country", "country", _label, "the country, ZZ when not told"),
        Dimension("language", "language", _label, "the language of the question, guessed; unknown where little tells"),
        Dimension("answer_type", "answer_type", _label, "the kind of answer expected"),
        Dimension("policy", "policy", _number, "the policy version that decided"),
        Dimension("turn", "turn", _number, "the user's turn within the conversation"),
        Dimension("key", "key", _number, "the API key's id; unknown without one"),
        Dimension("effort", "effort", _member(codes.EFFORTS), "the effort asked of the first tier's model"),
        Dimension(
            "background",
            "background",
            _yes_or_no,
            "whether a background job answered; unknown where this was not kept yet",
        ),
        Dimension("day", None, _number, "the day in the zone of the report"),
        Dimension("hour", None, _number, "the hour in the zone of the report"),
        Dimension("week", None, _number, "the week of ISO 8601, Monday to Sunday, in the zone of the report"),
        Dimension("month", None, _number, "the month in the zone of the report"),
        Dimension("quarter", None, _number, "the quarter of a year in the zone of the report"),
        Dimension("model", "model", _label, "cost by the called model, requests by the one that answered"),
        Dimension("provider", "model", _provider, "as model, by what stands before the slash"),
        Dimension("role", "role", _role, "what a call was to the answer; requests are with the answer"),
        Dimension(
            "cause",
            "cause",
            _cause,
            "cost by why the call failed, requests by their first call that did; none: all well",
        ),
    )
}
TIMES = ("day", "hour", "week", "month", "quarter")


def describe_value(dimension: Dimension, value: int, labels: Mapping[int, str]) -> str | None:
    """Write a key's value; None is unknown."""
    return None if value == UNKNOWN else dimension.describe(value, labels)


def time_label(name: str, quarter: int, zone: tzinfo) -> str | None:
    """Write the day, hour, week, month or quarter of a year of a quarter of an hour; None where the calendar ends."""
    try:
        moment = datetime.fromtimestamp(quarter * QUARTER_MS // 1_000, UTC).astimezone(zone)
    except (OverflowError, ValueError):
        return None
    match name:
        case "day":
            return moment.date().isoformat()
        case "week":
            year, week, _ = moment.isocalendar()
            return f"{year}-W{week:02}"
        case "month":
            return f"{moment:%Y-%m}"
        case "quarter":
            return f"{moment.year}-Q{(moment.month + 2) // 3}"
        case _:
            return moment.isoformat(timespec="hours")
