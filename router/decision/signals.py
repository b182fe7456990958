"""What a request says, by the way, of an answer this worker gave before: sent again, objected to, asked to go deeper.

Remembers salted hashes of conversations with the request that answered each, bounded, for one worker and one life of
it. What another worker answered is found by the mark of a conversation that its client names, or whose user, and by
how many turns it had (`router.ledger.last_turns`): a turn that comes again, in other words perhaps, or goes on. No text
is kept. Who asks the same thing again and again is a program, not a dissatisfied person.
"""

import hashlib
import os
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from cachetools import LRUCache

from router.conversation.turns import Kind
from router.decision.rules import NEW
from router.ledger.last_turns import LastTurn
from router.types import Decision, Reason, Signal, Tier

REMEMBERED_CONVERSATIONS = 10_000
MOST_REGENERATES = 2
LONGEST_RECONSIDERING_MS = 3_600_000  # whoever asks again after an hour asks anew

encoder = msgspec.json.Encoder()
Asker = tuple[int | None, str | None, str | None]  # the key, and the end user and conversation that a client names


class Answered(msgspec.Struct, frozen=True):
    """A conversation that was answered: by which request, from which tier, and how often it came."""

    request_id: str
    tier: Tier
    times: int = 1


class Match(msgspec.Struct, frozen=True):
    """What is remembered: of these very messages (`again`), and of those before the last reply (`before`)."""

    mark: bytes
    again: Answered | None = None
    before: Answered | None = None
    times: int = 0

    def or_elsewhere(self, last: LastTurn, turn: int, request_id: str) -> "Match":
        """Add what another worker answered of a conversation that has so many user turns now; nothing is overridden."""
        is_known = self.again is not None or self.before is not None
        if is_known or not _is_recent(last.request_id, request_id):
            return self
        found = Answered(last.request_id, last.tier, last.times)
        if last.turn == turn and last.times <= MOST_REGENERATES:
            return msgspec.structs.replace(self, again=found, times=last.times)
        return msgspec.structs.replace(self, before=found) if last.turn == turn - 1 else self

    @property
    def is_regenerate(self) -> bool:
        """These very messages were answered a while ago, and not over and over."""
        return self.again is not None

    def read_signal(self, kind: Kind, decision: Decision) -> tuple[Signal | None, str | None]:
        """Read what a request says of an earlier answer, and of which; `kind` is what the conversation makes of it."""
        if self.again is None and self.before is None and kind is NEW:
            return None, None
        if kind in (Kind.HOUSEKEEPING, Kind.THANKS):
            return None, None
        # A question on something else judges nothing, whatever tier is named for it.
        earlier = self.again or (self.before if kind is not Kind.NEW else None)
        if earlier is not None and earlier.tier is Tier.FAST and _names_a_deep_tier(decision):
            return Signal.DEEPER, earlier.request_id
        if self.again is not None:
            return Signal.REGENERATE, self.again.request_id
        before = self.before.request_id if self.before else None
        match kind:
            case Kind.PUSHBACK:
                return Signal.PUSHBACK, before
            case Kind.REGENERATE:
                return Signal.REGENERATE, before
            case _:
                return None, None


class AnswerHistory:
    """The conversations that one worker answered last."""

    def __init__(self, *, salt: bytes | None = None, size: int = REMEMBERED_CONVERSATIONS) -> None:
        self._salt = salt if salt is not None else os.urandom(16)
        self._answered: LRUCache[bytes, Answered] = LRUCache(size)

    def recall(self, asker: Asker, messages: Sequence[Mapping[str, Any]], request_id: str) -> Match:
        """Look a conversation of an asker up; every message is hashed once. `request_id` tells the time.

        Two end users, or two conversations, that a client names are never one, however alike they begin.
        """
        asked_until = _before_last_reply(messages)
        digest = hashlib.blake2b(encoder.encode(asker), digest_size=16, key=self._salt)
        before = None
        if asked_until:
            digest.update(encoder.encode_lines(messages[:asked_until]))
            before = self._answered.get(digest.digest())
        digest.update(encoder.encode_lines(messages[asked_until:]))
        mark = digest.digest()
        again = self._answered.get(mark)
        times = again.times if again else 0
        is_recent = again is not None and _is_recent(again.request_id, request_id)
        return Match(mark, again if is_recent and times <= MOST_REGENERATES else None, before, times)

    def remember(self, earlier: Match, request_id: str, tier: Tier) -> None:
        """Note who answers a conversation now; the one not seen for longest is forgotten."""
        self._answered[earlier.mark] = Answered(request_id, tier, earlier.times + 1)


def _before_last_reply(messages: Sequence[Mapping[str, Any]]) -> int:
    """How many messages the request had whose answer is the last reply among these; 0 where there is none."""
    place = len(messages) - 1
    while place >= 0 and messages[place].get("role") != "assistant":
        place -= 1
    while place > 0 and messages[place - 1].get("role") == "assistant":
        place -= 1
    return max(place, 0)


def _names_a_deep_tier(decision: Decision) -> bool:
    return decision.reason in (Reason.OVERRIDE, Reason.EFFORT) and decision.tier is not Tier.FAST


def _is_recent(earlier_id: str, request_id: str) -> bool:
    return _ms(request_id) - _ms(earlier_id) <= LONGEST_RECONSIDERING_MS


def _ms(request_id: str) -> int:
    """The milliseconds in a request id (UUIDv7)."""
    return int(request_id[:12], 16)
