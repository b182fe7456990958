"""POST /v1/feedback and POST /v1/revenue-events: what is learnt about a request after it was answered."""

import asyncio
import re
from collections.abc import Callable, Sequence
from datetime import date
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta
from sqlalchemy import Engine, insert, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError
from starlette.types import Receive, Scope, Send

from router.api.asgi import answering, send_json
from router.api.auth import COUNTRY_CODE, Authenticator, Caller
from router.api.body import read_body
from router.api.chat.request import converted, parse_json, parse_object
from router.api.chat.response import encoded
from router.database.engine import writing
from router.database.tables import Feedback, Request, RevenueEvent
from router.errors import Forbidden, InvalidRequest, NotFound, Unavailable
from router.keys import SEGMENT_NAME
from router.keys import Scope as KeyScope
from router.money import NotMoney, nano_from_usd
from router.settings import ServerSettings
from router.types import Tier

REQUEST_ID = re.compile(r"[0-9a-f]{32}")
MOST_EVENTS = 10_000
MOST_CONFLICTS = 100  # named in an answer
FACTS = ("request_id", "segment", "country", "day", "kind", "amount_nanousd")
NO_NUL = r"\A[^\x00]*\Z"  # PostgreSQL stores none
Name = Annotated[str, Meta(min_length=1, max_length=256, pattern=NO_NUL)]


class FeedbackBody(msgspec.Struct):
    """A rating or a score of one answer."""

    request_id: str
    rating: Literal[-1, 0, 1] | None = None
    score: Annotated[float, Meta(ge=0, le=1)] | None = None
    note: Annotated[str, Meta(max_length=2_000, pattern=NO_NUL)] | None = None


class RevenueBody(msgspec.Struct):
    """One amount that a network reported; (source, id) is the idempotency key."""

    source: Name
    id: Name
    kind: Literal["impression", "click", "conversion", "statement"]
    amount_usd: Annotated[str, Meta(max_length=64)]
    request_id: str | None = None
    segment: Annotated[str, Meta(pattern=rf"\A{SEGMENT_NAME.pattern}\Z")] | None = None
    country: Annotated[str, Meta(pattern=rf"\A{COUNTRY_CODE.pattern}\Z")] | None = None
    day: str | None = None


class FeedbackEndpoint:
    """Takes feedback on the caller's own requests.

    `learn` is told the request, the P(correct) that was promised for the tier that answered, and how right (0 to 1)
    the answer was.
    """

    def __init__(
        self,
        engine: Engine,
        authenticator: Authenticator,
        server: ServerSettings,
        now_us: Callable[[], int],
        learn: Callable[[str, float, float], object],
    ) -> None:
        self._engine = engine
        self._authenticator = authenticator
        self._server = server
        self._now_us = now_us
        self._learn = learn

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with answering(send) as headers:
            caller = await self._authenticator.admit(scope)
            caller.require(KeyScope.FEEDBACK)
            server = self._server
            body = await read_body(scope, receive, max_bytes=server.max_body_bytes, timeout_s=server.read_timeout_s)
            given = converted(parse_object(body), FeedbackBody)
            _check_feedback(given)
            promised = await self._find(given.request_id, caller)
            row = {
                "request_id": given.request_id,
                "key_id": caller.key_id,
                "rating": given.rating,
                "score": given.score,
                "note": given.note,
                "created_at": self._now_us(),
            }
            await in_books(lambda: _insert(self._engine, [row]))
            if (correct := _correctness(given)) is not None:
                self._learn(given.request_id, promised, correct)
            await send_json(send, 200, encoded({"status": "ok", "request_id": given.request_id}), headers)

    async def _find(self, request_id: str, caller: Caller) -> float:
        """Wait a moment for a request that was answered just now; returns what was promised of its answer.

        Raises NotFound or Forbidden.
        """
        for _ in range(20):
            found = await in_books(lambda: _answered(self._engine, request_id))
            if found is not None:
                if found.key_id != caller.key_id:
                    raise Forbidden("this request was made with another key")
                return float(found.p_fast if found.final_tier is Tier.FAST else found.p_reasoning)
            await asyncio.sleep(0.1)
        raise NotFound("no such request", param="request_id")


