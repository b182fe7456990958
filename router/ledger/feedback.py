"""What is learnt about a request after it was answered: opinions of its answer, and revenue that a network reported.

Blocking; call it off the event loop.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass

from sqlalchemy import Connection, Engine, insert, select

from router.database.engine import writing
from router.database.tables import Feedback, Request, RevenueEvent
from router.database.upsert import insert_or_nothing
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


FACTS = ("request_id", "segment", "country", "day", "kind", "amount_nanousd")  # that make two events the same


class FeedbackBook:
    """The tables of feedback and of revenue events."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def answered(self, request_id: str) -> AnsweredRequest | None:
        """Look up a request that feedback is about; None while it is not booked. Raises SQLAlchemyError."""
        query = select(Request.key_id, Request.p_fast, Request.p_reasoning, Request.final_tier)
        with self._engine.connect() as connection:
            row = connection.execute(query.where(Request.id == request_id)).one_or_none()
        if row is None:
            return None
        return AnsweredRequest(row.key_id, float(row.p_fast if row.final_tier is Tier.FAST else row.p_reasoning))

    def record(self, opinion: Opinion) -> None:
        """Keep an opinion. Raises SQLAlchemyError."""
        with writing(self._engine) as connection:
            connection.execute(insert(Feedback).values(**asdict(opinion)))

    def book(self, events: Iterable[ReportedRevenue]) -> tuple[int, list[ReportedRevenue]]:
        """Book events that are new: how many, and which are known with other facts. Raises SQLAlchemyError.

        What is known stands as it came first.
        """
        new, conflicting = 0, []
        with writing(self._engine) as connection:
            for event in events:
                if insert_or_nothing(connection, RevenueEvent, [asdict(event)]):
                    new += 1
                elif _is_known_otherwise(connection, event):
                    conflicting.append(event)
        return new, conflicting


def _is_known_otherwise(connection: Connection, event: ReportedRevenue) -> bool:
    table = RevenueEvent.__table__
    same = (table.c.source == event.source, table.c.event_id == event.event_id)
    known = connection.execute(select(table).where(*same)).mappings().one()
    return any(known[fact] != getattr(event, fact) for fact in FACTS)
