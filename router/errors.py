"""
RouterError
├── RequestError              the caller can fix it (4xx)
│   ├── InvalidRequest        400, names the parameter
│   ├── Unauthenticated       401
│   ├── Forbidden             403
│   ├── NotFound              404
│   │   └── UnknownModel      404 model_not_found
│   ├── MethodNotAllowed      405
│   ├── Conflict              409, another request stands in the way
│   ├── TooSlow               408, the body did not arrive in time
│   ├── TooLarge              413
│   ├── RateLimited           429, try later
│   └── QuotaExhausted        429 insufficient_quota, trying again does not help
│       └── AllowanceSpent    429, of one person, until the day ends
├── ProviderError             a provider failed; `retryable` says whether another may do
│   ├── ProviderRefused       the provider says the request itself is wrong (4xx)
│   ├── ProviderOverloaded    429 or 503 of a provider
│   ├── ProviderTimeout       no answer in time
│   ├── BreakerOpen           503, it failed too often of late and is not asked
│   └── ProviderUnreachable   the connection failed before anything was sent
├── Unavailable               we cannot serve now (503): spool full, no lease on a hard budget, shutting down
│   └── Saturated             as much is under way as there is room for; try again soon
└── LedgerError               books and reality disagree; page someone
    ├── UnpricedUsage         no price covers (model, instant)
    └── DuplicateEntry        same key, different content

Each error knows its HTTP status and the four keys of OpenAI's error body. Messages are in the caller's terms and
never carry secrets, prompts or stack traces.
"""

from collections.abc import Mapping
from enum import StrEnum

CONTEXT_TOO_LONG = "context_length_exceeded"  # the `code` of a conversation that no model can take
CONTENT_FILTER = "content_filter"  # the `code`, and the ending, of what is not answered on grounds of policy


class Cause(StrEnum):
    """Why a call failed: a closed list, stored with the call."""

    CREDENTIALS = "credentials"  # the key, or what it may be used for
    NO_CREDIT = "no_credit"
    RATE_LIMITED = "rate_limited"
    OVERLOADED = "overloaded"
    BAD_REQUEST = "bad_request"
    NOT_FOUND = "not_found"  # the model, or the address
    CONTENT_FILTER = "content_filter"
    CONTEXT_TOO_LONG = "context_too_long"
    UNREACHABLE = "unreachable"
    TIMEOUT_CONNECT = "timeout_connect"
    TIMEOUT_FIRST_BYTE = "timeout_first_byte"
    TIMEOUT_IDLE = "timeout_idle"
    TIMEOUT_TOTAL = "timeout_total"
    BROKEN_OFF = "broken_off"
    NONSENSE = "nonsense"  # an answer, or a call in it, that cannot be read
    BREAKER_OPEN = "breaker_open"
    UNKNOWN = "unknown"  # it failed and does not say why


