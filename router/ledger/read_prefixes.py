"""What models have read of conversations lately, of all workers: by marks, so that no text is known and nobody named.

A provider keeps what it has read in a cache for minutes or hours; this is what tells another worker that it is there.
Follows the books from the shipping thread, some seconds behind. Made-up rows and housekeeping read nothing that the
next turn begins with.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from sqlalchemy import Engine, and_, bindparam, select

from router.database.labels import read_label_texts
from router.database.tables import Call, Request
from router.ledger.followed import FollowedRequests
from router.types import CallKind, CallStatus, Reason

LOOKBACK_US = 7_200_000_000  # no cache of `router.providers.caches` lasts longer
LEAST_PREFIX_TOKENS = 1_024  # of an input: below, a saving is nothing
MOST_READ = 2_000
MOST_KEPT = 20_000
INPUT_TOKENS = Call.input_fresh + Call.input_cached + Call.input_cache_write
READ_SINCE = (
    select(
        Request.conversation_mark,
        Request.turn,
        Call.provider_model_id,
        Call.started_at,
        INPUT_TOKENS.label("tokens"),
        (Call.input_cached + Call.input_cache_write).label("marked"),
    )
    .join(Call, and_(Call.request_id == Request.id, Call.status == CallStatus.OK))
    .where(
        Request.id >= bindparam("since"),
        Request.conversation_mark.is_not(None),
        Request.synthetic.is_(False),
        Request.reason != Reason.HOUSEKEEPING,
        Call.kind.in_((CallKind.ANSWER, CallKind.SAMPLE)),
        INPUT_TOKENS >= LEAST_PREFIX_TOKENS,
    )
    .order_by(Request.id.desc())
    .limit(MOST_READ)
)


class ReadPrefix(NamedTuple):
    """What a model read of a prompt: its tokens, how many of them were marked and so written or read, and when."""

    tokens: int
    marked: int
    at_us: int


Prefixes = Mapping[str, ReadPrefix]  # by model
NO_PREFIXES: Prefixes = MappingProxyType({})


class ReadConversation(NamedTuple):
    """What models have read of a conversation that had so many user turns."""

    turn: int
    prefixes: Prefixes


class ReadPrefixes:
    """The long conversations of the last two hours. One thread follows, others read and never wait."""

    def __init__(self, engine: Engine, now_us: Callable[[], int]) -> None:
        self._engine = engine
        self._now_us = now_us
        self._known: dict[int, ReadConversation] = {}  # changed by the following thread alone
        self._requests = FollowedRequests(LOOKBACK_US)

    def of(self, conversation_mark: int, turn: int) -> Prefixes:
        """Return what is known of a conversation that has so many user turns now.

        Nothing where the last turn known is not this one or the one before: many may begin with the same words.
        """
        known = self._known.get(conversation_mark)
        return known.prefixes if known is not None and 0 <= turn - known.turn <= 1 else NO_PREFIXES

    def follow(self) -> None:
        """Take in what has come since, every few seconds; raises SQLAlchemyError."""
        now_us = self._now_us()
        if (since := self._requests.begin_at(now_us)) is None:
            return
        with self._engine.connect() as connection:
            rows: Sequence[Any] = connection.execute(READ_SINCE, {"since": since}).all()
            texts = read_label_texts(connection) if rows else {}
        fresh: dict[int, dict[str, ReadPrefix]] = defaultdict(dict)
        turns: dict[int, int] = {}
        for mark, turn, model_id, started_at, tokens, marked in reversed(rows):
            fresh[mark][texts[model_id]] = ReadPrefix(int(tokens), int(marked), started_at)
            turns[mark] = turn
        for mark, prefixes in fresh.items():
            known = self._known.pop(mark, None)
            self._known[mark] = ReadConversation(turns[mark], {**(known.prefixes if known else {}), **prefixes})
        for mark in list(self._known)[: max(len(self._known) - MOST_KEPT, 0)]:
            del self._known[mark]
        self._requests.note_read(now_us)
