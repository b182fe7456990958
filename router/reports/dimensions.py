"""What reports can be grouped by: how each dimension is read from the books and shown."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Any

from sqlalchemy import ColumnElement, Integer, cast

from router.ledger.tables import Call, Request

QUARTER_US = 900_000_000
Shown = Callable[[Any, Mapping[int, str], tzinfo], str | None]


@dataclass(frozen=True, slots=True)
class Dimension:
    """One way to split requests. `on_calls`: cost sits on the calls, requests and revenue on the answering call."""

    name: str
    column: ColumnElement[Any]
    shown: Shown
    on_calls: bool = False


def _as_is(value: Any, labels: Mapping[int, str], zone: tzinfo) -> str | None:
    return None if value is None else str(value)


def _label(value: Any, labels: Mapping[int, str], zone: tzinfo) -> str | None:
    return None if value is None else labels[value]


def _provider(value: Any, labels: Mapping[int, str], zone: tzinfo) -> str | None:
    return None if value is None else labels[value].partition("/")[0]


def _day(quarter: Any, labels: Mapping[int, str], zone: tzinfo) -> str | None:
    return _local(quarter, zone).date().isoformat()


def _hour(quarter: Any, labels: Mapping[int, str], zone: tzinfo) -> str | None:
    return _local(quarter, zone).isoformat(timespec="hours")


def _local(quarter: Any, zone: tzinfo) -> datetime:
    return datetime.fromtimestamp(int(quarter) * QUARTER_US / 1e6, UTC).astimezone(zone)


# Every zone's offset is a multiple of a quarter of an hour, so quarters of UTC can be put together to its days.
_QUARTER = cast((Request.opened_at - Request.opened_at % QUARTER_US) / QUARTER_US, Integer)

DIMENSIONS: Mapping[str, Dimension] = {
    dimension.name: dimension
    for dimension in (
        Dimension("tier", Request.__table__.c.final_tier, _as_is),
        Dimension("first_tier", Request.__table__.c.first_tier, _as_is),
        Dimension("reason", Request.__table__.c.reason, _as_is),
        Dimension("outcome", Request.__table__.c.outcome, _as_is),
        Dimension("segment", Request.__table__.c.segment_id, _label),
        Dimension("country", Request.__table__.c.country_id, _label),
        Dimension("language", Request.__table__.c.language_id, _label),
        Dimension("answer_type", Request.__table__.c.answer_type_id, _label),
        Dimension("policy", Request.__table__.c.policy_version, _as_is),
        Dimension("turn", Request.__table__.c.turn, _as_is),
        Dimension("key", Request.__table__.c.key_id, _as_is),
        Dimension("day", _QUARTER, _day),
        Dimension("hour", _QUARTER, _hour),
        Dimension("model", Call.__table__.c.provider_model_id, _label, on_calls=True),
        Dimension("provider", Call.__table__.c.provider_model_id, _provider, on_calls=True),
    )
}
