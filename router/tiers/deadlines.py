"""How long a call may take in each of its phases, whoever the provider is: to begin, between its pieces, and in all.

What a client would not see of the answer (comments, empty pieces) is no sign of life. Connecting is the provider's own.
"""

import asyncio
from collections.abc import Awaitable
from typing import Self

from classifier.types import Forecast
from router.errors import Cause, ProviderTimeout
from router.providers.base import Completion, Delta, ModelTarget, ProviderRequest
from router.providers.collecting import says_something
from router.providers.thinking import thinking_budget

FORECAST_MARGIN = 3  # one answer in ten is longer than the upper forecast; hardly any is three times as long


class StreamTimer:
    """Ends the wait for the pieces of one stream when a phase has lasted too long: a context of the task that reads it.

    One timer for the whole stream, which is set anew only when it goes off or a phase gets shorter. While the client is
    being sent something no time is counted but that of the whole. Leaving the context raises ProviderTimeout where the
    time was up, but not where the answer was whole.
    """

    __slots__ = (
        "_cancelling", "_fires_at", "_handle", "_is_new_phase", "_is_waiting", "_loop", "_phase", "_phase_at",
        "_phase_s", "_target", "_task", "_total_at", "expired", "has_begun", "is_complete",
    )  # fmt: skip

    def __init__(self, target: ModelTarget) -> None:
        self._loop = asyncio.get_running_loop()
        self._target = target
        self._phase, self._phase_s = Cause.TIMEOUT_FIRST_BYTE, target.first_byte_timeout_s
        now = self._loop.time()
        self._phase_at = now + self._phase_s
        self._total_at = now + target.timeout_s
        self._is_new_phase = False
        self._task: asyncio.Task[object] | None = None  # who reads
        self._is_waiting = False
        self._cancelling = 0
        self._handle: asyncio.TimerHandle | None = None
        self._fires_at = 0.0
        self.has_begun = False  # the answer: something of it came
        self.is_complete = False  # every choice has come to its end: what is still waited for is no answer
        self.expired: Cause | None = None

    def __enter__(self) -> Self:
        self._task = asyncio.current_task()
        self.wait()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> bool:
        self._is_waiting = False
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
        if self.expired is None:
            return False
        assert self._task is not None
        if self._task.uncancel() > self._cancelling and isinstance(error, asyncio.CancelledError):
            return False  # somebody else cancelled the call as well
        if not self.is_complete:
            phase_s = self._target.timeout_s if self.expired is Cause.TIMEOUT_TOTAL else self._phase_s
            raise error_of_phase(self._target, self.expired, phase_s) from error
        return True

    def wait(self) -> None:
        """Count the time from here on: the next piece is waited for."""
        if self._is_new_phase:
            self._is_new_phase = False
            self._phase_at = self._loop.time() + self._phase_s
        if self._handle is None or self._phase_at < self._fires_at:
            self._set()
        self._is_waiting = True

    def note(self, delta: Delta) -> bool:
        """Note a piece that came; False where the time was up all the same, and no more is to be read."""
        self._is_waiting = False
        if self.expired is not None:
            return False
        pause_s = self._target.idle_timeout_s
        if not delta.content:
            if not says_something(delta):
                return True
            thinks = delta.reasoning or delta.thinking_blocks
            if thinks and not (delta.tool_calls or delta.refusal):
                pause_s = max(pause_s, self._target.first_byte_timeout_s)
        self._is_new_phase = True
        if self._phase_s != pause_s or not self.has_begun:
            self.has_begun, self._phase, self._phase_s = True, Cause.TIMEOUT_IDLE, pause_s
        return True

    def _set(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
        self._fires_at = min(self._phase_at, self._total_at)
        self._handle = self._loop.call_at(self._fires_at, self._look)

    def _look(self) -> None:
        self._handle = None
        if not self._is_waiting:  # nobody waits just now: it is set again when somebody does
            return
        if self._loop.time() < min(self._phase_at, self._total_at):
            self._set()
            return
        assert self._task is not None
        self.expired = self._phase if self._phase_at <= self._total_at else Cause.TIMEOUT_TOTAL
        self._cancelling = self._task.cancelling()
        self._task.cancel()


async def within(target: ModelTarget, seconds: float, answer: Awaitable[Completion]) -> Completion:
    """Wait so long for a whole answer, and no longer than for any answer of the model; raises ProviderTimeout."""
    is_short = seconds < target.timeout_s
    if not is_short:
        seconds = target.timeout_s
    loop, has_fired = asyncio.get_running_loop(), False
    task = asyncio.current_task(loop)
    assert task is not None
    cancelling = 0

    def fire() -> None:
        nonlocal cancelling, has_fired
        cancelling, has_fired = task.cancelling(), True
        task.cancel()

    handle = loop.call_later(seconds, fire)  # `asyncio.timeout` takes four times as long
    try:
        return await answer
    except BaseException as error:
        if not has_fired or (task.uncancel() > cancelling and isinstance(error, asyncio.CancelledError)):
            raise
        cause = Cause.TIMEOUT_FIRST_BYTE if is_short else Cause.TIMEOUT_TOTAL
        raise error_of_phase(target, cause, seconds) from error
    finally:
        handle.cancel()


def likely_tokens(request: ProviderRequest, most: int, forecast: Forecast | None) -> int:
    """Bound what an answer is likely to have in tokens: the client's own limit, or by what is forecast.

    `most` is what it can have at all.
    """
    thinking = thinking_budget(request) if request.think else 0
    if request.max_output_tokens is not None:
        return min(most, request.max_output_tokens)
    if request.max_visible_tokens is not None:
        return min(most, request.max_visible_tokens + thinking)
    return most if forecast is None else min(most, FORECAST_MARGIN * forecast.high + thinking)


def error_of_phase(target: ModelTarget, cause: Cause, seconds: float) -> ProviderTimeout:
    """Say which phase lasted too long."""
    match cause:
        case Cause.TIMEOUT_FIRST_BYTE:
            said = f"{target.name} did not begin to answer within {seconds:.3g} s"
        case Cause.TIMEOUT_IDLE:
            said = f"{target.name} broke off: nothing came for {seconds:.3g} s"
        case _:
            said = f"{target.name} took longer than {seconds:.3g} s"
    return ProviderTimeout(said, cause=cause)
