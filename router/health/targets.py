"""What is known of each model that is called: its breaker, its speed, its retries. The same model at two addresses, or
under two keys, is two.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from router.clock import Clock
from router.errors import Cause
from router.health.breaker import Breaker, BreakerReading, BreakerState
from router.health.pace import RetryBudget, Speed
from router.health.records import FILE_NAME, HealthFile

_log = logging.getLogger(__name__)
Told = Callable[[str, Cause], None]


@dataclass(frozen=True, slots=True)
class TargetReading:
    """What is to be seen of one model. `address` is empty for the provider's own."""

    model: str
    address: str
    breaker: BreakerReading
    tokens_per_second: float | None
    may_be_asked: bool  # where nobody else serves

    @property
    def is_closed(self) -> bool:
        """Tell whether it is asked as usual."""
        return self.breaker.state is BreakerState.CLOSED


class TargetHealth:
    """What is known of one model."""

    __slots__ = ("address", "breaker", "model", "retries", "speed", "tell_opened")

    def __init__(self, model: str, address: str, breaker: Breaker, tell_opened: Told) -> None:
        self.model = model
        self.address = address
        self.breaker = breaker
        self.speed = Speed()
        self.retries = RetryBudget()
        self.tell_opened = tell_opened

    def fail(self, cause: Cause, retry_after_seconds: float | None, *, is_trial: bool) -> None:
        """Note a call that failed, and say so where that opened the breaker."""
        if self.breaker.fail(cause, retry_after_seconds, is_trial=is_trial):
            _log.warning("%s failed too often (%s): it is not asked for now", self.model, cause)
            self.tell_opened(self.model, cause)

    def read(self) -> TargetReading:
        """Return what is to be seen of it."""
        speed = self.speed.tokens_per_second if self.speed.is_measured else None
        return TargetReading(
            self.model, self.address, self.breaker.read(), speed, not self.breaker.is_shut(is_last_resort=True)
        )


def _tell_nobody(model: str, cause: Cause) -> None:
    """Keep it to ourselves."""


class HealthBook:
    """What is known of all models, shared with the other workers that use the same directory; None: with nobody.

    `tell_opened` is called by the worker whose call opened a breaker.
    """

    def __init__(self, clock: Clock, directory: Path | None = None, *, tell_opened: Told = _tell_nobody) -> None:
        self._clock = clock
        self._file = HealthFile(directory / FILE_NAME if directory is not None else None)
        self._tell_opened = tell_opened
        self._targets: dict[bytes, TargetHealth] = {}

    def target(self, model: str, address: str | None, secret: str | None) -> TargetHealth:
        """Return what is known of a model at an address under a key."""
        parts = "\0".join((model, address or "", secret or ""))
        key = blake2b(parts.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        found = self._targets.get(key)
        if found is None:
            breaker = Breaker(self._file.find(key, self._clock.now_us()), self._clock)
            found = TargetHealth(model, address or "", breaker, self._tell_opened)
            self._targets[key] = found
        return found

    def read(self) -> list[TargetReading]:
        """Return what is to be seen of every model, by name."""
        known = sorted(self._targets.values(), key=lambda target: (target.model, target.address))
        return [target.read() for target in known]

    def close(self) -> None:
        """Give the file back."""
        self._file.close()