class RevenueEndpoint:
    """Takes booked revenue, one event or a list; an event sent twice counts once.

    One that comes again with other facts changes nothing and is named in the answer: a correction is a new event.
    """

    def __init__(
        self, engine: Engine, authenticator: Authenticator, server: ServerSettings, now_us: Callable[[], int]
    ) -> None:
        self._engine = engine
        self._authenticator = authenticator
        self._server = server
        self._now_us = now_us

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with answering(send) as headers:
            (await self._authenticator.admit(scope)).require(KeyScope.REVENUE)
            server = self._server
            body = await read_body(scope, receive, max_bytes=server.max_body_bytes, timeout_s=server.read_timeout_s)
            rows = _revenue_rows(parse_json(body), self._now_us())
            new, conflicting = await in_books(lambda: _insert_events(self._engine, rows))
            told: dict[str, Any] = {"received": len(rows), "new": new}
            if conflicting:
                told |= {"conflicting": len(conflicting), "conflicts": conflicting[:MOST_CONFLICTS]}
            await send_json(send, 200, encoded(told), headers)


async def in_books(work: Callable[[], Any]) -> Any:
    """Do database work off the event loop; raises Unavailable when the database is away."""
    try:
        return await asyncio.to_thread(work)
    except SQLAlchemyError:
        raise Unavailable("the database is away; send it again later") from None


def _check_feedback(given: FeedbackBody) -> None:
    if not REQUEST_ID.fullmatch(given.request_id):
        raise InvalidRequest("request_id is the x-request-id of an answer", param="request_id", code="invalid_value")
    if (given.rating is None) == (given.score is None):
        raise InvalidRequest(
            "give either a rating (-1, 0, 1) or a score (0 to 1)", param="rating", code="invalid_value"
        )


def _correctness(given: FeedbackBody) -> float | None:
    """Read a label out of feedback: thumbs are right or wrong, indifference is no label."""
    if given.score is not None:
        return given.score
    return None if given.rating == 0 else float(given.rating == 1)


def _answered(engine: Engine, request_id: str) -> Any:
    query = select(Request.key_id, Request.p_fast, Request.p_reasoning, Request.final_tier)
    with engine.connect() as connection:
        return connection.execute(query.where(Request.id == request_id)).one_or_none()


def _insert(engine: Engine, rows: Sequence[dict[str, Any]]) -> None:
    with writing(engine) as connection:
        connection.execute(insert(Feedback), rows)


def _insert_events(engine: Engine, rows: Sequence[dict[str, Any]]) -> tuple[int, list[dict[str, Any]]]:
    """Insert what is new; also tell which events are known with other facts: those stand as they came first."""
    dialect: Any = sqlite if engine.dialect.name == "sqlite" else postgresql
    table = RevenueEvent.__table__
    new, conflicting = 0, []
    with writing(engine) as connection:
        for row in rows:
            statement = dialect.insert(RevenueEvent).values(**row).on_conflict_do_nothing()
            if connection.execute(statement).rowcount:
                new += 1
                continue
            same = (table.c.source == row["source"], table.c.event_id == row["event_id"])
            known = connection.execute(select(table).where(*same)).mappings().one()
            if any(known[fact] != row[fact] for fact in FACTS):
                conflicting.append({"source": row["source"], "id": row["event_id"]})
    return new, conflicting


def _revenue_rows(decoded: Any, now_us: int) -> list[dict[str, Any]]:
    """Check one event or a list of them; an error names the place in the list."""
    if not isinstance(decoded, list):
        return [_revenue_row(decoded, now_us)]
    if len(decoded) > MOST_EVENTS:
        raise InvalidRequest(f"more than {MOST_EVENTS} events at once", param="body")
    rows = []
    for at, event in enumerate(decoded):
        try:
            rows.append(_revenue_row(event, now_us))
        except InvalidRequest as error:
            place = f"[{at}]" if error.param == "body" else f"[{at}].{error.param}"
            raise InvalidRequest(error.message, param=place, code=error.code) from None
    return rows


def _revenue_row(decoded: Any, now_us: int) -> dict[str, Any]:
    event = converted(decoded, RevenueBody)
    try:
        amount = nano_from_usd(event.amount_usd)
    except NotMoney as error:
        raise InvalidRequest(str(error), param="amount_usd", code="invalid_value") from None
    if event.request_id is not None and not REQUEST_ID.fullmatch(event.request_id):
        raise InvalidRequest("request_id is the x-request-id of an answer", param="request_id", code="invalid_value")
    return {
        "source": event.source,
        "event_id": event.id,
        "request_id": event.request_id,
        "segment": event.segment,
        "country": event.country,
        "day": _day(event.day),
        "kind": event.kind,
        "amount_nanousd": amount,
        "received_at": now_us,
    }


def _day(text: str | None) -> str | None:
    try:
        return None if text is None else date.fromisoformat(text).isoformat()
    except ValueError:
        raise InvalidRequest("day is a date such as 2026-03-01", param="day", code="invalid_value") from None
