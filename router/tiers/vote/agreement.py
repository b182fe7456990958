"""Do two answers to one question say the same? By vote keys, and by computer algebra where spelling is not enough.

Agreement is not correctness: both may be wrong alike.
"""

from router.providers.base import Choice
from router.tiers.vote.checkers import CheckerPool
from router.tiers.vote.clusters import VoteTally
from router.tiers.vote.keys import Asked, VoteKey, vote_key
from router.types import Agreement

# Forms in which one answer has one spelling: only of these does another key mean another answer.
TELLING = frozenset(
    {"number", "date", "time", "range", "choice", "set", "list", "pair", "interval", "ratio", "maths", "formula"}
)
WHOLE = frozenset({"stop", "tool_calls"})


async def agreement(first: Choice, second: Choice, question: Asked, checkers: CheckerPool) -> Agreement:
    """Compare two answers; `unclear` where a key is missing, says too little, or an answer was cut short."""
    if not {first.finish_reason, second.finish_reason} <= WHOLE or first.refusal or second.refusal:
        return Agreement.UNCLEAR
    a, b = vote_key(first, question), vote_key(second, question)
    if a is None or b is None:
        return Agreement.UNCLEAR
    if _are_spelled_alike(a, b):
        return Agreement.SAME
    if (a.is_maths or b.is_maths) and {a.kind, b.kind} <= {"maths", "number"}:
        match await checkers.same_maths(a.bare or a.value, b.bare or b.value):
            case True:
                return Agreement.SAME
            case None:
                return Agreement.UNCLEAR
    return Agreement.DIFFERS if {a.kind, b.kind} <= TELLING else Agreement.UNCLEAR


def _are_spelled_alike(a: VoteKey, b: VoteKey) -> bool:
    tally = VoteTally()
    tally.add(0, a)
    return tally.find(b) is not None
