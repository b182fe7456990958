"""POST /v1/feedback and POST /v1/revenue-events: what is learnt about a request after it was answered."""

import asyncio
from collections.abc import Callable
from datetime import date
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta
from starlette.types import Receive, Scope, Send

from router.api.asgi import answering, send_json
from router.api.auth import COUNTRY_CODE, Authenticator, Caller
from router.api.body import BodyBudget, read_body_of
from router.api.chat.request import convert, parse_json, parse_object
from router.api.chat.response import encode_body
from router.database.engine import off_loop
from router.errors import Forbidden, InvalidRequest, NotFound
from router.keys import Scope as KeyScope
from router.ledger.feedback import FeedbackBook, Opinion, ReportedRevenue, correctness
from router.money import NotMoney, nano_from_usd
from router.settings import ServerSettings
from router.types import REQUEST_ID, SEGMENT_NAME

MOST_EVENTS = 10_000
MOST_CONFLICTS = 100  # named in an answer
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
        book: FeedbackBook,
        authenticator: Authenticator,
        server: ServerSettings,
        now_us: Callable[[], int],
        learn: Callable[[str, float, float], object],
        bodies: BodyBudget,
    ) -> None:
        self._bodies = bodies
        self._book = book
        self._authenticator = authenticator
        self._server = server
        self._now_us = now_us
        self._learn = learn

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with answering(send) as headers:
            caller = await self._authenticator.admit(scope)
            caller.require(KeyScope.FEEDBACK)
            with self._bodies.claim(caller.key_id) as claim:
                given = convert(parse_object(await read_body_of(self._server, scope, receive, claim)), FeedbackBody)
            _check_feedback(given)
            promised = await self._find(given.request_id, caller)
            opinion = Opinion(
                request_id=given.request_id,
                key_id=caller.key_id,
                rating=given.rating,
                score=given.score,
                note=given.note,
                created_at=self._now_us(),
            )
            await off_loop(lambda: self._book.record(opinion))
            if (correct := correctness(given.rating, given.score)) is not None:
                self._learn(given.request_id, promised, correct)
            await send_json(send, 200, encode_body({"status": "ok", "request_id": given.request_id}), headers)

    async def _find(self, request_id: str, caller: Caller) -> float:
        """Wait a moment for a request that was answered just now; returns what was promised of its answer.

        Raises NotFound or Forbidden.
        """
        for _ in range(20):
            request = await off_loop(lambda: self._book.find_request(request_id))
            if request is not None:
                if request.key_id != caller.key_id:
                    raise Forbidden("this request was made with another key")
                return request.promised
            await asyncio.sleep(0.1)
        raise NotFound("no such request", param="request_id")


class RevenueEndpoint:
    """Takes booked revenue, one event or a list; an event sent twice counts once.

    One that comes again with other facts changes nothing and is named in the answer: a correction is a new event.
    """

    def __init__(
        self,
        book: FeedbackBook,
        authenticator: Authenticator,
        server: ServerSettings,
        now_us: Callable[[], int],
        bodies: BodyBudget,
    ) -> None:
        self._bodies = bodies
        self._book = book
        self._authenticator = authenticator
        self._server = server
        self._now_us = now_us

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with answering(send) as headers:
            caller = await self._authenticator.admit(scope)
            caller.require(KeyScope.REVENUE)
            with self._bodies.claim(caller.key_id) as claim:
                body = await read_body_of(self._server, scope, receive, claim)
                events = _revenue_events(parse_json(body), self._now_us())
                new, conflicting = await off_loop(lambda: self._book.book(events))
            receipt: dict[str, Any] = {"received": len(events), "new": new}
            if conflicting:
                named = [{"source": event.source, "id": event.event_id} for event in conflicting[:MOST_CONFLICTS]]
                receipt |= {"conflicting": len(conflicting), "conflicts": named}
            await send_json(send, 200, encode_body(receipt), headers)


def _check_feedback(given: FeedbackBody) -> None:
    if not REQUEST_ID.fullmatch(given.request_id):
        raise InvalidRequest("request_id is the x-request-id of an answer", param="request_id", code="invalid_value")
    if (given.rating is None) == (given.score is None):
        raise InvalidRequest(
            "give either a rating (-1, 0, 1) or a score (0 to 1)", param="rating", code="invalid_value"
        )


def _revenue_events(decoded: Any, now_us: int) -> list[ReportedRevenue]:
    """Check one event or a list of them; an error names the place in the list."""
    if not isinstance(decoded, list):
        return [_revenue_event(decoded, now_us)]
    if len(decoded) > MOST_EVENTS:
        raise InvalidRequest(f"more than {MOST_EVENTS} events at once", param="body")
    events = []
    for at, event in enumerate(decoded):
        try:
            events.append(_revenue_event(event, now_us))
        except InvalidRequest as error:
            place = f"[{at}]" if error.param == "body" else f"[{at}].{error.param}"
            raise InvalidRequest(error.message, param=place, code=error.code) from None
    return events


def _revenue_event(decoded: Any, now_us: int) -> ReportedRevenue:
    event = convert(decoded, RevenueBody)
    try:
        amount = nano_from_usd(event.amount_usd)
    except NotMoney as error:
        raise InvalidRequest(str(error), param="amount_usd", code="invalid_value") from None
    if event.request_id is not None and not REQUEST_ID.fullmatch(event.request_id):
        raise InvalidRequest("request_id is the x-request-id of an answer", param="request_id", code="invalid_value")
    return ReportedRevenue(
        source=event.source,
        event_id=event.id,
        request_id=event.request_id,
        segment=event.segment,
        country=event.country,
        day=_day(event.day),
        kind=event.kind,
        amount_nanousd=amount,
        received_at=now_us,
    )


def _day(text: str | None) -> str | None:
    try:
        return None if text is None else date.fromisoformat(text).isoformat()
    except ValueError:
        raise InvalidRequest("day is a date such as 2026-03-01", param="day", code="invalid_value") from None
