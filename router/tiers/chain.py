"""Which model of a tier is asked next: the first that may be asked, again where its call cannot have done anything.

A model whose breaker is open is passed over; where all are, one may be tried as a last resort.
"""

from collections.abc import Sequence

from router.errors import CONTEXT_TOO_LONG, Cause, ProviderError
from router.providers.base import ModelTarget
from router.tiers.permits import Permits


class TargetChain:
    """The models of one request in the order in which they are asked."""

    __slots__ = ("_left", "_may_repeat", "_permits", "_targets", "current")

    def __init__(self, targets: Sequence[ModelTarget], permits: Permits) -> None:
        self._targets = targets
        self._permits = permits
        self._left = list(targets)
        self._may_repeat = True
        self.current = self._first()

    @property
    def fell_back(self) -> bool:
        """Whether another model than the first is asked."""
        return self.current is not self._targets[0]

    def go_on_after(self, error: ProviderError) -> None:
        """Go to the model that is asked after this failure; raises it where none is."""
        if self._may_repeat and is_safe_to_repeat(error) and self._may_retry():
            self._may_repeat = False
            return
        following = self._next() if another_may_do(error) else None
        if following is None:
            raise error
        self.current, self._may_repeat = following, True

    def _may_retry(self) -> bool:
        """Tell whether one more call may go to this model: its breaker is closed still, and retries are left."""
        return self._permits.admits(self.current) and self._permits.may_retry(self.current)

    def _first(self) -> ModelTarget:
        """Find who is asked first; raises BreakerOpen where nobody may be."""
        if (first := self._next()) is not None:
            return first
        for target in self._targets:
            if self._permits.admits(target, is_last_resort=True):
                return target
        raise self._permits.refusal(self._targets)

    def _next(self) -> ModelTarget | None:
        while self._left:
            if self._permits.admits(target := self._left.pop(0)):
                return target
        return None


def choose_admitted(targets: Sequence[ModelTarget], permits: Permits) -> tuple[ModelTarget, ...]:
    """Return those of the models that may be asked, all at once; one as a last resort; or none."""
    if those := tuple(target for target in targets if permits.admits(target)):
        return those
    return next(((target,) for target in targets if permits.admits(target, is_last_resort=True)), ())


def another_may_do(error: ProviderError) -> bool:
    """Tell whether another model may succeed: the failure passes, or that model's context was too small."""
    return error.retryable or error.code == CONTEXT_TOO_LONG


def is_safe_to_repeat(error: ProviderError) -> bool:
    """Tell whether nothing can have been generated, and the next try may find it otherwise."""
    return not error.dispatched and error.cause is Cause.UNREACHABLE
