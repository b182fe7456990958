"""What litellm raises, as our errors: the provider's own status and words, none of litellm's."""

import ast
from collections.abc import Mapping
from typing import Any

from router.errors import Cause, ProviderError, ProviderRefused, ProviderTimeout, ProviderUnreachable
from router.providers.base import ModelTarget
from router.providers.refusals import Details, error_for, parse, parse_decoded, retry_after_seconds

# Exceptions of the HTTP libraries below litellm that mean: nothing was sent.
UNREACHABLE = frozenset(
    {"ConnectError", "ConnectTimeout", "ClientConnectorError", "ConnectionTimeoutError", "ClientConnectorDNSError"}
)
TIMED_OUT = frozenset(
    {"Timeout", "ReadTimeout", "ServerTimeoutError", "SocketTimeoutError", "WriteTimeout", "PoolTimeout"}
)
BROKEN_OFF = frozenset(
    {
        "ReadError", "WriteError", "RemoteProtocolError", "ServerDisconnectedError", "ClientPayloadError",
        "ClientOSError", "ConnectionResetError", "ClientConnectionResetError", "StreamClosed", "TransferEncodingError",
    }
)  # fmt: skip
ANSWERED = frozenset({"HTTPStatusError", "MaskedHTTPStatusError", "ClientResponseError"})
ITS_OWN = "litellm"


def error_of(target: ModelTarget, error: Exception, *, has_answered: bool) -> ProviderError:
    """Turn what litellm raised into our error; `has_answered`: the provider's answer had begun."""
    causes = causes_of(error)
    kinds = {type(cause).__name__ for cause in causes}
    name = target.name
    if kinds & UNREACHABLE:
        return ProviderUnreachable(f"{name} could not be reached")
    if kinds & TIMED_OUT:
        return ProviderTimeout(f"{name} did not answer in time", cause=Cause.TIMEOUT_TOTAL)
    told = _words_of_provider(causes)
    if told is not None:
        status, details, headers = told
        is_http = bool(kinds & ANSWERED)
        if is_http and status >= 400:
            return error_for(name, status, details, secret=target.api_key, retry_after=retry_after_seconds(headers))
        if has_answered and (details.message or details.codes):  # an error in an answer that began well
            if details.status is None and status >= 400:
                details = Details(details.message, details.param, details.codes | {str(status)})
            return error_for(name, 200, details, secret=target.api_key, retry_after=retry_after_seconds(headers))
        if status == 200:
            return ProviderError(f"{name} sent no valid answer", provider_status=200, cause=Cause.NONSENSE)
    if has_answered or kinds & BROKEN_OFF:
        begun_with = 200 if has_answered else None
        return ProviderError(f"{name} broke off its answer", provider_status=begun_with, cause=Cause.BROKEN_OFF)
    return _never_sent(target, causes)


def causes_of(error: BaseException) -> list[BaseException]:
    """Return an exception and what it came of, the first cause last."""
    causes: list[BaseException] = []
    seen: BaseException | None = error
    while seen is not None and seen not in causes:
        causes.append(seen)
        seen = seen.__cause__ or seen.__context__ or getattr(seen, "original_exception", None)
    return causes


def _never_sent(target: ModelTarget, causes: list[BaseException]) -> ProviderError:
    """Say that a request could not be written in the family's dialect: litellm's reasons would repeat the prompt."""
    status = next((code for cause in causes if isinstance(code := getattr(cause, "status_code", None), int)), None)
    if status in (401, 403):
        message = f"{target.name} did not accept the credentials configured for it"
        return ProviderError(message, dispatched=False, code="provider_credentials", cause=Cause.CREDENTIALS)
    if any(isinstance(cause, ImportError) for cause in causes):
        message = f"{target.name} needs a library that is not installed here"
        return ProviderError(message, dispatched=False, code="not_configured", cause=Cause.UNKNOWN)
    message = f"{target.name} cannot be asked this: the request does not fit what its family takes"
    refused = ProviderRefused(message, dispatched=False, cause=Cause.BAD_REQUEST)
    refused.retryable = True  # another family may take it
    return refused


def _words_of_provider(causes: list[BaseException]) -> tuple[int, Details, Mapping[str, str]] | None:
    """Return what the provider itself said: its status, its words and its headers; None where it said nothing."""
    for cause in reversed(causes):
        status = getattr(cause, "status_code", None)
        if not isinstance(status, int) or type(cause).__module__.startswith(f"{ITS_OWN}.exceptions"):
            continue
        body = getattr(cause, "body", None)
        details = parse_decoded(body) if isinstance(body, dict) else _details(getattr(cause, "message", None))
        response = getattr(cause, "response", None)
        headers = getattr(cause, "headers", None) or getattr(response, "headers", None)
        return status, details, headers if isinstance(headers, Mapping) else {}
    return None


def _details(message: Any) -> Details:
    """Read a body that litellm kept as a message: bytes, or text, or text that was written of bytes."""
    if isinstance(message, str) and message[:2] in ("b'", 'b"'):
        try:
            message = ast.literal_eval(message)
        except (ValueError, SyntaxError):
            return Details()
    if isinstance(message, bytes):
        return parse(message)
    if not isinstance(message, str):
        return Details()
    start = message.find("{")
    details = parse(message.encode("utf-8", "replace"))
    if not details.message and start > 0:
        details = parse(message[start : message.rfind("}") + 1].encode("utf-8", "replace"))
    is_plain = "<" not in message and ITS_OWN not in message.lower() and start < 0
    return details if details.message or not is_plain else Details(message, details.param, details.codes)
