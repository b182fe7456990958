"""A provider's failure in, one of our errors out, with a message safe to show.

What a failure means is judged by `router.providers.causes`; here its body is read, in whatever shape it comes, and said
in our terms. Credentials never pass, neither ours nor what looks like one; a provider's words are cut short.
"""

import re
from collections.abc import Iterator, Mapping
from email.utils import parsedate_to_datetime
from time import time
from typing import Any

import msgspec

from router.errors import (
    CONTENT_FILTER,
    CONTEXT_TOO_LONG,
    Cause,
    ProviderError,
    ProviderOverloaded,
    ProviderRefused,
    ProviderTimeout,
)
from router.providers.causes import FailureJudgement, judge

LONGEST_MESSAGE = 300
LONGEST_WAIT_SECONDS = 86_400  # a provider that says to come back later than tomorrow is not believed
DEEPEST = 4  # errors within errors that are looked through

_SECRETS = re.compile(
    r"(?i:\b(?:sk|pk|rk|gsk|xai|key|hf|ghp)[-_][\w.\-*]{8,}|bearer\s+\S+)|\b(?:AKIA|ASIA|AIza|eyJ)[\w.\-]{8,}"
    r"|(?<=[?&])(?:key|token|api_key|apikey|signature)=[^&\s\"']+|\b(?=\w*\d)[\w\-]{32,}\b"
)
_STATUS = re.compile(r"[45][0-9]{2}")
_NUMBER = re.compile(r"[0-9]{1,15}(?:\.[0-9]{0,15})?")
_SECONDS_IN_WORDS = re.compile(
    r"(?i)(?:try again|retry|wait)\w*\s+(?:in|after|for)\s+(?:([0-9]{1,15})h)?(?:([0-9]{1,15})m(?!s))?"
    r"(?:([0-9]{1,15}(?:\.[0-9]+)?)\s*(ms|s|sec))?"
)
_MESSAGE_KEYS = (
    "message", "msg", "status_msg", "error_msg", "errorMessage", "error_message", "error_description", "detail",
    "Message", "title", "reason",
)  # fmt: skip
_CODE_KEYS = (
    "code",
    "type",
    "status",
    "reason",
    "__type",
    "error_code",
    "errorCode",
    "error_type",
    "status_code",
    "Code",
)
# Of these an answer has none; of the others it may.
_ERROR_CODE_KEYS = ("code", "error_code", "errorCode", "status_code", "__type", "Code")
_INNER_KEYS = (
    "error",
    "innererror",
    "inner_error",
    "errors",
    "details",
    "metadata",
    "response",
    "base_resp",
    "header",
    "data",
)
_SUCCESS = frozenset({"0", "200", "success", "ok", "none", ""})


class Details(msgspec.Struct):
    """What a failure says: its words, the parameter it is about, and every code, type or reason in it."""

    message: str = ""
    param: str | None = None
    codes: frozenset[str] = frozenset()

    @property
    def status(self) -> int | None:
        """An HTTP status among the codes."""
        found = [int(code) for code in self.codes if _STATUS.fullmatch(code)]
        return max(found, default=None)


def error_of(provider: str, status: int, body: bytes, headers: Mapping[str, str], secret: str | None) -> ProviderError:
    """Turn an HTTP failure of a provider into our error."""
    return error_for(provider, status, parse(body), secret=secret, retry_after=retry_after_seconds(headers))


def error_for(
    provider: str, status: int, told: Details | str = "", *, secret: str | None = None, retry_after: int | None = None
) -> ProviderError:
    """Turn a provider's status and words into our error; a status below 400 is of an answer with an error in it."""
    details = told if isinstance(told, Details) else Details(told)
    judged = judge(
        provider.partition("/")[0],
        status if status >= 400 else details.status or status,
        details.codes,
        details.message,
    )
    text = scrubbed(details.message, secret)
    words = f"{provider}: {text}" if text else f"{provider} answered with status {status}"
    if status < 400 and not text:
        words = f"{provider} answered with an error"
    error = _error(judged, provider, words, status, details, retry_after or _seconds_in(details.message))
    error.cause, error.retryable = judged.cause, judged.another_may_do
    return error


