"""Who answered the last turn of each conversation, of all workers: by marks, so that no text is known and nobody named.

Follows the books from the shipping thread, some seconds behind. Only conversations are looked up that a client names,
or whose user it names: the first turn alone is what many may say. Housekeeping is nobody's turn.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Engine, bindparam, select

from router.database.tables import Request
from router.ledger.followed import FollowedRequests
from router.types import HOUR_US, Reason, Tier

MOST_TURNS_READ = 5_000
MOST_TURNS_KEPT = 20_000
TURNS_SINCE = (
    select(Request.id, Request.conversation_mark, Request.turn, Request.final_tier)
    .where(
        Request.id >= bindparam("since"),
        Request.conversation_mark.is_not(None),
        Request.reason != Reason.HOUSEKEEPING,
    )
    .order_by(Request.id.desc())
    .limit(MOST_TURNS_READ)
)


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
        self._requests = FollowedRequests(HOUR_US)

    def of(self, conversation_mark: int) -> LastTurn | None:
        """The last turn of a conversation, where the books have one."""
        return self._known.get(conversation_mark)

    def follow(self) -> None:
        """Take in what has come since, every few seconds; raises SQLAlchemyError."""
        now_us = self._now_us()
        if (since := self._requests.begin_at(now_us)) is None:
            return
        with self._engine.connect() as connection:
            rows: Sequence[Any] = connection.execute(TURNS_SINCE, {"since": since}).all()
        for request_id, mark, turn, tier in reversed(rows):
            self._take_in(mark, LastTurn(turn, request_id, tier))
        for mark in list(self._known)[: max(len(self._known) - MOST_TURNS_KEPT, 0)]:
            del self._known[mark]
        self._requests.note_read(now_us)

    def _take_in(self, mark: int, turn: LastTurn) -> None:
        """Note a turn that is newer than the one known."""
        known = self._known.get(mark)
        if known is not None:
            if turn.request_id <= known.request_id:
                return
            if turn.turn == known.turn:
                turn = turn._replace(times=known.times + 1)
            del self._known[mark]
        self._known[mark] = turn
