"""Everything that does not speak OpenAI's dialect, through litellm. The only file that imports it, when first needed.

litellm is used as a translator: no callbacks, no logging of prompts, no retries, no price map from the network, and
only the arguments that `arguments` names. Neither its words nor its class names go any further than here.
"""

import asyncio
import os
import warnings
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import msgspec

from router.errors import Cause, ProviderError, ProviderRefused, ProviderTimeout
from router.providers.base import Completion, Delta, ModelTarget, ProviderRequest
from router.providers.custom_tools import complete_with_functions, needs_functions, stream_with_functions
from router.providers.litellm.answers import wire_answer
from router.providers.litellm.arguments import arguments_of, embedding_arguments
from router.providers.litellm.failures import error_of
from router.providers.litellm.mended import mend
from router.providers.openai.answer import AnswerReader
from router.providers.openai.lessons import NOTHING_LEARNT, Lessons, Retries
from router.providers.openai.stream import ChunkReader
from router.providers.openai.tool_calls import expectation_of
from router.providers.proxies import except_this_machine
from router.types import RelayedCall


class LiteLLMProvider:
    """Anthropic, Gemini, Bedrock, Vertex and all the others that litellm translates.

    `trust_env`: through the proxies that the environment names.
    """

    def __init__(self, *, trust_env: bool = True) -> None:
        self._trust_env = trust_env
        self._module: Any = None
        self._lessons: dict[ModelTarget, Lessons] = {}

    async def load(self) -> None:
        """Import litellm now, which takes some seconds, so that the first request need not wait for it."""
        await self._litellm()

    async def complete(self, request: ProviderRequest) -> Completion:
        """Return the whole answer; raises ProviderError."""
        if needs_functions(request):
            return await complete_with_functions(self, request)
        target = request.target
        deadline = asyncio.get_running_loop().time() + target.timeout_s
        response, dropped = await self._call(request, deadline, stream=False)
        with _translate_failures(target, has_answered=True):
            answer = wire_answer(response, dropped)
            expected = expectation_of(request.params, request.messages)
            reader = AnswerReader(target.name, target.api_key, dropped, expected=expected)
            return reader.completion_of(answer, is_odd=True)

    def stream(self, request: ProviderRequest) -> AsyncGenerator[Delta]:
        """Yield the answer as it comes; raises ProviderError, also when the stream breaks off."""
        return stream_with_functions(self, request) if needs_functions(request) else self._stream(request)

    async def _stream(self, request: ProviderRequest) -> AsyncGenerator[Delta]:
        target = request.target
        deadline = asyncio.get_running_loop().time() + target.timeout_s
        (chunk, chunks), dropped = await self._call(request, deadline, stream=True)
        reader = ChunkReader(
            target.name, target.api_key, dropped, expected=expectation_of(request.params, request.messages)
        )
        try:
            while chunk is not None:
                for delta in reader.add(wire_answer(chunk, dropped), is_odd=True):
                    yield delta
                with _translate_failures(target, has_answered=True):
                    async with asyncio.timeout_at(deadline):
                        chunk = await anext(chunks, None)
            for delta in reader.end():
                yield delta
        finally:
            await chunks.aclose()

    async def relay(self, target: ModelTarget, call: str, body: dict[str, Any]) -> bytes:
        """Pass texts on for their vectors and return the whole answer; raises ProviderError, also for other calls."""
        if call != RelayedCall.EMBEDDINGS:
            message = f"{target.name} takes no {call}"
            raise ProviderRefused(message, dispatched=False, param="model", code="unsupported_value")
        litellm = await self._litellm()
        with _translate_failures(target):
            async with asyncio.timeout(target.timeout_s):
                response = await litellm.aembedding(**embedding_arguments(target, body))
        return msgspec.json.encode(response.model_dump())

    async def relay_events(self, target: ModelTarget, call: str, body: dict[str, Any]) -> AsyncGenerator[bytes]:
        """Raise ProviderRefused: nothing that is streamed is passed on."""
        yield await self.relay(target, call, body)

    async def ping(self, target: ModelTarget) -> None:
        """Ask for one token, the cheapest question all of them answer; raises ProviderError."""
        request = ProviderRequest(target, [{"role": "user", "content": "ping"}], {}, max_output_tokens=1)
        await self.complete(request)

    async def close(self) -> None:
        """Close litellm's connections."""
        if self._module is not None:
            await self._module.close_litellm_async_clients()

    async def _call(self, request: ProviderRequest, deadline: float, *, stream: bool) -> tuple[Any, list[str]]:
        """Return litellm's answer, or the first chunk and its stream, and what was left out; raises ProviderError.

        A refusal that teaches something is heeded at once, and kept in mind where that helped.
        """
        litellm, target = await self._litellm(), request.target
        supported = _params_of(litellm, target.provider, target.model)
        retries = Retries(self._lessons.get(target, NOTHING_LEARNT))
        while True:
            arguments, dropped = arguments_of(request, supported, retries.heeded, stream=stream)
            try:
                async with asyncio.timeout_at(deadline):
                    response = await _ask(litellm, target, arguments, stream=stream)
            except TimeoutError as error:
                raise ProviderTimeout(f"{target.name} did not answer in time", cause=Cause.TIMEOUT_TOTAL) from error
            except ProviderError as error:
                if not retries.learn(error, arguments):
                    raise
                continue
            if retries.number:
                self._lessons[target] = self._lessons.get(target, NOTHING_LEARNT) | retries.known
            return response, dropped

    async def _litellm(self) -> Any:
        if self._module is None:
            self._module = await asyncio.to_thread(_load, self._trust_env)
        return self._module


