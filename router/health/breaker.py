"""One breaker: whether a model may be asked, and what its calls teach. All times come from the clock it is given.

Closed while calls go well. Open after failures in a row, or when half of a window's calls failed; at once where the
failure will last (credentials, no credit, no such model). Cooling where the provider said when to come again. An open
one lets a single call through from time to time: what becomes of it closes the breaker, or keeps it open for longer.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from router.clock import Clock
from router.errors import Cause
from router.health.records import Field, Record

STREAK = 5  # failures in a row that open it
WINDOW_MS = 30_000  # of these failures so many open it, where they are half of the calls
WINDOW_FAILURES = 10
STALE_MS = 600_000  # failures in a row that are further apart do not belong together
PROVEN_MS = 60_000  # after an answer a refusal of the key may be about one request only
PROBE_MS, LONGEST_PROBE_MS = 30_000, 120_000  # between trials while others serve, doubled each time
RESORT_MS, LONGEST_RESORT_MS = 5_000, 30_000  # where nobody else serves
LASTING_PROBE_MS, LASTING_RESORT_MS = 300_000, 60_000  # where somebody has to mend something
LEAST_COOLING_MS = 2_000  # less is not worth turning anybody away, and waits below a second are told as one
LONGEST_COOLING_MS = 900_000  # a provider that names a longer wait is asked again after so long all the same

COUNTED = frozenset(
    {
        Cause.UNREACHABLE, Cause.TIMEOUT_CONNECT, Cause.TIMEOUT_FIRST_BYTE, Cause.TIMEOUT_IDLE, Cause.TIMEOUT_TOTAL,
        Cause.RATE_LIMITED, Cause.OVERLOADED, Cause.BROKEN_OFF, Cause.NONSENSE, Cause.UNKNOWN,
    }
)  # fmt: skip
LASTING = frozenset({Cause.CREDENTIALS, Cause.NO_CREDIT, Cause.NOT_FOUND})
TELLS_WHEN = frozenset({Cause.RATE_LIMITED, Cause.OVERLOADED})
Group = TypeVar("Group", bound=Hashable)
_CAUSES = tuple(Cause)  # by number, as records keep them
_CLOSED, _OPEN, _COOLING = range(3)


class BreakerState(StrEnum):
    """Closed: asked. Open: not asked. Half open: one call is trying it. Cooling: not asked for as long as it said."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"
    COOLING = "cooling"


class Admission(StrEnum):
    """Whether a call may go out; a trial is the only one for the time being, and its end has to be told."""

    GRANTED = "granted"
    TRIAL = "trial"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class BreakerReading:
    """What a breaker shows: since when (microseconds since the epoch), why, and when it is tried next."""

    state: BreakerState
    since_us: int | None
    cause: Cause | None
    next_probe_us: int | None
    openings: int


