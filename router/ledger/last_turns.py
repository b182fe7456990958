"""Who answered the last turn of each conversation, of all workers: by marks, so that no text is known and nobody named.

Follows the books from the shipping thread, some seconds behind. Only conversations are looked up that a client names,
or whose user it names: the first turn alone is what many may say.
"""

from collections.abc import Callable
from typing import NamedTuple

from sqlalchemy import Engine, select

from router.database import ids
from router.database.tables import Request
from router.types import HOUR_US, Tier

MOST_TURNS_READ = 5_000
MOST_TURNS_KEPT = 20_000


class LastTurn(NamedTuple):
    """The last request of a conversation: how many user turns it had, who answered, and how often it came so."""

    turn: int
    request_id: str
    tier: Tier
    times: int = 1


class LastTurns:
    """The conversations of the last hour. One thread follows, others read and never wait."""

    def __init__(self, engine: Engine, now_us: Callable[[], int]) -> None:
        self._engine = engine
        self._now_us = now_us
        self._known: dict[int, LastTurn] = {}  # changed by the following thread alone, step by step
        self._after = ""

    def of(self, conversation_mark: int) -> LastTurn | None:
        """The last turn of a conversation, where the books have one."""
        return self._known.get(conversation_mark)

    def follow(self) -> None:
        """Take in what has come since; raises SQLAlchemyError."""
        since = ids.text_at((self._now_us() - HOUR_US) // 1_000)
        query = (
            select(Request.id, Request.conversation_mark, Request.turn, Request.final_tier)
            .where(Request.id > max(self._after, since), Request.conversation_mark.is_not(None))
            .order_by(Request.id.desc())
            .limit(MOST_TURNS_READ)
        )
        with self._engine.connect() as connection:
            rows = connection.execute(query).all()
        for row in reversed(rows):
            known = self._known.pop(row.conversation_mark, None)
            times = known.times + 1 if known is not None and known.turn == row.turn else 1
            self._known[row.conversation_mark] = LastTurn(row.turn, row.id, row.final_tier, times)
        for mark in list(self._known)[: max(len(self._known) - MOST_TURNS_KEPT, 0)]:
            del self._known[mark]
        if rows:
            self._after = rows[0].id
