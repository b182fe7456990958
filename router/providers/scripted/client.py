"""The scripted provider: a shipped double for tests, demos and load. `scripted/NAME` answers as its name says.

It behaves as clients expect of a good model: tools, schemas, log-probabilities, limits, stop words, several choices,
thinking, images. What it says is a function of the request; how it behaves is in its name (see `names`).
It keeps its own tally, noted before the last piece of an answer goes out, so that the books can be held against it.
"""

import asyncio
import hashlib
import os
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import msgspec

from router.errors import ProviderError, ProviderRefused, ProviderTimeout, ProviderUnreachable
from router.providers.base import Completion, Delta, Metered, ModelTarget, ProviderRequest
from router.providers.collecting import collect
from router.providers.counting import count_input_tokens, count_tokens, tokens_of
from router.providers.refusals import error_for
from router.providers.scripted.caching import ScriptedCache
from router.providers.scripted.json_instances import Impossible
from router.providers.scripted.names import Script, script_of
from router.providers.scripted.relay import answer_to_relay, events_to_relay
from router.providers.scripted.replies import Reply, reply_to
from router.providers.scripted.tally import Tally
from router.providers.usage import normalise
from router.types import Usage

TALLY_VARIABLE = "SCRIPTED_TALLY_FILE"


class ScriptedProvider:
    """Answers without a model. `tally_file` (or $SCRIPTED_TALLY_FILE) keeps a line for each served call."""

    def __init__(self, tally_file: Path | None = None) -> None:
        named = os.environ.get(TALLY_VARIABLE)
        self.tally = Tally(tally_file or (Path(named) if named else None))
        self._calls = 0
        self._cache = ScriptedCache()

    async def complete(self, request: ProviderRequest) -> Completion:
        """Return the whole answer; raises ProviderError where the script says so."""
        async with aclosing(self.stream(request)) as deltas:
            return await collect(deltas, request.target.name)

    async def stream(self, request: ProviderRequest) -> AsyncGenerator[Delta]:
        """Yield the answer token by token, or as the script says; raises ProviderError."""
        script = script_of(request.target.model)
        self._calls += 1
        fault = script.fault if script.kind == "solver" or self._calls * script.percent % 100 < script.percent else None
        try:
            async with asyncio.timeout(request.target.timeout_s):
                await asyncio.sleep(script.first_byte_ms / 1000)
                await _fail_at_once(fault, request.target.name)
        except TimeoutError as error:
            raise ProviderTimeout(f"{request.target.name} did not answer in time") from error
        try:
            cached = self._read(request) if script.keeps_cache else 0
            performance = Performance(request, script, cached)
        except Impossible as error:
            raise ProviderRefused(str(error), param="response_format", provider_status=400) from error
        steps = performance.steps
        breaks_at = len(steps) // 2 if fault in ("midstream", "malformed") else None
        is_noted = False
        try:
            for number, step in enumerate(steps):
                if number and script.gap_ms:
                    await asyncio.sleep(script.gap_ms / 1000)
                if number == breaks_at:
                    how = "sent a broken stream" if fault == "malformed" else "broke off its answer"
                    raise ProviderError(f"{request.target.name} {how}")
                performance.note(step)
                if number == len(steps) - 1:
                    self.tally.add(request.target.name, performance.usage, is_whole=True)
                    is_noted = True
                    step.metered = performance.report_usage() if script.reports_usage else None
                    step.system_fingerprint = "fp_scripted"
                    step.service_tier = request.params.get("service_tier") and "default"
                yield step
        finally:
            if not is_noted and performance.has_begun:
                self.tally.add(request.target.name, performance.usage, is_whole=False)

    def _read(self, request: ProviderRequest) -> int:
        """Read a prompt through the cache; returns how much of it was there."""
        return self._cache.read(request.target.name, request.messages, time.monotonic())

    async def relay(self, target: ModelTarget, call: str, body: dict[str, Any]) -> bytes:
        """Answer a call that is passed through; raises ProviderError where the script says so."""
        await _fail_at_once(script_of(target.model).fault, target.name)
        return msgspec.json.encode(answer_to_relay(target.model, call, body))

    async def relay_events(self, target: ModelTarget, call: str, body: dict[str, Any]) -> AsyncGenerator[bytes]:
        """Answer in events, one for each token; raises ProviderError where the script says so."""
        fault = script_of(target.model).fault
        await _fail_at_once(fault, target.name)
        events = events_to_relay(target.model, body)
        for event in events[: len(events) // 2] if fault == "midstream" else events:
            yield msgspec.json.encode(event)

    async def ping(self, target: ModelTarget) -> None:
        """Fail as a call would fail at once; raises ProviderError."""
        fault = script_of(target.model).fault
        if fault != "hang":
            await _fail_at_once(fault, target.name)

    async def close(self) -> None:
        """Close the tally's file."""
        self.tally.close()


class Performance:
    """One call as it is acted out: its steps, and the tokens that went out so far."""

    def __init__(self, request: ProviderRequest, script: Script, cached: int = 0) -> None:
        self._cached = cached
        self._request = request
        self._script = script
        tools = request.params.get("tools")
        self._input = count_input_tokens(request.messages) + (count_tokens(str(tools)) if tools else 0)
        self._visible = self._reasoning = 0
        self.has_begun = False
        self._tokens: dict[int, tuple[int, int]] = {}
        self.steps = self._act()

    @property
    def usage(self) -> Usage:
        """The exact usage so far."""
        cached = self._input // 2 if self._script.is_cached else min(self._cached, self._input)
        return Usage(self._input - cached, cached, 0, self._visible, self._reasoning)

    def report_usage(self) -> Metered | None:
        """Return the usage as OpenAI reports it, read as any other."""
        usage = self.usage
        return normalise(
            {
                "prompt_tokens": usage.input_tokens,
                "completion_tokens": usage.output_tokens,
                "total_tokens": usage.input_tokens + usage.output_tokens,
                "prompt_tokens_details": {"cached_tokens": usage.input_cached, "audio_tokens": 0},
                "completion_tokens_details": {"reasoning_tokens": usage.output_reasoning, "audio_tokens": 0},
            }
        )

    def note(self, step: Delta) -> None:
        """Count a step that goes out now."""
        visible, reasoning = self._tokens.get(id(step), (0, 0))
        self._visible, self._reasoning, self.has_begun = self._visible + visible, self._reasoning + reasoning, True

    def _act(self) -> list[Delta]:
        """Return all deltas of all choices; the choices take turns."""
        count = int(self._request.params.get("n") or 1)
        choices = [self._choice(index, reply_to(self._request, self._script, index)) for index in range(count)]
        turns = max(map(len, choices))
        return [choice[turn] for turn in range(turns) for choice in choices if turn < len(choice)]

    def _choice(self, index: int, reply: Reply) -> list[Delta]:
        request, script = self._request, self._script
        thinking, visible, finish, stop_word = _cut_to_limits(request, reply)
        steps = []
        for piece in _pieces(thinking, script.chunks):
            steps.append(self._count(Delta(index, reasoning="".join(piece)), reasoning=len(piece)))
        if reply.tool_calls:
            for call in reply.tool_calls:
                steps += self._call(index, call)
            finish = "tool_calls"
        wants_logprobs = bool(request.params.get("logprobs"))
        for piece in _pieces(visible, None if wants_logprobs else script.chunks):
            delta = Delta(index, content="".join(piece))
            if wants_logprobs:
                delta.logprobs = {"content": [_logprob(t, request.params.get("top_logprobs") or 0) for t in piece]}
            steps.append(self._count(delta, visible=len(piece)))
        return [*steps, Delta(index, finish_reason=finish, stop_sequence=stop_word)]

    def _call(self, index: int, call: dict[str, Any]) -> Iterator[Delta]:
        """Yield a tool call in parts: its name first, then its arguments."""
        function = call["function"]
        opening = {**call, "function": {"name": function["name"], "arguments": ""}}
        yield self._count(Delta(index, tool_calls=[opening]), visible=count_tokens(function["name"]))
        for token in tokens_of(function["arguments"]):
            part = {"index": call["index"], "function": {"arguments": token}}
            yield self._count(Delta(index, tool_calls=[part]), visible=1)

    def _count(self, delta: Delta, *, visible: int = 0, reasoning: int = 0) -> Delta:
        self._tokens[id(delta)] = visible, reasoning
        return delta


def _cut_to_limits(request: ProviderRequest, reply: Reply) -> tuple[list[str], list[str], str, str | None]:
    """Cut thinking and text at stop words and limits; tell how it ends, and which stop word ended it."""
    text, stop = reply.text, request.params.get("stop") or []
    stop_word = None
    for word in [stop] if isinstance(stop, str) else stop:
        if word and word in text:
            text, stop_word = text.partition(word)[0], word
    thinking, visible, finish = tokens_of(reply.thinking), tokens_of(text), "stop"
    thinking = thinking[: request.target.max_thinking_tokens]
    if request.max_output_tokens is not None:
        thinking = thinking[: request.max_output_tokens]
    limits = [request.max_visible_tokens]
    if request.max_output_tokens is not None:
        limits.append(request.max_output_tokens - len(thinking))
    limit = min((one for one in limits if one is not None), default=None)
    if limit is not None and len(visible) > limit:
        visible, finish, stop_word = visible[:limit], "length", None
    return thinking, visible, finish, stop_word


def _pieces(tokens: list[str], chunks: int | None) -> Iterator[list[str]]:
    """Deal the tokens out into so many chunks; one each where it is not said."""
    if chunks is None or chunks >= len(tokens):
        yield from ([token] for token in tokens)
        return
    for number in range(chunks):
        yield tokens[len(tokens) * number // chunks : len(tokens) * (number + 1) // chunks]


def _logprob(token: str, top: int) -> dict[str, Any]:
    """Return a log-probability that is the same for the same token, with alternatives that are less likely."""
    own = -(hashlib.blake2b(token.encode(), digest_size=2).digest()[0] + 1) / 256
    one = {"token": token, "logprob": own, "bytes": list(token.encode())}
    others = [one] + [
        {"token": f"{token}{place}", "logprob": own - place, "bytes": list(f"{token}{place}".encode())}
        for place in range(1, top)
    ]
    return {**one, "top_logprobs": msgspec.to_builtins(others[:top])}


async def _fail_at_once(fault: str | None, name: str) -> None:
    match fault:
        case None | "midstream" | "malformed":
            return
        case "hang":
            await asyncio.Event().wait()
        case "connect":
            raise ProviderUnreachable(f"{name} could not be reached")
        case "timeout":
            raise ProviderTimeout(f"{name} did not answer in time")
        case "context":
            raise error_for(name, 400, "the prompt is longer than the context length of this model")
        case status:
            raise error_for(name, int(status), "scripted refusal", retry_after=1)
