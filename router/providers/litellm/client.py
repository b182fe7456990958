"""Everything that does not speak OpenAI's dialect, through litellm. The only file that imports it, when first needed.

litellm is used as a translator: no callbacks, no logging of prompts, no retries, no price map from the network, and
only the arguments that `arguments` names.
"""

import asyncio
import os
import warnings
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import msgspec

from router.errors import CONTEXT_TOO_LONG, ProviderError, ProviderRefused, ProviderTimeout, ProviderUnreachable
from router.providers.base import Completion, Delta, ModelTarget, ProviderRequest
from router.providers.litellm.arguments import arguments_of, embedding_arguments
from router.providers.openai.wire import WireAnswer, choice_of, delta_of
from router.providers.proxies import except_this_machine
from router.providers.refusals import error_for, retry_after_seconds
from router.providers.usage import normalise
from router.types import RelayedCall

# Exceptions of the HTTP libraries below litellm that mean: nothing was sent.
UNREACHABLE = {
    "ConnectError",
    "ConnectTimeout",
    "ClientConnectorError",
    "ConnectionTimeoutError",
    "ClientConnectorDNSError",
}


class LiteLLMProvider:
    """Anthropic, Gemini, Bedrock, Vertex and all the others that litellm translates.

    `trust_env`: through the proxies that the environment names.
    """

    def __init__(self, *, trust_env: bool = True) -> None:
        self._trust_env = trust_env
        self._module: Any = None

    async def load(self) -> None:
        """Import litellm now, which takes some seconds, so that the first request need not wait for it."""
        await self._litellm()

    async def complete(self, request: ProviderRequest) -> Completion:
        """Return the whole answer; raises ProviderError."""
        litellm = await self._litellm()
        with _translate_failures(request.target):
            arguments, dropped = arguments_of(request, _params_of(litellm, request.target), stream=False)
            async with asyncio.timeout(request.target.timeout_s):
                response = await litellm.acompletion(**arguments)
        answer = _answer(response)
        choices = [choice_of(choice) for choice in answer.choices or ()]
        return Completion(choices, normalise(answer.usage), request.target.name, answer.service_tier, dropped=dropped)

    async def stream(self, request: ProviderRequest) -> AsyncGenerator[Delta]:
        """Yield the answer as it comes; raises ProviderError, also when the stream breaks off."""
        litellm = await self._litellm()
        deadline = asyncio.get_running_loop().time() + request.target.timeout_s
        with _translate_failures(request.target):
            arguments, dropped = arguments_of(request, _params_of(litellm, request.target), stream=True)
            async with asyncio.timeout_at(deadline):
                chunks = await litellm.acompletion(**arguments)
        unfinished: set[int] = set()
        has_finished = False
        try:
            while True:
                with _translate_failures(request.target):
                    async with asyncio.timeout_at(deadline):
                        chunk = await anext(chunks, None)
                if chunk is None:
                    break
                answer = _answer(chunk)
                for choice in answer.choices or ():
                    delta = delta_of(choice)
                    if delta.finish_reason:
                        has_finished = True
                        unfinished.discard(delta.index)
                    elif not has_finished:
                        unfinished.add(delta.index)
                    if delta.content or delta.reasoning or delta.tool_calls or delta.finish_reason:
                        delta.dropped, dropped = dropped or None, []
                        yield delta
                if answer.usage:
                    yield Delta(metered=normalise(answer.usage))
        finally:
            await chunks.aclose()
        if unfinished or not has_finished:
            raise ProviderError(f"{request.target.name} broke off its answer")

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

    async def _litellm(self) -> Any:
        if self._module is None:
            self._module = await asyncio.to_thread(_load, self._trust_env)
        return self._module


def _load(trust_env: bool) -> Any:
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # read at import: the bundled map, no download
    # About litellm's own classes, when they are first used: nothing an operator could act upon.
    warnings.filterwarnings("ignore", category=UserWarning, module=r"pydantic\.")
    import litellm

    litellm.suppress_debug_info = True
    litellm.turn_off_message_logging = True
    litellm.drop_params = False
    litellm.num_retries = 0
    litellm.disable_aiohttp_trust_env = not trust_env
    if trust_env:
        os.environ["no_proxy"] = except_this_machine()
    for callbacks in ("callbacks", "input_callback", "success_callback", "failure_callback", "service_callback"):
        setattr(litellm, callbacks, [])
    return litellm


def _params_of(litellm: Any, target: ModelTarget) -> frozenset[str]:
    """Return the OpenAI parameters that a model takes, as far as litellm knows."""
    supported = litellm.get_supported_openai_params(model=target.model, custom_llm_provider=target.provider)
    return frozenset(supported or ())


def _answer(response: Any) -> WireAnswer:
    return msgspec.convert(response.model_dump(), WireAnswer, strict=False)


@contextmanager
def _translate_failures(target: ModelTarget) -> Iterator[None]:
    """Turn what litellm raises into our errors."""
    try:
        yield
    except (ProviderError, TimeoutError) as error:
        if isinstance(error, ProviderError):
            raise
        raise ProviderTimeout(f"{target.name} did not answer in time") from error
    except Exception as error:  # litellm raises its own tree, its HTTP libraries' and plain ones: all of them land here
        raise _translate_error(target, error) from error


def _translate_error(target: ModelTarget, error: Exception) -> ProviderError:
    causes = _causes(error)
    kinds = {type(cause).__name__ for cause in causes}
    if kinds & UNREACHABLE:
        return ProviderUnreachable(f"{target.name} could not be reached")
    if "Timeout" in kinds:
        return ProviderTimeout(f"{target.name} did not answer in time")
    message = _provider_words(getattr(error, "message", None) or str(error))
    if "ContextWindowExceededError" in kinds:
        return ProviderRefused(f"{target.name}: the input is too long", provider_status=400, code=CONTEXT_TOO_LONG)
    codes = [getattr(cause, "status_code", None) for cause in causes]
    statuses = [one for one in codes if isinstance(one, int)]
    status = statuses[-1] if statuses else 0  # the provider's own stands at the bottom, litellm rewrites some
    headers: Mapping[str, str] = getattr(getattr(error, "response", None), "headers", None) or {}
    retry_after = retry_after_seconds(getattr(error, "litellm_response_headers", None) or headers)
    if (
        not isinstance(status, int)
        or status < 400
        or "MidStreamFallbackError" in kinds
        or "APIConnectionError" in kinds
    ):
        return ProviderError(f"{target.name} broke off its answer")
    return error_for(target.name, status, message, secret=target.api_key, retry_after=retry_after)


def _causes(error: BaseException) -> list[BaseException]:
    causes: list[BaseException] = []
    seen: BaseException | None = error
    while seen is not None and seen not in causes:
        causes.append(seen)
        seen = seen.__cause__ or seen.__context__ or getattr(seen, "original_exception", None)
    return causes


def _provider_words(message: str) -> str:
    """Return the provider's part of a message that litellm wrapped."""
    start = message.find("{")
    if start < 0:
        return message
    try:
        body = msgspec.json.decode(message[start : message.rfind("}") + 1])
    except msgspec.DecodeError:
        return message
    error = body.get("error", body) if isinstance(body, dict) else None
    words = error.get("message") if isinstance(error, dict) else None
    return words if isinstance(words, str) else message
