"""OpenAI, and every backend that speaks its dialect, over one shared aiohttp session and without an SDK.

One connection pool, typed decoding, usage always asked for. A parameter that a backend refuses and that the answer
can do without is left out, tried once more, and remembered.
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import msgspec
from aiohttp import hdrs
from multidict import CIMultiDict
from yarl import URL

from router.errors import Cause, ProviderError, ProviderUnreachable
from router.providers.base import Completion, Delta, ModelTarget, ProviderRequest
from router.providers.custom_tools import complete_with_functions, needs_functions, stream_with_functions
from router.providers.openai.addresses import bases_of, call_at
from router.providers.openai.answer import AnswerReader
from router.providers.openai.backends import address_of, speaks_openai
from router.providers.openai.body import body_of
from router.providers.openai.connections import (
    FAILURES,
    LOSSES,
    Body,
    Connector,
    begin_sending,
    error_of_failure,
    was_in_vain,
)
from router.providers.openai.lessons import NOTHING_LEARNT, Lessons, Retries
from router.providers.openai.sse import DONE, EventLines
from router.providers.openai.stream import ChunkReader
from router.providers.openai.thinking_tags import often_opens_in_prompt
from router.providers.openai.tool_calls import Expectation, expectation_of
from router.providers.proxies import proxy_for
from router.providers.refusals import error_of
from router.providers.trace import headers_with_trace

PING_SECONDS = 10.0
GRACE_SECONDS = 1.0  # after the end and the usage: for [DONE]
LONG_GRACE_SECONDS = 5.0  # after the end: for the usage, or other choices
NO_SUCH_PLACE = (404, 405)
CHAT = "chat/completions"
ANSWERED = (200, 201, 203)  # with an answer; 202 and 204 have none
RELAYED = (200,)  # with what can be passed on as it is
DRAIN_SECONDS = 0.25  # after [DONE]: the connection is fit for the next request once its last bytes are read

_encode = msgspec.json.Encoder().encode


@dataclass(slots=True)
class Endpoint:
    """What is known of one target: where it is, how it is addressed, what its refusals taught.

    `elsewhere` is the other address where it may be, while its configured one does not tell.
    """

    target: ModelTarget
    base: URL
    elsewhere: URL | None
    proxy: URL | None
    headers: CIMultiDict[str]
    timeout: aiohttp.ClientTimeout
    secret: str | None
    splits_thinking: bool
    opens_in_prompt: bool  # thinking whose opening tag its template writes into the prompt
    lessons: Lessons = NOTHING_LEARNT

    def leave(self, base: URL) -> bool:
        """Go to the other address than this one, unless another request already did; False where there is none."""
        if self.elsewhere is None:
            return False
        if self.base == base:
            self.base, self.elsewhere = self.elsewhere, self.base
        return True


class OpenAICompatible:
    """Speaks OpenAI's chat completions with any number of backends.

    `trust_env`: through the proxies that the environment names.
    """

    def __init__(self, *, trust_env: bool = True) -> None:
        self._trust_env = trust_env
        self._session: aiohttp.ClientSession | None = None
        self._endpoints: dict[ModelTarget, Endpoint] = {}

    async def complete(self, request: ProviderRequest) -> Completion:
        """Return the whole answer; raises ProviderError."""
        if needs_functions(request):
            return await complete_with_functions(self, request)
        endpoint, name = self._endpoint(request.target), request.target.name
        response = None
        try:
            response, dropped = await self._ask_and_learn(endpoint, request, stream=False)
            body = await response.read()
            expected = expectation_of(request.params, request.messages)
            return self.reader_of(request.target, dropped, expected, _charset_of(response)).read(body)
        except FAILURES as failure:
            raise error_of_failure(name, failure) from failure
        finally:
            _release(response)

    def stream(self, request: ProviderRequest) -> AsyncGenerator[Delta]:
        """Yield the answer as it comes; raises ProviderError, also when the stream breaks off."""
        return stream_with_functions(self, request) if needs_functions(request) else self._stream(request)

    async def _stream(self, request: ProviderRequest) -> AsyncGenerator[Delta]:
        endpoint = self._endpoint(request.target)
        response = None
        try:
            response, dropped = await self._ask_and_learn(endpoint, request, stream=True)
            reader = ChunkReader(
                request.target.name,
                endpoint.secret,
                dropped,
                splits_thinking=endpoint.splits_thinking,
                opens_in_prompt=endpoint.opens_in_prompt,
                expected=expectation_of(request.params, request.messages),
                charset=_charset_of(response),
            )
            lines, content, is_done = EventLines(), response.content, False
            patience = EndPatience(reader, request.params.get("n") or 1)
            while not is_done and (received := await patience.receive(content)):
                for event in lines.feed(received):
                    if event == DONE:
                        is_done = True
                        break
                    for delta in reader.read(event):
                        yield delta
            for event in lines.end() if not is_done else ():
                is_done = is_done or event == DONE
                for delta in reader.read(event) if not is_done else ():
                    yield delta
            for delta in reader.end(is_done=is_done):
                yield delta
            endpoint.opens_in_prompt = reader.opens_in_prompt
            if is_done and not content.at_eof():
                await _drain(content)
        except FAILURES as failure:
            raise error_of_failure(request.target.name, failure) from failure
        finally:
            _release(response)

    async def relay(self, target: ModelTarget, call: str, body: dict[str, Any]) -> bytes:
        """Pass a call on and return the whole answer; raises ProviderError."""
        async with self._post(target, call, body) as response:
            return await response.read()

    async def relay_events(self, target: ModelTarget, call: str, body: dict[str, Any]) -> AsyncGenerator[bytes]:
        """Pass a call on and yield the payloads of its events up to `[DONE]`; raises ProviderError."""
        async with self._post(target, call, body) as response:
            lines = EventLines()
            while received := await response.content.readany():
                for event in lines.feed(received):
                    if event == DONE:
                        await _drain(response.content)
                        return
                    if event:
                        yield event
            for event in lines.end():
                if event == DONE:
                    return
                if event:
                    yield event

    def reader_of(
        self, target: ModelTarget, dropped: list[str], expected: Expectation, charset: str | None = None
    ) -> AnswerReader:
        """Return what reads a whole answer of a target."""
        endpoint = self._endpoint(target)
        return AnswerReader(target.name, endpoint.secret, dropped, endpoint.splits_thinking, expected, charset)

    def body_for(self, request: ProviderRequest) -> tuple[dict[str, Any], list[str]]:
        """Return the body of a call that is sent in a file, by what refusals taught, and what it leaves out."""
        lessons = self._endpoint(request.target).lessons
        refused, wanted, most = lessons.refused, lessons.wanted, lessons.most_tokens
        return body_of(request, stream=False, refused=refused, wanted=wanted, most_tokens=most)

    async def ask(
        self,
        target: ModelTarget,
        method: str,
        call: str,
        *,
        body: Mapping[str, Any] | None = None,
        form: aiohttp.FormData | None = None,
        query: Mapping[str, str] | None = None,
        moves: bool = False,
    ) -> bytes:
        """Make any other call below a target's address, and return what came; raises ProviderError.

        With `moves` a call that is not known there has the other address tried next time.
        """
        endpoint, base = self._endpoint(target), self._endpoint(target).base
        headers = CIMultiDict(headers_with_trace(endpoint.headers, target.provider, target.name))
        if body is None:
            headers.pop("content-type", None)
        try:
            async with self._session_now().request(
                method,
                call_at(base, call).update_query(query or {}),
                data=form if body is None else _encode(body),
                headers=headers,
                timeout=endpoint.timeout,
                allow_redirects=False,
                proxy=endpoint.proxy,
            ) as response:
                content = await response.read()
        except FAILURES as failure:
            raise error_of_failure(target.name, failure) from failure
        if response.status < 300:
            return content
        if moves and response.status in NO_SUCH_PLACE:
            endpoint.leave(base)
        raise _refusal(endpoint, response.status, content, response.headers)

    async def ping(self, target: ModelTarget) -> None:
        """Ask for the list of models, which costs nothing; raises ProviderError."""
        endpoint = self._endpoint(target)
        timeout = aiohttp.ClientTimeout(total=PING_SECONDS, sock_connect=PING_SECONDS)
        session, models = self._session_now(), call_at(endpoint.base, "models")
        try:
            async with session.get(models, headers=endpoint.headers, timeout=timeout, proxy=endpoint.proxy) as response:
                if response.status >= 400 and response.status != 404:  # not all of them have such a list
                    raise _refusal(endpoint, response.status, await response.read(), response.headers)
        except FAILURES as failure:
            raise error_of_failure(target.name, failure) from failure

    async def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _session_now(self) -> aiohttp.ClientSession:
        if self._session is None:
            # Not limited here: how much may be under way at once is decided before a provider is called.
            connector = Connector(limit=0, ttl_dns_cache=300, keepalive_timeout=30)
            self._session = aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())
        return self._session

    def _endpoint(self, target: ModelTarget) -> Endpoint:
        endpoint = self._endpoints.get(target)
        if endpoint is None:
            base, *others = _bases_of(target)
            key = target.api_key
            headers = CIMultiDict({"content-type": "application/json", "accept-encoding": "gzip, deflate"})
            if key:
                headers["authorization"] = f"Bearer {key}"
            endpoint = self._endpoints[target] = Endpoint(
                target,
                base,
                others[0] if others else None,
                proxy_for(base) if self._trust_env else None,
                headers,
                aiohttp.ClientTimeout(
                    total=target.timeout_s, sock_connect=min(target.connect_timeout_s, target.timeout_s)
                ),
                key,
                splits_thinking=target.provider == "ollama"
                or target.api_base is not None
                or not speaks_openai(target.provider),
                opens_in_prompt=often_opens_in_prompt(target.model),
            )
        return endpoint

    @asynccontextmanager
    async def _post(
        self, target: ModelTarget, call: str, body: dict[str, Any]
    ) -> AsyncGenerator[aiohttp.ClientResponse]:
        """Send a body as it is, and give the successful response."""
        response = None
        try:
            response = await self._ask(self._endpoint(target), call, body, RELAYED)
            yield response
        except FAILURES as failure:
            raise error_of_failure(target.name, failure) from failure
        finally:
            _release(response)

    async def _ask_and_learn(
        self, endpoint: Endpoint, request: ProviderRequest, *, stream: bool
    ) -> tuple[aiohttp.ClientResponse, list[str]]:
        """Return the successful response and what was left out; what refusals taught is kept where it helped."""
        retries = Retries(endpoint.lessons)
        while True:
            heeded = retries.heeded
            body, dropped = body_of(
                request, stream=stream, refused=heeded.refused, wanted=heeded.wanted, most_tokens=heeded.most_tokens
            )
            try:
                response = await self._ask(endpoint, CHAT, body, ANSWERED)
            except ProviderError as error:
                if not retries.learn(error, body):
                    raise
                continue
            if retries.number:
                endpoint.lessons |= retries.known
            return response, dropped

    async def _ask(
        self, endpoint: Endpoint, call: str, body: dict[str, Any], answered: tuple[int, ...]
    ) -> aiohttp.ClientResponse:
        """Return the response with one of these statuses, to be read and released; raises ProviderError for others.

        Where no such call is known at the address, the other one is tried, if there is one.
        """
        session, has_moved = self._session_now(), False
        while True:
            base = endpoint.base
            sent = Body(_encode(body))
            began_s = begin_sending()
            try:
                response = await session.post(
                    call_at(base, call),
                    data=sent,
                    headers=headers_with_trace(endpoint.headers, endpoint.target.provider, endpoint.target.name),
                    timeout=endpoint.timeout,
                    allow_redirects=False,
                    proxy=endpoint.proxy,
                )
            except LOSSES as loss:
                if not was_in_vain(loss, sent, began_s):
                    raise
                message = f"{endpoint.target.name} closed the connection before it had the request"
                raise ProviderUnreachable(message) from loss
            if response.status in answered:
                return response
            try:
                refusal = await response.read()
            finally:
                _release(response)
            is_elsewhere = response.status in NO_SUCH_PLACE and b"model" not in refusal and endpoint.leave(base)
            if has_moved or not is_elsewhere:
                raise _refusal(endpoint, response.status, refusal, response.headers)
            has_moved = True


class EndPatience:
    """Waits for more of a stream: for as long as the answer is not complete, and a moment longer.

    Some servers leave the connection open after the end, or break it off there. Comments are no sign of more to come.
    """

    def __init__(self, reader: ChunkReader, wanted: int) -> None:
        self._reader = reader
        self._wanted = wanted
        self._until: float | None = None

    async def receive(self, content: aiohttp.StreamReader) -> bytes:
        """Return the next bytes; none at the end."""
        reader = self._reader
        if not reader.is_complete:
            self._until = None
            return await content.readany()
        now = asyncio.get_running_loop().time()
        grace = GRACE_SECONDS if reader.has_usage and reader.ended >= self._wanted else LONG_GRACE_SECONDS
        self._until = now + grace if self._until is None else min(self._until, now + grace)
        try:
            async with asyncio.timeout_at(self._until):
                return await content.readany()
        except (TimeoutError, aiohttp.ClientError):
            return b""


def _bases_of(target: ModelTarget) -> tuple[URL, ...]:
    """Return the base addresses of a target; raises ProviderError where none is known, or what is known is none."""
    try:
        return bases_of(address_of(target))
    except ValueError as error:
        message = f"the api_base of {target.name} is no address"
        raise ProviderError(message, dispatched=False, code="not_configured") from error


def _charset_of(response: aiohttp.ClientResponse) -> str | None:
    """Return the charset that a response names, as hardly any does."""
    content_type = response.headers.get(hdrs.CONTENT_TYPE)
    return response.charset if content_type and "charset" in content_type.lower() else None


def _release(response: aiohttp.ClientResponse | None) -> None:
    """Give its connection back, or close it where more would come; nothing where it was read to its end."""
    if response is not None and not response.closed:
        response.close() if not response.content.at_eof() else response.release()


async def _drain(content: aiohttp.StreamReader) -> None:
    try:
        async with asyncio.timeout(DRAIN_SECONDS):
            await content.read()
    except (TimeoutError, aiohttp.ClientError):  # it stays open: not worth waiting for, it is closed instead
        pass


def _refusal(endpoint: Endpoint, status: int, body: bytes, headers: Mapping[str, str]) -> ProviderError:
    if status < 400:
        message = f"{endpoint.target.name} answered with status {status}"
        return ProviderError(message, provider_status=status, cause=Cause.NONSENSE)
    return error_of(endpoint.target.name, status, body, headers, endpoint.secret)