class RouterError(Exception):
    """Something went wrong inside; the message is safe to show."""

    status = 500
    type = "server_error"
    code: str | None = None

    def __init__(self, message: str, *, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        if code is not None:
            self.code = code

    def body(self) -> dict[str, dict[str, str | None]]:
        """Return OpenAI's error body: always all four keys."""
        return {"error": {"message": self.message, "type": self.type, "param": self.param, "code": self.code}}

    def headers(self) -> Mapping[str, str]:
        """Return the headers this error adds to a response."""
        return {}


class RequestError(RouterError):
    """The caller can fix it."""

    status = 400
    type = "invalid_request_error"


class InvalidRequest(RequestError):
    """The request is malformed or asks for what cannot be."""


class Unauthenticated(RequestError):
    """No key, or a key nobody knows."""

    status = 401
    type = "authentication_error"
    code = "invalid_api_key"

    def headers(self) -> Mapping[str, str]:
        return {"www-authenticate": "Bearer"}


class Forbidden(RequestError):
    """The key is known and may not do this."""

    status = 403
    type = "permission_error"
    code = "forbidden"


class NotFound(RequestError):
    """There is nothing here."""

    status = 404
    code = "not_found"


class UnknownModel(NotFound):
    """No model goes by this name."""

    code = "model_not_found"


class MethodNotAllowed(RequestError):
    """The route exists, this method does not."""

    status = 405
    code = "method_not_allowed"


class Conflict(RequestError):
    """Another request stands in the way: for `retry_after_seconds`, or, where that is None, for good."""

    status = 409
    code = "conflict"

    def __init__(
        self,
        message: str,
        *,
        retry_after_seconds: int | None = None,
        param: str | None = None,
        code: str | None = None,
    ) -> None:
        super().__init__(message, param=param, code=code)
        self.retry_after_seconds = retry_after_seconds

    def headers(self) -> Mapping[str, str]:
        """Clients that try a 409 again by themselves are told whether that helps."""
        after = self.retry_after_seconds
        return {"x-should-retry": "false"} if after is None else {"retry-after": str(after)}


class TooSlow(RequestError):
    """The body did not arrive in time."""

    status = 408
    code = "request_timeout"


class TooLarge(RequestError):
    """The body is larger than this server accepts."""

    status = 413
    code = "request_too_large"


class RateLimited(RequestError):
    """Too many requests at once; try again later."""

    status = 429
    type = "rate_limit_error"
    code = "rate_limit_exceeded"

    def __init__(self, message: str, *, retry_after_seconds: int = 1) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds

    def headers(self) -> Mapping[str, str]:
        return {"retry-after": str(self.retry_after_seconds)}


class QuotaExhausted(RequestError):
    """A budget is used up; trying again does not help before its period ends, in `retry_after_seconds`."""

    status = 429
    type = "insufficient_quota"
    code = "insufficient_quota"

    def __init__(self, message: str, *, retry_after_seconds: int | None = None) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds

    def headers(self) -> Mapping[str, str]:
        """Clients that wait by themselves are told not to: they would sit out a day."""
        after = {} if self.retry_after_seconds is None else {"retry-after": str(self.retry_after_seconds)}
        return {**after, "x-should-retry": "false"}


class AllowanceSpent(QuotaExhausted):
    """A person's allowance of deep answers is used up until the day ends."""


class ProviderError(RouterError):
    """A provider failed.

    `retryable`: another model may do better. `dispatched`: the provider may have worked, and may bill.
    `provider_status` is the HTTP status it answered with, None where no answer came.
    """

    status = 502
    type = "provider_error"
    code = "provider_error"
    retryable = True
    cause = Cause.UNKNOWN

    def __init__(
        self,
        message: str,
        *,
        dispatched: bool = True,
        provider_status: int | None = None,
        param: str | None = None,
        code: str | None = None,
        retry_after_seconds: int | None = None,
        cause: Cause | None = None,
    ) -> None:
        super().__init__(message, param=param, code=code)
        if cause is not None:
            self.cause = cause
        self.dispatched = dispatched
        self.provider_status = provider_status
        self.retry_after_seconds = retry_after_seconds

    def headers(self) -> Mapping[str, str]:
        return {"retry-after": str(self.retry_after_seconds)} if self.retry_after_seconds is not None else {}


class ProviderRefused(ProviderError):
    """The provider says that the request itself is wrong; another model may still take it (a smaller context)."""

    status = 400
    type = "invalid_request_error"
    code = "provider_refused"
    retryable = False
    cause = Cause.BAD_REQUEST


class ProviderOverloaded(ProviderError):
    """The provider limits our rate (429), or is out of capacity (503)."""

    code = "provider_overloaded"
    cause = Cause.RATE_LIMITED

    @property
    def status(self) -> int:  # type: ignore[override]
        return 503 if self.cause is Cause.OVERLOADED or self.provider_status in (503, 529) else 429

    @property
    def type(self) -> str:  # type: ignore[override]
        return "server_error" if self.status == 503 else "rate_limit_error"

    def headers(self) -> Mapping[str, str]:
        return {"retry-after": str(self.retry_after_seconds if self.retry_after_seconds is not None else 1)}


class ProviderTimeout(ProviderError):
    """The provider did not answer in time."""

    status = 504
    code = "provider_timeout"
    cause = Cause.TIMEOUT_TOTAL


class BreakerOpen(ProviderError):
    """The models that may answer failed too often of late: they are not asked before `retry_after_seconds`."""

    status = 503
    type = "server_error"
    code = "breaker_open"
    cause = Cause.BREAKER_OPEN

    def __init__(self, message: str, *, retry_after_seconds: int = 1) -> None:
        super().__init__(message, dispatched=False, retry_after_seconds=retry_after_seconds)


class ProviderUnreachable(ProviderError):
    """The connection failed before anything was sent."""

    status = 502
    code = "provider_unreachable"
    cause = Cause.UNREACHABLE

    def __init__(self, message: str, *, cause: Cause | None = None) -> None:
        super().__init__(message, dispatched=False, cause=cause)


class Unavailable(RouterError):
    """This server cannot take the request now."""

    status = 503
    type = "server_error"
    code = "unavailable"

    def headers(self) -> Mapping[str, str]:
        return {"retry-after": "5"}


class Saturated(Unavailable):
    """As much is under way as there is room for; try again soon."""

    code = "overloaded"

    def headers(self) -> Mapping[str, str]:
        return {"retry-after": "2"}


class LedgerError(RouterError):
    """Books and reality disagree."""

    code = "ledger_error"


class UnpricedUsage(LedgerError):
    """No price covers this model at this instant."""

    code = "unpriced"


class DuplicateEntry(LedgerError):
    """The same key was booked before with different content."""

    code = "duplicate_entry"