class Breaker:
    """The breaker of one model, over a record that other workers may share."""

    __slots__ = ("_at", "_clock", "_failures_at", "_proven_ms", "_record", "_state_at", "_words")

    def __init__(self, record: Record, clock: Clock) -> None:
        self._record = record
        self._words = record.words
        self._at = record.at
        self._state_at, self._failures_at = int(record.at + Field.STATE), int(record.at + Field.FAILURES)
        self._clock = clock
        self._proven_ms: float | None = None  # when it last answered this worker
        self._forget_another_boot()

    @property
    def is_closed(self) -> bool:
        """Tell whether it is asked as usual, as nearly always."""
        return self._words[self._state_at] == _CLOSED

    def is_shut(self, *, is_last_resort: bool = False) -> bool:
        """Tell whether `admit` would refuse; claims nothing."""
        state = self._words[self._state_at]
        if state == _CLOSED:
            return False
        now, record = self._now(), self._record
        if state == _COOLING:
            return now < record[Field.PROBE_MS]
        return now < record[_due(is_last_resort)] or now < record[Field.PROBED_UNTIL_MS]

    def admit(self, trial_seconds: float, *, is_last_resort: bool = False) -> Admission:
        """Say whether a call may go out now; a trial has so long before another one may take its place.

        `is_last_resort`: no other model could answer instead.
        """
        if self._words[self._state_at] == _CLOSED:
            return Admission.GRANTED
        with self._record.file.hold_lock() as is_alone:
            record, now = self._record, self._now()
            match record[Field.STATE]:
                case 0:  # closed in the meantime
                    return Admission.GRANTED
                case 2:
                    if now < record[Field.PROBE_MS]:
                        return Admission.REFUSED
                    self._set_state(_CLOSED)
                    return Admission.GRANTED
            if now < record[_due(is_last_resort)] or now < record[Field.PROBED_UNTIL_MS] or not is_alone:
                return Admission.REFUSED
            record[Field.PROBED_UNTIL_MS] = now + round(trial_seconds * 1_000)
            return Admission.TRIAL

    def succeed(self, *, is_trial: bool = False) -> None:
        """Note a call that is answered; one that was sent before the breaker opened closes nothing."""
        words, at = self._words, self._at
        self._proven_ms = self._clock.ticks_ms()
        if is_trial:
            with self._record.file.hold_lock():
                self._close()
        elif words[self._failures_at]:
            if self._now() - words[at + Field.WINDOW_MS] > WINDOW_MS:
                words[at + Field.FAILURES] = words[at + Field.CALLS] = 0
            else:
                words[at + Field.CALLS] += 1
            words[at + Field.STREAK] = 0

    def fail(self, cause: Cause, retry_after_seconds: float | None = None, *, is_trial: bool = False) -> bool:
        """Note a call that failed, and tell whether that opened the breaker.

        What is wrong with a single request says nothing about the model, but that it is there.
        """
        if cause not in COUNTED and cause not in LASTING:
            if is_trial:
                self.succeed(is_trial=True)
            return False
        with self._record.file.hold_lock():
            record, now = self._record, self._now()
            wait_ms = min(round((retry_after_seconds or 0) * 1_000), LONGEST_COOLING_MS)
            if record[Field.STATE] == _OPEN and not is_trial:  # it was sent before
                return False
            if not is_trial:
                self._count(now)
            if is_trial or self._is_enough(cause, now):
                self._open(cause, now, wait_ms)
                return not is_trial
            if wait_ms >= LEAST_COOLING_MS and cause in TELLS_WHEN:
                self._cool(cause, now, wait_ms)
            return False

    def release(self) -> None:
        """Give a trial back that came to nothing, such as one whose client hung up."""
        with self._record.file.hold_lock():
            self._record[Field.PROBED_UNTIL_MS] = 0

    def wait_seconds(self) -> int:
        """Whole seconds until it may be tried where nobody else serves; at least one."""
        now, record = self._now(), self._record
        due = record[Field.PROBE_MS] if record[Field.STATE] == _COOLING else record[Field.RESORT_MS]
        return max(1, -(-(due - now) // 1_000))

    def read(self) -> BreakerReading:
        """Return what is to be seen of it."""
        record, now = self._record, self._now()
        number, openings = record[Field.STATE], record[Field.OPENINGS]
        if number == _CLOSED or (number == _COOLING and now >= record[Field.PROBE_MS]):
            return BreakerReading(BreakerState.CLOSED, None, None, None, openings)
        state = BreakerState.COOLING if number == _COOLING else BreakerState.OPEN
        if number == _OPEN and now < record[Field.PROBED_UNTIL_MS]:
            state = BreakerState.HALF_OPEN
        cause = _CAUSES[record[Field.CAUSE] % len(_CAUSES)]
        next_us = self._clock.now_us() + max(0, record[Field.PROBE_MS] - now) * 1_000
        return BreakerReading(state, record[Field.SINCE_US], cause, next_us, openings)

    def _now(self) -> int:
        return int(self._clock.ticks_ms())

    def _count(self, now: int) -> None:
        record = self._record
        age = now - record[Field.WINDOW_MS]
        if age > STALE_MS:
            record[Field.STREAK] = 0
        if not record[Field.FAILURES] or age > WINDOW_MS:
            record[Field.WINDOW_MS], record[Field.CALLS], record[Field.FAILURES] = now, 0, 0
        record[Field.CALLS] += 1
        record[Field.FAILURES] += 1
        record[Field.STREAK] += 1

    def _is_enough(self, cause: Cause, now: int) -> bool:
        record = self._record
        if cause in LASTING and (self._proven_ms is None or now - self._proven_ms > PROVEN_MS):
            return True
        if record[Field.STREAK] >= STREAK:
            return True
        return record[Field.FAILURES] >= WINDOW_FAILURES and 2 * record[Field.FAILURES] >= record[Field.CALLS]

    def _open(self, cause: Cause, now: int, wait_ms: int) -> None:
        record = self._record
        was_open = record[Field.STATE] == _OPEN
        record[Field.BACKOFF] = min(record[Field.BACKOFF] + 1, 16) if was_open else 0
        doubled = 1 << record[Field.BACKOFF]
        probe, resort = min(PROBE_MS * doubled, LONGEST_PROBE_MS), min(RESORT_MS * doubled, LONGEST_RESORT_MS)
        if cause in LASTING:
            probe, resort = LASTING_PROBE_MS, LASTING_RESORT_MS
        record[Field.PROBE_MS] = now + max(probe, wait_ms)
        record[Field.RESORT_MS] = now + max(resort, wait_ms)
        record[Field.PROBED_UNTIL_MS] = 0
        record[Field.CAUSE] = _CAUSES.index(cause)
        if not was_open:
            record[Field.OPENINGS] += 1
            self._set_state(_OPEN)

    def _cool(self, cause: Cause, now: int, wait_ms: int) -> None:
        record = self._record
        record[Field.PROBE_MS] = record[Field.RESORT_MS] = now + wait_ms
        record[Field.CAUSE] = _CAUSES.index(cause)
        if record[Field.STATE] != _COOLING:
            self._set_state(_COOLING)

    def _close(self) -> None:
        record = self._record
        for field in (Field.FAILURES, Field.CALLS, Field.STREAK, Field.BACKOFF, Field.PROBED_UNTIL_MS):
            record[field] = 0
        self._set_state(_CLOSED)

    def _set_state(self, number: int) -> None:
        """Change the state last, so that a reader that sees it sees what belongs to it."""
        self._record[Field.SINCE_US] = self._clock.now_us()
        self._record[Field.STATE] = number

    def _forget_another_boot(self) -> None:
        """Forget times that lie further ahead than any wait: the machine was started anew since."""
        record = self._record
        furthest = self._now() + LONGEST_COOLING_MS + LONGEST_PROBE_MS
        times = (Field.PROBE_MS, Field.RESORT_MS, Field.WINDOW_MS)
        if any(record[field] > furthest for field in times):
            used, key_kept = record[Field.USED_US], record[Field.OPENINGS]
            record.clear()
            record[Field.USED_US], record[Field.OPENINGS] = used, key_kept


def _due(is_last_resort: bool) -> Field:
    return Field.RESORT_MS if is_last_resort else Field.PROBE_MS


def all_closed(breakers: Sequence[Breaker]) -> Callable[[], bool]:
    """Return what tells at a glance whether all of these are closed, which they nearly always are."""
    places = [(breaker._words, breaker._state_at) for breaker in breakers]

    def are_closed() -> bool:
        for words, place in places:  # noqa: SIM110 - twice as fast as a generator
            if words[place] != _CLOSED:
                return False
        return True

    return are_closed


def find_shut(groups: Mapping[Group, Sequence[Breaker]], are_closed: Callable[[], bool]) -> frozenset[Group]:
    """Name the groups of which every breaker is shut; `are_closed` tells at a glance that there are none."""
    if are_closed():
        return frozenset()
    return frozenset(group for group, breakers in groups.items() if all(one.is_shut() for one in breakers))
