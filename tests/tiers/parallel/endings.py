"""Votes that ended, as the books keep them."""

from typing import Any

import msgspec

from router.ledger.entries import VoteEnding
from tests.tiers.fakes import REQUEST_ID

UNANIMOUS = VoteEnding(
    REQUEST_ID, "a+b", "numeric", "accepted", 4, 4, 0, 4, 0, False, None, 0.9, p_sampled=0.5, p_strong=0.9
)


def an_ending(leader: int = 4, second: int = 0, **changes: Any) -> VoteEnding:
    """Return a vote of as many samples as voted, unless it is said otherwise."""
    voters = changes.pop("voters", leader + second)
    changes = {"samples": voters + changes.get("unreadable", 0), "voters": voters, **changes}
    return msgspec.structs.replace(UNANIMOUS, leader=leader, second=second, **changes)


def an_escalation(*, agrees: bool | None = None, leader: int = 2, second: int = 2, **changes: Any) -> VoteEnding:
    """Return a vote that a strong tier answered."""
    return an_ending(leader, second, **{"stop_reason": "futile", "is_escalated": True, "agrees": agrees, **changes})
