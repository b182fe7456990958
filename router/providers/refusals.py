"""What a provider's failure means to us: status and body in, one of our errors out, with a message safe to show.

Credentials never pass, neither ours nor what looks like one; a provider's words are cut short.
"""

import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from time import time
from typing import Any

import msgspec

from router.errors import CONTEXT_TOO_LONG, ProviderError, ProviderOverloaded, ProviderRefused, ProviderTimeout

LONGEST_MESSAGE = 300

_SECRETS = re.compile(
    r"(?i:\b(?:sk|pk|rk|gsk|xai|key|hf|ghp)[-_][\w.\-*]{8,}|bearer\s+\S+)|\b(?:AKIA|ASIA|AIza|eyJ)[\w.\-]{8,}"
    r"|(?<=[?&])(?:key|token|api_key|apikey|signature)=[^&\s\"']+|\b(?=\w*\d)[\w\-]{32,}\b"
)
_TOO_LONG = re.compile(
    r"(?i)context[ _]?(?:length|window|size)|(?:prompt|input) is too long|too many (?:input )?tokens"
    r"|exceeds? the (?:maximum|available|token)|token (?:count|limit).{0,40}exceed|input token count"
)


class _Error(msgspec.Struct):
    message: Any = None
    param: Any = None
    code: Any = None
    type: Any = None


def error_of(provider: str, status: int, body: bytes, headers: Mapping[str, str], secret: str | None) -> ProviderError:
    """Turn an HTTP failure of a provider into our error."""
    details = parse(body)
    retry_after = retry_after_seconds(headers)
    return error_for(provider, status, details.message, secret=secret, details=details, retry_after=retry_after)


def error_for(
    provider: str,
    status: int,
    message: Any,
    *,
    secret: str | None = None,
    details: _Error | None = None,
    retry_after: int | None = None,
) -> ProviderError:
    """Turn a provider's status and message into our error."""
    details = details or _Error()
    text = scrubbed(message, secret)
    words = f"{provider}: {text}" if text else f"{provider} answered with status {status}"
    match status:
        case 401 | 403:
            # Its words may repeat the key, and it is not the caller's fault.
            rejected = f"{provider} did not accept the credentials configured for it"
            return ProviderError(rejected, provider_status=status, code="provider_credentials")
        case 402 | 404 | 405 | 409:
            return ProviderError(words, provider_status=status)
        case 408 | 504:
            return ProviderTimeout(f"{provider} did not answer in time", provider_status=status)
        case 429 | 503 | 529:
            return ProviderOverloaded(words, provider_status=status, retry_after_seconds=retry_after)
        case _ if 400 <= status < 500:
            param = details.param if isinstance(details.param, str) and len(details.param) < 100 else None
            code = CONTEXT_TOO_LONG if is_too_long(text, details.code) else None
            return ProviderRefused(words, provider_status=status, param=param, code=code)
        case _:
            return ProviderError(words, provider_status=status)


def parse(body: bytes) -> _Error:
    """Find the error in a body: OpenAI's shape, its relatives, or none (an HTML page says nothing to us)."""
    try:
        decoded = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return _Error()
    if isinstance(decoded, list) and decoded:
        decoded = decoded[0]
    return parse_decoded(decoded.get("error", decoded) if isinstance(decoded, dict) else None)


def parse_decoded(error: Any) -> _Error:
    """Read the value of an `error` key."""
    if isinstance(error, str):
        return _Error(message=error)
    if not isinstance(error, dict):
        return _Error()
    message = error.get("message") or error.get("detail")
    return _Error(message, error.get("param"), error.get("code"), error.get("type"))


def scrubbed(message: Any, secret: str | None) -> str:
    """Return a provider's words without anything that may be a credential, on one line, cut."""
    if not isinstance(message, str):
        return ""
    text = message.replace(secret, "***") if secret else message
    text = _SECRETS.sub("***", " ".join(text.split()))
    return text if len(text) <= LONGEST_MESSAGE else text[: LONGEST_MESSAGE - 1] + "…"


def is_too_long(message: str, code: Any) -> bool:
    """Tell whether a refusal is about the length of the input."""
    return code == CONTEXT_TOO_LONG or _TOO_LONG.search(message) is not None


def retry_after_seconds(headers: Mapping[str, str]) -> int | None:
    """Return what a provider says about when to come again, in whole seconds, at least one."""
    if (milliseconds := headers.get("retry-after-ms", "")).replace(".", "", 1).isdigit():
        return max(1, round(float(milliseconds) / 1000))
    value = headers.get("retry-after", "").strip()
    if value.replace(".", "", 1).isdigit():
        return max(1, round(float(value)))
    try:
        return max(1, round(parsedate_to_datetime(value).timestamp() - time())) if value else None
    except ValueError:
        return None
