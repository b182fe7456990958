"""What is learnt about a request after it was answered: opinions of its answer, and revenue that a network reported.

What a book does here is blocking; call it off the event loop.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass

from sqlalchemy import Connection, Engine, insert, select

from router.database.engine import writing
from router.database.tables import Feedback, Request, RevenueEvent
from router.database.upsert import insert_or_nothing
from router.ledger.revenue_events import add_to_days, day_of, require_bounded
from router.types import Tier


@dataclass(frozen=True, slots=True)
class Opinion:
    """What somebody thought of one answer: a rating of -1, 0 or 1, or a score from 0 to 1."""

    request_id: str
    key_id: int | None
    rating: int | None
    score: float | None
    note: str | None
    created_at: int


@dataclass(frozen=True, slots=True)
class ReportedRevenue:
    """One amount that a network reported; (source, event_id) is its idempotency key."""

    source: str
    event_id: str
    request_id: str | None
    segment: str | None
    country: str | None
    day: str | None
    kind: str
    amount_nanousd: int
    received_at: int


@dataclass(frozen=True, slots=True)
class AnsweredRequest:
    """A request in the books: whose it was, and the P(correct) that was promised for the tier that answered."""

    key_id: int | None
    promised: float


RIGHT_FROM = 0.5  # a correctness from here on is right, where only right or wrong is asked for
WRONG_IN_SQL = f"(f.rating < 0 OR f.score < {RIGHT_FROM})"  # the same of a row `f` of the table
FACTS = ("request_id", "segment", "country", "day", "kind", "amount_nanousd")  # that make two events the same


def correctness(rating: int | None, score: float | None) -> float | None:
    """Tell how right feedback says that an answer was, from 0 to 1: a score as it is, thumbs as right or wrong.

    Indifference (a rating of 0) says nothing.
    """
    if score is not None:
        return float(score)
    return float(rating > 0) if rating else None


def promise_of(answered_by: Tier, p_fast: float, p_reasoning: float) -> float:
    """Return the P(correct) that the estimate promised of the tier that answered."""
    return float(p_fast if answered_by is Tier.FAST else p_reasoning)


class FeedbackBook:
    """The tables of feedback and of revenue events."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def find_request(self, request_id: str) -> AnsweredRequest | None:
        """Look up a request that feedback is about; None while it is not booked. Raises SQLAlchemyError."""
        query = select(Request.key_id, Request.p_fast, Request.p_reasoning, Request.final_tier)
        with self._engine.connect() as connection:
            row = connection.execute(query.where(Request.id == request_id)).one_or_none()
        if row is None:
            return None
        return AnsweredRequest(row.key_id, promise_of(row.final_tier, row.p_fast, row.p_reasoning))

    def record(self, opinion: Opinion) -> None:
        """Keep an opinion. Raises SQLAlchemyError."""
        with writing(self._engine) as connection:
            connection.execute(insert(Feedback).values(**asdict(opinion)))

    def book(self, events: Iterable[ReportedRevenue]) -> tuple[int, list[ReportedRevenue]]:
        """Book events that are new: how many, and which are known with other facts. Raises SQLAlchemyError.

        What is known stands as it came first. Raises InvalidRequest, and books none, where an event or a day would have
        more than it may.
        """
        new, conflicting, amounts = 0, [], []
        with writing(self._engine) as connection:
            for event in events:
                require_bounded(event.source, event.event_id, event.amount_nanousd)
                if insert_or_nothing(connection, RevenueEvent, [asdict(event)]):
                    new += 1
                    amounts.append((day_of(event.day, event.received_at), event.amount_nanousd))
                elif _is_known_otherwise(connection, event):
                    conflicting.append(event)
            add_to_days(connection, amounts)
        return new, conflicting


def _is_known_otherwise(connection: Connection, event: ReportedRevenue) -> bool:
    table = RevenueEvent.__table__
    same = (table.c.source == event.source, table.c.event_id == event.event_id)
    known = connection.execute(select(table).where(*same)).mappings().one()
    return any(known[fact] != getattr(event, fact) for fact in FACTS)
