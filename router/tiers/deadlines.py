"""How long a call may take in each of its phases, whoever the provider is: to begin, between its pieces, and in all.

What a client would not see of the answer (comments, empty pieces) is no sign of life. Connecting is the provider's own.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable

from classifier.types import Forecast
from router.errors import Cause, ProviderTimeout
from router.providers.base import Completion, Delta, ModelTarget, ProviderRequest
from router.providers.collecting import says_something
from router.providers.thinking import thinking_budget

FORECAST_MARGIN = 3  # one answer in ten is longer than the upper forecast; hardly any is three times as long


class StreamTimer:
    """Waits for the pieces of one stream, and ends the wait when a phase has lasted too long.

    One timer for the whole stream, which is set anew only when it goes off or a phase gets shorter. While the client is
    being sent something no time is counted but that of the whole.
    """

    __slots__ = (
        "_cancelling", "_fires_at", "_handle", "_is_new_phase", "_loop", "_phase", "_phase_at", "_phase_s", "_target",
        "_task", "_total_at", "expired", "has_begun",
        "is_complete",
    )  # fmt: skip

    def __init__(self, target: ModelTarget) -> None:
        self._loop = asyncio.get_running_loop()
        self._target = target
        self._phase, self._phase_s = Cause.TIMEOUT_FIRST_BYTE, target.first_byte_timeout_s
        now = self._loop.time()
        self._phase_at = now + self._phase_s
        self._total_at = now + target.timeout_s
        self._is_new_phase = False
        self._task: asyncio.Task[object] | None = None  # who waits
        self._cancelling = 0
        self._handle: asyncio.TimerHandle | None = None
        self._fires_at = 0.0
        self.has_begun = False  # the answer: something of it came
        self.is_complete = False  # every choice has come to its end: what is still waited for is no answer
        self.expired: Cause | None = None

    async def next_of(self, deltas: AsyncGenerator[Delta]) -> Delta | None:
        """Return the next piece, None at the end; raises ProviderTimeout, and whatever the provider raises."""
        if self._is_new_phase:
            self._is_new_phase = False
            self._phase_at = self._loop.time() + self._phase_s
        due = self._phase_at if self._phase_at < self._total_at else self._total_at
        if self._handle is None or due < self._fires_at:
            self._set(due)
        self._task = task = asyncio.current_task()
        try:
            delta = await anext(deltas)
        except BaseException as error:
            if self.expired is not None:
                self._give_up(task, error)
                return None
            if isinstance(error, StopAsyncIteration):
                return None
            raise
        finally:
            self._task = None
        if self.expired is not None:
            self._give_up(task, None)
            return None
        if delta.content:
            self._note_piece(self._target.idle_timeout_s)
        elif says_something(delta):
            target, thinks = self._target, delta.reasoning or delta.thinking_blocks
            is_thinking = thinks and not (delta.tool_calls or delta.refusal)
            idle_s = target.idle_timeout_s
            self._note_piece(max(idle_s, target.first_byte_timeout_s) if is_thinking else idle_s)
        return delta

    def _note_piece(self, pause_s: float) -> None:
        self._is_new_phase = True
        if self._phase_s != pause_s or not self.has_begun:
            self.has_begun, self._phase, self._phase_s = True, Cause.TIMEOUT_IDLE, pause_s

    def stop(self) -> None:
        """Set no more timers."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _set(self, due: float) -> None:
        if self._handle is not None:
            self._handle.cancel()
        self._fires_at = due
        self._handle = self._loop.call_at(due, self._look)

    def _look(self) -> None:
        self._handle = None
        task = self._task
        if task is None:  # nobody waits just now: it is set again when somebody does
            return
        now, due = self._loop.time(), min(self._phase_at, self._total_at)
        if now < due:
            self._set(due)
            return
        self.expired = self._phase if self._phase_at <= self._total_at else Cause.TIMEOUT_TOTAL
        self._cancelling = task.cancelling()
        task.cancel()

    def _give_up(self, task: "asyncio.Task[object] | None", error: BaseException | None) -> None:
        """Raise the time-out, or end where the answer was whole; unless somebody else cancelled the call as well."""
        assert self.expired is not None
        assert task is not None
        if task.uncancel() > self._cancelling and isinstance(error, asyncio.CancelledError):
            raise error
        if not self.is_complete:
            phase_s = self._target.timeout_s if self.expired is Cause.TIMEOUT_TOTAL else self._phase_s
            raise error_of_phase(self._target, self.expired, phase_s) from error


async def within(target: ModelTarget, seconds: float, answer: Awaitable[Completion]) -> Completion:
    """Wait so long for a whole answer, and no longer than for any answer of the model; raises ProviderTimeout."""
    cause, seconds = (
        (Cause.TIMEOUT_FIRST_BYTE, seconds) if seconds < target.timeout_s else (Cause.TIMEOUT_TOTAL, target.timeout_s)
    )
    task, has_fired = asyncio.current_task(), False
    assert task is not None
    cancelling = 0

    def fire() -> None:
        nonlocal cancelling, has_fired
        cancelling, has_fired = task.cancelling(), True
        task.cancel()

    handle = asyncio.get_running_loop().call_later(seconds, fire)  # `asyncio.timeout` takes four times as long
    try:
        return await answer
    except BaseException as error:
        if not has_fired or (task.uncancel() > cancelling and isinstance(error, asyncio.CancelledError)):
            raise
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
