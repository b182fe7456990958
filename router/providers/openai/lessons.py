"""What a target was found to refuse or to insist on: learnt from its own words, heeded at once, kept if it helped."""

import msgspec

from router.errors import Cause, ProviderError
from router.providers.openai.body import is_for_good, most_tokens_in, state_in_demand, unknown_parameter
from router.types import Json

MOST_RETRIES = 4  # of one request, after refusals that teach something
# An error of the server may hide a refusal: some answer 500 to a key that they do not know.
TEACHES = frozenset({Cause.BAD_REQUEST, Cause.NOT_FOUND, Cause.UNKNOWN, Cause.CONTEXT_TOO_LONG})


class Lessons(msgspec.Struct, frozen=True):
    """Parameters and keys that are left out, state that is always sent, the largest limit on the output."""

    refused: frozenset[str] = frozenset()
    wanted: frozenset[str] = frozenset()
    most_tokens: int | None = None

    def after(self, error: ProviderError, sent: Json) -> "tuple[Lessons, Lessons] | None":
        """Return what to heed in the next try, and of that what holds for every request; None where nothing helps."""
        if error.cause not in TEACHES or not error.provider_status or error.provider_status < 400:
            return None
        message = error.message
        if (state := state_in_demand(message)) is not None and state not in self.wanted | self.refused:
            return self | (lesson := Lessons(wanted=frozenset({state}))), lesson
        if (most := most_tokens_in(message, sent)) is not None and (
            self.most_tokens is None or most < self.most_tokens
        ):
            return self | (lesson := Lessons(most_tokens=most)), lesson
        culprit = unknown_parameter(message, error.param, sent)
        if culprit is None or culprit in self.refused:
            return None
        lesson = Lessons(refused=frozenset({culprit}))
        return self | lesson, lesson if is_for_good(message) else Lessons()

    def __or__(self, other: "Lessons") -> "Lessons":
        """Join what two requests have learnt."""
        limits = [limit for limit in (self.most_tokens, other.most_tokens) if limit is not None]
        return Lessons(
            self.refused | other.refused, (self.wanted | other.wanted) - other.refused, min(limits, default=None)
        )


NOTHING_LEARNT = Lessons()


class Retries:
    """The tries of one request after refusals, and what these teach it.

    `heeded` holds for its next try, `known` for every request to the same target.
    """

    __slots__ = ("heeded", "known", "number")

    def __init__(self, known: Lessons) -> None:
        self.heeded = self.known = known
        self.number = 0

    def learn(self, error: ProviderError, sent: Json) -> bool:
        """Learn from a refusal of what was sent; False where it teaches nothing, or too many came before it."""
        learnt = self.heeded.after(error, sent) if self.number < MOST_RETRIES else None
        if learnt is None:
            return False
        self.heeded, for_good = learnt
        self.known |= for_good
        self.number += 1
        return True