def _error(
    judged: FailureJudgement, provider: str, words: str, status: int, details: Details, retry_after: int | None
) -> ProviderError:
    match judged.cause:
        case Cause.CREDENTIALS:
            # Its words may repeat the key, and it is not the caller's fault.
            rejected = f"{provider} did not accept the credentials configured for it"
            return ProviderError(rejected, provider_status=status, code="provider_credentials")
        case Cause.NO_CREDIT:
            broke = f"{provider} has no credit left for the key configured for it"
            return ProviderError(broke, provider_status=status, code="provider_no_credit")
        case Cause.RATE_LIMITED | Cause.OVERLOADED:
            overloaded = ProviderOverloaded(words, provider_status=status, retry_after_seconds=retry_after)
            overloaded.cause = judged.cause
            return overloaded
        case Cause.TIMEOUT_FIRST_BYTE | Cause.TIMEOUT_IDLE | Cause.TIMEOUT_TOTAL | Cause.TIMEOUT_CONNECT:
            return ProviderTimeout(f"{provider} did not answer in time", provider_status=status)
        case Cause.CONTEXT_TOO_LONG:
            return ProviderRefused(words, provider_status=status, param=details.param, code=CONTEXT_TOO_LONG)
        case Cause.CONTENT_FILTER:
            return ProviderRefused(words, provider_status=status, param=details.param, code=CONTENT_FILTER)
        case Cause.BAD_REQUEST:
            return ProviderRefused(words, provider_status=status, param=details.param)
        case _:
            return ProviderError(words, provider_status=status)


def parse(body: bytes) -> Details:
    """Find the error in a body: OpenAI's shape, its relatives, or none (an HTML page says nothing to us)."""
    return parse_decoded(_decode(body))


def _decode(body: bytes) -> Any:
    """Return what a body holds; None where it is no JSON."""
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def parse_decoded(error: Any) -> Details:
    """Read an error that is decoded: a body, or the value of an `error` key."""
    levels = list(_levels(error, 0))
    messages = [text for level in levels for key in _MESSAGE_KEYS if (text := _text(level.get(key)))]
    texts = [text for level in levels if (text := level.get("")) is not None]
    params = [text for level in levels if isinstance(text := level.get("param"), str) and len(text) < 100]
    codes = {code for level in levels for key in _CODE_KEYS if (code := _code(level, key)) is not None}
    message = next(iter(messages or texts), "")
    # A gateway's own words ("Provider returned error") often hide those of the provider behind it.
    hidden = [text for level in levels if isinstance(text := level.get("raw"), str)]
    if hidden:
        inner = parse(hidden[0].encode("utf-8", "replace"))
        message = f"{message}: {inner.message or hidden[0]}" if message else inner.message or hidden[0]
        codes |= inner.codes
    if not params and (place := _place(error)) is not None:
        params.append(place)
    return Details(_whole(message), _whole(params[0]) if params else None, frozenset(codes))