async def _ask(litellm: Any, target: ModelTarget, arguments: dict[str, Any], *, stream: bool) -> Any:
    """Return litellm's answer, or the first chunk and its stream: some are asked only when it is read."""
    with _translate_failures(target):
        response = await litellm.acompletion(**arguments)
    if not stream:
        return response
    try:
        with _translate_failures(target, has_answered=True):
            return await anext(response, None), response
    except BaseException:
        await response.aclose()
        raise


def _load(trust_env: bool) -> Any:
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # read at import: the bundled map, no download
    # About litellm's own classes, when they are first used: nothing an operator could act upon.
    warnings.filterwarnings("ignore", category=UserWarning, module=r"pydantic\.")
    warnings.filterwarnings("ignore", category=DeprecationWarning, module=r"(?:pydantic|litellm)\.")
    import litellm

    litellm.suppress_debug_info = True
    litellm.turn_off_message_logging = True
    litellm.drop_params = False
    litellm.modify_params = True  # histories with calls whose results or tools are missing are completed, not refused
    litellm.num_retries = 0
    litellm.disable_aiohttp_trust_env = not trust_env
    if trust_env:
        os.environ["no_proxy"] = except_this_machine()
    for callbacks in ("callbacks", "input_callback", "success_callback", "failure_callback", "service_callback"):
        setattr(litellm, callbacks, [])
    mend()
    return litellm


@lru_cache(maxsize=256)
def _params_of(litellm: Any, provider: str, model: str) -> frozenset[str]:
    """Return the OpenAI parameters that a model takes, as far as litellm knows."""
    return frozenset(litellm.get_supported_openai_params(model=model, custom_llm_provider=provider) or ())


@contextmanager
def _translate_failures(target: ModelTarget, *, has_answered: bool = False) -> Iterator[None]:
    """Turn what litellm raises into our errors; `has_answered`: the provider's answer had begun."""
    try:
        yield
    except ProviderError:
        raise
    except TimeoutError as error:
        raise ProviderTimeout(f"{target.name} did not answer in time", cause=Cause.TIMEOUT_TOTAL) from error
    except Exception as error:  # litellm raises its own tree, its HTTP libraries' and plain ones: all of them land here
        raise error_of(target, error, has_answered=has_answered) from error
