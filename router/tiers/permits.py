"""What the calls of a request have to do with the health of models: who may be asked, and what came of it."""

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from functools import partial

from router.errors import BreakerOpen, Cause, ProviderError
from router.health.breaker import LASTING, Admission, all_closed, find_shut
from router.health.targets import HealthBook, TargetHealth, TargetReading
from router.providers.base import ModelTarget
from router.types import Tier

TRIAL_GRACE_S = 90.0  # beyond the wait for the first of an answer: whole ones come later
SUCCEEDED = 400  # statuses below: the answer had begun


class TargetBook:
    """What is known of every configured model."""

    def __init__(self, health: HealthBook) -> None:
        self._health = health
        self._known: dict[ModelTarget, TargetHealth] = {}

    def of(self, target: ModelTarget) -> TargetHealth:
        """Return what is known of a model."""
        known = self._known.get(target)
        if known is None:
            known = self._health.target(target.name, target.api_base, target.api_key)
            self._known[target] = known
        return known

    def learn_of(self, targets: Iterable[ModelTarget]) -> None:
        """Know these models before the first call, so that all of them are shown."""
        for target in targets:
            self.of(target)

    def shut_tiers(self, by_tier: Mapping[Tier, Sequence[ModelTarget]]) -> Callable[[], Set[Tier]]:
        """Return what names the tiers of which no model may be asked at the moment."""
        breakers = {tier: [self.of(target).breaker for target in targets] for tier, targets in by_tier.items()}
        return partial(find_shut, breakers, all_closed([one for ones in breakers.values() for one in ones]))

    def seconds_for(self, target: ModelTarget, tokens: float) -> float:
        """How long a model takes to write so many tokens, as measured on its own answers, or as first guessed."""
        return self.of(target).speed.seconds_for(tokens)

    def read(self) -> list[TargetReading]:
        """Return what is to be seen of every model."""
        return self._health.read()

    def close(self) -> None:
        """Give back what is shared with other workers."""
        self._health.close()


class Permits:
    """Who may be asked on behalf of one request. Trials of open breakers that come to nothing are given back.

    `is_relayed`: the call is passed on as it is, and a model may well answer others that does not know this one.
    """

    __slots__ = ("_book", "_is_relayed", "_known", "_target", "passed_over", "trials")

    def __init__(self, book: TargetBook | None, *, is_relayed: bool = False) -> None:
        self._book = book
        self._is_relayed = is_relayed
        self._target: ModelTarget | None = None  # the one looked up last: most requests ask only one
        self._known: TargetHealth | None = None
        self.trials: dict[ModelTarget, TargetHealth] = {}  # models that this request is the one to try
        self.passed_over: set[str] = set()  # names of models that were not asked

    def _of(self, target: ModelTarget) -> TargetHealth | None:
        if target is not self._target and self._book is not None:
            self._target, self._known = target, self._book.of(target)
        return self._known

    def admits(self, target: ModelTarget, *, is_last_resort: bool = False) -> bool:
        """Tell whether a model may be asked now; this may make the request the one that tries it."""
        if (known := self._of(target)) is None or known.breaker.is_closed:
            return True
        admission = known.breaker.admit(target.first_byte_timeout_s + TRIAL_GRACE_S, is_last_resort=is_last_resort)
        match admission:
            case Admission.GRANTED:
                return True
            case Admission.TRIAL:
                self.trials[target] = known
                self.passed_over.discard(target.name)
                return True
            case _:
                self.passed_over.add(target.name)
                return False

    def refusal(self, targets: Sequence[ModelTarget]) -> BreakerOpen:
        """Say that none of these may be asked, and when to come again."""
        assert self._book is not None
        known = [self._book.of(target).breaker for target in targets]
        causes = {reading.cause for breaker in known if (reading := breaker.read()).cause is not None}
        why = f" ({', '.join(sorted(causes))})" if causes else ""
        names = ", ".join(dict.fromkeys(target.name for target in targets))
        return BreakerOpen(
            f"{names} failed too often and is not asked for now{why}",
            retry_after_seconds=min(breaker.wait_seconds() for breaker in known),
        )

    def note_sent(self, target: ModelTarget) -> None:
        """Note a call, which earns a part of a retry."""
        if (known := self._of(target)) is not None:
            known.retries.earn()

    def may_retry(self, target: ModelTarget) -> bool:
        """Take one retry of a call of which nothing can have been generated; False where too many were."""
        return (known := self._of(target)) is None or known.retries.spend()

    def note_answer(self, target: ModelTarget) -> None:
        """Note that a model answers."""
        if (known := self._of(target)) is not None:
            is_trial = bool(self.trials) and self.trials.pop(target, None) is not None
            known.breaker.succeed(is_trial=is_trial)

    def note_failure(self, target: ModelTarget, error: ProviderError) -> None:
        """Note why a model did not answer."""
        if (known := self._of(target)) is None:
            return
        cause, status = error.cause, error.provider_status
        if cause is Cause.UNKNOWN and status is not None and SUCCEEDED <= status < 500:
            cause = Cause.BAD_REQUEST  # a refusal that nobody understands is about the request
        if self._is_relayed and cause in LASTING:
            cause = Cause.BAD_REQUEST
        is_trial = self.trials.pop(target, None) is not None
        known.fail(cause, error.retry_after_seconds, is_trial=is_trial)

    def note_pace(self, target: ModelTarget, tokens: int, seconds: float) -> None:
        """Note how long a whole answer took."""
        if (known := self._of(target)) is not None:
            known.speed.note(tokens, seconds)

    def seconds_for(self, target: ModelTarget, tokens: float) -> float:
        """How long a model takes to write so many tokens; nobody knows where nobody watches."""
        return target.timeout_s if (known := self._of(target)) is None else known.speed.seconds_for(tokens)

    def drop(self, target: ModelTarget) -> None:
        """Give the trial of a model back, if this request holds it."""
        if self.trials and (known := self.trials.pop(target, None)) is not None:
            known.breaker.release()

    def close(self) -> None:
        """Give back what is left of trials."""
        while self.trials:
            _, known = self.trials.popitem()
            known.breaker.release()