def _whole(text: str) -> str:
    """Return a text that can be sent: halves of letters, which some decoders let pass, become question marks."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def failure_in(body: bytes | dict[str, Any]) -> Details | None:
    """Find an error in what came with status 200 in place of an answer; None where it holds none.

    Vendors put it under `error`, in a `base_resp` whose status is not 0, beside `object: "error"`, or as a bare code
    and message.
    """
    decoded = _decode(body) if isinstance(body, bytes) else body
    if not isinstance(decoded, dict):
        return None
    error = decoded.get("error") or decoded.get("errors")
    base = decoded.get("base_resp")
    if isinstance(base, dict) and str(base.get("status_code") or 0) != "0":
        return parse_decoded({"base_resp": base})
    if error:
        return parse_decoded(decoded)
    if decoded.get("choices"):
        return None
    has_failed = decoded.get("object") == "error" or decoded.get("type") == "error" or decoded.get("success") is False
    details = parse_decoded({key: value for key, value in decoded.items() if key != "object"})
    has_code = any(_code(decoded, key) is not None for key in _ERROR_CODE_KEYS)
    return details if has_failed or (details.message and has_code) else None


def _levels(error: Any, depth: int) -> Iterator[dict[str, Any]]:
    """Yield the objects in which an error may say something, the innermost words of `error` first."""
    if depth > DEEPEST:
        return
    if isinstance(error, str):
        yield {"": error}
    elif isinstance(error, list):
        for one in error[:8]:
            yield from _levels(one, depth + 1)
    elif isinstance(error, dict):
        inner = error.get("error")
        if inner:
            yield from _levels(inner, depth + 1)
        if isinstance(base := error.get("base_resp"), dict):
            yield {"msg": base.get("status_msg"), "code": f"minimax:{base.get('status_code')}"}
        yield error
        for key in _INNER_KEYS:
            if key not in ("error", "base_resp") and isinstance(value := error.get(key), (dict, list)):
                yield from _levels(value, depth + 1)


def _text(value: Any, depth: int = 0) -> str | None:
    """Return words, wherever a validator put them: `detail` may be a list of `{"loc", "msg"}`."""
    if isinstance(value, str):
        return value or None
    if isinstance(value, dict) and depth < DEEPEST:
        return next((text for key in (*_MESSAGE_KEYS, "error") if (text := _text(value.get(key), depth + 1))), None)
    if isinstance(value, list) and depth < DEEPEST:
        return "; ".join(_complaint(one, depth) for one in value[:3] if isinstance(one, (dict, str))) or None
    return None


def _complaint(one: dict[str, Any] | str, depth: int) -> str:
    if isinstance(one, str):
        return one
    place = ".".join(_steps(one.get("loc")))
    words = _text(one.get("msg") or one.get("message"), depth + 1) or ""
    return f"{place}: {words}" if place else words


def _place(error: Any) -> str | None:
    """Return the parameter that a validator's list complains about."""
    for level in _levels(error, 0):
        for key in ("detail", "message"):
            given = level.get(key)
            given = given.get("detail") if isinstance(given, dict) else given
            if (
                isinstance(given, list)
                and given
                and isinstance(given[0], dict)
                and isinstance(given[0].get("loc"), list)
            ):
                steps = [step for step in _steps(given[0]["loc"]) if step != "body"]
                return ".".join(steps)[:100] or None
    return None


def _steps(place: Any) -> list[str]:
    """Return the names and numbers that lead to what a validator complains about."""
    return [str(step) for step in place if isinstance(step, (str, int))] if isinstance(place, list) else []


def _code(level: dict[str, Any], key: str) -> str | None:
    value = level.get(key)
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        return None
    code = str(value).strip()
    if code.lower() in _SUCCESS or len(code) > 100:
        return None
    if key == "__type":  # "com.amazonaws...#ThrottlingException"
        code = code.rpartition("#")[2]
    is_zhipu = len(code) == 4 and code.isdigit() and code[0] == "1"
    return f"zhipu:{code}" if is_zhipu else code


def scrubbed(message: Any, secret: str | None) -> str:
    """Return a provider's words without anything that may be a credential, on one line, cut."""
    if not isinstance(message, str):
        return ""
    text = message.replace(secret, "***") if secret else message
    text = _SECRETS.sub("***", " ".join(text.split()))
    return text if len(text) <= LONGEST_MESSAGE else text[: LONGEST_MESSAGE - 1] + "…"


def retry_after_seconds(headers: Mapping[str, str]) -> int | None:
    """Return what a provider says about when to come again, in whole seconds, at least one."""
    if _NUMBER.fullmatch(milliseconds := headers.get("retry-after-ms", "")):
        return _sensible_wait(float(milliseconds) / 1000)
    value = headers.get("retry-after", "").strip()
    if _NUMBER.fullmatch(value):
        return _sensible_wait(float(value))
    try:
        return _sensible_wait(parsedate_to_datetime(value).timestamp() - time()) if value else None
    except (ValueError, OverflowError):
        return None


def _seconds_in(message: str) -> int | None:
    """Return when to come again where only the words tell: "Please try again in 1m2.5s"."""
    match = _SECONDS_IN_WORDS.search(message)
    if match is None or not any(match.groups()):
        return None
    hours, minutes, rest, unit = match.groups()
    seconds = float(rest or 0) / (1000 if unit == "ms" else 1)
    return _sensible_wait(int(hours or 0) * 3600 + int(minutes or 0) * 60 + seconds)


def _sensible_wait(seconds: float) -> int:
    return min(max(1, round(seconds)), LONGEST_WAIT_SECONDS)
