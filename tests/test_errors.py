import inspect

import pytest

from router import errors
from router.errors import (
    Forbidden,
    InvalidRequest,
    MethodNotAllowed,
    ProviderError,
    ProviderOverloaded,
    ProviderTimeout,
    ProviderUnreachable,
    QuotaExhausted,
    RateLimited,
    RouterError,
    TooLarge,
    TooSlow,
    Unauthenticated,
    Unavailable,
    UnknownModel,
)

EVERY = [e for _, e in inspect.getmembers(errors, inspect.isclass) if issubclass(e, RouterError)]


@pytest.mark.parametrize("error", EVERY, ids=lambda e: e.__name__)
def test_every_error_has_the_four_keys_of_an_openai_error_body(error: type[RouterError]) -> None:
    body = error("it failed").body()
    assert body["error"].keys() == {"message", "type", "param", "code"}
    assert body["error"]["message"] == "it failed"


@pytest.mark.parametrize("error", EVERY, ids=lambda e: e.__name__)
def test_every_error_stands_in_the_tree_at_the_top_of_the_file(error: type[RouterError]) -> None:
    assert errors.__doc__ is not None
    assert error.__name__ in errors.__doc__


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (InvalidRequest("x", param="n"), 400, None),
        (Unauthenticated("x"), 401, "invalid_api_key"),
        (Forbidden("x"), 403, "forbidden"),
        (UnknownModel("x", param="model"), 404, "model_not_found"),
        (MethodNotAllowed("x"), 405, "method_not_allowed"),
        (TooSlow("x"), 408, "request_timeout"),
        (TooLarge("x"), 413, "request_too_large"),
        (RateLimited("x"), 429, "rate_limit_exceeded"),
        (QuotaExhausted("x"), 429, "insufficient_quota"),
        (ProviderError("x"), 502, "provider_error"),
        (ProviderTimeout("x"), 504, "provider_timeout"),
        (Unavailable("x"), 503, "unavailable"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_errors_map_to_the_status_and_code_clients_know(error: RouterError, status: int, code: str | None) -> None:
    assert (error.status, error.code) == (status, code)


def test_an_exhausted_budget_tells_clients_not_to_retry() -> None:
    assert QuotaExhausted("x").headers()["x-should-retry"] == "false"


def test_a_passing_limit_says_when_to_come_back() -> None:
    assert RateLimited("x", retry_after_seconds=7).headers() == {"retry-after": "7"}
    assert ProviderOverloaded("x", retry_after_seconds=9).headers() == {"retry-after": "9"}
    assert "retry-after" in Unavailable("x").headers()


def test_an_unauthenticated_caller_is_told_the_scheme() -> None:
    assert Unauthenticated("x").headers() == {"www-authenticate": "Bearer"}


def test_an_unreachable_provider_was_sent_nothing() -> None:
    assert not ProviderUnreachable("x").dispatched
    assert ProviderError("x").dispatched


def test_a_code_given_to_one_error_does_not_change_its_class() -> None:
    assert InvalidRequest("x", code="invalid_json").code == "invalid_json"
    assert InvalidRequest("x").code is None
