"""The provider calls of one request, each of them a line in the books.

Tiers call providers only through `Calls`, so that no call goes out without a spooled intent and none ends without a
result, whether it succeeds, fails or is cancelled. Writing to the spool is synchronous and short: cancellation
cannot come between. Results are held back until the next write of the same request (`flush`, a dispatch, `close`).
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing
from typing import Protocol

from classifier.types import Forecast
from router.clock import Clock
from router.errors import Cause, ProviderError
from router.ledger.entries import CallIntent, CallResult, Closing, Entry, Opening
from router.ledger.prices import STANDARD_NAMES, Price, PriceBook
from router.providers.base import Completion, Delta, Metered, ModelTarget, Provider, ProviderRequest
from router.providers.plausibility import add_interim, estimate_cut, estimate_usage, hold_against
from router.providers.thinking import THINKING_FLOOR_TOKENS, thinking_budget
from router.providers.usage import later
from router.tiers.deadlines import StreamTimer, likely_tokens, within
from router.tiers.permits import Permits
from router.types import CallKind, CallStatus, Outcome, Precision, Tier, Usage

# A member of an enumeration takes as long to look up as ten other names: those of every call are looked up once.
_OK, _ERROR = CallStatus.OK, CallStatus.ERROR


class Books(Protocol):
    """Where entries go: durable when `write` returns, all of one call or none."""

    def write(self, entries: Sequence[Entry]) -> None:
        """Append the entries; raises Unavailable when the spool cannot take them."""
        ...


class Hold(Protocol):
    """What a request holds of budgets."""

    def take(self, bound: int | None) -> None:
        """Take the bound of calls that go out now; raises QuotaExhausted."""
        ...

    def settle(self, bound: int, cost: int) -> None:
        """Replace a bound by what the call cost."""
        ...

    def close(self) -> None:
        """Let go of what no call took."""
        ...


class ProviderCall:
    """One call under way, or ended: what the trace and the totals show of it."""

    __slots__ = (
        "began_ms", "cause", "cost_nanousd", "duration_ms", "first_token_ms", "http_status", "intent", "metered",
        "price", "service", "status",
    )  # fmt: skip

    def __init__(self, intent: CallIntent, price: Price | None, began_ms: float) -> None:
        self.intent = intent
        self.price = price
        self.began_ms = began_ms
        self.first_token_ms: int | None = None
        self.duration_ms = 0  # once it ended
        self.status: CallStatus | None = None
        self.metered: Metered | None = None
        self.cause: Cause | None = None  # why it failed, and the HTTP status that it failed with
        self.http_status: int | None = None
        self.service: str | None = None  # the service tier that the provider says it used
        self.cost_nanousd: int | None = None

    @property
    def call_no(self) -> int:
        """The number of the call within its request, from 0."""
        return self.intent.call_no

    def note_failure(self, error: ProviderError) -> None:
        """Keep why the call failed, for the books."""
        status = error.provider_status
        self.cause, self.http_status = error.cause, status if status and 100 <= status < 1_000 else None


def _tell_nobody(request: ProviderRequest, error: ProviderError) -> None:
    """Do nothing: nobody counts failures."""


class Calls:
    """Makes the provider calls of one request and books them.

    `provider_of` finds who serves a target, `input_bound_tokens` bounds the input of a call of this request,
    `forecasts` are of the tokens of an answer, without thinking and with it. With `first_call_no` the calls belong to a
    request that goes on elsewhere: its opening is not written, and they are numbered from there.
    """

    def __init__(
        self,
        opening: Opening,
        books: Books,
        prices: PriceBook,
        provider_of: Callable[[ModelTarget], Provider],
        clock: Clock,
        input_bound_tokens: int,
        budget_hold: Hold | None = None,
        tell_failure: Callable[[ProviderRequest, ProviderError], None] = _tell_nobody,
        permits: Permits | None = None,
        forecasts: tuple[Forecast, Forecast] | None = None,
        first_call_no: int | None = None,
    ) -> None:
        self._first_call_no = first_call_no or 0
        self.permits = permits or Permits(None)
        self._forecasts = forecasts
        self._tell_failure = tell_failure
        self.request_id = opening.request_id
        self._budget_hold = budget_hold
        self.made: list[ProviderCall] = []
        self._unwritten: list[Entry] = [opening] if first_call_no is None else []
        self._books = books
        self._prices = prices
        self._provider_of = provider_of
        self._clock = clock
        self._input_bound_tokens = input_bound_tokens
        self._began_ms = clock.ticks_ms()
        self.first_byte_ms: int | None = None
        self._is_closed = False
        self._is_late = False

    def cut_as_late(self) -> None:
        """Say that what is cancelled from now on is cut off because the request has taken too long."""
        self._is_late = True

    def dispatch(
        self, requests: Sequence[ProviderRequest], kind: CallKind, tier: Tier, input_bound_tokens: int | None = None
    ) -> list[ProviderCall]:
        """Spool the intents of calls that go out now, in one write; or raise Unavailable or QuotaExhausted.

        `input_bound_tokens` bounds the input of each where a tier adds to what the client sent.
        """
        started_at, began_ms = self._clock.now_us(), self._clock.ticks_ms()
        calls: list[ProviderCall] = []
        intents: list[CallIntent] = []
        for call_no, request in enumerate(requests, self._first_call_no + len(self.made)):
            price = self._prices.in_effect(request.target.name, started_at)
            hold = self._hold(price, request, input_bound_tokens)
            intent = CallIntent(
                self.request_id, call_no, kind, tier, request.target.name, price.id if price else None, hold, started_at
            )
            intents.append(intent)
            calls.append(ProviderCall(intent, price, began_ms))
        if self._budget_hold:
            self._budget_hold.take(_sum_of([intent.hold_nanousd for intent in intents]))
        try:
            self._write(intents)
        except BaseException:
            for call in calls:
                self._give_back(call.intent.hold_nanousd, 0)
            raise
        self.made += calls
        for request in requests:
            self.permits.note_sent(request.target)
        return calls

    def worst_case(self, request: ProviderRequest, input_bound_tokens: int | None = None) -> int | None:
        """Bound in nano-dollars what a call would cost; None when its model has no price."""
        price = self._prices.in_effect(request.target.name, self._clock.now_us())
        return self._hold(price, request, input_bound_tokens)

    def has_price(self, target: ModelTarget) -> bool:
        """Tell whether a model has a price now."""
        return self._prices.in_effect(target.name, self._clock.now_us()) is not None

    def withhold(self, call: ProviderCall) -> None:
        """Book a dispatched call that was called off before anything went out; nothing for a call that ended."""
        if call.status is None:
            self._end(call, CallStatus.NOT_SENT, None)

    def _whole_seconds(self, request: ProviderRequest) -> float:
        """How long a whole answer may take: to begin, and to write what it is likely to have."""
        target = request.target
        forecast = self._forecasts[request.think] if self._forecasts else None
        tokens = likely_tokens(request, output_bound(request), forecast)
        return target.first_byte_timeout_s + self.permits.seconds_for(target, tokens)

    async def complete(self, call: ProviderCall, request: ProviderRequest) -> Completion:
        """Make a dispatched call and return the whole answer; raises ProviderError, also where it has no choice."""
        target = request.target
        try:
            answering = self._provider_of(target).complete(request)
            completion = await within(target, self._whole_seconds(request), answering)
        except ProviderError as error:
            self._note_failure(call, request, error)
            self._fail(call, request, error)
            raise
        except (asyncio.CancelledError, GeneratorExit):
            self.permits.drop(target)
            self._end(call, CallStatus.CANCELLED, self._estimate_cut(call, request))
            raise
        except BaseException:
            self.permits.drop(target)
            self._end(call, CallStatus.ERROR, self._estimate_cut(call, request))
            raise
        visible, thinking = texts_of(completion)
        took_s = self._seconds_since_began(call)
        metered = self._judge(request, took_s, completion.metered, visible, thinking)
        call.service = completion.service_tier
        if not completion.choices:
            nothing = ProviderError(f"{target.name} returned no answer", cause=Cause.NONSENSE)
            self._note_failure(call, request, nothing)
            self._end(call, CallStatus.ERROR, metered)
            raise nothing
        self._note_answer(request, took_s, metered)
        self._end(call, _OK, metered)
        return completion

    async def stream(self, call: ProviderCall, request: ProviderRequest) -> AsyncGenerator[Delta]:
        """Make a dispatched call and yield its deltas; raises ProviderError. Close it to cancel upstream."""
        visible: list[str] = []
        thinking: list[str] = []
        metered: Metered | None = None
        failure: ProviderError | None = None
        status = _ERROR
        ended: set[int] = set()
        is_final = False  # of the usage
        silent_ms: float | None = None  # until the first piece, none once usage counts what was thought
        target, trials = request.target, self.permits.trials
        try:
            async with aclosing(_generator(self._provider_of(target).stream(request))) as deltas:
                with StreamTimer(target) as timer:
                    async for delta in deltas:
                        if not timer.note(delta):
                            break
                        if call.first_token_ms is None:
                            call.first_token_ms = round(self._clock.ticks_ms() - call.began_ms)
                        if delta.content:
                            visible.append(delta.content)
                        if delta.reasoning:
                            thinking.append(delta.reasoning)
                        if delta.refusal:
                            visible.append(delta.refusal)
                        if delta.tool_calls:
                            visible.append(_tool_text(delta.tool_calls))
                        if silent_ms is None and (visible or thinking):
                            silent_ms = self._clock.ticks_ms() - call.began_ms
                        if delta.finish_reason:
                            ended.add(delta.index)
                            timer.is_complete = len(ended) >= (request.params.get("n") or 1)
                        if delta.metered:
                            metered = later(metered, delta.metered)
                            is_final = timer.is_complete
                            silent_ms = silent_ms and 0.0
                        if delta.service_tier:
                            call.service = delta.service_tier
                        if trials and timer.has_begun and target in trials:
                            self.permits.note_answer(target)
                        yield delta
                        timer.wait()
            status = _OK
            self._note_answer(request, self._seconds_since_began(call), metered)
        except ProviderError as error:
            failure = error
            self._note_failure(call, request, error)
            raise
        except (asyncio.CancelledError, GeneratorExit):
            status = CallStatus.CANCELLED
            raise
        finally:
            self.permits.drop(target)
            took_s = self._seconds_since_began(call)
            is_empty = not (visible or thinking or (metered and metered.usage.output_tokens))
            if failure is not None and is_empty:
                self._fail(call, request, failure)
            elif status is _OK or (metered and is_final):
                self._end(call, status, self._judge(request, took_s, metered, visible, thinking))
            else:
                cut = self._estimate_cut(call, request, visible, thinking, silent_ms)
                if metered:  # what it had used so far: it may have gone on since, and thought unseen
                    cut = add_interim(self._judge(request, took_s, metered, visible, thinking), cut)
                self._end(call, status, cut)

    def mark_first_byte(self) -> None:
        """Note that the client is being sent its first byte."""
        if self.first_byte_ms is None:
            self.first_byte_ms = round(self._clock.ticks_ms() - self._began_ms)

    def go_on(self, budget_hold: Hold | None) -> None:
        """Make more calls after the closing, under a hold of their own."""
        self._budget_hold = budget_hold

    def note(self, entry: Entry) -> None:
        """Keep an entry for the next write of this request."""
        self._unwritten.append(entry)

    @property
    def waited_ms(self) -> float:
        """How long the client waited for its first byte, or has been waiting for it until now."""
        return self._clock.ticks_ms() - self._began_ms if self.first_byte_ms is None else self.first_byte_ms

    def flush(self) -> None:
        """Write the results that are held back."""
        self._write([])

    @property
    def waiting(self) -> Sequence[Entry]:
        """The entries that are held back."""
        return self._unwritten

    def close(self, final_tier: Tier, outcome: Outcome, answer_call_no: int | None, *, fell_back: bool = False) -> None:
        """Settle the request, once: everything held back and the closing go out in one write."""
        if self._is_closed:
            return
        self._is_closed = True
        total_ms = round(self._clock.ticks_ms() - self._began_ms)
        closing = Closing(
            self.request_id,
            self._clock.now_us(),
            final_tier,
            outcome,
            answer_call_no,
            self.first_byte_ms,
            total_ms,
            fell_back,
        )
        if self._budget_hold:
            self._budget_hold.close()
        self.permits.close()
        self._write([closing])

    @property
    def usage(self) -> Usage:
        """The honest total over every call the client pays for (shadow calls are not its own)."""
        total = Usage()
        for call in self.made:
            if call.metered and call.intent.kind is not CallKind.SHADOW:
                total += call.metered.usage
        return total

    @property
    def cost_nanousd(self) -> int | None:
        """What all calls that ended cost together, as booked; None when one of them has no price."""
        costs = [call.cost_nanousd for call in self.made if call.status is not None]
        return None if None in costs else sum(cost for cost in costs if cost is not None)

    def _hold(self, price: Price | None, request: ProviderRequest, input_bound_tokens: int | None) -> int | None:
        bound = self._input_bound_tokens if input_bound_tokens is None else input_bound_tokens
        return price.hold(bound, output_bound(request), request.params.get("service_tier")) if price else None

    def _give_back(self, bound: int | None, cost: int) -> None:
        if self._budget_hold and bound is not None:
            self._budget_hold.settle(bound, cost)

    def _note_failure(self, call: ProviderCall, request: ProviderRequest, error: ProviderError) -> None:
        """Keep why a call failed for the books, and tell who counts failures."""
        call.note_failure(error)
        self.permits.note_failure(request.target, error)
        self._tell_failure(request, error)

    def _seconds_since_began(self, call: ProviderCall) -> float:
        return (self._clock.ticks_ms() - call.began_ms) / 1_000

    def _note_answer(self, request: ProviderRequest, took_s: float, metered: Metered | None) -> None:
        """Tell who watches over models that this one answered, and how fast."""
        self.permits.note_answer(request.target)
        if metered is not None:
            self.permits.note_pace(request.target, metered.usage.output_tokens, took_s)

    def _fail(self, call: ProviderCall, request: ProviderRequest, error: ProviderError) -> None:
        """Book a call of which nothing came: free where the provider refused it, estimated where it may have worked."""
        if not error.dispatched:
            self._end(call, CallStatus.NOT_SENT, None)
        elif is_refusal(error):
            self._end(call, CallStatus.ERROR, Metered(Usage(), Precision.EXACT))
        else:
            self._end(call, CallStatus.ERROR, self._estimate_cut(call, request))

    def _judge(
        self,
        request: ProviderRequest,
        took_s: float,
        reported: Metered | None,
        visible: Sequence[str],
        thinking: Sequence[str],
    ) -> Metered:
        if reported is None:
            return estimate_usage(request, visible, thinking)
        return hold_against(reported, request, visible, thinking, body_bytes=self._input_bound_tokens, seconds=took_s)

    def _estimate_cut(
        self,
        call: ProviderCall,
        request: ProviderRequest,
        visible: Sequence[str] = (),
        thinking: Sequence[str] = (),
        silent_ms: float | None = None,
    ) -> Metered:
        """Estimate a call that was cut off; `silent_ms` passed before its first piece, None where none came."""
        if silent_ms is None:
            silent_ms = self._clock.ticks_ms() - call.began_ms
        most = output_bound(request)
        return estimate_cut(request, visible, thinking, most_output=most, silent_seconds=silent_ms / 1_000)

    def _end(self, call: ProviderCall, status: CallStatus, metered: Metered | None) -> None:
        if self._is_late and status is CallStatus.CANCELLED:
            status, call.cause = CallStatus.ERROR, Cause.TIMEOUT_TOTAL
        call.status, call.metered = status, metered
        precision, cost = charge_of(status, metered, call.price, call.service, call.intent.hold_nanousd)
        call.cost_nanousd = cost
        self._give_back(call.intent.hold_nanousd, cost or 0)
        if status is _ERROR and call.cause is None:  # a fault of our own
            call.cause = Cause.UNKNOWN
        call.duration_ms = round(self._clock.ticks_ms() - call.began_ms)
        self._unwritten.append(
            CallResult(
                self.request_id,
                call.call_no,
                status,
                precision,
                metered.usage if metered else None,
                call.price.id if call.price else None,
                cost,
                call.first_token_ms,
                call.duration_ms,
                metered.raw if metered else None,
                None if call.service in STANDARD_NAMES else call.service,
                call.cause,
                call.http_status,
            )
        )

    def _write(self, entries: Sequence[Entry]) -> None:
        batch = [*self._unwritten, *entries]
        if batch:
            self._books.write(batch)
            self._unwritten.clear()


WORKED_PERHAPS = (408, 499, 504, 524)  # statuses of a provider that may have worked, and gave up or was given up
CUT = (Cause.TIMEOUT_FIRST_BYTE, Cause.TIMEOUT_IDLE, Cause.TIMEOUT_TOTAL, Cause.BROKEN_OFF, Cause.NONSENSE)
UNLIMITED_OUTPUT_TOKENS = 131_072  # more than any model of today says in one answer


def output_bound(request: ProviderRequest) -> int:
    """Bound the output tokens of a call from above: limits, thinking budget and what the model can say at most.

    Thinking counts for models that are not asked to as well, unless they are known not to think.
    """
    target, n = request.target, int(request.params.get("n") or 1)
    most = target.output_length if target.output_length is not None else UNLIMITED_OUTPUT_TOKENS
    if request.max_visible_tokens is not None:
        can_think = target.capabilities is None or "thinking" in target.capabilities
        thinking = max(thinking_budget(request, thinks_anyway=True), THINKING_FLOOR_TOKENS) if can_think else 0
        most = min(most, request.max_visible_tokens + thinking)
    if request.max_output_tokens is not None:
        most = min(most, request.max_output_tokens)
    return most * n


def is_refusal(error: ProviderError) -> bool:
    """Tell whether a provider said that it failed: by an HTTP status, or an error in place of an answer."""
    status = error.provider_status
    if status is not None and status >= 400:
        return status not in WORKED_PERHAPS
    return status is not None and error.cause not in CUT


def charge_of(
    status: CallStatus, metered: Metered | None, price: Price | None, service: str | None, hold_nanousd: int | None
) -> tuple[Precision, int | None]:
    """Say what a call that ended costs: what it used by its price, nothing where it was not sent, and else its hold."""
    if metered is not None:
        return metered.precision, price.cost(metered.usage, service) if price else None
    if status is CallStatus.NOT_SENT:
        return Precision.EXACT, 0
    return Precision.UNKNOWN, hold_nanousd


def texts_of(completion: Completion) -> tuple[list[str], list[str]]:
    """Return what is seen of an answer, and what was thought."""
    visible: list[str] = []
    thinking: list[str] = []
    for choice in completion.choices:
        if choice.content:
            visible.append(choice.content)
        if choice.refusal:
            visible.append(choice.refusal)
        if choice.tool_calls:
            visible.append(_tool_text(choice.tool_calls))
        if choice.reasoning:
            thinking.append(choice.reasoning)
    return visible, thinking


def _sum_of(bounds: Sequence[int | None]) -> int | None:
    """Add up bounds; None where one of them is not known."""
    known = [bound for bound in bounds if bound is not None]
    return sum(known) if len(known) == len(bounds) else None


def _tool_text(tool_calls: Sequence[dict[str, object]]) -> str:
    functions = (call.get("function") for call in tool_calls)
    return "".join(f"{f.get('name') or ''}{f.get('arguments') or ''}" for f in functions if isinstance(f, dict))


def _generator(deltas: AsyncIterator[Delta]) -> AsyncGenerator[Delta]:
    assert isinstance(deltas, AsyncGenerator)
    return deltas
